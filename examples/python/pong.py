"""Replies to `ping.py` until it is interrupted: `python pong.py [URL]`.

Without a URL it starts a gateway of its own, and prints a URL for `ping.py`.
"""

import asyncio
import sys

from realtime_pubsub import RealtimeClient

from place import place


async def main(url: str) -> None:
    async with RealtimeClient(url) as client:

        @client.on("ping.ping")
        def pong(message, reply_fn):
            reply_fn(message.payload)

        await client.subscribe_remote_topic("ping")
        print("Serving", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        with place(sys.argv[1:]) as url:
            asyncio.run(main(url))
    except KeyboardInterrupt:
        pass
