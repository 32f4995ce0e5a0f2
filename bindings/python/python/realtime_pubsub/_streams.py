"""Iterating over messages on an event loop, and answering them."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._errors import RealtimeError
from ._native import IncomingMessage, Stream

if TYPE_CHECKING:
    from ._client import RealtimeClient


class MessageStream:
    """The messages that match a pattern, from when it was made: an asynchronous iterator.

    It has a bounded queue of its own. It ends when it is closed.
    """

    def __init__(self, client: RealtimeClient, stream: Stream) -> None:
        self._client = client
        self._stream = stream
        self._taken: deque[IncomingMessage] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False

    def __aiter__(self) -> MessageStream:
        """This."""
        return self

    async def __anext__(self) -> IncomingMessage:
        """The next message."""
        while not self._taken:
            batch = None if self._closed else self._stream.take(256)
            if batch is None:
                raise StopAsyncIteration
            if batch:
                self._taken.extend(batch)
                break
            loop = self._client._bind()
            waiting = self._waiting
            if waiting is None or waiting.done():
                waiting = self._waiting = loop.create_future()
            self._client._streams.add(self)
            try:
                await waiting
            finally:
                self._client._streams.discard(self)
        return self._taken.popleft()

    def _look(self) -> None:
        """The client was woken; perhaps for this."""
        if self._waiting is not None and not self._waiting.done() and self._stream.ready:
            self._waiting.set_result(None)

    def close(self) -> None:
        """End the listening. Who waits for the next message sees the end."""
        self._closed = True
        self._stream.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def aclose(self) -> None:
        """End the listening."""
        self.close()

    async def __aenter__(self) -> MessageStream:
        """This."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the listening."""
        self.close()


class Serving:
    """A function that answers messages, see `RealtimeClient.serve`."""

    def __init__(
        self, client: RealtimeClient, messages: MessageStream, answer: Callable[[IncomingMessage], Any], limit: int
    ) -> None:
        self._client = client
        self._messages = messages
        self._answer = answer
        self._limit = asyncio.Semaphore(limit)
        self._working: set[asyncio.Task[None]] = set()
        self._task = client._bind().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        async for message in self._messages:
            await self._limit.acquire()
            task = loop.create_task(self._one(message))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _one(self, message: IncomingMessage) -> None:
        try:
            try:
                data = self._answer(message)
                if inspect.isawaitable(data):
                    data = await data
                await message.reply(data)
            except Exception as error:
                self._client.logger.debug("an answer failed", exc_info=error)
                await message.reply(str(error), "error")
        except RealtimeError as error:
            self._client.logger.warning("an answer was not sent: %s", error)
        finally:
            self._limit.release()

    async def stop(self) -> None:
        """End the serving. Answers that are being worked on are cancelled."""
        self._messages.close()
        tasks = [self._task, *self._working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Serving:
        """This."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the serving."""
        await self.stop()
