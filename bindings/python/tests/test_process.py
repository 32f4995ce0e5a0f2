"""Loops, threads, forks, exits: each in a process of its own where it might take the tests with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading

import pytest

import realtime_pubsub
from realtime_pubsub import LocalGateway, RealtimeClient


def python(program, *arguments, env=None, timeout=40):
    """Runs a program, and gives what it printed. Nothing may go to stderr."""
    done = subprocess.run(
        [sys.executable, *arguments, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


EVERYTHING = """
    import asyncio, sys
    from realtime_pubsub import LocalGateway, RealtimeClient
    async def main():
        with LocalGateway() as gateway:
            async with RealtimeClient(gateway.url("a")) as client:
                await client.subscribe_remote_topic("chat")
                async def answer(message, reply_fn):
                    await (await reply_fn(message.payload)).wait_for_ack()
                client.on("chat.*", answer)
                for n in range(20):
                    assert (await client.request("chat", n)).data == n
                async with client.messages("chat.*") as messages:
                    await client.publish("chat", "x")
                    assert (await messages.__anext__()).payload == "x"
                try:
                    await client.wait_for("x.y", 0.01)
                except TimeoutError:
                    pass
                tasks = [asyncio.create_task(client.wait_for("x.y")) for _ in range(10)]
                await asyncio.sleep(0)
                [task.cancel() for task in tasks]
                await asyncio.wait(tasks)
"""


def test_asyncio_debug_mode_is_silent():
    python(EVERYTHING + "\n    asyncio.run(main())\n", "-X", "dev", "-W", "error", env={"PYTHONASYNCIODEBUG": "1"})


def test_uvloop_works():
    pytest.importorskip("uvloop")
    python(EVERYTHING + "\n    import uvloop\n    uvloop.run(main())\n")


def test_a_loop_that_watches_no_descriptors_works():
    program = """
    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, descriptor, *arguments):
            if threading_only:
                raise NotImplementedError
            return super().add_reader(descriptor, *arguments)
    threading_only = False
    loop = Loop()
    threading_only = True
    loop.run_until_complete(main())
    loop.close()
    """
    python(EVERYTHING + program)


def test_several_loops_in_several_threads():
    outcomes = []
    with LocalGateway() as gateway:

        def run(number):
            async def main():
                async with RealtimeClient(gateway.url(f"user-{number}")) as client:
                    for _ in range(20):
                        await (await client.publish("chat", number)).wait_for_ack()
                outcomes.append(number)

            asyncio.run(main())

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(outcomes) == [0, 1, 2, 3]


def test_a_client_that_was_left_connected_moves_to_the_next_loop():
    with LocalGateway() as gateway:
        client = RealtimeClient(gateway.url())

        async def first():
            await client.connect()
            await client.publish("chat", 1)

        async def second():
            await (await client.publish("chat", 2)).wait_for_ack()
            assert client.stats().sessions == 1
            await client.disconnect()

        asyncio.run(first())
        asyncio.run(second())


async def test_use_on_another_running_loop_is_refused(realtime_client):
    async with realtime_client() as client:
        caught = []

        def other():
            async def main():
                with pytest.raises(RuntimeError, match="another event loop"):
                    await client.flush()
                caught.append(True)

            asyncio.run(main())

        await asyncio.get_running_loop().run_in_executor(None, other)
        assert caught


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_gets_a_clear_error_and_can_make_its_own_client():
    out = python("""
        import os, sys, gc, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from realtime_pubsub import BlockingClient, ClosedError, LocalGateway
        gateway = LocalGateway()
        url = gateway.url()
        client = BlockingClient(url)
        client.connect()
        waiter = client.publish("chat", 1)
        child = os.fork()
        if child == 0:
            for call in (lambda: client.publish("chat", 1), waiter.wait_for_ack, lambda: client.state, gateway.stop):
                try:
                    call()
                except ClosedError as error:
                    assert "fork" in str(error), error
                else:
                    os._exit(3)
            own = BlockingClient(url)
            own.connect()
            own.publish("chat", 1).wait_for_ack()
            own.disconnect()
            del client, waiter, own
            gc.collect()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        client.publish("chat", 1).wait_for_ack()
        client.disconnect()
        gateway.stop()
        print("fine")
    """)
    assert out == "fine\n"


def test_the_interpreter_exits_with_everything_open():
    for seed in range(3):
        python(f"""
            import threading, time
            from realtime_pubsub import BlockingClient, LocalGateway
            gateway = LocalGateway()
            clients = [BlockingClient(gateway.url(str(n)), ping_after=0.001 * {seed + 1}) for n in range(5)]
            for client in clients:
                client.on("chat.*", lambda message: message.reply("x"))
                client.connect()
                client.subscribe_remote_topic("chat")
                threading.Thread(target=client.wait_for, args=("x.y", 60), daemon=True).start()
                threading.Thread(target=list, args=(client.messages("chat.*"),), daemon=True).start()
            def publish(client):
                while True:
                    client.publish("chat", 1).wait_for_ack()
            for client in clients:
                threading.Thread(target=publish, args=(client,), daemon=True).start()
            clients[0].publish("chat", 1).wait_for_ack()
        """)


def test_the_interpreter_exits_in_the_middle_of_asyncio():
    python("""
        import asyncio
        from realtime_pubsub import LocalGateway, RealtimeClient
        gateway = LocalGateway()
        client = RealtimeClient(gateway.url())
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        async def main():
            await client.connect()
            await client.subscribe_remote_topic("chat")
            for n in range(1000):
                await client.publish("chat", n)
        loop.run_until_complete(main())
        loop.close()
    """)


def test_nothing_keeps_the_process_alive():
    python("""
        import logging
        from realtime_pubsub import BlockingClient
        logging.disable()
        client = BlockingClient("ws://127.0.0.1:1/apps/x")
        client.start()
    """)


def test_subinterpreters_are_refused_clearly():
    # The module's name, and how a program is run in one, changed with 3.13.
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(name)
    out = python(f"""
        import {name} as interpreters
        import realtime_pubsub
        id = interpreters.create()
        interpreters.run_string(id, '''if True:
            try:
                import realtime_pubsub
            except ImportError as error:
                print(error, flush=True)
        ''')
        interpreters.destroy(id)
    """)
    assert "subinterpreter" in out


def test_ctrl_c_ends_a_wait():
    out = python("""
        import _thread, signal, threading
        from realtime_pubsub import BlockingClient, LocalGateway
        # It is ignored where the tests run in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with LocalGateway() as gateway, BlockingClient(gateway.url()) as client:
            threading.Timer(0.2, _thread.interrupt_main).start()
            try:
                client.wait_for("x.y", 30)
            except KeyboardInterrupt:
                print("interrupted")
    """)
    assert out == "interrupted\n"


def test_a_listener_that_is_stuck_does_not_keep_the_interpreter_from_exiting():
    python("""
        import threading, time
        from realtime_pubsub import BlockingClient, LocalGateway
        gateway = LocalGateway()
        client = BlockingClient(gateway.url())
        stuck = threading.Event()
        def listener(info):
            stuck.set()
            time.sleep(1000)
        client.on("session.started", listener)
        client.connect()
        assert stuck.wait(5)
    """)


def test_importing_is_quick():
    # Processor time, which other processes' load disturbs little. A release build takes a fifth of this.
    program = """
        import time
        started = time.process_time()
        import realtime_pubsub
        print(time.process_time() - started)
    """
    assert min(float(python(program)) for _ in range(5)) < 0.25


without_asyncio = pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio's TimeoutError is the package's there")
RESIDENT = """
        def resident():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
