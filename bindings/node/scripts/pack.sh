#!/usr/bin/env bash
# Packs the package and this platform's package into a folder: `scripts/pack.sh FOLDER [PROFILE]`. Prints the folder's
# tarballs. What a release does for each platform, tests do for this one.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 profile=${2:-debug}
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

case $(uname -s) in
    Linux) built=librealtime_pubsub_node.so ;;
    Darwin) built=librealtime_pubsub_node.dylib ;;
    *) built=realtime_pubsub_node.dll ;;
esac
platform=$(node -p "
    const {platform, arch} = process
    const musl = platform === 'linux' && require('fs').readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
    platform === 'win32' ? 'win32-' + arch + '-msvc' : platform === 'linux' ? 'linux-' + arch + (musl ? '-musl' : '-gnu') : platform + '-' + arch")

cp "$target/$profile/$built" "npm/$platform/realtime-pubsub.node"
cp "$root/LICENSE" LICENSE
cp "$root/LICENSE" "npm/$platform/LICENSE"
mkdir -p "$folder"
npm pack --silent --pack-destination "$folder" . "./npm/$platform" >/dev/null
ls "$folder"/*.tgz
