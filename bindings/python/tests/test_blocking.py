"""The client for threads, and its likeness to the one for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import threading
import time

import pytest

from realtime_pubsub import (
    BlockingClient,
    ClosedError,
    ConnectionLostError,
    InternalError,
    NotConnectedError,
    RealtimeClient,
    UrlProviderError,
    WaitTimeoutError,
)


def surface(client):
    return {
        name: getattr(client, name)
        for name in dir(client)
        if not name.startswith("_") or name in ("__init__", "__enter__", "__aenter__")
    }


def test_the_two_clients_have_the_same_surface():
    asynchronous, blocking = surface(RealtimeClient), surface(BlockingClient)
    assert asynchronous.keys() - {"__aenter__"} == blocking.keys() - {"__enter__"}
    for name in asynchronous.keys() & blocking.keys():
        ours, theirs = asynchronous[name], blocking[name]
        if callable(ours):
            parameters = [
                [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
                for method in (ours, theirs)
            ]
            if name == "serve":
                parameters = [[p[:2] for p in side] for side in parameters]
            assert parameters[0] == parameters[1], name
        assert inspect.getdoc(ours), name
        assert inspect.getdoc(theirs), name


def test_what_waits_in_one_is_awaited_in_the_other():
    waits = {
        name
        for name, method in surface(RealtimeClient).items()
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    }
    assert waits == {
        "__aenter__", "connect", "disconnect", "flush", "publish", "replies", "request", "send", "serve", "start",
        "subscribe_remote_topic", "unsubscribe_remote_topic", "wait_for",
    }  # fmt: skip


def test_a_message_is_acknowledged_delivered_and_answered(realtime_blocking_client):
    alice, bob = realtime_blocking_client("alice"), realtime_blocking_client("bob")
    with alice, bob:

        @bob.on("chat.*")
        def answer(message, reply_fn):
            reply_fn({"got": message["data"]["payload"]}).wait_for_ack()

        bob.subscribe_remote_topic("chat")
        waiter = alice.publish("chat", [1, 2], "t")
        assert waiter.wait_for_ack() == waiter.id
        (response,) = waiter.wait_for_reply(timeout=5)
        assert response.data == {"got": [1, 2]}
        assert alice.request("chat", "x", "t").data == {"got": "x"}
        assert [reply.data for reply in alice.replies("chat", "y", "t", timeout=0.2)] == [{"got": "y"}]


def test_messages_events_and_serving(realtime_blocking_client):
    with realtime_blocking_client("a") as a, realtime_blocking_client("b") as b:
        a.subscribe_remote_topic("chat")
        stream = a.messages("chat.*")
        for number in range(100):
            b.publish("chat", number)
        assert [next(stream).payload for _ in range(100)] == list(range(100))
        stream.close()
        assert list(stream) == []
        (info,) = a.wait_for("session.started")
        assert info == a.connection
        with pytest.raises(WaitTimeoutError):
            a.wait_for("x.y", 0.01)
        with a.serve("math", "double", lambda message: message.payload * 2):
            assert b.request("math", 21, "double").data == 42
            assert b.request("math", None, "double").status == "error"


def test_whatever_goes_wrong_with_an_answer_becomes_a_reply(realtime_blocking_client):
    server, asker = realtime_blocking_client("server"), realtime_blocking_client("asker")
    with server, asker:
        asks_in_vain = server.serve("math", "asks", lambda message: server.request("nobody", 1, timeout=0.01))
        has_no_json = server.serve("math", "has-no-json", lambda message: object())
        with asks_in_vain, has_no_json:
            for kind, why in (("asks", "no reply"), ("has-no-json", "default=")):
                failed = asker.request("math", 1, kind, timeout=5)
                assert failed.status == "error"
                assert why in failed.data


def test_once_fires_though_the_message_is_there_already(realtime_blocking_client):
    with realtime_blocking_client() as client:
        client.subscribe_remote_topic("chat")
        fired = threading.Semaphore(0)
        stop = threading.Event()

        def publish():
            while not stop.is_set():
                client.publish("chat", 1).wait_for_ack()

        publishing = threading.Thread(target=publish)
        publishing.start()
        try:
            for _ in range(200):
                client.once("chat.*", lambda message: fired.release())
            for _ in range(200):
                assert fired.acquire(timeout=5)
        finally:
            stop.set()
            publishing.join()
        assert not client._listeners


def test_listeners_run_on_one_thread_of_the_clients_own(realtime_blocking_client):
    client = realtime_blocking_client()
    threads, done = set(), threading.Event()
    client.on("chat.*", lambda message: threads.add(threading.current_thread()))
    client.on("chat.end", done.set)
    with client:
        client.subscribe_remote_topic("chat")
        for _ in range(10):
            client.publish("chat", 1)
        client.publish("chat", 1, "end")
        assert done.wait(5)
        (thread,) = threads
        assert thread.daemon
        assert thread.name == "realtime-listeners"
    assert not thread.is_alive()


def test_a_coroutine_listener_is_refused_where_it_can_be_seen(realtime_blocking_client):
    client = realtime_blocking_client()
    errors, seen = [], threading.Event()

    @client.on("error")
    def on_error(error):
        errors.append(error)
        seen.set()

    @client.on("session.started")
    async def listener(info): ...

    with client:
        assert seen.wait(5)
    assert isinstance(errors[0], InternalError)
    assert "RealtimeClient" in str(errors[0])


def test_many_threads_use_one_client(realtime_blocking_client):
    with realtime_blocking_client() as client:

        def work():
            for _ in range(50):
                client.publish("chat", 1).wait_for_ack()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush()
        assert client.stats().acks == 400


def in_threads(count, work):
    """Runs `work` in so many threads at once, and gives what it returned."""
    begin, results = threading.Barrier(count), []

    def run():
        begin.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return results


def test_threads_that_share_a_stream_get_each_message_once(realtime_blocking_client):
    with realtime_blocking_client() as client, client.messages("chat.*") as stream:
        client.subscribe_remote_topic("chat")
        for number in range(3000):
            client.publish("chat", number)
        left = threading.Semaphore(3000)

        def work():
            mine = []
            while left.acquire(blocking=False):
                mine.append(next(stream).payload)
            return mine

        taken = in_threads(4, work)
        assert sorted(number for mine in taken for number in mine) == list(range(3000))


def test_one_of_several_threads_takes_a_listener_off(realtime_blocking_client):
    client = realtime_blocking_client()
    for _ in range(50):
        listener = client.on("chat.*", print)
        assert sorted(in_threads(4, lambda taken=listener: client.off(taken))) == [False, False, False, True]


def test_listeners_that_come_and_go_in_several_threads_miss_no_message_of_others(realtime_blocking_client):
    with realtime_blocking_client() as client:
        client.subscribe_remote_topic("chat")
        heard, all_heard = [], threading.Event()

        @client.on("chat.*")
        def note(message):
            heard.append(message.payload)
            if len(heard) == 800:
                all_heard.set()

        def work():
            for _ in range(200):
                passing = client.on("chat.**", lambda message: message.payload)
                client.once("chat.*", lambda message: message.payload)
                client.publish("chat", 1).wait_for_ack()
                client.off(passing)

        in_threads(4, work)
        assert all_heard.wait(10)
        assert heard == [1] * 800
        client.off("chat.*", note)


def test_a_client_that_several_threads_connect_and_disconnect_works_in_the_end(realtime_gateway):
    client = BlockingClient(url_provider=lambda: realtime_gateway.url("often"))

    def work():
        for _ in range(10):
            # Whoever is disconnected by another meanwhile is told so.
            with contextlib.suppress(ClosedError):
                client.connect()
            client.disconnect()

    in_threads(4, work)
    heard = threading.Event()
    client.on("chat.*", lambda message: heard.set())
    with client:
        client.subscribe_remote_topic("chat")
        client.publish("chat", 1).wait_for_ack()
        assert heard.wait(5)


def test_a_listener_may_disconnect_and_connect_again_later(realtime_gateway):
    client = BlockingClient(url_provider=lambda: realtime_gateway.url("again"))
    sessions, again = [], threading.Event()

    @client.on("session.started")
    def reconnect(info):
        sessions.append(info)
        if len(sessions) > 1:
            again.set()
            return
        client.disconnect()
        # The thread that asks the provider has ended by now.
        for thread in threading.enumerate():
            if thread.name == "realtime-url":
                thread.join(5)
        client.connect()

    client.connect()
    assert again.wait(5)
    client.disconnect()


def test_a_blocked_wait_lets_other_threads_run(realtime_blocking_client, realtime_gateway):
    realtime_gateway.faults.drop_acks()
    with realtime_blocking_client() as client:
        waiter = client.publish("chat", 1)
        outcome = []

        def wait():
            try:
                waiter.wait_for_ack(30)
            except ConnectionLostError as error:
                outcome.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        started = time.monotonic()
        assert sum(range(1000)) == 499500
        realtime_gateway.faults.reset()
        thread.join(10)
        assert outcome
        assert time.monotonic() - started < 10


def test_url_providers_run_on_a_thread_that_listeners_do_not_block(realtime_gateway):
    client = BlockingClient(url_provider=lambda: realtime_gateway.url("called"), backoff_min=0.01, backoff_max=0.05)
    release, again = threading.Event(), threading.Event()
    sessions = []

    @client.on("session.started")
    def block(info):
        sessions.append(info)
        if len(sessions) == 1:
            release.wait(10)
        else:
            again.set()

    with client:
        first = client.connection.id
        realtime_gateway.faults.close(1001)
        with pytest.raises(WaitTimeoutError):
            client.wait_for("x.y", 0.2)
        while client.connection is None or client.connection.id == first:
            client.wait_for("session.started", 5)
        release.set()
        assert again.wait(5)

    def fails():
        raise LookupError("no url today")

    client = BlockingClient(url_provider=fails, backoff_min=0.01, backoff_max=0.02)
    with pytest.raises(UrlProviderError, match="no url today"):
        client.connect(0.1)
    client.disconnect()


def test_dropped_clients_take_their_threads_with_them(realtime_gateway):
    before = threading.active_count()
    for _ in range(10):
        client = BlockingClient(realtime_gateway.url())
        client.connect()
    (thread,) = client._threads.values()
    del client
    gc.collect()
    thread.join(5)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_client_that_was_never_connected_needs_no_disconnect(realtime_blocking_client):
    client = realtime_blocking_client()
    with pytest.raises(NotConnectedError):
        client.publish("chat", 1)
    client.disconnect()


async def test_it_can_be_used_from_an_executor_of_a_loop(realtime_blocking_client):
    client = realtime_blocking_client()
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, client.connect)
    waiter = await loop.run_in_executor(None, client.publish, "chat", 1)
    assert await loop.run_in_executor(None, waiter.wait_for_ack) == waiter.id
