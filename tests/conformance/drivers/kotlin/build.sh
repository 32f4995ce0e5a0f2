#!/usr/bin/env bash
# Builds the Kotlin package and this driver, and prints the driver's command.
set -uo pipefail
cd "$(dirname "$0")"
top=$(cd ../../../.. && pwd -P)
target=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")
"$top/bindings/uniffi/generate.sh" >&2 || exit 1
"$top/scripts/kotlin.sh" -q install -DskipTests >&2
status=$?
[ "$status" -eq 0 ] || exit "$status"
REALTIME_KOTLIN_DIR=$PWD "$top/scripts/kotlin.sh" -q "-Dbuild.dir=$target/conformance-kotlin" compile >&2 || exit 1
# The jar that was just built, wherever the installed one comes from: other checkouts install theirs too.
echo "java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m -cp $target/conformance-kotlin/classes:$(ls "$top"/bindings/uniffi/kotlin/target/realtime-pubsub-*.jar | head -n 1):$(cat "$target/conformance-kotlin/class-path") DriverKt"
