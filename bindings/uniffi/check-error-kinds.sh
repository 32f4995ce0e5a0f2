#!/usr/bin/env bash
# Compares the error kinds that were generated for Kotlin and Swift with the core's table. A kind that is missing or too
# many in either is an error.
set -euo pipefail
cd "$(dirname "$0")"

# NOT_CONNECTED from `NotConnected = -3, "NOT_CONNECTED";`
core=$(sed -nE 's/^ *[A-Z][A-Za-z]+ = -[0-9]+, "([A-Z_]+)";$/\1/p' ../../core/client/src/error.rs | sort)
kotlin=$(sed -n '/^enum class ErrorKind /,/^}/p' kotlin/generated/io/github/realtimepubsub/ffi/*.kt | sed -nE 's/^ *([A-Z_]+)[,;]?$/\1/p' | sort)
# notConnected becomes NOT_CONNECTED.
swift=$(sed -n '/^public enum ErrorKind/,/^}/p' swift/generated/RealtimePubSubGenerated/*.swift |
  sed -nE 's/^ *case `?([a-z][A-Za-z]+)`?$/\1/p' | sed -E 's/([A-Z])/_\1/g' | tr '[:lower:]' '[:upper:]' | sort)

[ -n "$core" ] || { echo "error kinds: none found in the core's table" >&2; exit 1; }
for language in kotlin swift; do
  diff <(echo "$core") <(echo "${!language}") || { echo "error kinds: the core's table (<) and $language's (>) differ" >&2; exit 1; }
done
echo "error kinds: $(wc -l <<<"$core") in the core, in Kotlin and in Swift"
