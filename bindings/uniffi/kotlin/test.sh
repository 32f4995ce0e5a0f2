#!/usr/bin/env bash
# Builds the component and the Kotlin package, and runs its tests against the embedded gateway. Exits 77 where there is no
# JDK or Maven and none could be had.
set -uo pipefail
cd "$(dirname "$0")"
../generate.sh || exit 1
../check-error-kinds.sh || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# `clean`: classes of tests that were deleted would run.
../../../scripts/kotlin.sh clean test 2>&1 | tee "$log" | grep -vE "^\[INFO\]|^$|^WARNING: |Scanning for projects|^.\[0m"
status=${PIPESTATUS[0]}
[ "$status" -eq 77 ] && { tail -n 1 "$log"; exit 77; }
counts=$(grep -E '^\[(INFO|ERROR|WARNING)\] Tests run: [0-9]+, Failures: [0-9]+, Errors: [0-9]+, Skipped: [0-9]+ *$' "$log" | tail -n 1)
[ -n "$counts" ] || { echo "kotlin: the tests did not run"; exit 1; }
read -r run failures errors skipped < <(sed -E 's/[^0-9]+/ /g' <<<"$counts")
[ "$status" -eq 0 ] && { ../run-examples.sh kotlin || status=1; }
echo "kotlin: $((run - failures - errors - skipped)) passed, $((failures + errors)) failed"
exit "$status"
