#!/usr/bin/env bash
# The Python package's tests with a CPython that has no GIL, on a wheel of its own. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")"
python=$(../../scripts/free-threaded-python.sh) || exit
exec ./test.sh "$python"
