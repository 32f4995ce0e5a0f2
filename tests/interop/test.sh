#!/usr/bin/env bash
# The published clients of npm and PyPI against the gateway and with the Rust client as their peer. Ends with a line of
# how many tests passed and failed; exits 77 where there is no Python or no Node.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

command -v python3 >/dev/null && python3 -c 'import venv, sys; sys.exit(sys.version_info < (3, 9))' ||
    { echo "Python 3.9 or newer with its venv module is needed"; exit 77; }
# The published client for Node needs a WebSocket that is there without a package.
command -v node >/dev/null && command -v npm >/dev/null &&
    node --experimental-websocket -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' 2>/dev/null ||
    { echo "npm and a Node with a WebSocket of its own are needed, version 20.10 or newer"; exit 77; }

step() { printf '\n-- %s\n' "$*"; }

step "the command line"
(cd "$root" && cargo build --quiet --package realtime-pubsub-cli --locked)
export REALTIME_PUBSUB=$target/debug/realtime-pubsub

step "the published clients"
venv=$target/interop-venv
if ! cmp -s requirements.txt "$venv/installed.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt "$venv/installed.txt"
fi
npm ci --silent --no-fund --no-audit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

step "npm realtime-pubsub-client"
node --experimental-websocket --no-warnings --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$work/node.tap" npm_client.test.mjs || status=1
count() { sed -n "s/^# $1 //p" "$work/node.tap" | tail -1; }
passed=$(count pass) failed=$(($(count fail) + $(count cancelled)))

step "PyPI realtime-pubsub-client"
"$venv/bin/python" -W ignore::DeprecationWarning -m unittest -v test_pypi_client 2>&1 | tee "$work/python.txt" || status=1
ran=$(sed -n 's/^Ran \([0-9]*\) test.*/\1/p' "$work/python.txt")
bad=$(sed -n 's/^FAILED (\(.*\))$/\1/p' "$work/python.txt" | tr -c '0-9\n' ' ' | awk '{ for (i = 1; i <= NF; i++) sum += $i } END { print sum + 0 }')
passed=$((passed + ${ran:-0} - bad)) failed=$((failed + bad))

echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && [ "${ran:-0}" -gt 0 ]
