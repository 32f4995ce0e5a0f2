#!/usr/bin/env bash
# The Python package: built in the dev profile into a virtual environment of its own, then formatting, lints, types,
# stubs, and the tests, the examples and the guide among them. Ends with `N passed, N failed`.
#
#   bindings/python/test.sh [PYTHON]...
#
# With interpreters named, such as `python3.10 python3.13 python3.14t`, only the tests, with each of them: on the wheel that
# is built once for all, or on one of its own where there is no GIL. REALTIME_LEAKS=full makes the leak tests long.
set -uo pipefail
cd "$(dirname "$0")"
target=$(realpath -m "${CARGO_TARGET_DIR:-../../target}")
venv=$target/python-venv

python=$(command -v python3) || { echo "there is no python3 here"; exit 77; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "python3 is older than 3.10"; exit 77; }

tools=tests/requirements.txt
# A checkout that was moved has an environment whose programs don't start.
if ! cmp -s "$tools" "$venv/installed.txt" || ! "$venv/bin/pytest" --version >/dev/null 2>&1; then
    { rm -rf "$venv" && "$python" -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$tools"; } ||
        { echo "the tools of the tests can't be installed, see bindings/python/$tools"; exit 77; }
    cp "$tools" "$venv/installed.txt"
fi
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH

passed=0 failed=0
check() {
    local name=$1
    shift
    echo "-- $name"
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "-- $name FAILED"; fi
}

report=$(mktemp)
wheels=$(mktemp -d)
trap 'rm -rf "$report" "$wheels"' EXIT
# run_tests VENV: the tests, in this environment.
run_tests() {
    : >"$report"
    "$1/bin/python" -m pytest --junit-xml="$report" || [ -s "$report" ] || failed=$((failed + 1))
    [ -s "$report" ] || return
    local tests broken
    read -r tests broken < <(python - "$report" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
broken = int(suite.get("failures")) + int(suite.get("errors"))
print(int(suite.get("tests")) - broken - int(suite.get("skipped")), broken)
PYTHON
    )
    passed=$((passed + tests)) failed=$((failed + broken))
}

# try_wheel PYTHON: the tests, with this interpreter and the wheel it would get.
try_wheel() {
    local python=$1 environment=$wheels/${1##*/} wheel=$wheels/abi3 interpreter=$venv/bin/python
    if "$python" -c 'import sysconfig, sys; sys.exit(not sysconfig.get_config_var("Py_GIL_DISABLED"))'; then
        wheel=$environment.wheel interpreter=$python
    fi
    { [ -e "$wheel" ] || maturin build --quiet --locked --target-dir "$target" --out "$wheel" --interpreter "$interpreter"; } &&
        "$python" -m venv "$environment" &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$tools" "$wheel"/*.whl &&
        run_tests "$environment"
}

if [ $# -gt 0 ]; then
    for other in "$@"; do
        check "pytest, $("$other" -VV | head -1)" try_wheel "$other"
    done
else
    if ! maturin develop --quiet --locked --target-dir "$target"; then
        echo "the extension does not build"
        echo "0 passed, 1 failed"
        exit 1
    fi
    check "ruff check" ruff check --quiet .
    # Programs to read: their functions need no docstrings of their own.
    check "ruff check, examples" ruff check --quiet --config pyproject.toml --config 'lint.isort.known-local-folder = ["place"]' \
        --ignore D103,SIM105 ../../examples/python
    check "ruff format" ruff format --quiet --check --config pyproject.toml . ../../examples/python
    check "mypy --strict" mypy -p realtime_pubsub
    check "stubtest" python -m mypy.stubtest realtime_pubsub --allowlist stubtest-allowlist.txt
    echo "-- pytest"
    run_tests "$venv"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
