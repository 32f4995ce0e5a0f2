#!/usr/bin/env bash
# Builds the Swift package and this driver, and prints the driver's command. In a folder of another name than `swift`:
# SwiftPM tells packages apart by the names of their folders.
set -uo pipefail
cd "$(dirname "$0")"
top=$(cd ../../../.. && pwd -P)
target=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")
"$top/bindings/uniffi/generate.sh" >&2 || exit 1
export REALTIME_SWIFT_SCRATCH=$target/swift-conformance
"$top/scripts/swift.sh" "$PWD/package" build >&2 || exit $?
echo "env REALTIME_SWIFT_SCRATCH=$REALTIME_SWIFT_SCRATCH $top/scripts/swift.sh $PWD/package run --skip-build driver"
