#!/usr/bin/env bash
# Builds the component and the Swift package, and runs its tests against the embedded gateway. Exits 77 where there is no
# Swift 6 and none could be had.
set -uo pipefail
cd "$(dirname "$0")"
../generate.sh || exit 1
../check-error-kinds.sh || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Warnings of what is written by hand are errors. A test that hangs is ended.
timeout --foreground 900 ../../../scripts/swift.sh "$PWD" test 2>&1 | tee "$log" |
  grep -vE "^\[[0-9]+/[0-9]+\]|^Test (Case|Suite) .*(started|passed)|^\s*Executed|^$|Write sources|^Building|^Build complete"
status=${PIPESTATUS[0]}
[ "$status" -eq 77 ] && { tail -n 1 "$log"; exit 77; }
[ "$status" -eq 124 ] && echo "swift: a test hangs"
if grep -E '/Sources/RealtimePubSub/.*warning:' "$log" >/dev/null; then echo "swift: the package has warnings"; status=1; fi
counts=$(grep -E '^\s*Executed [0-9]+ tests?, with ' "$log" | tail -n 1)
[ -n "$counts" ] || { echo "swift: the tests did not run"; exit 1; }
read -r run < <(sed -E "s/.*Executed ([0-9]+) tests?.*/\1/" <<<"$counts")
failed=$(grep -cE "^Test Case .* failed \(" "$log")
[ "$status" -eq 0 ] && { ../run-examples.sh swift || status=1; }
echo "swift: $((run - failed)) passed, $failed failed"
exit "$status"
