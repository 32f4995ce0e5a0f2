#!/usr/bin/env bash
# C beside Rust, in turns, in one run: run.sh [ROUNDS [SECONDS]]. The clients run on one core, the gateway on another;
# what counts is the ratio of the medians.
set -euo pipefail
cd "$(dirname "$0")/../../.."
rounds=${1:-5} seconds=${2:-1}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
cargo build --quiet --release --locked --package realtime-pubsub-c --lib --example bench
mkdir -p "$target/c-bench"
ln -sf ../release/librealtime_pubsub.so "$target/c-bench/librealtime_pubsub.so.0"
"${CC:-gcc}" -O2 -Iinclude bindings/c/bench/bench.c -o "$target/c-bench/bench" -L"$target/release" -lrealtime_pubsub -lpthread \
    "-Wl,-rpath,$target/c-bench"
rust=$target/release/examples/bench c=$target/c-bench/bench
coproc SERVER { exec taskset -c 1 "$rust" serve; }
trap 'kill "$SERVER_PID"' EXIT
read -r url <&"${SERVER[0]}"

median() { sort -n | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }
printf '| case | C | Rust | C / Rust |\n|---|---:|---:|---:|\n'
for case in ack-64 ack-1024 reply-64 receive fire latency; do
    : >"$target/c-bench/c" && : >"$target/c-bench/rust"
    for round in $(seq 0 "$rounds"); do
        of_c=$(taskset -c 0 "$c" $case "$url" "$seconds") of_rust=$(taskset -c 0 "$rust" $case "$url" "$seconds")
        # The first round warms up.
        [ "$round" = 0 ] || { echo "$of_c" >>"$target/c-bench/c" && echo "$of_rust" >>"$target/c-bench/rust"; }
    done
    awk -v case=$case -v c="$(median <"$target/c-bench/c")" -v rust="$(median <"$target/c-bench/rust")" \
        'BEGIN {printf "| %s | %.0f | %.0f | %.2f |\n", case, c, rust, c / rust}'
done
