#!/usr/bin/env bash
# Builds the examples of a language and runs each as its user would:   bindings/uniffi/run-examples.sh kotlin|swift
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd -P)
language=${1:?kotlin or swift?}
run=$top/examples/$language/run.sh
work=$(mktemp -d)
servers=()
end_servers() { for server in "${servers[@]}"; do kill -- "-$server" 2>/dev/null; done; servers=(); }
trap 'end_servers; rm -rf "$work"' EXIT

fail() { echo "$language: example $1"; cat "$work/said"; exit 1; }
# shows NAME PATTERN [ARGS]: it ends well, and says that.
shows() {
  local name=$1 pattern=$2
  shift 2
  timeout 120 "$run" "$name" "$@" >"$work/said" 2>&1 || fail "$name failed"
  grep -q -- "$pattern" "$work/said" || fail "$name did not say $pattern"
}
# reads PATTERN: from what the server says.
reads() {
  while read -r -t 120 line <&"$from"; do
    echo "$line" >>"$work/said"
    [[ $line =~ $1 ]] && return
  done
  fail "$server did not say $1"
}
# serves NAME: starts it, in a process group of its own, and sets `url` to where its clients are to connect.
serves() {
  server=$1
  : >"$work/said"
  exec {from}< <(exec setsid "$run" "$server" </dev/null 2>&1)
  servers+=("$!")
  reads "ws://[^ ']+"
  url=${BASH_REMATCH[0]}
}

"$run" build >"$work/said" 2>&1 || fail "sources do not build"
shows basic 'reply ok: "Got it!"'
shows wildcard 'chat.room.leave'
serves rpc_server
shows rpc_client 'math add: ok 42' "$url"
grep -q 'create-user: error .*a user needs a name' "$work/said" || fail "rpc_client was not refused"
serves subscribe
printf 'one\ntwo\n' | shows publish '2 lines acknowledged' "$url" || exit 1
reads 'line "two"'
echo "$language: the examples ran"
