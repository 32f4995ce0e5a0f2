#!/usr/bin/env bash
# Our clients, the published ones and bare WebSockets beside each other. `make bench-compare` is all of it:
#
#   tests/bench/run.sh                   build, measure ROUNDS rounds, and write the results
#   tests/bench/run.sh build             build and install all that is measured, release profile
#   tests/bench/run.sh measure [ROUNDS]  add rounds to those in target/bench-compare (a round takes a minute)
#   tests/bench/run.sh report            table, chart and JSON of all rounds so far, into tests/bench/results and the README
#   tests/bench/run.sh forget            start anew
#
# ROUNDS (default 7), SECONDS_EACH (default 1). Needs two cores: the gateway has one, the client the other.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/bench-compare
venv=$work/venv
mkdir -p "$work"

build() {
    OUT=$target/packages scripts/package.sh wheel
    cargo build --quiet --release --locked --package realtime-pubsub-c --lib --example bench
    ln -sf "$target/release/librealtime_pubsub.so" "$work/librealtime_pubsub.so.0"
    "${CC:-cc}" -O2 -Iinclude bindings/c/bench/bench.c -o "$work/bench-c" -L"$target/release" -lrealtime_pubsub -lpthread "-Wl,-rpath,$work"
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/bench/requirements.txt
    "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$target"/packages/realtime_pubsub-*-abi3-*.whl
    cargo build --quiet --release --locked --package realtime-pubsub-node
    (cd bindings/node && { [ -x node_modules/.bin/tsc ] || npm ci --silent; } && npx --no-install tsc -p .)
    (cd bindings/node/bench && npm ci --silent)
}
measure() { python3 tests/bench/compare.py measure --rounds "${1:-${ROUNDS:-7}}" --seconds "${SECONDS_EACH:-1}" --work "$work" --release "$target/release"; }
report() { python3 tests/bench/compare.py report --work "$work"; }

case ${1:-all} in
    build) build ;;
    measure) measure "${2:-}" ;;
    report) report ;;
    forget) rm -f "$work/rounds.jsonl" ;;
    all) build && rm -f "$work/rounds.jsonl" && measure && report ;;
    *) sed -n '2,10p' "$0" >&2; exit 2 ;;
esac
