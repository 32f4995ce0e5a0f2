"""Payloads: any JSON value, exactly."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from realtime_pubsub import InvalidArgumentError


@dataclasses.dataclass
class Point:
    x: int
    label: str = "p"


class Colour:
    pass


VALUES = [
    None, True, False, 0, -1, 2**53 + 1, 2**63, -(2**64), 10**300, 0.1, -1.5e-300, 1e16, 1e300, "", "text",
    'quote " back \\ slash / \b\f\n\r\t \x00 \x1f \x7f', "Grüße 🎉 \u2028", [], {}, [[], {}], [1, [2, [3]]],
    {"a": {"b": [None, {"c": "d"}]}, "": 0, "ü\n": "x"}, "\\u0041", " spaces ",
]  # fmt: skip


async def echo(client, value, **options):
    stream = client.messages("echo.*")
    waiter = await client.publish("echo", value, **options)
    message = await stream.__anext__()
    await waiter.wait_for_ack()
    return message


async def test_json_values_come_back_as_they_were(realtime_client):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("echo")
        for value in VALUES:
            message = await echo(client, value)
            assert message.payload == value
            assert type(message.payload) is type(value)
            assert json.loads(message.raw)["data"]["payload"] == value


async def test_random_values_read_as_the_json_module_reads_them(realtime_client):
    chance = random.Random(5)

    def value(depth):
        kind = chance.randrange(7 if depth < 5 else 5)
        if kind == 0:
            return chance.choice([None, True, False])
        if kind == 1:
            return chance.randrange(-(10 ** chance.randrange(1, 40)), 10 ** chance.randrange(1, 40))
        if kind == 2:
            return chance.uniform(-1e6, 1e6)
        if kind in (3, 4):
            return "".join(chr(chance.choice([9, 32, 34, 92, 65, 0xE9, 0x1F600])) for _ in range(chance.randrange(8)))
        if kind == 5:
            return [value(depth + 1) for _ in range(chance.randrange(5))]
        return {str(n): value(depth + 1) for n in range(chance.randrange(5))}

    async with realtime_client() as client:
        await client.subscribe_remote_topic("echo")
        for _ in range(200):
            original = value(0)
            message = await echo(client, original)
            assert message.payload == original == json.loads(message.raw)["data"]["payload"]


async def test_tuples_dataclasses_and_keys_are_written_as_json_can(realtime_client):
    async with realtime_client() as client:
        await client.subscribe_remote_topic("echo")
        assert (await echo(client, (1, (2,)))).payload == [1, [2]]
        assert (await echo(client, Point(1))).payload == {"x": 1, "label": "p"}
        value = {2: "a", None: "b", True: "c", 1.5: "d"}
        assert (await echo(client, value)).payload == json.loads(json.dumps(value))
        first = await echo(client, {"deep": [1, 2]})
        assert (await echo(client, {"forwarded": first.data})).payload["forwarded"]["payload"] == {"deep": [1, 2]}


async def test_default_stands_in_for_objects(realtime_client):
    async with realtime_client(default=lambda value: type(value).__name__) as client:
        await client.subscribe_remote_topic("echo")
        assert (await echo(client, [Colour()])).payload == ["Colour"]
        assert (await echo(client, {1}, default=list)).payload == [1]
        assert (await echo(client, b"ab", default=bytes.decode)).payload == "ab"


async def test_what_has_no_json_is_refused_with_a_hint(realtime_client):
    async with realtime_client() as client:
        for wrong in (b"bytes", bytearray(b"x"), memoryview(b"x")):
            with pytest.raises(InvalidArgumentError, match="base64"):
                await client.publish("echo", wrong)
        with pytest.raises(InvalidArgumentError, match="default="):
            await client.publish("echo", Colour())
        with pytest.raises(InvalidArgumentError, match="has no JSON"):
            await client.publish("echo", float("nan"))
        with pytest.raises(InvalidArgumentError, match="surrogate"):
            await client.publish("echo", "\ud800")
        with pytest.raises(InvalidArgumentError, match="key"):
            await client.publish("echo", {(1, 2): 3})
        circle = []
        circle.append(circle)
        with pytest.raises(InvalidArgumentError, match="contains itself"):
            await client.publish("echo", circle)

        def fails(value):
            raise LookupError("default failed")

        with pytest.raises(LookupError):
            await client.publish("echo", Colour(), default=fails)
        await (await client.publish("echo", 1)).wait_for_ack()


async def test_odd_json_from_the_wire_is_read_or_refused_as_the_json_module_does(realtime_client, realtime_gateway):
    async with realtime_client() as client:
        stream = client.messages("main.odd")
        for text in (
            r'"\ud83c\udf89 é \n"', "1E5", "-0.0", "12345678901234567890123456789", ' [ 1 , { "a" : null } ] ',
            "[" * 200 + "]" * 200, '{"a":1,"a":2}', "0.1e1", '""',
        ):  # fmt: skip
            realtime_gateway.faults.send_text('{"topic":"main","messageType":"odd","data":' + text + "}")
            message = await stream.__anext__()
            assert message["data"] == json.loads(text) or message["data"] == message.payload
            assert message.payload == json.loads(text)
