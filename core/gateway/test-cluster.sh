#!/usr/bin/env bash
# Many gateways as one, through a real nats-server: the tests of a gateway alone with their clients spread over three
# gateways, and the tests of what only several can do.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/nats.sh nats-server
PATH="$PATH:/usr/sbin:/sbin"

folder=$(mktemp -d)
trap 'kill "$server" 2> /dev/null || true; rm -rf "$folder"' EXIT
nats-server -a 127.0.0.1 -p -1 --ports_file_dir "$folder" > "$folder/log" 2>&1 &
server=$!
until ports=$(cat "$folder"/*.ports 2> /dev/null) && [ -n "$ports" ]; do
    kill -0 "$server" 2> /dev/null || { cat "$folder/log"; exit 1; }
    sleep 0.05
done
port=$(grep -o '127.0.0.1:[0-9]*' <<< "$ports" | head -n 1)

# Of the whole workspace, so that what the suite `rust` has built is built no second time.
test() { cargo test --quiet --locked --workspace "$@"; }
# Every file of tests of a gateway. In them, what is one gateway's own (faults, draining, the limits of connections and
# handshakes, the console's overview) is asked of connections to it, beside the others of its cluster.
GATEWAY_TEST_NATS="nats://$port" test --test protocol --test rest --test limits --test security --test hostile --test load \
    --test handshakes --test console --test drain --test faults --test soak
test --test cluster --test login -- --ignored
