#!/usr/bin/env bash
# One behaviour in every language: builds the drivers and runs all scenarios. Exit 77: a language could not run here.
#
#   --only TEXT              scenarios whose name has this, or whose area is this
#   --languages "rust c"     these languages alone
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
only=() languages="rust c python node kotlin swift"
while [ $# -gt 0 ]; do
    case $1 in
        --only) only=(--only "$2") ;;
        --languages) languages=$2 ;;
        *) echo "usage: $0 [--only TEXT] [--languages LIST]" >&2; exit 2 ;;
    esac
    shift 2
done

! command -v python3 >/dev/null || python3 "$here/faults.py" || exit 1
cargo build --quiet --locked --package realtime-pubsub-conformance --package realtime-pubsub-conformance-rust || exit 1

# driver LANGUAGE: builds what it needs, and prints the command that runs it. Exit 77, the reason as the last line: not here.
driver() {
    case $1 in
        rust) echo "$target/debug/realtime-pubsub-conformance-rust" ;;
        *) "$here/drivers/$1/build.sh" ;;
    esac
}

arguments=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for language in $languages; do
    if command=$(driver "$language" 2>"$log"); then
        arguments+=(--driver "$language=$(tail -n 1 <<<"$command")")
    elif [ $? -eq 77 ]; then
        arguments+=(--not-run "$language=$(tail -n 1 "$log")")
    else
        cat "$log"
        echo "the driver of $language does not build"
        exit 1
    fi
done
"$target/debug/realtime-pubsub-conformance" "$here" --report "$target/conformance.md" "${only[@]}" "${arguments[@]}"
