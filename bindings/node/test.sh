#!/usr/bin/env bash
# Builds the package, packs it, installs the tarballs in an empty folder and runs the suites there. Ends with a line of
# how many passed and failed; exits 77 where there is no Node.
#
# NODES="18 22" runs the suites on these versions of Node as well, which npm brings. RPS_FULL=1 runs the leak tests in
# full length; use a release build for that: PROFILE=release.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$root/$target ;; esac
export CARGO_TARGET_DIR=$target
profile=${PROFILE:-debug}

command -v node >/dev/null && command -v npm >/dev/null || { echo "Node and npm are needed, version 18 or newer"; exit 77; }
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || { echo "Node 18 or newer is needed"; exit 77; }

step() { printf '\n-- %s\n' "$*"; }

step "the addon"
cargo build --quiet --locked --package realtime-pubsub-node $([ "$profile" = release ] && echo --release)

cd bindings/node
step "tools, as the lockfile has them"
npm ci --silent --no-fund --no-audit || { echo "npm ci failed: are its packages to be had?"; exit 1; }

step "TypeScript, lints"
rm -rf dist
npx --no-install tsc -p .
npx --no-install biome check --error-on-warnings . ../../examples/node

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
cp -r node_modules/@types/node "$work/app/node_modules/@types/"
cp -r node_modules/undici-types "$work/app/node_modules/"
for project in "$work"/app/test/types/tsconfig*.json; do
    node node_modules/typescript/bin/tsc -p "$project"
done

export RPS_BARE=$work/bare RPS_PROFILE=$profile
passed=0 failed=0
# run NODE: all suites on this Node. Nothing here takes long: what hangs has failed.
run() {
    local status=0 result=$work/result.tap ok not_ok
    rm -f "$result"
    (cd "$work/app" && timeout "$([ -n "${RPS_FULL:-}" ] && echo 3000 || echo 900)" "$1" --test --test-reporter=spec \
        --test-reporter-destination=stdout --test-reporter=tap --test-reporter-destination="$result" \
        test/*.test.mjs test/*.test.cjs) || status=$?
    # Old versions of Node nest tests in their files.
    ok=$(grep -E "^ *ok [0-9]+ - " "$result" | grep -cvE "\.test\.[cm]js" || true)
    not_ok=$(grep -E "^ *not ok [0-9]+ - " "$result" | grep -cvE "\.test\.[cm]js" || true)
    [ "$status" -eq 0 ] || [ "$not_ok" -gt 0 ] || not_ok=1
    echo "Node $("$1" --version): $ok passed, $not_ok failed"
    passed=$((passed + ok)) failed=$((failed + not_ok))
}

step "suites"
run node
for version in ${NODES:-}; do
    step "suites on Node $version"
    mkdir -p "$work/node-$version"
    (cd "$work/node-$version" && echo '{ "private": true }' >package.json && npm install --silent --no-fund --no-audit "node@$version")
    run "$work/node-$version/node_modules/.bin/node"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
