#!/usr/bin/env bash
# The Rust crates: formatting, lints, documentation, tests.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
cargo test --quiet --workspace --locked
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps --locked
