#!/usr/bin/env bash
# The gateway's console in a real browser: headless Chromium, driven over WebDriver. Leaves pictures in
# target/console/. Exits 77 where there is no Chromium and none can be installed.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

not_run() { echo "console: not run: $*"; exit 77; }
have() { command -v "$1" >/dev/null; }

have python3 || not_run "Python 3.9 or newer is needed"
if ! have chromedriver || ! { have chromium || have google-chrome; }; then
    if [ "$(id -u)" != 0 ] || ! have apt-get; then not_run "chromium and chromium-driver are missing, and only root can install them"; fi
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    install() { apt-get install -qy --no-install-recommends chromium chromium-driver; }
    { install || { apt-get update -q && install; }; } >"$log" 2>&1 ||
        not_run "apt-get could not install chromium and chromium-driver, see $log: $(tail -n 1 "$log")"
    rm -f "$log"
fi

(cd "$root" && cargo build --quiet --package realtime-pubsub-cli --locked)
mkdir -p "$target/console"
export REALTIME_PUBSUB=$target/debug/realtime-pubsub PICTURES=$target/console
exec python3 -W error::ResourceWarning -m unittest -v test_console
