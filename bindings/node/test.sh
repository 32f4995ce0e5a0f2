#!/usr/bin/env bash
# Builds the package, packs it, installs the tarballs in an empty folder and runs the suites there. Ends with a line of
# how many passed and failed; exits 77 where there is no Node.
#
# RPS_FULL=1 runs the leak tests in full length; use a release build for that: PROFILE=release.
set -euo pipefail
cd "$(dirname "$0")"
profile=${PROFILE:-debug}

command -v node >/dev/null && command -v npm >/dev/null || { echo "Node and npm are needed, version 18 or newer"; exit 77; }
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || { echo "Node 18 or newer is needed"; exit 77; }

step() { printf '\n-- %s\n' "$*"; }

step "the addon"
cargo build --quiet --package realtime-pubsub-node $([ "$profile" = release ] && echo --release)

step "tools, as the lockfile has them"
npm ci --silent --no-fund --no-audit || { echo "npm ci failed: are its packages to be had?"; exit 1; }

step "TypeScript, lints"
rm -rf dist
npx --no-install tsc -p .
npx --no-install biome check --error-on-warnings .

step "pack, install in an empty folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/app" "$work/bare"
scripts/pack.sh "$work/packed" "$profile" >/dev/null
main=$(ls "$work"/packed/realtime-pubsub-[0-9]*.tgz)
native=$(ls "$work"/packed/realtime-pubsub-*-*.tgz | grep -v "^$main$")
for app in app bare; do
    echo '{ "name": "app", "private": true }' >"$work/$app/package.json"
done
(cd "$work/app" && npm install --silent --offline --no-fund --no-audit "$main" "$native")
# Without its native part, to see what it says.
(cd "$work/bare" && npm install --silent --offline --no-fund --no-audit "$main")
cp -r test "$work/app/test"
cp -r ../../examples/node "$work/app/examples"
cp README.md "$work/app/README.md"

step "types"
mkdir -p "$work/app/node_modules/@types"
cp -r node_modules/@types/node node_modules/undici-types "$work/app/node_modules/@types/" 2>/dev/null || true
cp -r node_modules/undici-types "$work/app/node_modules/" 2>/dev/null || true
node node_modules/typescript/bin/tsc -p "$work/app/test/types"

step "suites"
cd "$work/app"
set +e
# Nothing here takes long: what hangs has failed.
RPS_BARE="$work/bare" timeout "$([ -n "${RPS_FULL:-}" ] && echo 1800 || echo 240)" node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$work/result.tap" test/*.test.mjs test/*.test.cjs
status=$?
set -e
count() { grep -cE "^ *$1 [0-9]+ - " "$work/result.tap" || true; }
passed=$(count ok) failed=$(count "not ok")
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
