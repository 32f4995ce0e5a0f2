"""The examples and the guide's snippets run."""

from __future__ import annotations

import ast
import asyncio
import pathlib
import re
import subprocess
import sys

import pytest

import realtime_pubsub

ROOT = pathlib.Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "python"
GUIDE = pathlib.Path(__file__).parents[1] / "README.md"


def example(name, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def server(name, *arguments):
    process = subprocess.Popen([sys.executable, EXAMPLES / name, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    return process


def test_basic():
    lines = example("basic.py").splitlines()
    # The listener is told of the message while the publisher is told of the ack and the reply: any order will do.
    assert lines[0] == "Connected to app local"
    assert lines[-1] == "Sent to the application"
    assert sorted(lines[1:-1]) == ["Acknowledged", "Received message: Hello, World!", "Received reply: Got it!"]


def test_wildcard():
    assert example("wildcard.py").splitlines() == [
        "orders.*   created 1", "**.created orders 1", "**.created eu.orders 2", "orders.*   closed 1",
    ]  # fmt: skip


def test_rpc(realtime_gateway):
    with server("rpc_server.py", realtime_gateway.url("server")) as process:
        assert example("rpc_client.py", realtime_gateway.url("asker"), "1", "2.5") == "The sum is 3.5\n"
        process.terminate()


def test_the_server_of_a_pair_brings_a_gateway_and_tells_its_url():
    command = [sys.executable, EXAMPLES / "rpc_server.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stderr.readline().split("'")[1]
        assert process.stdout.readline() == "Serving\n"
        assert example("rpc_client.py", url, "1", "2.5") == "The sum is 3.5\n"
        process.terminate()


@pytest.mark.parametrize("name", ["pub.py", "ping.py", "rpc_client.py"])
def test_the_other_half_says_what_it_needs(name):
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, f"`python {name} URL" in done.stderr) == (1, True)


def test_pub_and_sub(realtime_gateway):
    with server("sub.py", realtime_gateway.url("bob"), "chat", "2") as process:
        for text in ("one", "two"):
            assert example("pub.py", realtime_gateway.url("alice"), "chat", text) == "Acknowledged\n"
        assert process.stdout.read() == "alice: one\nalice: two\n"
        assert process.wait(10) == 0


def test_ping_and_pong(realtime_gateway):
    with server("pong.py", realtime_gateway.url("pong")) as process:
        assert "50 round trips" in example("ping.py", realtime_gateway.url("ping"), "50")
        process.terminate()


SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_guide_has_snippets():
    assert len(SNIPPETS) >= 10


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"snippet-{number + 1}" for number in range(len(SNIPPETS))])
def test_snippets_of_the_guide_run(snippet, realtime_gateway, realtime_client, realtime_blocking_client):
    """Each stands by itself, with the names that the guide says are there; a whole program runs in its own process."""
    if "asyncio.run(" in snippet:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", snippet], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return

    async def main():
        async with realtime_client("alice") as client, realtime_client("bob") as bob:
            for topic in ("chat", "math"):
                await bob.subscribe_remote_topic(topic)
            bob.on("chat.*", lambda message: message.reply("Got it!"))
            names = {
                "asyncio": asyncio,
                "client": client,
                "url": realtime_gateway.url("carol"),
                "gateway": realtime_gateway,
                "realtime_client": realtime_client,
                "realtime_blocking_client": realtime_blocking_client,
                "__name__": "guide",
                **{name: getattr(realtime_pubsub, name) for name in realtime_pubsub.__all__},
            }
            code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            outcome = eval(code, names)
            if asyncio.iscoroutine(outcome):
                await asyncio.wait_for(outcome, 20)
            for name, test in list(names.items()):
                if name.startswith("test_"):
                    await test(realtime_client)

    asyncio.run(main())


def test_help_reads_well():
    import pydoc

    text = pydoc.render_doc(realtime_pubsub, renderer=pydoc.plaintext)
    assert "class RealtimeClient" in text
    assert "Wait for the gateway's ack" in text
    for name in realtime_pubsub.__all__:
        thing = getattr(realtime_pubsub, name)
        if isinstance(thing, type):
            assert thing.__doc__, name
            for attribute, value in vars(thing).items():
                if not attribute.startswith("_") and (callable(value) or isinstance(value, property)):
                    assert value.__doc__, f"{name}.{attribute}"
