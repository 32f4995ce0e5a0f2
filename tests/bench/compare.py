"""Measures all clients beside each other, and reports. See run.sh, which builds what is measured.

Every figure is of a process of its own, on core 0; the gateway and its peer are one process on core 1, the same for all. In a
round every client does every case once, so that what disturbs the machine disturbs all. Shown are medians over the rounds;
the spread is the distance between the quartiles, in parts of the median.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import chart

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results"
PICTURE = """<picture>
  <source media="(prefers-color-scheme: dark)" srcset="tests/bench/results/compare-dark.svg">
  <img alt="This SDK beside the published clients and bare WebSocket libraries" src="tests/bench/results/compare-light.svg">
</picture>
"""
NOISY = 0.25
"""A spread over this says that the machine did other things meanwhile."""

CASES = {
    "ack-64": ("publish and ack, 64 outstanding", "/s"),
    "ack-1024": ("publish and ack, 1,024 outstanding", "/s"),
    "fire": ("publish without waiting", "/s"),
    "receive": ("receive, payload read", "/s"),
    "reply-64": ("request and reply, 64 outstanding", "/s"),
    "latency": ("publish to ack, one at a time, median", "us"),
}
# name: (language, what it is, ours)
CLIENTS = {
    "rust": ("Rust and C", "this SDK, Rust", True),
    "c": ("Rust and C", "this SDK, C", True),
    "python": ("Python", "this SDK", True),
    "python-published": ("Python", "published client", False),
    "python-websockets": ("Python", "bare websockets", False),
    "python-picows": ("Python", "bare picows + orjson", False),
    "node": ("Node", "this SDK", True),
    "node-published": ("Node", "published client", False),
    "node-ws": ("Node", "bare ws", False),
}


def command(client: str, work: pathlib.Path, release: pathlib.Path) -> list[str]:
    python = [str(work / "venv/bin/python"), str(ROOT / "bindings/python/bench/client.py")]
    node = ["node", "--no-warnings", str(ROOT / "bindings/node/bench/client.mjs")]
    return {
        "rust": [str(release / "examples/bench")],
        "c": [str(work / "bench-c")],
        "python": [*python, "ours"],
        "python-published": [*python, "published"],
        "python-websockets": [*python, "websockets"],
        "python-picows": [*python, "by-hand"],
        "node": [*node, "ours"],
        "node-published": [*node, "published"],
        "node-ws": [*node, "ws by hand"],
    }[client]


def measure(options: argparse.Namespace) -> None:
    work, release = pathlib.Path(options.work), pathlib.Path(options.release)
    native = work / "realtime-pubsub.node"
    native.write_bytes(
        next(
            path for path in release.glob("librealtime_pubsub_node.*") if path.suffix in (".so", ".dylib")
        ).read_bytes()
    )
    environment = {**os.environ, "REALTIME_PUBSUB_NATIVE": str(native)}
    gateway = subprocess.Popen(
        ["taskset", "-c", "1", str(release / "examples/bench"), "serve"], stdout=subprocess.PIPE, text=True
    )
    assert gateway.stdout is not None
    try:
        url = gateway.stdout.readline().strip()
        with (work / "rounds.jsonl").open("a") as rounds:
            for number in range(options.rounds):
                started, load = time.time(), os.getloadavg()[0]
                figures: dict[str, dict[str, float]] = {}
                for case in CASES:
                    for client in CLIENTS:
                        run = subprocess.run(
                            ["taskset", "-c", "0", *command(client, work, release), case, url, str(options.seconds)],
                            capture_output=True, text=True, timeout=120, env=environment, check=False,
                        )  # fmt: skip
                        if run.returncode:
                            sys.exit(f"{client}, {case}: exit code {run.returncode}\n{run.stderr}")
                        figures.setdefault(case, {})[client] = float(run.stdout)
                rounds.write(json.dumps({"load": load, "figures": figures}) + "\n")
                rounds.flush()
                print(
                    f"round {number + 1} of {options.rounds}: {time.time() - started:.0f} s, load before it {load:.1f}",
                    flush=True,
                )
    finally:
        gateway.kill()
        gateway.wait()


def processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def summarise(rounds: list[dict]) -> dict:
    cases: dict[str, dict[str, dict[str, float]]] = {}
    for case in CASES:
        for client in CLIENTS:
            figures = sorted(each["figures"][case][client] for each in rounds)
            ours = next(name for name, (language, _, _) in CLIENTS.items() if language == CLIENTS[client][0])
            # Of what was measured one after the other: between rounds the machine may change its pace.
            times = statistics.median(
                ratio(case, each["figures"][case][ours], each["figures"][case][client]) for each in rounds
            )
            middle = statistics.median(figures)
            low, _, high = statistics.quantiles(figures, n=4) if len(figures) > 1 else (middle, middle, middle)
            cases.setdefault(case, {})[client] = {
                "median": middle, "lowest": figures[0], "highest": figures[-1], "spread": (high - low) / middle,
                "times": times,
            }  # fmt: skip
    spreads = [cell["spread"] for clients in cases.values() for cell in clients.values()]
    return {
        "rounds": len(rounds),
        "machine": f"{processor()}, {platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "node": subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "load": statistics.median(each["load"] for each in rounds),
        "median_spread": statistics.median(spreads),
        "noisy": sum(spread > NOISY for spread in spreads),
        "cells": len(spreads),
        "cases": cases,
    }


def shown(figure: float) -> str:
    return f"{figure:,.0f}"


def shown_ratio(times: float) -> str:
    """With two digits where it is close."""
    return f"{times:.2f}" if 0.9 < times < 1.1 else f"{times:.1f}"


def ratio(case: str, ours: float, other: float) -> float:
    """How many times better: more a second, or less time."""
    return other / ours if case == "latency" else ours / other


def verdict(summary: dict) -> str:
    spread = f"median spread {summary['median_spread']:.0%}, {summary['noisy']} of {summary['cells']} figures over {NOISY:.0%}"
    if summary["rounds"] < 3:
        return f"too few rounds to say how noisy the machine was ({summary['rounds']})"
    if summary["noisy"] > summary["cells"] // 10 or summary["load"] > 2.5:
        return f"**the machine was too noisy to trust single figures** ({spread}, load {summary['load']:.1f}): look at the ratios"
    return f"the machine was quiet ({spread})"


def table(summary: dict) -> str:
    lines = []
    for language in dict.fromkeys(language for language, _, _ in CLIENTS.values()):
        names = [name for name, (of, _, _) in CLIENTS.items() if of == language]
        lines.append(f"| {language} | " + " | ".join(CLIENTS[name][1] for name in names) + " |")
        lines.append("|---|" + "---:|" * len(names))
        for case, (title, unit) in CASES.items():
            cells = []
            for name in names:
                cell = summary["cases"][case][name]
                text = shown(cell["median"])
                if cell["spread"] > NOISY:
                    text += f" ±{cell['spread'] / 2:.0%}"
                if not CLIENTS[name][2]:
                    text += f" ({shown_ratio(cell['times'])}x)"
                cells.append(text)
            lines.append(f"| {title}, {unit} | " + " | ".join(cells) + " |")
        lines.append("")
    lines.append(
        f"Medians of {summary['rounds']} interleaved rounds, 128 byte payloads, the gateway on one core and the client on another; in "
        f"brackets how many times better this SDK did, the median of the rounds' ratios, below 1.0 where it lost. {summary['machine']}, Python {summary['python']}, "
        f"Node {summary['node']}; {verdict(summary)}."
    )
    return "\n".join(lines) + "\n"


def report(options: argparse.Namespace) -> None:
    recorded = (pathlib.Path(options.work) / "rounds.jsonl").read_text().splitlines()
    summary = summarise([json.loads(line) for line in recorded])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "compare.json").write_text(json.dumps(summary, indent=2) + "\n")
    (RESULTS / "compare.md").write_text(table(summary))
    for theme in ("light", "dark"):
        (RESULTS / f"compare-{theme}.svg").write_text(chart.draw(summary, CLIENTS, theme))
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, what in (("chart", PICTURE), ("bench", table(summary))):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = before + begin + what + end + rest.partition(end)[2]
    readme.write_text(text)
    print(table(summary))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["measure", "report"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--work", required=True)
    parser.add_argument("--release")
    options = parser.parse_args()
    measure(options) if options.what == "measure" else report(options)


if __name__ == "__main__":
    main()
