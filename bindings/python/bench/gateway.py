"""The gateway of a benchmark, with a peer that replies and a source of messages, in a process of its own.

Prints the URL, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys

from realtime_pubsub import LocalGateway, RealtimeClient

CHUNK = 5000
"""Messages that a receiver asks for at once."""


async def main() -> None:
    gateway = LocalGateway(insecure=True)
    sender = {"connectionId": "0123456789abcdef0123456789abcdef", "subject": "source", "permissions": ["*"]}
    data = {"client": sender, "payload": "x" * 128, "id": "0123456789abcdef0123456789abcdef"}
    frame = json.dumps({"topic": "bench", "messageType": "m", "data": data}, separators=(",", ":"))
    async with RealtimeClient(gateway.url("peer")) as peer:
        for topic in ("ask", "more"):
            await peer.subscribe_remote_topic(topic)

        @peer.on("ask.*")
        def answer(message):
            message.reply("pong")

        @peer.on("more.*")
        def more(message):
            gateway.faults.send_text(frame, times=CHUNK, connection=message.sender.connection_id)

        print(gateway.url("bench"), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    gateway.stop()


asyncio.run(main())
