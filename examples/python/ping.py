"""Measures round trips to `pong.py`: `python ping.py URL [COUNT]`."""

import asyncio
import statistics
import sys
import time

from realtime_pubsub import RealtimeClient


async def main(url: str, count: int) -> None:
    async with RealtimeClient(url) as client:
        times = []
        for number in range(count):
            started = time.perf_counter()
            response = await client.request("ping", number, "ping")
            assert response.data == number
            times.append(time.perf_counter() - started)
        print(f"{count} round trips, median {statistics.median(times) * 1e6:.0f} us")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000))
