#!/usr/bin/env bash
# Builds the C library and this driver, and prints the driver's command.
set -uo pipefail
cd "$(dirname "$0")"
top=$(cd ../../../.. && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")
cc=${CC:-gcc}
command -v "$cc" >/dev/null || { echo "no C compiler here ($cc)" >&2; exit 77; }
# A copy of its own: the library's tests replace the one that cargo makes.
cargo build --quiet --locked --package realtime-pubsub-c --lib >&2 || exit 1
work=$target/conformance-c
mkdir -p "$work"
cp "$target/debug/librealtime_pubsub.so" "$work/" || exit 1
ln -sf librealtime_pubsub.so "$work/librealtime_pubsub.so.0"
"$cc" -std=gnu11 -g -O1 -Wall -Wextra -Werror -I"$top/include" driver.c json.c -o "$work/driver" \
    -L"$work" -lrealtime_pubsub -lpthread "-Wl,-rpath,$work" >&2 || exit 1
echo "$work/driver"
