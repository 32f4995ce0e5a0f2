#!/usr/bin/env bash
# Measures the Kotlin and Swift packages and, beside them, the Rust client: all in release builds, one after the other.
#
#   bindings/uniffi/bench.sh [rust] [kotlin] [swift]
set -euo pipefail
cd "$(dirname "$0")"
top=$(cd ../.. && pwd -P)
target=${CARGO_TARGET_DIR:-$top/target}
[ $# -gt 0 ] || set -- rust kotlin swift
REALTIME_PROFILE=release ./generate.sh
export REALTIME_LIB_DIR=$target/release
for what in "$@"; do
  case $what in
    rust) cargo run --quiet --release --package realtime-pubsub-uniffi --example receive ;;
    kotlin) "$top/scripts/kotlin.sh" test -Dtest=BenchTest "-Dtest.args=-Dbench=true" | grep -E '^BENCH|ERROR' ;;
    swift) "$top/scripts/swift.sh" "$PWD/swift" run -c release RealtimePubSubBench 2>&1 | grep -E '^BENCH|error' ;;
    *) echo "no such benchmark: $what" >&2; exit 2 ;;
  esac
done
