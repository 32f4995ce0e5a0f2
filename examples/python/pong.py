"""Replies to `ping.py` until it is interrupted: `python pong.py URL`."""

import asyncio
import sys

from realtime_pubsub import RealtimeClient


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
        asyncio.run(main(sys.argv[1]))
    except KeyboardInterrupt:
        pass
