"""Connects, subscribes, publishes, waits for the ack and a reply: the documented first program.

    python basic.py [URL]

Without a URL it starts a gateway of its own.
"""

import asyncio
import sys

from realtime_pubsub import LocalGateway, RealtimeClient


async def main(url: str) -> None:
    async def get_url() -> str:
        # Replace with your way to get an access token.
        return url

    client = RealtimeClient({"websocket_options": {"url_provider": get_url}})

    async def on_session_started(info):
        print("Connected to app", info["appId"])
        await client.subscribe_remote_topic("chat")

    async def on_message(message, reply_fn):
        print("Received message:", message["data"]["payload"])
        await reply_fn("Got it!", "ok")

    client.on("session.started", on_session_started)
    client.on("chat.text-message", on_message)

    await client.connect()
    await client.wait_for("session.started")
    await client.subscribe_remote_topic("chat")

    waiter = await client.publish("chat", "Hello, World!", message_type="text-message")
    await waiter.wait_for_ack()
    print("Acknowledged")
    (response,) = await waiter.wait_for_reply(timeout=5)
    print("Received reply:", response["data"])

    waiter = await client.send({"action": "create", "data": {"name": "John Doe"}}, message_type="create-user")
    await waiter.wait_for_ack()
    print("Sent to the application")
    await client.disconnect()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1]))
    else:
        with LocalGateway() as gateway:
            asyncio.run(main(gateway.url("alice")))
