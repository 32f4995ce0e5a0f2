"""Prints the messages of a topic: `python sub.py URL TOPIC [COUNT]`, for ever without a count."""

import asyncio
import sys

from realtime_pubsub import RealtimeClient


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
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None))
