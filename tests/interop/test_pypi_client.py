"""PyPI `realtime-pubsub-client` against the gateway, and with the Rust client as its peer."""

import asyncio
import logging
import unittest

from realtime_pubsub_client import RealtimeClient

from process import PATIENCE, Gateway

# It logs what is expected here, such as closed connections.
logging.disable(logging.CRITICAL)


class Case(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.gateway = await Gateway.start()
        self.addAsyncCleanup(self.gateway.stop)

    async def connected(self, url=None):
        """A client in a session, and what its welcome said."""
        client = RealtimeClient({"websocket_options": {"url_provider": lambda: url or self.gateway.url}})
        started = self.next(client, "session.started")
        await client.connect()
        self.addAsyncCleanup(client.disconnect)
        return client, (await started)[0]

    def next(self, client, event):
        """The next event, as its listener's arguments. Listens from now on, before anything is sent."""
        heard = asyncio.get_running_loop().create_future()

        def listener(*args):
            client.off(event, listener)
            heard.set_result(args)

        client.on(event, listener)
        return asyncio.wait_for(heard, PATIENCE)

    async def subscribed(self, client, topic):
        """Subscribed, and known to be: an ack comes after all that was asked for before it."""
        await client.subscribe_remote_topic(topic)
        await self.acked(client, client.publish("interop/barrier", 0, message_id="barrier"), "barrier")

    async def acked(self, client, publishing, message_id):
        """Publishes and waits for the ack; the client's own wait may begin too late."""
        ack = self.next(client, f"ack.{message_id}")
        waiter = await publishing
        await ack
        return waiter

    async def peer(self, ready, *args):
        peer = await self.gateway.peer(ready, *args)
        self.addAsyncCleanup(peer.stop)
        return peer


class WithTheGateway(Case):
    async def test_connects_and_is_told_who_it_is(self):
        _, info = await self.connected()
        self.assertTrue(info["id"])
        self.assertEqual(info["appId"], "local")
        self.assertIn("127.0.0.1", info["remoteAddress"])

    async def test_gets_what_it_publishes_and_the_ack(self):
        client, info = await self.connected()
        await self.subscribed(client, "chat")
        heard = self.next(client, "chat.text")
        publishing = client.publish("chat", {"text": "Grüße"}, message_type="text", message_id="one")
        await self.acked(client, publishing, "one")
        message, _ = await heard
        self.assertEqual((message["data"]["payload"], message["data"]["id"]), ({"text": "Grüße"}, "one"))
        sender = message["data"]["client"]
        self.assertEqual((sender["connectionId"], sender["subject"]), (info["id"], "developer"))
        self.assertIn("realtime:publisher:write:topic:*", sender["permissions"])
        self.assertFalse(message["compression"])

    async def test_gets_no_more_after_it_unsubscribed(self):
        client, _ = await self.connected()
        await self.subscribed(client, "chat")
        await client.unsubscribe_remote_topic("chat")
        heard = []
        client.on("chat.*", lambda *args: heard.append(args))
        await self.acked(client, client.publish("chat", 1, message_id="1"), "1")
        await self.acked(client, client.publish("chat", 2, message_id="2"), "2")
        self.assertEqual(heard, [])

    async def test_replies_to_another_of_its_kind_with_a_status(self):
        (asker, _), (answerer, _) = await self.connected(), await self.connected()
        await self.subscribed(answerer, "math")
        answerer.on("math.square", lambda message, reply: reply(message["data"]["payload"] ** 2, "squared"))
        reply = self.next(asker, "response.m1")
        await asker.publish("math", 12, message_type="square", message_id="m1")
        self.assertEqual((await reply)[0], {"data": 144, "status": "squared", "id": "m1"})

    async def test_sends_and_is_answered_from_secure_inbound(self):
        (sender, _), (backend, _) = await self.connected(), await self.connected()
        await self.subscribed(backend, "secure/inbound")
        backend.on("secure/inbound.order", lambda message, reply: reply({"got": message["data"]["payload"]}))
        reply = self.next(sender, "response.s1")
        await self.acked(sender, sender.send({"item": 7}, message_type="order", message_id="s1"), "s1")
        self.assertEqual((await reply)[0]["data"], {"got": {"item": 7}})

    async def test_sees_others_come_and_go(self):
        watcher, _ = await self.connected()
        await self.subscribed(watcher, "secure/inbound")
        came = self.next(watcher, "secure/inbound.presence")
        other, info = await self.connected()
        message, _ = await came
        self.assertEqual(message["data"]["payload"], {"code": 0, "status": "connected"})
        self.assertEqual(message["data"]["client"]["connectionId"], info["id"])
        went = self.next(watcher, "secure/inbound.presence")
        await other.disconnect()
        self.assertEqual((await went)[0]["data"]["payload"], {"code": -1, "status": "disconnected"})

    async def test_gets_what_is_published_with_compress_as_binary(self):
        client, _ = await self.connected()
        await self.subscribed(client, "zip")
        heard = self.next(client, "zip.broadcast")
        await client.publish("zip", "x" * 5000, compress=True)
        message, _ = await heard
        self.assertTrue(message["compression"])
        self.assertEqual(len(message["data"]["payload"]), 5000)

    async def test_is_closed_for_a_topic_it_may_not_read_and_told_why(self):
        limited = await Gateway.limited()
        self.addAsyncCleanup(limited.stop)
        client, _ = await self.connected(limited.url)
        closed = self.next(client, "close")
        await client.subscribe_remote_topic("secure/vault")
        error = (await closed)[0]
        self.assertEqual((error.rcvd.code, error.rcvd.reason), (1008, "Subscription to secure topic is forbidden!"))
        # It connects again by itself.
        await self.next(client, "session.started")

    async def test_is_reached_by_rest_publishes_of_objects(self):
        client, _ = await self.connected()
        await self.subscribed(client, "news")
        heard = self.next(client, "news.flash")
        await self.gateway.publish(topic="news", message={"nested": [1, None]}, messageType="flash")
        self.assertEqual((await heard)[0]["data"], {"nested": [1, None]})
        heard = self.next(client, "main.broadcast")
        await self.gateway.publish(topic="main", message={"n": 1}, compress=True)
        message, _ = await heard
        self.assertEqual((message["data"], message["compression"]), ({"n": 1}, True))


class WithTheRustClient(Case):
    async def test_hears_what_rust_publishes(self):
        client, _ = await self.connected()
        await self.subscribed(client, "from/rust")
        for compress in [], ["--compress"]:
            heard = self.next(client, "from/rust.greeting")
            arguments = ["from/rust", "--json", '{"n":1.5}', "--type", "greeting", "--id", "r1", *compress]
            await self.gateway.run("pub", *arguments)
            message, _ = await heard
            self.assertEqual((message["data"]["payload"], message["data"]["id"]), ({"n": 1.5}, "r1"))
            self.assertEqual(message["compression"], bool(compress))

    async def test_is_heard_by_rust(self):
        client, info = await self.connected()
        sub = await self.peer("subscribed", "sub", "from/pypi")
        await client.publish("from/pypi", ["ü", 2], message_type="t", message_id="n1")
        await client.publish("from/pypi", 3, compress=True)
        first, second = await sub.json(), await sub.json()
        self.assertEqual((first["payload"], first["messageType"], first["id"]), (["ü", 2], "t", "n1"))
        self.assertEqual((first["client"]["connectionId"], first["compression"]), (info["id"], False))
        self.assertEqual((second["payload"], second["messageType"], second["compression"]), (3, "broadcast", True))

    async def test_asks_rust(self):
        client, _ = await self.connected()
        await self.peer("serving", "serve", "shout", "--", "tr", "a-z", "A-Z")
        waiter = await client.publish("shout", "hello", message_id="q1")
        self.assertEqual((await waiter.wait_for_reply())[0], {"id": "q1", "status": "ok", "data": "HELLO"})

    async def test_answers_rust(self):
        client, _ = await self.connected()
        await self.subscribed(client, "length")
        client.on("length.*", lambda message, reply: reply(len(message["data"]["payload"]), compress=True))
        self.assertEqual(await self.gateway.run("request", "length", "four"), "4")

    async def test_sends_to_rust_and_is_answered(self):
        client, _ = await self.connected()
        await self.peer("serving", "serve", "secure/inbound", "--type", "order", "--json", "--", "cat")
        waiter = await client.send({"item": 8}, message_type="order")
        reply = (await waiter.wait_for_reply())[0]
        self.assertEqual((reply["status"], reply["data"]), ("ok", {"item": 8}))

    async def test_answers_what_rust_sends(self):
        client, _ = await self.connected()
        await self.subscribed(client, "secure/inbound")
        client.on("secure/inbound.ask", lambda message, reply: reply({"you": message["data"]["client"]["subject"]}))
        self.assertEqual(await self.gateway.run("request", "--send", "x", "--type", "ask"), '{"you": "developer"}')

    async def test_sees_rust_come_and_go_and_is_seen(self):
        watcher, _ = await self.connected()
        await self.subscribed(watcher, "secure/inbound")
        seen = asyncio.Queue()
        watcher.on("secure/inbound.presence", lambda message, _: seen.put_nowait(message["data"]["payload"]["status"]))
        await self.gateway.run("pub", "x", "y")
        self.assertEqual([await asyncio.wait_for(seen.get(), PATIENCE) for _ in range(2)], ["connected", "disconnected"])
        sub = await self.peer("subscribed", "sub", "secure/inbound")
        client, info = await self.connected()
        came = await sub.json()
        self.assertEqual((came["messageType"], came["payload"]["status"]), ("presence", "connected"))
        self.assertEqual(came["client"]["connectionId"], info["id"])
        await client.disconnect()
        self.assertEqual((await sub.json())["payload"]["status"], "disconnected")


if __name__ == "__main__":
    unittest.main()
