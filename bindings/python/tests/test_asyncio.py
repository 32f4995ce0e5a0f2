"""The client for asyncio: what its guide promises."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
import time

import pytest

import realtime_pubsub
from realtime_pubsub import (
    ClosedError,
    InternalError,
    InvalidArgumentError,
    NotConnectedError,
    NotReplyableError,
    QueueFullError,
    RealtimeClient,
    State,
    WaitTimeoutError,
)


async def test_a_message_is_acknowledged_delivered_and_answered(realtime_client):
    async with realtime_client("alice") as alice, realtime_client("bob") as bob:

        @bob.on("chat.text-message")
        async def answer(message, reply_fn):
            assert message["data"]["payload"] == message.payload == {"text": "Hello"}
            waiter = await reply_fn("Got it!", "seen")
            await waiter.wait_for_ack()

        await bob.subscribe_remote_topic("chat")
        waiter = await alice.publish("chat", {"text": "Hello"}, message_type="text-message")
        assert await waiter.wait_for_ack() == waiter.id
        (response,) = await waiter.wait_for_reply(timeout=5)
        assert (response.id, response.status, response.data) == (waiter.id, "seen", "Got it!")
        assert response["data"] == "Got it!"
        assert not response.ok
        assert response.message.sender.subject == "bob"


async def test_attributes_and_items_of_a_message_agree(realtime_client):
    async with realtime_client("alice") as client:
        await client.subscribe_remote_topic("chat")
        waiting = asyncio.ensure_future(client.wait_for("chat.*"))
        await asyncio.sleep(0)
        await client.publish("chat", {"a": [1, "two"]}, message_type="t", message_id="id-1", compress=True)
        message, reply_fn = await waiting
        assert (message.topic, message.message_type, message.compression) == ("chat", "t", True)
        assert list(message) == ["topic", "messageType", "data", "compression"]
        assert dict(message.items())["topic"] == message["topic"] == "chat"
        assert message["messageType"] == "t"
        assert message["compression"] is True
        assert message.get("nothing", 5) == 5
        with pytest.raises(KeyError):
            message["nothing"]
        data = message["data"]
        assert data["id"] == message.id == "id-1"
        assert data["payload"] is message.payload
        assert data["client"]["subject"] == message.sender.subject == "alice"
        assert message.sender["connectionId"] == client.connection.id
        assert message.sender.permissions
        assert data == message.data_as_map() == message.to_dict()["data"]
        assert sorted(data) == ["client", "id", "payload"]
        assert "payload" in data
        assert len(data) == 3
        assert data.get("x") is None
        assert message.data_as_presence() is None
        assert "chat.t" in repr(message)
        assert reply_fn == message.reply


async def test_messages_can_be_iterated_over(realtime_client):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        async with client.messages("chat.*") as messages:
            for number in range(1000):
                await client.publish("chat", number)
            seen = []
            async for message in messages:
                seen.append(message.payload)
                if len(seen) == 1000:
                    break
        assert seen == list(range(1000))
        with pytest.raises(StopAsyncIteration):
            await messages.__anext__()


async def test_listeners_run_in_order_one_at_a_time(realtime_client):
    log = []
    done = asyncio.Event()
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")

        @client.on("chat.*")
        async def slow_then_fast(message):
            log.append(("begin", message.payload))
            await asyncio.sleep(0.02 if message.payload == 0 else 0)
            log.append(("end", message.payload))

        @client.on("chat.**")
        def second(message, reply_fn):
            log.append(("second", message.payload))
            if message.payload == 4:
                done.set()

        for number in range(5):
            await client.publish("chat", number)
        await asyncio.wait_for(done.wait(), 5)
    assert log == [entry for n in range(5) for entry in (("begin", n), ("end", n), ("second", n))]


async def test_a_listener_may_publish_and_wait_while_messages_pile_up(realtime_client):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        answered = asyncio.get_running_loop().create_future()

        @client.on("chat.first")
        async def first(message):
            waiter = await client.publish("other", "from within")
            await waiter.wait_for_ack()
            answered.set_result(await client.wait_for("session.started"))

        heard = []
        client.on("chat.more", lambda message: heard.append(message.payload))
        await client.publish("chat", 0, "first")
        for number in range(3000):
            await client.publish("chat", number, "more")
        (info,) = await asyncio.wait_for(answered, 5)
        assert info.id == client.connection.id
        await client.flush()
        (message, _) = await asyncio.gather(client.wait_for("chat.last"), client.publish("chat", 0, "last"))
        assert message[0].payload == 0
        assert heard == list(range(3000))


async def test_every_one_of_many_messages_may_wait_for_an_ack(realtime_client, realtime_gateway):
    async with realtime_client() as client:
        seen = []
        done = asyncio.Event()

        @client.on("main.m")
        async def publish(message):
            await (await client.publish("done", message.payload)).wait_for_ack()
            seen.append(message.payload)
            if len(seen) == 2000:
                done.set()

        realtime_gateway.faults.send_text('{"topic":"main","messageType":"m","data":1}', times=2000)
        await asyncio.wait_for(done.wait(), 20)


async def test_a_listener_that_raises_is_reported_and_the_others_run(realtime_client, heard):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        errors = heard(client, "error")

        def raises(message):
            raise ZeroDivisionError("on purpose")

        async def raises_later(message):
            await asyncio.sleep(0)
            raise KeyError("later")

        client.on("chat.*", raises)
        client.on("chat.*", raises_later)
        third = heard(client, "chat.*")
        await client.publish("chat", 1)
        await third.until()
        first, second = await errors.until(2)
        assert isinstance(first, InternalError)
        assert first.number == -15
        assert isinstance(first.__cause__, ZeroDivisionError)
        assert isinstance(second.__cause__, KeyError)


async def test_a_listener_that_cancels_its_own_task_costs_the_others_nothing(realtime_client, heard):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")

        @client.on("chat.*")
        async def cancels(message):
            if message.payload == 3:
                asyncio.current_task().cancel()
            await asyncio.sleep(0)

        messages = heard(client, "chat.*")
        for number in range(100):
            await client.publish("chat", number)
        assert [message.payload for message in await messages.until(100)] == list(range(100))


async def test_without_an_error_listener_what_a_listener_raises_is_logged(realtime_client, caplog):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")

        def raises(message):
            raise ZeroDivisionError("on purpose")

        client.on("chat.*", raises)
        waiting = asyncio.ensure_future(client.wait_for("chat.*"))
        await asyncio.sleep(0)
        await client.publish("chat", 1)
        await waiting
        await client.flush()
    assert "raised ZeroDivisionError: on purpose" in caplog.text


async def test_off_takes_ids_names_and_functions(realtime_client):
    client = realtime_client()

    def listener(message): ...

    listening = client.on("a.b", listener)
    assert client.off(listening)
    assert not client.off(listening)
    client.on("a.b", listener)
    client.on("a.b", print)
    assert client.off("a.b", listener)
    assert client.off("a.b")
    assert not client.off("a.b")
    with pytest.raises(TypeError):
        client.on("a.b", 5)
    with pytest.raises(InvalidArgumentError):
        client.on("", listener)


async def test_once_fires_once_also_for_coroutine_functions(realtime_client):
    calls = []
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")

        @client.once("chat.*")
        async def listener(message):
            calls.append(message.payload)
            await client.publish("chat", "again")
            await asyncio.sleep(0)

        everything = client.messages("chat.*")
        for number in range(3):
            await client.publish("chat", number)
        for _ in range(4):
            await everything.__anext__()
    assert calls == [0]


async def test_request_and_serve(realtime_client):
    async with realtime_client("server") as server, realtime_client("asker") as asker:

        async def add(message):
            await asyncio.sleep(0)
            return sum(message.payload)

        async with await server.serve("math", "add", add), await server.serve("secure/inbound", "upper", str):
            response = await asker.request("math", [1, 2, 2**60], "add", timeout=5)
            assert response.data == 3 + 2**60
            assert response.ok
            failed = await asker.request("math", ["a", 1], "add", timeout=5)
            assert failed.status == "error"
            assert "unsupported operand" in failed.data
            sent = await asker.request(None, "x", "upper", timeout=5)
            assert "upper" in sent.data
            answers = await asyncio.gather(*(asker.request("math", [n, n], "add") for n in range(200)))
            assert [answer.data for answer in answers] == [2 * n for n in range(200)]
        with pytest.raises(WaitTimeoutError):
            await asker.request("math", [1], "add", timeout=0.05)


async def test_whatever_goes_wrong_with_an_answer_becomes_a_reply(realtime_client):
    async with realtime_client("server") as server, realtime_client("asker") as asker:

        async def asks_in_vain(message):
            return await server.request("nobody", 1, timeout=0.01)

        async with (
            await server.serve("math", "asks", asks_in_vain),
            await server.serve("math", "has-no-json", lambda message: object()),
        ):
            for kind, why in (("asks", "reply"), ("has-no-json", "default=")):
                failed = await asker.request("math", 1, kind, timeout=5)
                assert failed.status == "error"
                assert why in failed.data


async def test_replies_streams_the_answers_of_several(realtime_client):
    async with realtime_client("a") as a, realtime_client("b") as b, realtime_client("c") as c:
        for client in (b, c):
            await client.subscribe_remote_topic("who")
            client.on("who.*", lambda message: message.reply(1))
        seen = [reply.data async for reply in a.replies("who", None, "is-there", timeout=0.5)]
        assert seen == [1, 1]


async def test_waits_are_freed_by_timeouts_and_cancellation(realtime_client, realtime_gateway):
    realtime_gateway.faults.drop_acks()
    async with realtime_client() as client:

        async def wait_in_vain():
            waiter = await client.publish("chat", 1)
            with pytest.raises(TimeoutError) as caught:
                await waiter.wait_for_ack(timeout=0.05)
            assert caught.value.number == -4
            assert isinstance(caught.value, WaitTimeoutError)
            tasks = [asyncio.create_task(waiter.wait_for_reply(60)) for _ in range(100)]
            tasks += [asyncio.create_task(client.wait_for("x.y", 60)) for _ in range(100)]
            await asyncio.sleep(0)
            assert client.stats().waits == 200
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert client.stats().waits == 0
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await asyncio.wait_for(waiter.wait_for_ack(60), 0.01)
            if sys.version_info >= (3, 11):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await waiter.wait_for_reply(60)

        await wait_in_vain()
        # The step of the task that got the last exception holds on to its traceback.
        await asyncio.sleep(0)
        gc.collect()
        assert client.stats().waits == client.stats().receipts == 0
        assert not client._waits


async def test_a_cancelled_connect_can_be_tried_again(realtime_client, realtime_gateway):
    realtime_gateway.faults.half_open_connects()
    client = realtime_client(handshake_timeout=0.2, backoff_max=0.1, backoff_min=0.05)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(client.connect(), 0.05)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(client.__aenter__(), 0.05)
    assert client.state is State.CLOSED
    realtime_gateway.faults.accept_connects()
    await client.connect(5)
    await client.disconnect()


async def test_errors_say_what_and_carry_their_number(realtime_client):
    client = realtime_client()
    with pytest.raises(NotConnectedError) as caught:
        await client.publish("chat", 1)
    assert caught.value.number == -3
    assert isinstance(caught.value, ConnectionError)
    async with client:
        with pytest.raises(InvalidArgumentError):
            await client.publish("", 1)
    with pytest.raises(ClosedError):
        await client.publish("chat", 1)


def test_exceptions_have_the_numbers_and_names_of_every_language():
    names = [
        "INVALID_ARGUMENT", "INVALID_HANDLE", "NOT_CONNECTED", "TIMEOUT", "CLOSED", "CONNECTION_LOST", "QUEUE_FULL",
        "MESSAGE_TOO_LARGE", "FORBIDDEN", "HANDSHAKE_FAILED", "URL_PROVIDER_FAILED", "PROTOCOL_VIOLATION", "CANCELLED",
        "WOULD_DEADLOCK", "INTERNAL", "NOT_REPLYABLE",
    ]  # fmt: skip
    exceptions = [thing for thing in vars(realtime_pubsub).values() if isinstance(thing, type)]
    exceptions = [thing for thing in exceptions if issubclass(thing, realtime_pubsub.RealtimeError)]
    table = {thing.number: thing.code for thing in exceptions if thing is not realtime_pubsub.RealtimeError}
    assert table == {-index: name for index, name in enumerate(names, 1)}
    assert len(exceptions) == len(names) + 1


async def test_presence_is_typed(realtime_client):
    async with realtime_client("watcher") as watcher:
        await watcher.subscribe_remote_topic("secure/inbound")
        waiting = asyncio.ensure_future(watcher.wait_for("secure/inbound.presence"))
        await asyncio.sleep(0)
        async with realtime_client("guest") as guest:
            message, _ = await waiting
            presence = message.data_as_presence()
            assert (presence.status, presence.subject, presence.code) == ("connected", "guest", 0)
            assert presence["connectionId"] == guest.connection.id


async def test_a_message_published_over_rest_is_plain_and_cannot_be_replied_to(realtime_client, realtime_gateway):
    async with realtime_client() as client:
        for data, expected in [('"text"', "text"), ("null", None), ('{"payload":1}', {"payload": 1}), ("[1]", [1])]:
            waiting = asyncio.ensure_future(client.wait_for("main.news"))
            await asyncio.sleep(0)
            realtime_gateway.faults.send_text('{"topic":"main","messageType":"news","data":' + data + "}")
            message, reply_fn = await waiting
            assert message["data"] == expected
            assert message.sender is None
            with pytest.raises(NotReplyableError):
                reply_fn("x")


async def test_publish_waits_for_room_and_publish_nowait_does_not(realtime_client, realtime_gateway):
    async with realtime_client(outbox_messages=8) as client:
        realtime_gateway.faults.stall()
        big = "x" * 500_000
        with pytest.raises(QueueFullError):
            for _ in range(1000):
                client.publish_nowait("chat", big)
        task = asyncio.create_task(client.publish("chat", "later"))
        done, _ = await asyncio.wait([task], timeout=0.05)
        assert not done
        realtime_gateway.faults.unstall()
        waiter = await asyncio.wait_for(task, 10)
        await waiter.wait_for_ack()


async def test_a_tight_publish_loop_does_not_starve_the_loop(realtime_client):
    async with realtime_client() as client:
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        for _ in range(10_000):
            await client.publish("chat", 1)
        ticking.cancel()
        assert ticks >= 20


async def test_options_are_checked_and_named(realtime_gateway):
    url = realtime_gateway.url()
    for wrong, name in [
        ({"inbox_messages": 0}, "inbox_messages"),
        ({"overflow": "explode"}, "overflow"),
        ({"offline": 5}, "offline"),
        ({"ping_after": "soon"}, "ping_after"),
        ({"ping_after": -1}, "ping_after"),
    ]:
        with pytest.raises(InvalidArgumentError, match=name):
            RealtimeClient(url, **wrong)
    with pytest.raises(InvalidArgumentError, match="nonsense"):
        RealtimeClient({"url": url, "nonsense": 1})
    with pytest.raises(InvalidArgumentError, match="url"):
        RealtimeClient()
    with pytest.raises(InvalidArgumentError):
        RealtimeClient(5)
    with pytest.raises(TypeError):
        RealtimeClient(url, nonsense=1)


async def test_every_option_reaches_the_core(realtime_gateway):
    options = {
        "connect_timeout": 1, "provider_timeout": 1, "handshake_timeout": 1, "welcome_timeout": 1, "wait_timeout": 1.5,
        "barrier_timeout": 1, "disconnect_timeout": 1, "backoff_min": 0.1, "backoff_max": 1, "stable_after": 1,
        "max_retries": 3, "stop_on_close_codes": [4000], "ping_after": 1, "pong_timeout": 1, "offline": "queue",
        "offline_messages": 5, "offline_bytes": 500, "offline_ttl": 1, "retry": True, "retry_for": 1, "dedupe": 10,
        "overflow": "drop_oldest", "inbox_messages": 10, "inbox_bytes": 1000, "outbox_messages": 10,
        "outbox_bytes": 10000, "max_message_size": 1000, "headers": {"x-y": "z"}, "only_own_ca": False,
    }  # fmt: skip
    names = realtime_pubsub.ClientOptions.__annotations__.keys()
    assert names - options.keys() == {"proxy", "ca_pem", "client_cert_pem", "client_key_pem"}
    async with RealtimeClient(realtime_gateway.url(), **options) as client:
        assert client.state == "connected"
    config = dict(options, url=realtime_gateway.url(), logger=logging.getLogger("mine"))
    before = dict(config)
    async with RealtimeClient(config) as client:
        assert client.logger.name == "mine"
    assert config == before


async def test_url_providers_may_be_strings_functions_and_coroutine_functions(realtime_gateway):
    async def later():
        await asyncio.sleep(0)
        return realtime_gateway.url("later")

    for provider in (realtime_gateway.url("text"), lambda: realtime_gateway.url("called"), later):
        async with RealtimeClient({"websocket_options": {"url_provider": provider}}) as client:
            assert client.connection.app_id == "local"
        async with RealtimeClient(url_provider=provider) as client:
            assert client.connection["appId"] == "local"


async def test_log_records_reach_the_logger_without_the_token(realtime_gateway, caplog):
    logger = logging.getLogger("RealtimeClient")
    caplog.set_level(logging.DEBUG, logger="RealtimeClient")
    url = realtime_gateway.url()
    async with RealtimeClient(url, logger=logger) as client:
        await client.publish("chat", 1)
    records = [record for record in caplog.records if record.name == "RealtimeClient"]
    assert any("connected" in record.getMessage() for record in records)
    assert abs(records[0].created - time.time()) < 60
    assert url.split("access_token=")[1] not in caplog.text


async def test_a_blocking_listener_disturbs_no_other_loops_acks(realtime_client, realtime_gateway):
    blocked = threading.Event()
    release = threading.Event()

    def other_loop():
        async def main():
            async with realtime_client("slow") as client:
                await client.subscribe_remote_topic("slow")

                def block(message):
                    blocked.set()
                    release.wait(5)

                client.on("slow.*", block)
                await (await client.publish("slow", 1)).wait_for_ack()
                await client.wait_for("slow.end", 10)

        asyncio.run(main())

    thread = threading.Thread(target=other_loop, daemon=True)
    async with realtime_client("quick") as client:
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, blocked.wait, 5)
        latencies = []
        for _ in range(100):
            started = time.perf_counter()
            await (await client.publish("chat", 1)).wait_for_ack()
            latencies.append(time.perf_counter() - started)
        assert sorted(latencies)[50] < 0.1
        release.set()
        while thread.is_alive():
            await client.publish("slow", 0, "end")
            await asyncio.get_running_loop().run_in_executor(None, thread.join, 0.05)


async def test_states_are_told_with_their_reasons(realtime_client, heard):
    client = realtime_client()
    assert client.state is State.IDLE
    states = heard(client, "state")
    async with client:
        assert client.state is State.CONNECTED
        assert str(client.state) == "connected"
        assert client.connection.id in repr(client)
    changes = [(change.before, change.now) for change in await states.until(3)]
    assert changes == [("idle", "connecting"), ("connecting", "connected"), ("connected", "closed")]
    assert all(change.reason for change in states.events)


async def test_unsubscribed_topics_are_quiet(realtime_client, heard):
    async with realtime_client() as client:
        assert await client.subscribe_remote_topic("chat") is client
        assert client.subscriptions == ["chat"]
        messages = heard(client, "chat.*")
        await client.unsubscribe_remote_topic("chat")
        await (await client.publish("chat", 1)).wait_for_ack()
        await client.flush()
        assert not messages.events
        assert client.subscriptions == []


async def test_the_upstream_wait_function_sleeps():
    started = time.monotonic()
    await realtime_pubsub.wait(20)
    assert time.monotonic() - started >= 0.02


async def test_start_does_not_wait(realtime_client):
    client = realtime_client()
    await client.start()
    (info,) = await client.wait_for("session.started")
    assert info == client.connection
    await client.disconnect()


async def test_disconnect_from_a_listener_ends_the_client(realtime_client):
    client = realtime_client()
    await client.connect()
    await client.subscribe_remote_topic("chat")
    closed = asyncio.Event()
    client.on("close", lambda event: closed.set())

    @client.on("chat.*")
    async def stop(message):
        await client.disconnect()

    with contextlib.suppress(ClosedError):
        await (await client.publish("chat", 1)).wait_for_ack()
    await asyncio.wait_for(closed.wait(), 5)
    assert client.state is State.CLOSED
    async with client:
        pass
