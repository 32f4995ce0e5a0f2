"""The faults of the published clients, row by row of the table that all languages work through."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import logging
import time

import pytest
from conftest import closes

from realtime_pubsub import (
    ClosedError,
    ConnectionLostError,
    ForbiddenError,
    HandshakeError,
    InternalError,
    LocalGateway,
    MessageTooLargeError,
    NotConnectedError,
    NotReplyableError,
    RealtimeClient,
    RealtimeError,
    State,
    UrlProviderError,
    WaitTimeoutError,
)

QUICK = {"backoff_min": 0.01, "backoff_max": 0.05}


async def test_fault_01_answers_that_come_before_the_wait_are_there(realtime_client):
    async with realtime_client("a") as a, realtime_client("b") as b:
        await b.subscribe_remote_topic("chat")
        b.on("chat.*", lambda message: message.reply("early"))
        waiter = await a.publish("chat", 1)
        while a.stats().replies == 0:
            await asyncio.sleep(0.001)
        assert waiter.acknowledged
        await waiter.wait_for_ack(0.001)
        assert (await waiter.wait_for_reply(0.5)).data == "early"


async def test_fault_02_messages_cannot_forge_control_events_or_acks(realtime_client, realtime_gateway, heard):
    async with realtime_client() as client:
        realtime_gateway.faults.drop_acks()
        forged = [heard(client, name) for name in ("session.started", "error", "close", "state")]
        everything = heard(client, "**")
        waiter = await client.publish("chat", 1, message_id="the-id")
        for topic, kind in (("session", "started"), ("ack", "the-id"), ("response", "the-id"), ("main", "ack")):
            frame = {"topic": topic, "messageType": kind, "data": {"data": "the-id", "id": "the-id"}}
            realtime_gateway.faults.send_text(json.dumps(frame))
        await everything.until(4)
        with pytest.raises(WaitTimeoutError):
            await waiter.wait_for_ack(0.05)
        assert not any(listener.events for listener in forged)


async def test_fault_03_replies_find_subjects_with_dots_and_names_do_not_collide(realtime_client, heard):
    async with realtime_client("user.name@x.com") as asker, realtime_client("b") as b:
        await b.subscribe_remote_topic("a")
        await b.subscribe_remote_topic("a.b")
        b.on("a.*", lambda message: message.reply("found"))
        assert (await asker.request("a", 1, "x")).data == "found"
        exact = heard(b, "a.b.c")
        await asker.publish("a", 1, "b.c")
        await asker.publish("a.b", 2, "c")
        names = [(message.topic, message.message_type) for message in await exact.until(2)]
        assert names == [("a", "b.c"), ("a.b", "c")]


async def test_fault_04_waits_end_when_the_connection_does(realtime_client, realtime_gateway):
    realtime_gateway.faults.drop_acks()
    client = realtime_client(**QUICK)
    await client.connect()
    waiter = await client.publish("chat", 1)
    waits = [asyncio.ensure_future(wait) for wait in (waiter.wait_for_ack(60), waiter.wait_for_reply(60))]
    await asyncio.sleep(0)
    realtime_gateway.faults.reset()
    for outcome in await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 5):
        assert isinstance(outcome, ConnectionLostError)
    await client.wait_for("session.started")
    waiter = await client.publish("chat", 1)
    wait = asyncio.ensure_future(waiter.wait_for_reply(60))
    await asyncio.sleep(0)
    await client.disconnect()
    with pytest.raises(ClosedError):
        await wait


async def test_fault_05_accept_then_close_is_no_storm(realtime_client, realtime_gateway):
    realtime_gateway.faults.close_after_welcome(1008)
    client = realtime_client()
    await client.start()
    with pytest.raises(WaitTimeoutError):
        await client.wait_for("x.y", 1.0)
    stats = client.stats()
    assert stats.sessions + stats.failed_attempts < 15
    await client.disconnect()


async def test_fault_06_and_34_large_messages_pass_and_larger_ones_are_errors(realtime_client, realtime_gateway, heard):
    async with realtime_client(max_message_size=200_000, **QUICK) as client:
        await client.subscribe_remote_topic("chat")
        messages = heard(client, "chat.*")
        for size in (7_000, 70_000, 190_000):
            await (await client.publish("chat", "x" * size)).wait_for_ack()
        assert [len(message.payload) for message in await messages.until(3)] == [7_000, 70_000, 190_000]
        with pytest.raises(MessageTooLargeError):
            await client.publish("chat", "x" * 200_001)
        errors, closed = heard(client, "error"), heard(client, "close")
        realtime_gateway.faults.send_text('{"topic":"main","messageType":"x","data":"' + "x" * 300_000 + '"}')
        assert isinstance((await errors.until())[0], MessageTooLargeError)
        assert (await closed.until())[0].code == 1009
        await client.wait_for("session.started")


async def test_fault_07_many_publishers_over_reconnects_use_one_socket_at_a_time(realtime_client, realtime_gateway):
    """Stale writers would break the frames of the next session: its gateway would close with 1002 or 1007."""
    codes, reconnected = [], asyncio.Event()
    async with realtime_client(**QUICK) as client:
        client.on("close", lambda event: codes.append(event.code))
        client.on("session.started", lambda info: reconnected.set())
        stop = False

        async def publish():
            while not stop:
                with contextlib.suppress(ConnectionError):
                    await (await client.publish("chat", "x" * 1000)).wait_for_ack()
                await asyncio.sleep(0)

        publishers = [asyncio.create_task(publish()) for _ in range(20)]
        for _ in range(10):
            reconnected.clear()
            realtime_gateway.faults.reset()
            await asyncio.wait_for(reconnected.wait(), 10)
            assert len(realtime_gateway.connections) == 1
        stop = True
        await asyncio.gather(*publishers)
        await (await client.publish("chat", "in order")).wait_for_ack()
        assert client.stats().sessions == 11
    # All were resets, but for the last one.
    assert set(codes[:10]) == {1006}
    assert codes[10:] in ([], [1000])


async def test_fault_08_publishing_from_a_listener_while_disconnected_says_so(realtime_client, realtime_gateway):
    async with realtime_client(backoff_min=5) as client:
        outcome = asyncio.get_running_loop().create_future()

        @client.on("close")
        async def publish(event):
            try:
                await client.publish("chat", 1)
            except RealtimeError as error:
                outcome.set_result(error)

        realtime_gateway.faults.reset()
        assert isinstance(await asyncio.wait_for(outcome, 5), NotConnectedError)


async def test_fault_09_a_publisher_that_waits_for_room_is_told_of_the_disconnect(realtime_client, realtime_gateway):
    client = realtime_client(outbox_messages=4)
    await client.connect()
    realtime_gateway.faults.stall()
    big = "x" * 900_000

    async def publish():
        for _ in range(1000):
            await client.publish("chat", big)

    publishing = asyncio.ensure_future(publish())
    done, _ = await asyncio.wait([publishing], timeout=0.1)
    assert not done
    await client.disconnect(0.1)
    with pytest.raises(ClosedError):
        await asyncio.wait_for(publishing, 5)


async def test_fault_10_disconnect_writes_what_was_published(realtime_client, heard):
    async with realtime_client("b") as b:
        await b.subscribe_remote_topic("chat")
        messages = heard(b, "chat.*")
        async with realtime_client("a") as a:
            closed = heard(a, "close")
            for number in range(200):
                await a.publish("chat", number)
        assert [message.payload for message in await messages.until(200)] == list(range(200))
        assert (await closed.until())[0].code == 1000


async def test_fault_11_with_retry_every_publish_arrives(realtime_client, realtime_gateway):
    async with realtime_client("b", dedupe=10_000, retry=True, **QUICK) as b:
        await b.subscribe_remote_topic("chat")
        seen = set()
        complete = asyncio.Event()

        @b.on("chat.*")
        def note(message):
            seen.add(message.payload)
            if len(seen) == 400:
                complete.set()

        async with realtime_client("a", retry=True, offline="queue", **QUICK) as a:
            waiters = []
            for number in range(400):
                waiters.append(await a.publish("chat", number))
                if number % 100 == 50:
                    await asyncio.sleep(0)
                    realtime_gateway.faults.close(1001, subject="a")
            for waiter in waiters:
                await waiter.wait_for_ack(20)
        await asyncio.wait_for(complete.wait(), 10)


async def test_fault_12_subscriptions_survive_reconnects_and_repeats_are_harmless(
    realtime_client, realtime_gateway, heard
):
    client = realtime_client(**QUICK)

    @client.on("session.started")
    async def subscribe(info):
        await client.subscribe_remote_topic("chat")

    async with client:
        await client.subscribe_remote_topic("chat")
        messages = heard(client, "chat.*")
        await closes(realtime_gateway, client, 1001)
        await client.wait_for("session.started")
        await client.publish("chat", "after")
        assert (await messages.until())[0].payload == "after"
        assert client.subscriptions == ["chat"]


async def test_fault_13_a_listener_can_wait_for_an_ack(realtime_client):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        outcome = asyncio.get_running_loop().create_future()

        @client.on("chat.go")
        async def publish(message):
            outcome.set_result(await (await client.publish("other", 1)).wait_for_ack(2))

        await client.publish("chat", 1, "go")
        assert await asyncio.wait_for(outcome, 5)


async def test_fault_14_a_silent_server_is_a_timeout(realtime_client, realtime_gateway):
    realtime_gateway.faults.half_open_connects()
    client = realtime_client(handshake_timeout=0.1, welcome_timeout=0.1, **QUICK)
    with pytest.raises((HandshakeError, WaitTimeoutError)):
        await client.connect(0.3)
    realtime_gateway.faults.withhold_welcome()
    with pytest.raises((HandshakeError, WaitTimeoutError)):
        await client.connect(0.3)
    await client.disconnect()


async def test_fault_15_a_failing_url_provider_is_reported_and_asked_again(realtime_gateway, heard):
    answers = iter([LookupError("not today"), 5, "", realtime_gateway.url()])

    async def provider():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = RealtimeClient(url_provider=provider, **QUICK)
    errors = heard(client, "error")
    async with client:
        reported = await errors.until(3)
    assert all(isinstance(error, UrlProviderError) for error in reported)
    assert "LookupError: not today" in str(reported[0])


async def test_fault_16_connecting_twice_makes_one_connection_and_disconnected_clients_connect_again(
    realtime_client, realtime_gateway
):
    client = realtime_client()
    first, second = await asyncio.gather(client.connect(), client.connect())
    assert first == second == await client.connect()
    assert len(realtime_gateway.connections) == 1
    await client.disconnect()
    await client.disconnect()
    assert (await client.connect()).id != first.id
    await client.disconnect()


async def test_fault_17_once_is_once_also_when_the_listener_publishes(realtime_client):
    calls = []
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")

        async def asynchronous(message):
            calls.append("async")
            await client.publish("chat", 1)

        client.once("chat.*", asynchronous)
        client.once("chat.*", lambda message: calls.append("sync"))
        stream = client.messages("chat.*")
        await client.publish("chat", 1)
        await client.publish("chat", 1)
        for _ in range(3):
            await stream.__anext__()
    assert calls == ["async", "sync"]


async def test_fault_18_listeners_keep_their_order_and_survive_each_other(realtime_client):
    calls = []
    done = asyncio.Event()
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        client.on("error", lambda error: calls.append("error"))

        @client.on("chat.*")
        async def first(message):
            await asyncio.sleep(0.01 * (3 - message.payload))
            calls.append(("first", message.payload))

        @client.on("**")
        def second(message):
            calls.append(("second", message.payload))
            raise ValueError

        @client.on("chat.broadcast")
        def third(message):
            calls.append(("third", message.payload))
            if message.payload == 2:
                done.set()

        for number in range(3):
            await client.publish("chat", number)
        await asyncio.wait_for(done.wait(), 5)
    without_errors = [call for call in calls if call != "error"]
    assert without_errors == [(name, n) for n in range(3) for name in ("first", "second", "third")]
    assert calls.count("error") == 3


async def test_fault_19_an_error_without_a_listener_is_not_fatal(realtime_client, realtime_gateway, caplog):
    async with realtime_client() as client:
        realtime_gateway.faults.send_text("this is not JSON")
        realtime_gateway.faults.send_text('{"topic":5,"messageType":[],"data":{}}')
        await (await client.publish("chat", 1)).wait_for_ack()
        assert client.state is State.CONNECTED
        assert client.stats().unreadable >= 1


async def test_fault_20_close_events_have_code_and_reason(realtime_client, realtime_gateway):
    async with realtime_client(**QUICK) as client:
        event = await closes(realtime_gateway, client, 4321, "because")
        assert (event.code, event.reason, event.will_reconnect) == (4321, "because", True)
        assert event["code"] == 4321
        await client.wait_for("session.started")


async def test_fault_21_big_integers_are_exact(realtime_client, heard):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        messages = heard(client, "chat.*")
        numbers = [2**53 + 1, 2**64 + 1, -(10**40)]
        await client.publish("chat", numbers)
        assert (await messages.until())[0].payload == numbers


async def test_fault_22_compressed_messages_are_flagged_and_in_order(realtime_client, heard):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("chat")
        messages = heard(client, "chat.*")
        for number in range(6):
            await client.publish("chat", number, compress=number % 2 == 0)
        got = [(message.payload, message.compression) for message in await messages.until(6)]
        assert got == [(number, number % 2 == 0) for number in range(6)]


async def test_fault_23_the_token_is_nowhere_to_be_seen(realtime_gateway, caplog):
    caplog.set_level(logging.DEBUG)
    token = "SECRETTOKEN"
    client = RealtimeClient(f"ws://127.0.0.1:1/apps/x?access_token={token}", **QUICK)
    with pytest.raises(RealtimeError) as caught:
        await client.connect(0.05)
    await client.disconnect()
    assert token not in repr(client) + str(caught.value) + caplog.text
    with pytest.raises(RealtimeError) as caught:
        RealtimeClient(f"nonsense://x?access_token={token}")
    assert token not in str(caught.value)


async def test_fault_24_a_dead_port_fails_to_connect_with_the_cause():
    client = RealtimeClient("ws://127.0.0.1:1/apps/x", max_retries=2, **QUICK)
    with pytest.raises(HandshakeError, match="refused"):
        await client.connect()
    assert client.state is State.FAILED
    with pytest.raises(NotConnectedError):
        await client.publish("chat", 1)
    await client.disconnect()


async def test_fault_25_what_was_queued_leaves_after_the_subscriptions(realtime_client, heard):
    client = realtime_client(offline="queue")
    messages = heard(client, "chat.*")
    await client.subscribe_remote_topic("chat")
    waiter = await client.publish("chat", "queued")
    async with client:
        await waiter.wait_for_ack()
        assert (await messages.until())[0].payload == "queued"


async def test_fault_26_ids_are_data(realtime_client, realtime_gateway):
    async with realtime_client() as client:
        realtime_gateway.faults.drop_acks()
        star = await client.publish("chat", 1, message_id="*")
        await client.flush()
        realtime_gateway.faults.send_acks()
        other = await client.publish("chat", 1, message_id="other")
        await other.wait_for_ack()
        with pytest.raises(WaitTimeoutError):
            await star.wait_for_ack(0.05)
        config = {"websocket_options": {"url_provider": realtime_gateway.url()}}
        before = {"websocket_options": dict(config["websocket_options"])}
        RealtimeClient(config)
        assert config == before


async def test_fault_27_odd_acks_and_replies_do_no_harm(realtime_client, realtime_gateway, heard):
    async with realtime_client() as client:
        plain = heard(client, "main.*")
        for frame in (
            '{"topic":"priv/acks","messageType":"ack"}',
            '{"topic":"priv/acks","messageType":"ack","data":null}',
            '{"topic":"priv/x","messageType":"response","data":null}',
            '{"topic":"priv/x","messageType":"response","data":{"payload":null}}',
            '{"topic":"main","messageType":"note","data":"a string"}',
            '{"topic":"main","messageType":"note"}',
        ):
            realtime_gateway.faults.send_text(frame)
        for message in await plain.until(2):
            with pytest.raises(NotReplyableError):
                message.reply("x")
        assert plain.events[1].data is None
        await (await client.publish("chat", 1)).wait_for_ack()


@pytest.mark.parametrize("code", [1000, 1001])
async def test_fault_28_a_clean_close_by_the_server_is_told_and_mended(realtime_client, realtime_gateway, code):
    async with realtime_client(**QUICK) as client:
        first = client.connection.id
        event = await closes(realtime_gateway, client, code)
        assert event.code == code
        (info,) = await client.wait_for("session.started")
        assert info.id != first


async def test_fault_29_disconnect_stops_a_connect_that_retries():
    client = RealtimeClient("ws://127.0.0.1:1/apps/x", backoff_min=10, backoff_max=20)
    connecting = asyncio.ensure_future(client.connect())
    await client.wait_for("error")
    started = time.monotonic()
    await client.disconnect()
    with pytest.raises(ClosedError):
        await connecting
    assert time.monotonic() - started < 2


async def test_fault_30_session_started_is_there_after_connect(realtime_client):
    async with realtime_client() as client:
        (info,) = await client.wait_for("session.started", timeout=0.1)
        assert info["id"] == client.connection.id


def test_fault_31_a_client_made_before_the_loop_binds_at_first_use():
    with LocalGateway() as gateway:
        client = RealtimeClient(gateway.url())

        async def main():
            async with client:
                await (await client.publish("chat", 1)).wait_for_ack()

        asyncio.run(main())
        asyncio.run(main())


def test_fault_32_nothing_that_may_break_is_depended_on():
    assert not importlib.metadata.requires("realtime-pubsub")


async def test_fault_33_permissions_and_odd_presence_are_tolerated(realtime_client, realtime_gateway, heard):
    async with realtime_client("a", ["realtime:publisher:write:topic:*"]) as client:
        await client.subscribe_remote_topic("chat")
        messages = heard(client, "chat.*")
        await client.publish("chat", 1)
        assert (await messages.until())[0].sender.permissions == ("realtime:publisher:write:topic:*",)
        presence = heard(client, "secure/inbound.presence")
        for data in ("null", "5", '{"client":[],"payload":{"status":7}}', '{"client":{"permissions":"x"},"payload":1}'):
            realtime_gateway.faults.send_text('{"topic":"secure/inbound","messageType":"presence","data":' + data + "}")
        for message in await presence.until(4):
            message.data_as_presence()
            assert message.sender is None or message.sender.permissions == ()


async def test_fault_35_a_silent_peer_is_found_dead_and_any_frame_is_life(realtime_client, realtime_gateway):
    async with realtime_client(ping_after=0.1, pong_timeout=0.2, **QUICK) as client:
        realtime_gateway.faults.swallow_pings()
        with pytest.raises(WaitTimeoutError):
            closed = asyncio.ensure_future(client.wait_for("close", 0.5))
            while not closed.done():
                realtime_gateway.faults.send_text('{"topic":"main","messageType":"tick","data":1}')
                await asyncio.sleep(0.05)
            await closed
        realtime_gateway.faults.swallow_pings(False)
        realtime_gateway.faults.stall()
        (event,) = await client.wait_for("close", 5)
        assert event.will_reconnect
        realtime_gateway.faults.unstall()


async def test_fault_36_timed_out_waits_leave_nothing(realtime_client, realtime_gateway):
    realtime_gateway.faults.drop_acks()
    async with realtime_client() as client:

        async def wait():
            waiter = await client.publish("chat", 1)
            with contextlib.suppress(WaitTimeoutError):
                await waiter.wait_for_ack(0.01)
            with contextlib.suppress(WaitTimeoutError):
                await client.wait_for("x.y", 0.01)

        await asyncio.gather(*(wait() for _ in range(500)))
        await asyncio.sleep(0)
        stats = client.stats()
        assert (stats.waits, stats.receipts) == (0, 0)
        assert not client._waits
        assert not client._listeners


async def test_a_forbidden_topic_is_named_and_the_others_live_on(realtime_client, heard):
    async with realtime_client("a", [], **QUICK) as client:
        await client.subscribe_remote_topic("chat")
        with pytest.raises(ForbiddenError) as caught:
            await client.subscribe_remote_topic("secure/news")
        assert caught.value.topic == "secure/news"
        assert isinstance(caught.value, PermissionError)
        assert client.subscriptions == ["chat"]


def test_errors_of_listeners_keep_their_number():
    assert InternalError("x").number == -15
