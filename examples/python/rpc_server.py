"""Answers requests until it is interrupted: `python rpc_server.py [URL]`.

Without a URL it starts a gateway of its own, and prints a URL for `rpc_client.py`.
"""

import asyncio
import sys

from realtime_pubsub import IncomingMessage, RealtimeClient

from place import place


async def add(message: IncomingMessage) -> float:
    """What is raised here becomes a reply with status `error`."""
    return sum(message.payload)


async def main(url: str) -> None:
    async with RealtimeClient(url) as client, await client.serve("math", "add", add):
        print("Serving", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        with place(sys.argv[1:]) as url:
            asyncio.run(main(url))
    except KeyboardInterrupt:
        pass
