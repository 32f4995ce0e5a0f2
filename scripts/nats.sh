#!/usr/bin/env bash
# Makes sure that nats-server is here, Debian's package if it has to be installed. Exits 77 when it can't be had.
set -euo pipefail
for package in "${@:-nats-server}"; do
    PATH="$PATH:/usr/sbin:/sbin"
    command -v "$package" > /dev/null && continue
    if ! command -v apt-get > /dev/null || [ "$(id -u)" -ne 0 ]; then
        echo "$package is not installed, and only root can install it, with apt-get"
        exit 77
    fi
    { apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 \
        --no-install-recommends -o DPkg::Lock::Timeout=300 "$package"; } > /dev/null || {
        echo "$package can't be installed by apt-get"
        exit 77
    }
done