"""


@without_asyncio
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_connected_client_takes_little_memory(realtime_gateway):
    """At most 12 MiB more than an interpreter that does nothing, TLS and all.

    3 of them are for the library's own code and tables, which take 2.3 in a release build and three times as much in a
    dev build; so what is tested, in any build, is that all the rest takes no more than 9.
    """
    bare = RESIDENT + "        print(resident())"
    connected = f"""
        import re
        from realtime_pubsub import BlockingClient, _native
        with BlockingClient({realtime_gateway.url()!r}) as client:
            client.subscribe_remote_topic("chat")
            client.publish("chat", "x").wait_for_ack()
            with open("/proc/self/smaps") as maps:
                mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", maps.read(), flags=re.M)
            sizes = [re.search(r"^Rss: *([0-9]+)", one, flags=re.M) for one in mappings if _native.__file__ in one]
            print(resident(), sum(int(size[1]) / 1024 for size in sizes))
    """
    empty = float(python(bare))
    with_client, library = map(float, python(RESIDENT + connected).split())
    numbers = f"{with_client:.1f} MiB, {library:.1f} of them the library, {empty:.1f} without a client"
    assert library > 1, numbers
    assert with_client - library - empty < 9, numbers


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_connected_client_takes_little_memory_beside_asyncio(realtime_gateway):
    """At most 12 MiB more than an interpreter that runs an empty event loop."""
    loop = (
        RESIDENT
        + """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            print(resident())
    """
    )
    connected = f"""
        from realtime_pubsub import RealtimeClient
        async def main():
            async with RealtimeClient({realtime_gateway.url()!r}) as client:
                await client.subscribe_remote_topic("chat")
                await (await client.publish("chat", "x")).wait_for_ack()
                print(resident())
    """
    run = "\n        asyncio.run(main())\n"
    empty, with_client = float(python(loop + run)), float(python(loop + connected + run))
    assert with_client - empty < 12, f"{with_client:.1f} MiB, {empty:.1f} MiB without"


@without_asyncio
def test_threads_alone_need_no_asyncio():
    python("""
        import sys
        from realtime_pubsub import BlockingClient, LocalGateway
        with LocalGateway() as gateway, BlockingClient(gateway.url()) as client:
            client.publish("chat", "x").wait_for_ack()
        assert "asyncio" not in sys.modules
        import realtime_pubsub
        assert {*realtime_pubsub.__all__} <= {*dir(realtime_pubsub)}
        realtime_pubsub.RealtimeClient
        assert "asyncio" in sys.modules
    """)


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'realtime_pubsub' has no attribute 'RealtimeClint'"):
        realtime_pubsub.RealtimeClint  # noqa: B018
