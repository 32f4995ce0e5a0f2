#!/usr/bin/env bash
# Fuzzes each target for SECONDS_EACH seconds (default 20). Needs a nightly toolchain; installs cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo +nightly --version >/dev/null || { echo "fuzzing needs a nightly toolchain: rustup toolchain install nightly" >&2; exit 77; }
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

for folder in core/*/fuzz; do
    for target in $(cd "$folder" && cargo +nightly fuzz list); do
        echo "== $folder $target"
        (cd "$folder" && cargo +nightly fuzz run --sanitizer none "$target" -- \
            -max_total_time="${SECONDS_EACH:-20}" -max_len=4096 -verbosity=0 -print_final_stats=1)
    done
done
