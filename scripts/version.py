#!/usr/bin/env python3
"""The one version number, which is the workspace's, in Cargo.toml.

    scripts/version.py            print it
    scripts/version.py check      fail where a manifest has another one
    scripts/version.py X.Y.Z      change it everywhere

What is not listed here takes it from Cargo.toml itself: the crates, the wheel, the C library and its pkg-config and
CMake files, the command line.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = re.compile(r'(\[workspace\.package\]\nversion = ")([^"]+)(")')
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")

# Each place is (file, what precedes the version, what follows it); every match has to agree.
MAVEN_OURS = r"<artifactId>realtime-pubsub(?:-examples|-conformance)?</artifactId>\s*<version>"
PLACES = [
    ("Cargo.toml", r'\[workspace\.package\]\nversion = "', '"'),
    ("Cargo.toml", r'\nrealtime-pubsub[a-z-]* = \{ path = "[^"]*", version = "', '"'),
    ("Cargo.lock", r'\nname = "realtime-pubsub[a-z-]*"\nversion = "', '"'),
    *(
        (f"bindings/node/{name}", r'\A\{\s*"name": "[^"]*",\s*"version": "', '"')
        for name in ("package.json", "package-lock.json")
    ),
    ("bindings/node/package-lock.json", r'"": \{\s*"name": "[^"]*",\s*"version": "', '"'),
    *(
        (str(path.relative_to(ROOT)), r'\n  "version": "', '"')
        for path in sorted(ROOT.glob("bindings/node/npm/*/package.json"))
    ),
    ("bindings/uniffi/kotlin/pom.xml", MAVEN_OURS, "<"),
    ("examples/kotlin/pom.xml", MAVEN_OURS, "<"),
    ("tests/conformance/drivers/kotlin/pom.xml", MAVEN_OURS, "<"),
    # What the guides tell users to depend on.
    (
        "bindings/uniffi/kotlin/README.md",
        r"<artifactId>realtime-pubsub</artifactId>\s*<version>|io\.github\.realtime-pubsub:realtime-pubsub:",
        r'[<"`]',
    ),
    ("bindings/uniffi/swift/README.md", r"realtime-pubsub-swift-", r'["/`-]'),
    ("bindings/c/README.md", r"realtime-pubsub-c-", "-"),
    ("core/client/README.md", r'realtime-pubsub(?:-gateway)? = "', '"'),
    ("core/cli/README.md", r"realtime-pubsub-cli-", "-"),
]


def places(text: str, before: str, after: str):
    return re.compile(f"({before})({VERSION.pattern})(?={after})").finditer(text)


def current() -> str:
    found = SOURCE.search((ROOT / "Cargo.toml").read_text())
    if not found:
        sys.exit("Cargo.toml has no [workspace.package] with a version")
    return found[2]


def check() -> int:
    wanted, wrong = current(), 0
    for file, before, after in PLACES:
        found = [match[2] for match in places((ROOT / file).read_text(), before, after)]
        for version in found or ["no version"]:
            if version != wanted:
                print(f"{file}: {version}, not {wanted}", file=sys.stderr)
                wrong += 1
    try:
        pyproject = (ROOT / "bindings/python/pyproject.toml").read_text()
        if 'dynamic = ["version"]' not in pyproject:
            print("bindings/python/pyproject.toml: the version is not dynamic", file=sys.stderr)
            wrong += 1
        metadata = json.loads(
            subprocess.run(
                ["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"],
                cwd=ROOT, capture_output=True, text=True, check=True,
            ).stdout
        )  # fmt: skip
        for package in metadata["packages"]:
            if package["version"] != wanted:
                print(f"{package['name']}: {package['version']}, not {wanted}", file=sys.stderr)
                wrong += 1
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"cargo metadata: {getattr(error, 'stderr', error)}", file=sys.stderr)
        wrong += 1
    return wrong


def bump(wanted: str) -> None:
    for file, before, after in PLACES:
        path = ROOT / file
        text = path.read_text()
        found = list(places(text, before, after))
        for match in reversed(found):
            text = text[: match.start(2)] + wanted + text[match.end(2) :]
        path.write_text(text)


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            print(current())
        case ["check"]:
            return 1 if check() else 0
        case [wanted] if VERSION.fullmatch(wanted):
            bump(wanted)
            return 1 if check() else 0
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
