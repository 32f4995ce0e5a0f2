"""Asks the server of `rpc_server.py`: `python rpc_client.py URL NUMBER…`."""

import asyncio
import sys

from realtime_pubsub import RealtimeClient


async def main(url: str, numbers: list[float]) -> None:
    async with RealtimeClient(url) as client:
        response = await client.request("math", numbers, "add", timeout=5)
        print("The sum is" if response.ok else "The server says", response.data)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], [float(number) for number in sys.argv[2:]]))
