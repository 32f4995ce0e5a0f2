"""The Python package's driver for the conformance scenarios: see `tests/conformance/README.md`."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

from realtime_pubsub import IncomingMessage, RealtimeClient, RealtimeError

TIMES = {
    *("connect_timeout", "provider_timeout", "handshake_timeout", "welcome_timeout", "wait_timeout", "barrier_timeout"),
    *("disconnect_timeout", "backoff_min", "backoff_max", "stable_after", "ping_after", "pong_timeout"),
    *("offline_ttl", "retry_for"),
}
"""Options that are times: milliseconds in scenarios, seconds in Python."""


class Cannot(Exception):
    """What the language has no way to do, and why."""


class Thrown(Exception):
    """What a listener is to raise."""


def say(line: dict[str, Any]) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def seconds(operation: dict[str, Any]) -> float | None:
    """The operation's timeout, as Python has it."""
    timeout = operation.get("timeout")
    return None if timeout is None else timeout / 1000


def told_error(error: RealtimeError) -> dict[str, Any]:
    """An error, as the runner wants it."""
    return {"number": error.number, "name": error.code, "message": str(error), "topic": error.topic}


def told_message(message: IncomingMessage) -> dict[str, Any]:
    """A message, as the runner wants it."""
    presence = message.data_as_presence()
    sender = message.sender
    told: dict[str, Any] = {
        "kind": "message",
        "topic": message.topic,
        "message_type": message.message_type,
        "payload": message.payload,
        "id": message.id,
        "compression": message.compression,
        "sender": sender and dataclasses.asdict(sender),
        "presence": presence and dataclasses.asdict(presence),
    }
    return told


def told_event(name: str, event: Any) -> dict[str, Any]:
    """An event, as the runner wants it."""
    if isinstance(event, IncomingMessage):
        return told_message(event)
    if isinstance(event, RealtimeError):
        return {"kind": "error", **told_error(event)}
    if name == "state":
        return {"kind": "state", "from": event.before.value, "to": event.now.value, "reason": event.reason}
    return {"kind": name, **dataclasses.asdict(event)}


def told_reply(reply: Any) -> dict[str, Any]:
    """A reply, as the runner wants it."""
    return {"id": reply.id, "status": reply.status, "data": reply.data}


