#!/usr/bin/env bash
# Runs Maven for the Kotlin package:   scripts/kotlin.sh [test|package|install|...] [MAVEN-ARGS]   (default: test)
#
#   REALTIME_LIB_DIR     where the Rust library is (default: CARGO_TARGET_DIR or target, then /debug)
#   REALTIME_KOTLIN_DIR  another Maven project to run in, such as an example
#
# Classes of deleted sources stay in target/ and would run or be packed: `clean test`, `clean package` when that matters.
# A missing JDK (17 or newer) or Maven is installed when apt and root are at hand.
# Exit code 77: they are missing and could not be had. Not run is not passed.
set -euo pipefail

not_run() { echo "kotlin: not run: $*" >&2; exit 77; }
have() { command -v "$1" >/dev/null; }
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
[ $# -gt 0 ] || set -- test

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
lib=$(absolute "${REALTIME_LIB_DIR:-${CARGO_TARGET_DIR:-$top/target}/debug}")

missing=()
# A JRE alone would do to compile Kotlin, but Maven's launcher and javadoc want a JDK: javac stands for it.
have javac || missing+=(default-jdk-headless)
have mvn || missing+=(maven)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! have apt-get; then not_run "${missing[*]} missing, and only root can install it (apt-get install ${missing[*]})"; fi
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  { apt-get install -qy --no-install-recommends "${missing[@]}" ||
    { apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"; }; } >"$log" 2>&1 ||
    not_run "apt-get could not install ${missing[*]}, see $log: $(tail -n 1 "$log")"
  rm -f "$log"
fi
version=$(javac -version 2>&1 | sed -nE 's/^javac (1\.)?([0-9]+).*/\2/p')
[ "${version:-0}" -ge 17 ] || not_run "JDK 17 or newer is needed, this one is ${version:-unknown}"

cd "${REALTIME_KOTLIN_DIR:-$top/bindings/uniffi/kotlin}"
exec mvn --batch-mode --no-transfer-progress -Dstyle.color=never -Dmaven.wagon.http.retryHandler.count=3 "-Dnative.dir=$lib" "$@"
