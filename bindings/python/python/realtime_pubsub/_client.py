"""The client for asyncio."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from ._base import BATCH, BaseClient, Delivery
from ._errors import QueueFullError, RealtimeError
from ._events import ConnectionInfo
from ._listeners import Listener, arguments
from ._native import IncomingMessage, Op, Receipt, ResponseMessage
from ._streams import MessageStream, Serving
from ._waits import WaitFor

_running_loop = asyncio._get_running_loop

BURST = 256
"""How many publishes a task may make before it lets the loop run, so that acks and messages come through."""


class RealtimeClient(BaseClient):
    """A client of Realtime Pub/Sub for asyncio.

    Use it as a context manager, which connects and disconnects:

        async with RealtimeClient("wss://gateway.example/apps/my-app?access_token=TOKEN") as client:
            await client.subscribe_remote_topic("chat")
            async for message in client.messages("chat.*"):
                print(message.payload)

    It may be made before a loop runs, and belongs to the loop it is first used on until it is disconnected. Its
    methods are to be called on that loop's thread; threads use `BlockingClient`.
    """

    _manual_kick = True

    def _prepare(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor: int | None = None
        self._tokens = itertools.count(1)
        self._kick_due = False
        self._burst = 0
        self._lone = True
        self._runner: asyncio.Task[None] | None = None
        self._unfinished: Delivery | None = None
        self._providing: set[asyncio.Future[Any]] = set()
        self._streams: set[MessageStream] = set()

    # ---- the loop

    def _bind(self) -> asyncio.AbstractEventLoop:
        """The loop that this is called on, which the client belongs to from now on."""
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return loop
        if self._loop is not None and not self._loop.is_closed():
            if self._loop.is_running():
                raise RuntimeError(
                    "this client belongs to another event loop, which is running: make one for each loop"
                )
            self._unbind()
        self._loop = loop
        # What the last loop left behind can't be finished here.
        self._waits.clear()
        self._runner = None
        self._kick_due = False
        self._core.kick()
        try:
            self._descriptor = self._core.fileno()
            loop.add_reader(self._descriptor, self._on_ready)
        except NotImplementedError:
            self._descriptor = None
            threading.Thread(target=self._watch, args=(loop,), name="realtime-wake", daemon=True).start()
        loop.call_soon(self._on_ready)
        return loop

    def _unbind(self) -> None:
        loop, self._loop = self._loop, None
        if self._descriptor is None:
            self._core.wake()
        elif loop is not None and not loop.is_closed():
            loop.remove_reader(self._descriptor)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """For loops that can't watch a descriptor: waits on a thread, and calls the loop."""
        core = self._core
        while self._loop is loop and not loop.is_closed():
            if core.wait(None) and self._loop is loop:
                done = threading.Event()

                def look(done: threading.Event = done) -> None:
                    self._on_ready()
                    done.set()

                try:
                    loop.call_soon_threadsafe(look)
                except RuntimeError:
                    return
                while not done.wait(1.0):
                    if loop.is_closed():
                        return

    def _on_ready(self) -> None:
        """There is something to take."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if self._runner is not None:
            # A listener is being awaited. It may itself wait for an ack.
            _, left = self._core.take(self._listeners, self._waits, BATCH, True)
        else:
            delivery, self._unfinished = self._unfinished, None
            left = 1
            if delivery is None:
                groups, left = self._core.take(self._listeners, self._waits, BATCH, False)
                delivery = self._deliver(groups)
            self._dispatch(loop, delivery)
        self._housekeeping(loop)
        if left:
            loop.call_soon(self._on_ready)

    def _housekeeping(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._provider is not None:
            while (request := self._core.next_url_request()) is not None:
                task = loop.create_task(self._provide(request))
                self._providing.add(task)
                task.add_done_callback(self._providing.discard)
        for stream in tuple(self._streams):
            stream._look()
        self._log()

    def _dispatch(self, loop: asyncio.AbstractEventLoop, delivery: Delivery) -> None:
        for awaitable in delivery:
            self._runner = loop.create_task(self._run_listeners(delivery, awaitable))
            return

    async def _run_listeners(self, delivery: Delivery | None, awaitable: Any) -> None:
        """Awaits listeners one at a time, for as long as there is something to await."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                listener = self._current
                try:
                    await awaitable
                except asyncio.CancelledError as error:
                    task = asyncio.current_task()
                    if task is None or getattr(task, "cancelling", lambda: 1)():
                        raise
                    if listener is not None:
                        self._listener_failed(listener, error)
                except Exception as error:
                    if listener is not None:
                        self._listener_failed(listener, error)
                awaitable = next(delivery, None) if delivery is not None else None
                while awaitable is None:
                    await asyncio.sleep(0)
                    groups, left = self._core.take(self._listeners, self._waits, BATCH, False)
                    self._housekeeping(loop)
                    if left:
                        # Settled waits behind what is left are told of only once they are asked for.
                        loop.call_soon(self._on_ready)
                    elif not groups:
                        delivery = None
                        return
                    delivery = self._deliver(groups)
                    awaitable = next(delivery, None)
        finally:
            self._runner = None
            # Where the task was cancelled, a task to come tells the other listeners.
            self._unfinished = delivery
            # A wake that came meanwhile was for settled waits alone.
            self._core.wake()

    def _report(self, error: RealtimeError, listeners: list[Listener]) -> None:
        loop = self._loop
        for awaitable in self._deliver([(tuple(listeners), [error])]):
            if loop is not None:
                task = loop.create_task(_await_quietly(awaitable))
                self._providing.add(task)
                task.add_done_callback(self._providing.discard)

    async def _provide(self, request: Any) -> None:
        try:
            url = self._provider() if self._provider is not None else ""
            if hasattr(url, "__await__"):
                # The core has given up on it by then.
                url = await asyncio.wait_for(url, self._provider_timeout)
            if not isinstance(url, str) or not url:
                raise TypeError(f"it gave {type(url).__name__}, not a URL")
        except Exception as error:
            request.reject(f"{type(error).__name__}: {error}")
        else:
            request.resolve(url)

    def _new_wait(self) -> tuple[asyncio.Future[Any], int]:
        loop = self._loop
        if loop is None or _running_loop() is not loop:
            loop = self._bind()
        future = loop.create_future()
        token = next(self._tokens)
        self._waits[token] = future
        return future, token

    async def _run(self, op: Op) -> Any:
        """Runs a call of the core that takes its time."""
        future, token = self._new_wait()
        try:
            op.start(token)
            return await future
        except asyncio.CancelledError:
            op.cancel()
            raise
        finally:
            self._waits.pop(token, None)
            del future

    # ---- connecting

    async def connect(self, timeout: float | None = None) -> ConnectionInfo:
        """Connect, and return once the session has started. Keeps the client connected from then on.

        Raises the last cause after `timeout` seconds (30): `HandshakeError`, `UrlProviderError` or
        `WaitTimeoutError`. In a running session it returns at once. Safe to call again, and after `disconnect`.
        """
        self._bind()
        self._set_log_level()
        info: ConnectionInfo = await self._run(self._core.connect(timeout))
        return info

    async def start(self) -> None:
        """Begin to connect, without waiting, and go on for as long as it takes."""
        self._bind()
        self._set_log_level()
        self._core.start()

    async def disconnect(self, timeout: float | None = None) -> None:
        """Write what is queued, close the connection, and end all waits with `ClosedError`.

        Safe at any time, also from a listener. The client can connect again, on another loop too.
        """
        await self._run(self._core.disconnect(timeout))
        for task in tuple(self._providing):
            task.cancel()
        while self._runner is None and self._core.stats()["inbox_len"]:
            self._on_ready()
            await asyncio.sleep(0)
        self._log()
        if self._runner is None and self._core.state == "closed" and not self._streams:
            self._unbind()

    async def __aenter__(self) -> RealtimeClient:
        """Connect."""
        try:
            await self.connect()
        except BaseException:
            # Nobody will call __aexit__.
            await self.disconnect(0.1)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self.disconnect()

    # ---- sending

    async def publish(
        self,
        topic: str,
        payload: Any,
        message_type: str | None = None,
        compress: bool = False,
        message_id: str | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
    ) -> WaitFor:
        """Publish any JSON value to a topic. Gives a `WaitFor` for the ack and replies.

        Where the queue is full it waits for room. `default` is a function that gives something JSON can say in place
        of what it can't, as in `json.dumps`. Dataclasses are written as objects, integers of any size exactly.
        """
        return await self._publish(topic, payload, message_type, compress, message_id, default)

    async def send(
        self,
        payload: Any,
        message_type: str | None = None,
        compress: bool = False,
        message_id: str | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
    ) -> WaitFor:
        """Send any JSON value to the application: to whoever may subscribe to `secure/inbound`."""
        return await self._publish(None, payload, message_type, compress, message_id, default)

    def publish_nowait(
        self,
        topic: str,
        payload: Any,
        message_type: str | None = None,
        compress: bool = False,
        message_id: str | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
    ) -> WaitFor:
        """Like `publish`, without awaiting: raises `QueueFullError` where there is no room."""
        receipt = self._core.publish(topic, payload, message_type, compress, message_id, default or self._default)
        self._kick_soon()
        return WaitFor(self, receipt)

    async def _publish(
        self,
        topic: str | None,
        payload: Any,
        message_type: str | None,
        compress: bool,
        message_id: str | None,
        default: Callable[[Any], Any] | None,
    ) -> WaitFor:
        default = default or self._default
        try:
            receipt = self._core.publish(topic, payload, message_type, compress, message_id, default)
        except QueueFullError:
            room = self._core.publish_when_room(topic, payload, message_type, compress, message_id, default)
            receipt = await self._run(room)
        self._kick_soon()
        if self._burst >= BURST:
            self._burst = 0
            await asyncio.sleep(0)
        return WaitFor(self, receipt)

    def _kick_soon(self) -> None:
        """Has everything that is published in this iteration of the loop written at once."""
        self._burst += 1
        loop = self._loop
        if loop is None or _running_loop() is not loop:
            loop = self._bind()
        if not self._kick_due:
            self._kick_due = True
            loop.call_soon(self._kick)
            if self._lone:
                # Most likely there will be no other to share a write with.
                self._core.kick()

    def _kick(self) -> None:
        self._kick_due = False
        self._lone = self._burst <= 1
        self._burst = 0
        self._core.kick()

    def _reply(self, message: IncomingMessage, data: Any, status: str, compress: bool) -> WaitFor:
        receipt: Receipt | None = None
        room = None
        try:
            receipt = self._core.reply(message, data, status, compress, self._default)
        except QueueFullError:
            room = self._core.reply_when_room(message, data, status, compress, self._default)
        self._kick_soon()
        return WaitFor(self, receipt, room)

    async def flush(self) -> None:
        """Return when all that was published before has reached the gateway."""
        self._core.kick()
        await self._run(self._core.flush())

    async def request(
        self,
        topic: str | None,
        payload: Any,
        message_type: str | None = None,
        *,
        timeout: float | None = None,
        compress: bool = False,
        message_id: str | None = None,
        default: Callable[[Any], Any] | None = None,
    ) -> ResponseMessage:
        """Publish to a topic, or send where `topic` is `None`, and wait for the first reply."""
        waiter = await self._publish(topic, payload, message_type, compress, message_id, default)
        return await waiter.wait_for_reply(timeout)

    async def serve(
        self,
        topic: str,
        message_type: str,
        answer: Callable[[IncomingMessage], Any | Awaitable[Any]],
        *,
        concurrency: int = 64,
    ) -> Serving:
        """Answer messages of a topic and type with what `answer` returns, or awaits to.

        It becomes a reply with status `ok`; what it raises becomes one with the error's text and status `error`. Up
        to `concurrency` answers are worked on at once. Subscribes to the topic. Ends with `Serving.stop`, or at the
        end of `async with`.
        """
        serving = Serving(self, self.messages(f"{topic}.{message_type}"), answer, concurrency)
        try:
            if topic != "main" and not topic.startswith("priv/"):
                await self.subscribe_remote_topic(topic)
        except BaseException:
            await serving.stop()
            raise
        return serving

    # ---- remote topics

    async def subscribe_remote_topic(self, topic: str) -> RealtimeClient:
        """Subscribe to a topic, now and after each reconnect. Returns when the gateway has processed that.

        Raises `ForbiddenError` for a topic that the token may not read. Subscribing again is harmless.
        """
        await self._run(self._core.subscribe(topic))
        return self

    async def unsubscribe_remote_topic(self, topic: str) -> RealtimeClient:
        """End a subscription. Harmless for topics that are not subscribed."""
        await self._run(self._core.unsubscribe(topic))
        return self

    # ---- receiving

    def messages(self, pattern: str) -> MessageStream:
        """All messages that match, in a queue of their own: `async for message in client.messages("chat.*")`.

        The listening begins at once, and ends with the stream's `close`, at the end of `async with`, or when nobody
        holds the stream any more.
        """
        return MessageStream(self, self._core.messages(pattern))

    async def wait_for(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
        """Wait for an event: a message that matches, or a control event.

        Gives what a listener would be called with: `message, reply_fn = await client.wait_for("chat.*")`,
        `info, = await client.wait_for("session.started")`. The latter is there at once in a running session.
        """
        future, token = self._new_wait()
        ticket = self._core.notify_event(event, token, timeout)
        try:
            return arguments(await future)
        finally:
            self._waits.pop(token, None)
            del ticket, future

    async def replies(
        self,
        topic: str | None,
        payload: Any,
        message_type: str | None = None,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[ResponseMessage, None]:
        """Publish or send, and give all replies, one by one, for so many seconds (5 unless told otherwise)."""
        waiter = await self._publish(topic, payload, message_type, False, None, None)
        async for reply in waiter.replies(timeout):
            yield reply


async def _await_quietly(awaitable: Any) -> None:
    await awaitable


async def wait(ms: float) -> None:
    """Sleep for so many milliseconds, as upstream's function of this name."""
    await asyncio.sleep(ms / 1000)