class Driver:
    """What there is, by the runner's names, and what can be done with it."""

    def __init__(self) -> None:
        self.clients: dict[str, RealtimeClient] = {}
        self.waits: dict[str, Any] = {}
        self.listeners: dict[str, Any] = {}
        self.streams: dict[str, Any] = {}
        self.servings: dict[str, Any] = {}
        self.gates: dict[str, asyncio.Semaphore] = {}
        self.running: dict[str, asyncio.Task[Any]] = {}

    async def answer(self, operation: dict[str, Any]) -> None:
        """Do an operation, and say how it ended."""
        say({"n": operation["n"], **await self.outcome(operation, None)})

    async def outcome(self, operation: dict[str, Any], message: Any) -> dict[str, Any]:
        """Do an operation; what it gave, or how it failed."""
        try:
            perform = getattr(self, "do_" + operation["do"])
            return {"ok": await perform(operation, message)}
        except RealtimeError as error:
            return {"error": told_error(error)}
        except asyncio.CancelledError:
            return {"error": {"cancelled": True}}
        except Cannot as cannot:
            return {"cannot": str(cannot)}
        except Thrown:
            raise
        except Exception as error:
            return {"error": {"number": 1, "message": f"{type(error).__name__}: {error}"}}

    def client(self, operation: dict[str, Any]) -> RealtimeClient:
        """The operation's client."""
        return self.clients[operation["client"]]

    def gate(self, operation: dict[str, Any]) -> asyncio.Semaphore:
        """The operation's gate."""
        return self.gates.setdefault(operation["gate"], asyncio.Semaphore(0))

    async def do_release(self, operation: dict[str, Any], _: Any) -> None:
        self.gate(operation).release()

    async def do_hold(self, operation: dict[str, Any], _: Any) -> None:
        await self.gate(operation).acquire()

    async def do_throw(self, operation: dict[str, Any], _: Any) -> None:
        raise Thrown(operation["text"])

    async def do_use_handle(self, *_: Any) -> None:
        raise Cannot("there are no handles")

    async def do_wait_for_itself(self, *_: Any) -> None:
        raise Cannot("nothing that is called back is waited for")

    async def do_cancel(self, operation: dict[str, Any], _: Any) -> None:
        self.running[operation["op"]].cancel()

    async def do_new(self, operation: dict[str, Any], _: Any) -> None:
        given = operation.get("options", {})
        options = {name: value / 1000 if name in TIMES else value for name, value in given.items()}
        url = operation.get("url")
        urls = operation.get("urls")
        if urls is not None:
            left = list(urls)

            async def provide() -> str:
                given = left.pop(0) if len(left) > 1 else left[0]
                if isinstance(given, str):
                    return given
                raise OSError(given["fails"])

            self.clients[operation["client"]] = RealtimeClient(url_provider=provide, **options)
        else:
            self.clients[operation["client"]] = RealtimeClient(url, **options)

    async def do_drop(self, operation: dict[str, Any], _: Any) -> None:
        name = operation["client"]
        client = self.clients.pop(name, None)
        if client is None:
            return
        run = name.split(".")[0] + "."
        for gate in [gate for gate in self.gates if gate.startswith(run)]:
            for _ in range(10_000):
                self.gates[gate].release()
        for things in (self.waits, self.streams, self.servings):
            for key in [key for key in things if key.startswith(run)]:
                del things[key]
        await client.disconnect(0.2)

    async def do_connect(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        return dataclasses.asdict(await self.client(operation).connect(seconds(operation)))

    async def do_start(self, operation: dict[str, Any], _: Any) -> None:
        await self.client(operation).start()

    async def do_disconnect(self, operation: dict[str, Any], _: Any) -> None:
        await self.client(operation).disconnect(seconds(operation))

    async def do_flush(self, operation: dict[str, Any], _: Any) -> None:
        await self.client(operation).flush()

    async def do_subscribe(self, operation: dict[str, Any], _: Any) -> None:
        await self.client(operation).subscribe_remote_topic(operation["topic"])

    async def do_unsubscribe(self, operation: dict[str, Any], _: Any) -> None:
        await self.client(operation).unsubscribe_remote_topic(operation["topic"])

    async def do_state(self, operation: dict[str, Any], _: Any) -> str:
        return str(self.client(operation).state)

    async def do_connection(self, operation: dict[str, Any], _: Any) -> dict[str, Any] | None:
        info = self.client(operation).connection
        return info and dataclasses.asdict(info)

    async def do_stats(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        return dataclasses.asdict(self.client(operation).stats())

    def keep(self, operation: dict[str, Any], waiter: Any) -> dict[str, Any]:
        """Remember a `WaitFor`."""
        if "wait" in operation:
            self.waits[operation["wait"]] = waiter
        return {"id": waiter.id}

    async def do_publish(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        client = self.client(operation)
        return self.keep(operation, await client.publish(operation["topic"], operation["payload"], *how(operation)))

    async def do_publish_now(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        client = self.client(operation)
        return self.keep(operation, client.publish_nowait(operation["topic"], operation["payload"], *how(operation)))

    async def do_send(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        return self.keep(operation, await self.client(operation).send(operation["payload"], *how(operation)))

    async def do_burst(self, operation: dict[str, Any], _: Any) -> None:
        client = self.client(operation)
        for number in range(operation["count"]):
            await client.publish(operation["topic"], number)

    async def do_reply(self, operation: dict[str, Any], message: Any) -> dict[str, Any]:
        status, compress = operation.get("status", "ok"), operation.get("compress", False)
        return self.keep(operation, await message.reply(operation["data"], status, compress))

    async def do_request(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        message_type, timeout = operation.get("message_type"), seconds(operation)
        client = self.client(operation)
        return told_reply(await client.request(operation["topic"], operation["payload"], message_type, timeout=timeout))

    async def do_ack(self, operation: dict[str, Any], _: Any) -> None:
        await self.waits[operation["wait"]].wait_for_ack(seconds(operation))

    async def do_next_reply(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        return told_reply(await self.waits[operation["wait"]].wait_for_reply(seconds(operation)))

    async def do_replies(self, operation: dict[str, Any], _: Any) -> list[dict[str, Any]]:
        return [told_reply(reply) async for reply in self.waits[operation["wait"]].replies(seconds(operation))]

    async def do_forget(self, operation: dict[str, Any], _: Any) -> None:
        del self.waits[operation["wait"]]

    def listener(self, operation: dict[str, Any]) -> Callable[[Any], Any]:
        """A listener that tells what it hears, and does what it is to do."""
        name, listener, then = operation["name"], operation["listener"], operation.get("then", [])

        async def heard(event: Any) -> None:
            say({"listener": listener, "event": told_event(name, event)})
            did, thrown = [], None
            for step in then:
                try:
                    did.append(await self.outcome(step, event))
                except Thrown as error:
                    thrown = error
            say({"listener": listener, "did": did})
            if thrown is not None:
                raise thrown

        def heard_alone(event: Any) -> None:
            say({"listener": listener, "event": told_event(name, event)})

        return heard if then else heard_alone

    async def do_on(self, operation: dict[str, Any], _: Any) -> None:
        client, heard = self.client(operation), self.listener(operation)
        self.listeners[operation["listener"]] = client.on(operation["name"], heard)

    async def do_once(self, operation: dict[str, Any], _: Any) -> None:
        client, heard = self.client(operation), self.listener(operation)
        self.listeners[operation["listener"]] = client.once(operation["name"], heard)

    async def do_off(self, operation: dict[str, Any], _: Any) -> bool:
        return self.client(operation).off(self.listeners.pop(operation["listener"]))

    async def do_wait_for(self, operation: dict[str, Any], _: Any) -> dict[str, Any]:
        event, *_ = await self.client(operation).wait_for(operation["name"], seconds(operation))
        return told_event(operation["name"], event)

    async def do_messages(self, operation: dict[str, Any], _: Any) -> None:
        self.streams[operation["stream"]] = self.client(operation).messages(operation["name"])

    async def do_next(self, operation: dict[str, Any], _: Any) -> dict[str, Any] | None:
        message = await anext(self.streams[operation["stream"]], None)
        return message and told_message(message)

    async def do_close_stream(self, operation: dict[str, Any], _: Any) -> None:
        self.streams.pop(operation["stream"]).close()

    async def do_serve(self, operation: dict[str, Any], _: Any) -> None:
        answer = operation["answer"]

        def answered(message: IncomingMessage) -> Any:
            if answer == "echo":
                return message.payload
            raise ValueError(answer["throw"])

        client = self.client(operation)
        serving = await client.serve(operation["topic"], operation["message_type"], answered)
        self.servings[operation["serving"]] = serving

    async def do_stop_serving(self, operation: dict[str, Any], _: Any) -> None:
        await self.servings.pop(operation["serving"]).stop()


def how(operation: dict[str, Any]) -> tuple[Any, ...]:
    """How a message is to be published."""
    return operation.get("message_type"), operation.get("compress", False), operation.get("id")


async def main() -> None:
    """Read operations until there are no more."""
    driver = Driver()
    say({"protocol": 1, "language": "python"})
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        operation = json.loads(line)
        task = loop.create_task(driver.answer(operation))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if "op" in operation and operation["do"] != "cancel":
            driver.running[operation["op"]] = task


asyncio.run(main())
