#!/usr/bin/env bash
# Builds the Python package into the virtual environment that its own tests use, and prints the driver's command.
set -uo pipefail
cd "$(dirname "$0")"
top=$(cd ../../../.. && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")
venv=$target/python-venv

python=$(command -v python3) || { echo "there is no python3 here" >&2; exit 77; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "python3 is older than 3.10" >&2; exit 77; }
if [ ! -x "$venv/bin/maturin" ]; then
    { "$python" -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check maturin; } >&2 ||
        { echo "maturin can't be installed" >&2; exit 77; }
fi
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
(cd "$top/bindings/python" && maturin develop --quiet --locked --target-dir "$target") >&2 || exit 1
echo "$venv/bin/python $PWD/driver.py"
