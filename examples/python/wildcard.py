"""Listens with wildcards: `*` is one segment of a message's name, `**` any number.

    python wildcard.py [URL]

Without a URL it starts a gateway of its own.
"""

import asyncio
import sys

from realtime_pubsub import LocalGateway, RealtimeClient


async def main(url: str) -> None:
    async with RealtimeClient(url) as client:

        @client.on("orders.*")
        def any_order(message):
            print("orders.*  ", message.message_type, message.payload)

        @client.on("**.created")
        def anything_created(message):
            print("**.created", message.topic, message.payload)

        await client.subscribe_remote_topic("orders")
        await client.subscribe_remote_topic("eu.orders")
        done = asyncio.ensure_future(client.wait_for("orders.closed"))
        await asyncio.sleep(0)
        await client.publish("orders", 1, message_type="created")
        await client.publish("eu.orders", 2, message_type="created")
        await client.publish("orders", 1, message_type="closed")
        await done


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1]))
    else:
        with LocalGateway() as gateway:
            asyncio.run(main(gateway.url("alice")))
