#!/usr/bin/env bash
# Runs all suites, or those named, and ends with a summary. A suite is a script that exits 0 when it passed, 77 when it
# can't run on this machine (with the reason as its last line), and anything else when it failed.
set -uo pipefail
cd "$(dirname "$0")/.."

suites=(rust cluster c python free-threaded node kotlin swift conformance interop console packaging)
declare -A script=(
    [rust]=scripts/test-rust.sh
    [cluster]=core/gateway/test-cluster.sh
    [c]=bindings/c/test.sh
    [python]=bindings/python/test.sh
    [free-threaded]=bindings/python/test-free-threaded.sh
    [node]=bindings/node/test.sh
    [kotlin]=bindings/uniffi/kotlin/test.sh
    [swift]=bindings/uniffi/swift/test.sh
    [interop]=tests/interop/test.sh
    [console]=tests/console/test.sh
    [packaging]=tests/packaging/test.sh
    [conformance]=tests/conformance/test.sh
)
[ $# -gt 0 ] && suites=("$@")

passed=0 failed=0 skipped=0
summary=()
for suite in "${suites[@]}"; do
    [ -x "${script[$suite]:-}" ] || { echo "no such suite: $suite" >&2; exit 2; }
    printf '\n==== %s ====\n' "$suite"
    started=$SECONDS
    "${script[$suite]}"
    status=$?
    took=$((SECONDS - started))
    case $status in
        0) passed=$((passed + 1)); summary+=("passed   $suite (${took} s)") ;;
        77) skipped=$((skipped + 1)); summary+=("NOT RUN  $suite (${took} s): see its last line above") ;;
        *) failed=$((failed + 1)); summary+=("FAILED   $suite (${took} s)") ;;
    esac
done

printf '\n==== summary ====\n'
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
