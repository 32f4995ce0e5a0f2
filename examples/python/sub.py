"""Prints the messages of a topic: `python sub.py [URL [TOPIC [COUNT]]]`, without a count until it is interrupted.

Without a URL it starts a gateway of its own, and prints a URL for `pub.py`.
"""

import asyncio
import sys

from realtime_pubsub import RealtimeClient

from place import place


async def main(url: str, topic: str, count: int | None) -> None:
    async with RealtimeClient(url) as client, client.messages(f"{topic}.*") as messages:
        await client.subscribe_remote_topic(topic)
        print("Subscribed", flush=True)
        async for message in messages:
            sender = message.sender.subject if message.sender else "REST"
            print(f"{sender}: {message.payload}", flush=True)
            if count is not None:
                count -= 1
                if count == 0:
                    break


if __name__ == "__main__":
    topic = sys.argv[2] if len(sys.argv) > 2 else "chat"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else None
    try:
        with place(sys.argv[1:]) as url:
            asyncio.run(main(url, topic, count))
    except KeyboardInterrupt:
        pass
