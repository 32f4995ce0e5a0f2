"""Nothing is left behind: memory, threads and descriptors stay flat.

`REALTIME_LEAKS=full` makes 10,000 clients, 1,000,000 messages and 100,000 waits, as a release build can in a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pathlib
import sysconfig
import threading

import pytest

from realtime_pubsub import RealtimeClient, WaitTimeoutError

FULL = os.environ.get("REALTIME_LEAKS") == "full"
CLIENTS, MESSAGES, WAITS = (10_000, 1_000_000, 100_000) if FULL else (300, 20_000, 3_000)

pytestmark = [
    pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="needs /proc"),
    pytest.mark.timeout(900),
]


def resident():
    """MiB."""
    gc.collect()
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError


def held():
    return threading.active_count(), len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


async def steady():
    """What is held once that no longer changes: sockets are closed on other threads, here and in the gateway."""
    last = None
    while (now := held()) != last:
        last = now
        await asyncio.sleep(0.05)
    return now


async def flat(work, count, allowed):
    """Does the work a tenth of the times to warm up, then all of it, and compares."""
    await work(count // 10)
    holds = await steady()
    before = resident()
    # Without the GIL CPython 3.14 collects cycles rarely, and keeps what memory they had: there it is told to.
    slices = max(1, count // 1000) if sysconfig.get_config_var("Py_GIL_DISABLED") else 1
    for _ in range(slices):
        await work(count // slices)
        gc.collect()
    await asyncio.sleep(0)
    grown = resident() - before
    for _ in range(100):
        if all(now <= then for now, then in zip(await steady(), holds, strict=True)):
            break
    else:
        raise AssertionError(f"{held()} threads, descriptors and tasks, {holds} before")
    assert grown < allowed, f"{grown:.1f} MiB more after {count}"
    print(f"{count}: {grown:+.2f} MiB")


async def test_clients_that_are_made_and_closed_leave_nothing(realtime_gateway):
    url = realtime_gateway.url()

    async def work(count):
        for _ in range(count):
            client = RealtimeClient(url)
            client.on("chat.*", lambda message, client=client: client)
            async with client:
                await (await client.publish("chat", 1)).wait_for_ack()

    await flat(work, CLIENTS, 6)


def test_blocking_clients_leave_nothing(realtime_gateway):
    from realtime_pubsub import BlockingClient

    url = realtime_gateway.url()

    async def work(count):
        for _ in range(count):
            with BlockingClient(url) as client:
                # Not a builtin: to look at one's signature takes memory for good in CPython 3.14t.
                client.on("chat.*", lambda message: message)
                client.publish("chat", 1).wait_for_ack()

    asyncio.run(flat(work, CLIENTS // 5, 6))


async def test_messages_leave_nothing(realtime_client, realtime_gateway):
    async with realtime_client() as client:
        seen = 0
        arrived = asyncio.Event()

        @client.on("main.m")
        def note(message, reply_fn):
            nonlocal seen
            assert message["data"]["payload"]["n"] == [1, 2, 3]
            assert message.sender.subject == "s"
            seen += 1
            if seen % 1000 == 0:
                arrived.set()

        frame = (
            '{"topic":"main","messageType":"m","data":{"client":{"connectionId":"c","subject":"s"},'
            '"payload":{"n":[1,2,3],"t":"text"},"id":"i"}}'
        )

        async def work(count):
            for _ in range(count // 1000):
                arrived.clear()
                realtime_gateway.faults.send_text(frame, times=1000)
                await arrived.wait()

        await flat(work, MESSAGES, 6)


async def test_waits_that_end_in_vain_leave_nothing(realtime_client, realtime_gateway):
    realtime_gateway.faults.drop_acks()
    async with realtime_client() as client:

        async def time_out():
            waiter = await client.publish("chat", 1)
            with contextlib.suppress(WaitTimeoutError):
                await waiter.wait_for_ack(0.001)

        async def cancelled():
            waiter = await client.publish("chat", 1)
            task = asyncio.ensure_future(waiter.wait_for_reply(60))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        async def work(count):
            for _ in range(count // 200):
                await asyncio.gather(*(time_out() for _ in range(100)), *(cancelled() for _ in range(100)))

        await flat(work, WAITS, 6)
        await asyncio.sleep(0)
        stats = client.stats()
        assert (stats.waits, stats.receipts) == (0, 0)
        assert not client._waits
