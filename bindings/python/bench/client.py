"""One contender, one case: `client.py CONTENDER CASE URL SECONDS`. Prints a number: per second, or microseconds."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import time

CHUNK = 5000
PAYLOAD = "x" * 128


class Ours:
    """This package."""

    async def connect(self, url):
        from realtime_pubsub import RealtimeClient

        self.client = RealtimeClient(url)
        await self.client.connect()

    async def publish(self, topic):
        return await self.client.publish(topic, PAYLOAD, message_type="m")

    async def acked(self):
        await (await self.client.publish("bench", PAYLOAD, message_type="m")).wait_for_ack(30)

    async def replied(self):
        (response,) = await (await self.client.publish("ask", PAYLOAD, message_type="m")).wait_for_reply(30)
        assert response["data"] == "pong"

    def listen(self, listener):
        self.client.on("bench.m", listener)

    async def close(self):
        await self.client.disconnect()


class Published:
    """The published package."""

    async def connect(self, url):
        import logging

        from realtime_pubsub_client import RealtimeClient

        logger = logging.getLogger("bench")
        logger.setLevel(logging.CRITICAL)
        self.client = RealtimeClient({"logger": logger, "websocket_options": {"url_provider": url}})
        started = asyncio.ensure_future(self.client.wait_for("session.started"))
        await asyncio.sleep(0)
        await self.client.connect()
        await started

    publish = Ours.publish
    acked = Ours.acked
    replied = Ours.replied
    listen = Ours.listen

    async def close(self):
        # It would connect again.
        await asyncio.sleep(0)


class ByHand:
    """picows and orjson, as a user could write it for just these cases."""

    async def connect(self, url):
        import orjson
        import picows

        self.dumps = orjson.dumps
        self.acks, self.replies = {}, {}
        self.ids = itertools.count()
        welcome = asyncio.get_running_loop().create_future()
        hand, loads = self, orjson.loads

        class Listener(picows.WSListener):
            listener = None

            def on_ws_frame(self, transport, frame):
                message = loads(frame.get_payload_as_memoryview())
                topic = message["topic"]
                if topic == "priv/acks":
                    future = hand.acks.pop(message["data"]["data"], None)
                    if future is not None and not future.done():
                        future.set_result(None)
                elif message["messageType"] == "response":
                    future = hand.replies.pop(message["data"]["payload"]["id"], None)
                    if future is not None and not future.done():
                        future.set_result(message["data"]["payload"])
                elif message["messageType"] == "welcome":
                    welcome.set_result(None)
                elif self.listener is not None:
                    self.listener(message, None)

        self.text = picows.WSMsgType.TEXT
        self.transport, self.listener = await picows.ws_connect(Listener, url)
        await welcome

    def put(self, topic):
        number = str(next(self.ids))
        data = {"topic": topic, "messageType": "m", "compress": False, "payload": PAYLOAD, "id": number}
        self.transport.send(self.text, self.dumps({"type": "publish", "data": data}))
        return number

    async def publish(self, topic):
        return self.put(topic)

    async def acked(self):
        number = self.put("bench")
        self.acks[number] = future = asyncio.get_running_loop().create_future()
        await future

    async def replied(self):
        number = self.put("ask")
        self.replies[number] = future = asyncio.get_running_loop().create_future()
        assert (await future)["data"] == "pong"

    def listen(self, listener):
        self.listener.listener = listener

    async def close(self):
        self.transport.disconnect()


class Websockets:
    """The websockets package and json, as a user could write it for just these cases."""

    async def connect(self, url):
        import json

        from websockets.asyncio.client import connect

        self.dumps, self.loads = json.dumps, json.loads
        self.acks, self.replies, self.listener = {}, {}, None
        self.ids = itertools.count()
        self.socket = await connect(url, compression=None)
        await self.socket.recv()
        self.reader = asyncio.ensure_future(self.read())

    async def read(self):
        async for text in self.socket:
            message = self.loads(text)
            if message["topic"] == "priv/acks":
                self.acks.pop(message["data"]["data"], lambda _: None)(None)
            elif message["messageType"] == "response":
                payload = message["data"]["payload"]
                self.replies.pop(payload["id"], lambda _: None)(payload)
            elif self.listener is not None:
                self.listener(message, None)

    async def publish(self, topic):
        number = str(next(self.ids))
        await self.put(topic, number)
        return number

    async def put(self, topic, number):
        data = {"topic": topic, "messageType": "m", "compress": False, "payload": PAYLOAD, "id": number}
        await self.socket.send(self.dumps({"type": "publish", "data": data}))

    async def answered(self, topic, waiting):
        number = str(next(self.ids))
        future = asyncio.get_running_loop().create_future()
        waiting[number] = future.set_result
        await self.put(topic, number)
        return await future

    async def acked(self):
        await self.answered("bench", self.acks)

    async def replied(self):
        assert (await self.answered("ask", self.replies))["data"] == "pong"

    def listen(self, listener):
        self.listener = listener

    async def close(self):
        await self.socket.close()


async def outstanding(call, count, seconds):
    """Calls a second, with so many going on."""
    done = 0
    until = time.perf_counter() + seconds

    async def work():
        nonlocal done
        while time.perf_counter() < until:
            await call()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(count)))
    return done / (time.perf_counter() - started)


async def receiving(contender, seconds, clock=time.perf_counter):
    """Messages a second, the payload read; with `time.process_time` a second of the processor, all threads together."""
    count = 0
    finished = asyncio.Event()
    loop = asyncio.get_running_loop()
    asking = set()
    until = time.perf_counter() + seconds

    def listener(message, reply_fn):
        nonlocal count
        assert message["data"]["payload"] is not None
        count += 1
        if count % CHUNK == 0:
            if time.perf_counter() < until:
                asking.add(loop.create_task(contender.publish("more")))
            elif not finished.is_set():
                finished.set()

    contender.listen(listener)
    started = clock()
    for _ in range(3):
        await contender.publish("more")
    await finished.wait()
    return count / (clock() - started)


async def fire(contender, seconds):
    """Publishes a second that nobody waits for, the last one acknowledged."""
    count = 0
    started = time.perf_counter()
    while time.perf_counter() < started + seconds:
        for _ in range(200):
            await contender.publish("bench")
        count += 200
        await asyncio.sleep(0)
    await contender.acked()
    return count / (time.perf_counter() - started)


async def latency(contender, seconds):
    """Microseconds from a publish to its ack, one at a time, the median."""
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        await contender.acked()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


async def main(name, case, url, seconds):
    contender = {"ours": Ours, "published": Published, "by-hand": ByHand, "websockets": Websockets}[name]()
    await contender.connect(url)
    result = await {
        "ack-64": lambda: outstanding(contender.acked, 64, seconds),
        "ack-1024": lambda: outstanding(contender.acked, 1024, seconds),
        "receive": lambda: receiving(contender, seconds),
        "receive-cpu": lambda: receiving(contender, seconds, time.process_time),
        "fire": lambda: fire(contender, seconds),
        "reply-64": lambda: outstanding(contender.replied, 64, seconds),
        "latency": lambda: latency(contender, seconds),
    }[case]()
    print(round(result, 1), flush=True)
    # The published client can't be closed for good.
    import os

    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
