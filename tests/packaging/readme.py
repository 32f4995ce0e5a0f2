"""The project's README shows the guides' quick starts to the letter, which are what the packages' tests run.

And whatever a guide links to or names is there.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
wrong = []

shown = re.findall(
    r"^```(\w+)\n((?:(?!^```).)*)^```\n\[The guide\]\((.*?)\)", (ROOT / "README.md").read_text(), re.S | re.M
)
for language, code, guide in shown:
    if f"```{language}\n{code}```" not in (ROOT / guide).read_text():
        wrong.append(f"README.md: the {language} program is not that of {guide}")
if len(shown) != 7:
    wrong.append(f"README.md: {len(shown)} quick starts instead of 7")


def anchors(text: str) -> set[str]:
    """What GitHub makes of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.M)
    }


listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
for name in listed.split():
    file = ROOT / name
    text = file.read_text()
    for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            wrong.append(f"{name}: links to {link}, which is not there")
    for path in re.findall(r"`((?:bindings|core|deploy|examples|include|scripts|tests)/[\w./-]+)`", text):
        if not (ROOT / path).exists():
            wrong.append(f"{name}: names {path}, which is not there")

for what in wrong:
    print(what, file=sys.stderr)
sys.exit(bool(wrong))
