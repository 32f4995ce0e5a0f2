#!/usr/bin/env bash
# Runs an example:   examples/swift/run.sh basic|wildcard|rpc_server|rpc_client|publish|subscribe [URL] [TOPIC]
# `run.sh build` builds all of them.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd -P)
name=${1:?which example?}
shift
target=${CARGO_TARGET_DIR:-$top/target}
export REALTIME_SWIFT_SCRATCH=$target/swift-examples
[ -e "$REALTIME_SWIFT_SCRATCH" ] || echo "building the package and the examples, which takes minutes the first time" >&2
[ "$name" != build ] && [ -e "$top/bindings/uniffi/swift/generated" ] || "$top/bindings/uniffi/generate.sh"
if [ "$name" = build ]; then exec "$top/scripts/swift.sh" "$top/examples/swift/programs" build; fi
exec "$top/scripts/swift.sh" "$top/examples/swift/programs" run --quiet "$name" "$@"
