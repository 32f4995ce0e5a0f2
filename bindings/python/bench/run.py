"""Ours against the published client and picows with orjson: `run.py [--rounds N] [--seconds S] [CASE…]`.

The client has core 0, the gateway core 1. Contenders take turns; medians are shown. Build with `maturin develop
--release` first, and install `realtime-pubsub-client websockets==13.1 picows orjson`.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
CASES = {
    # case: (least times the published client, unit)
    "ack-64": (15, "/s"),
    "ack-1024": (120, "/s"),
    "receive": (7, "/s"),
    # The source shares a core with the gateway, and may be slower than a client that has nothing else to do.
    "receive-cpu": (7, "/s of the client's processor time"),
    "fire": (6, "/s"),
    "reply-64": (12, "/s"),
    "latency": (0.6, "us"),
}
CONTENDERS = ("ours", "published", "by-hand")


def measure(contender: str, case: str, url: str, seconds: float) -> float:
    command = ["taskset", "-c", "0", sys.executable, str(HERE / "client.py"), contender, case, url, str(seconds)]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--contenders", nargs="*", default=CONTENDERS)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    options = parser.parse_args()
    gateway = subprocess.Popen(
        ["taskset", "-c", "1", sys.executable, str(HERE / "gateway.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gateway.stdout is not None
    assert gateway.stdin is not None
    url = gateway.stdout.readline().strip()
    print(f"{'case':11} {'ours':>10} {'published':>10} {'by hand':>10} {'x published':>12} {'x by hand':>10}  target")
    for case in options.cases:
        numbers: dict[str, list[float]] = {contender: [] for contender in options.contenders}
        for _ in range(options.rounds):
            for contender in options.contenders:
                numbers[contender].append(measure(contender, case, url, options.seconds))
        median = {contender: statistics.median(found) for contender, found in numbers.items()}
        ours = median.get("ours", float("nan"))
        published, by_hand = (ours / median.get(other, float("nan")) for other in ("published", "by-hand"))
        shown = " ".join(f"{median.get(contender, float('nan')):10,.0f}" for contender in CONTENDERS)
        least, unit = CASES[case]
        target = f"{'at most' if case == 'latency' else 'at least'} {least}x"
        print(f"{case:11} {shown} {published:12.2f} {by_hand:10.2f}  {target} ({unit})", flush=True)
    gateway.stdin.close()
    gateway.wait(10)


if __name__ == "__main__":
    main()
