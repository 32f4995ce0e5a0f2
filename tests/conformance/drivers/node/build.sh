#!/usr/bin/env bash
# Builds the Node package where its sources are, and prints the driver's command.
set -uo pipefail
cd "$(dirname "$0")"
top=$(cd ../../../.. && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")

command -v node >/dev/null && command -v npm >/dev/null || { echo "Node and npm are needed, version 18 or newer" >&2; exit 77; }
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || { echo "Node 18 or newer is needed" >&2; exit 77; }
case $(uname -s) in Darwin) built=librealtime_pubsub_node.dylib ;; *) built=librealtime_pubsub_node.so ;; esac
cargo build --quiet --locked --package realtime-pubsub-node >&2 || exit 1
work=$target/conformance-node
mkdir -p "$work"
cp "$target/debug/$built" "$work/realtime-pubsub.node"
cd "$top/bindings/node"
[ -x node_modules/.bin/tsc ] || npm ci --silent --no-fund --no-audit >&2 || { echo "npm ci failed: are its packages to be had?" >&2; exit 1; }
npx --no-install tsc -p . >&2 || exit 1
echo "env REALTIME_PUBSUB_NATIVE=$work/realtime-pubsub.node REALTIME_PUBSUB_PACKAGE=$PWD $(command -v node) $OLDPWD/driver.mjs"
