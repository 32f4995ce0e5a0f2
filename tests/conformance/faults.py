"""FAULTS.md names the tests of every fault: checked against the tests there are, or written by `faults.py write`."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = ROOT / "tests/conformance/FAULTS.md"
# Where each language's tests are, and what begins one there: `fault_06_and_34_…`, `test('faults 06 and 34: …'`.
SUITES = {
    "Rust": ("core/client/tests", "*.rs", r"^ *(?:async )?fn fault_([\d_and]+)_"),
    "Python": ("bindings/python/tests", "*.py", r"^(?:async )?def test_fault_([\d_and]+)_"),
    "Node": ("bindings/node/test", "*.mjs", r"^test\('faults? ([\d and]+):"),
}

found: dict[int, list[tuple[str, str]]] = {}
for language, (folder, files, begins) in SUITES.items():
    for file in sorted((ROOT / folder).glob(files)):
        for numbers in re.findall(begins, file.read_text(), re.M):
            for number in re.findall(r"\d+", numbers):
                where = (language, f"../../{file.relative_to(ROOT)}")
                if where not in found.setdefault(int(number), []):
                    found[int(number)].append(where)

text, rows = TABLE.read_text(), []


def row(match: re.Match[str]) -> str:
    """The row with the tests that there are."""
    number = int(match[2])
    rows.append(number)
    return f"{match[1]} {', '.join(f'[{language}]({file})' for language, file in found.get(number, []))} |"


is_now = re.sub(r"^(\| (\d+) \|.*\|)[^|]*\|$", row, text, flags=re.M)
wrong = [f"fault {number} has no test" for number in rows if number not in found]
wrong += [f"there is a test of fault {number}, which is not in the table" for number in found if number not in rows]
if sys.argv[1:] == ["write"]:
    TABLE.write_text(is_now)
elif is_now != text:
    wrong.append("the tests it names are not those there are: run tests/conformance/faults.py write")
for what in wrong:
    print(f"{TABLE.relative_to(ROOT)}: {what}", file=sys.stderr)
sys.exit(bool(wrong))
