"""The project's README shows the guides' quick starts to the letter: those are what the packages' tests run."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
shown = re.findall(
    r"^```(\w+)\n((?:(?!^```).)*)^```\n\[The guide\]\((.*?)\)", (ROOT / "README.md").read_text(), re.S | re.M
)
wrong = 0
for language, code, guide in shown:
    if f"```{language}\n{code}```" not in (ROOT / guide).read_text():
        print(f"README.md: the {language} program is not that of {guide}", file=sys.stderr)
        wrong += 1
if len(shown) != 7:
    print(f"README.md: {len(shown)} quick starts instead of 7", file=sys.stderr)
    wrong += 1
sys.exit(wrong > 0)
