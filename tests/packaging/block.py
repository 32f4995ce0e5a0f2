"""Prints a code block of a guide: `block.py README LANGUAGE [HEADING]`, the first of that language under that heading."""

import pathlib
import re
import sys

guide, language, heading = sys.argv[1], sys.argv[2], (sys.argv[3:] or ["Quick start"])[0]
section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^## |\Z)", pathlib.Path(guide).read_text(), re.S | re.M)
block = section and re.search(rf"^```{re.escape(language)}\n(.*?)^```$", section[1], re.S | re.M)
if not block:
    sys.exit(f"{guide} has no {language} under {heading}")
sys.stdout.write(block[1])
