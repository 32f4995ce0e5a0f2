"""Waiting for the answers to a message, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from ._errors import WaitTimeoutError
from ._native import Receipt, ResponseMessage

if TYPE_CHECKING:
    from ._client import RealtimeClient
    from ._native import Op


class WaitFor:
    """A message on its way: wait for the gateway's ack, for a peer's reply, or for both.

    Its place was made before the message was written, so no answer is missed, however late you ask. Each wait takes
    as long as the client's `wait_timeout` (5 s) unless told otherwise, ends at once with `ConnectionLostError` when
    the connection dies and with `ClosedError` when the client is disconnected, and is freed when its task is cancelled.
    """

    __slots__ = ("_client", "_receipt", "_room")

    def __init__(self, client: RealtimeClient, receipt: Receipt | None, room: Op | None = None) -> None:
        self._client = client
        self._receipt = receipt
        self._room = room

    @property
    def id(self) -> str:
        """The message's id."""
        return self._ready().id

    @property
    def acknowledged(self) -> bool:
        """Whether the gateway has taken the message. Raises the reason where it never will."""
        return self._ready().acknowledged

    def _ready(self) -> Receipt:
        if self._receipt is None:
            raise RuntimeError("the queue was full: await this reply before anything else")
        return self._receipt

    async def wait_for_ack(self, timeout: float | None = None) -> str:
        """Wait for the gateway's ack. Gives the message's id."""
        receipt = self._ready()
        if not receipt.acknowledged:
            client = self._client
            future, token = client._new_wait()
            ticket = receipt.notify_ack(token, timeout)
            try:
                await future
            finally:
                client._waits.pop(token, None)
                # The future holds its exception, which would hold this frame.
                del ticket, future
        return receipt.id

    async def wait_for_reply(self, timeout: float | None = None) -> ResponseMessage:
        """Wait for a reply. Where several peers reply, each call gives the next."""
        client = self._client
        future, token = client._new_wait()
        ticket = self._ready().notify_reply(token, timeout)
        try:
            reply: ResponseMessage = await future
        finally:
            client._waits.pop(token, None)
            del ticket, future
        return reply

    async def replies(self, timeout: float | None = None) -> AsyncGenerator[ResponseMessage, None]:
        """All replies, one by one, for so many seconds (5 unless told otherwise): `async for reply in ...`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._client._wait_timeout if timeout is None else timeout)
        while True:
            try:
                reply = await self.wait_for_reply(max(0.0, until - loop.time()))
            except WaitTimeoutError:
                return
            yield reply

    async def _when_sent(self) -> WaitFor:
        if self._room is not None:
            room, self._room = self._room, None
            self._receipt = await self._client._run(room)
        return self

    def __await__(self) -> Generator[Any, None, WaitFor]:
        """Wait for room in the queue, where it was full, and give this."""
        return self._when_sent().__await__()

    def __repr__(self) -> str:
        """The message's id."""
        return f"<WaitFor {self._receipt.id if self._receipt else 'queue full'}>"
