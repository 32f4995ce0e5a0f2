"""The client for threads."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ._base import BATCH, BaseClient
from ._errors import QueueFullError, RealtimeError, WaitTimeoutError
from ._events import ConnectionInfo
from ._listeners import Listener, arguments
from ._native import Core, IncomingMessage, Op, Receipt, ResponseMessage, Stream

LISTENERS, PROVIDER = "realtime-listeners", "realtime-url"
"""The threads of a client."""


class BlockingWaitFor:
    """A message on its way, as `WaitFor`, for threads."""

    __slots__ = ("_client", "_receipt")

    def __init__(self, client: BlockingClient, receipt: Receipt) -> None:
        self._client = client
        self._receipt = receipt

    @property
    def id(self) -> str:
        """The message's id."""
        return self._receipt.id

    @property
    def acknowledged(self) -> bool:
        """Whether the gateway has taken the message. Raises the reason where it never will."""
        return self._receipt.acknowledged

    def wait_for_ack(self, timeout: float | None = None) -> str:
        """Wait for the gateway's ack. Gives the message's id."""
        if not self._receipt.acknowledged:
            self._receipt.ack(timeout).block()
        return self._receipt.id

    def wait_for_reply(self, timeout: float | None = None) -> ResponseMessage:
        """Wait for a reply. Where several peers reply, each call gives the next."""
        reply: ResponseMessage = self._receipt.reply(timeout).block()
        return reply

    def replies(self, timeout: float | None = None) -> Generator[ResponseMessage, None, None]:
        """All replies, one by one, for so many seconds (5 unless told otherwise)."""
        until = time.monotonic() + (self._client._wait_timeout if timeout is None else timeout)
        while True:
            try:
                reply = self.wait_for_reply(max(0.0, until - time.monotonic()))
            except WaitTimeoutError:
                return
            yield reply

    def __repr__(self) -> str:
        """The message's id."""
        return f"<BlockingWaitFor {self._receipt.id}>"


class BlockingMessageStream:
    """The messages that match a pattern, from when it was made: an iterator that waits.

    Several threads may share it: each message goes to one of them.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._taken: deque[IncomingMessage] = deque()
        self._filling = threading.Lock()

    def __iter__(self) -> Iterator[IncomingMessage]:
        """This."""
        return self

    def __next__(self) -> IncomingMessage:
        """The next message."""
        while True:
            try:
                return self._taken.popleft()
            except IndexError:
                # Threads may share the stream: one waits for messages, and the others for its.
                with self._filling:
                    if not self._taken:
                        taken = self._stream.block(256)
                        if taken is None:
                            raise StopIteration from None
                        self._taken.extend(taken)

    def close(self) -> None:
        """End the listening. A thread that waits for the next message sees the end."""
        self._stream.close()

    def __enter__(self) -> BlockingMessageStream:
        """This."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the listening."""
        self.close()


class BlockingServing:
    """A function that answers messages, see `BlockingClient.serve`."""

    def __init__(self, client: BlockingClient, listener: int) -> None:
        self._client = client
        self._listener = listener

    def stop(self) -> None:
        """End the serving."""
        self._client.off(self._listener)

    def __enter__(self) -> BlockingServing:
        """This."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the serving."""
        self.stop()


class BlockingClient(BaseClient):
    """A client of Realtime Pub/Sub for threads: the surface of `RealtimeClient`, waiting on the thread that calls.

        with BlockingClient("wss://gateway.example/apps/my-app?access_token=TOKEN") as client:
            client.subscribe_remote_topic("chat")
            for message in client.messages("chat.*"):
                print(message.payload)

    It may be used from several threads at once, and from listeners, which run one at a time on a thread of the
    client's own. That thread ends when the client is disconnected, or gone, and never keeps the process alive.
    """

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        # All guarded by the lock. Several threads may connect and disconnect the client at once.
        self._threads: dict[str, threading.Thread] = {}
        self._connecting = 0
        self._started = False
        weakref.finalize(self, self._core.wake).atexit = False

    # ---- the threads

    def _listening(self) -> None:
        with self._lock:
            if self._threads:
                self._ensure_threads()

    def _ensure_threads(self) -> None:
        """To be called with the lock."""
        works = [(LISTENERS, _run)]
        if self._provider is not None:
            works.append((PROVIDER, _provide))
        for name, work in works:
            thread = self._threads.get(name)
            if thread is None or not thread.is_alive():
                thread = threading.Thread(target=work, args=(weakref.ref(self), self._core), name=name, daemon=True)
                self._threads[name] = thread
                thread.start()

    def _may_end(self, name: str) -> bool:
        """Whether the thread of this name is to end. From then on it counts as gone, and who connects makes another."""
        with self._lock:
            if self._core.state not in ("idle", "closed"):
                # It is seen from the state from now on.
                self._started = False
                return False
            if self._connecting or self._started:
                return False
            self._threads.pop(name, None)
            return True

    def _pump(self) -> bool:
        """Tells the listeners what there is. Says whether there may be more."""
        groups, left = self._core.take(self._listeners, self._waits, BATCH, False)
        for awaitable in self._deliver(groups):
            getattr(awaitable, "close", bool)()
            if self._current is not None:
                error = TypeError("a coroutine function can't listen to a BlockingClient: use RealtimeClient")
                self._listener_failed(self._current, error)
        self._log()
        if left:
            self._core.wake()
        return bool(left)

    def _report(self, error: RealtimeError, listeners: list[Listener]) -> None:
        for awaitable in self._deliver([(tuple(listeners), [error])]):
            getattr(awaitable, "close", bool)()

    # ---- connecting

    def connect(self, timeout: float | None = None) -> ConnectionInfo:
        """Connect, and return once the session has started. Keeps the client connected from then on.

        Raises the last cause after `timeout` seconds (30): `HandshakeError`, `UrlProviderError` or
        `WaitTimeoutError`. In a running session it returns at once. Safe to call again, and after `disconnect`.
        """
        self._set_log_level()
        with self._lock:
            self._connecting += 1
            self._ensure_threads()
        try:
            info: ConnectionInfo = self._core.connect(timeout).block()
        finally:
            with self._lock:
                self._connecting -= 1
            self._core.wake()
        return info

    def start(self) -> None:
        """Begin to connect, without waiting, and go on for as long as it takes."""
        self._set_log_level()
        with self._lock:
            self._started = True
            self._ensure_threads()
            self._core.start()

    def disconnect(self, timeout: float | None = None) -> None:
        """Write what is queued, close the connection, and end all waits with `ClosedError`.

        Safe at any time, also from a listener. The client can connect again.
        """
        with self._lock:
            self._started = False
        self._core.disconnect(timeout).block()
        self._core.wake()
        with self._lock:
            thread = None if self._connecting or self._started else self._threads.get(LISTENERS)
        if thread is not None and thread is not threading.current_thread():
            # Not for ever: a listener may be waiting for the caller.
            thread.join(timeout=1)

    def __enter__(self) -> BlockingClient:
        """Connect."""
        try:
            self.connect()
        except BaseException:
            # Nobody will call __exit__.
            self.disconnect(0.1)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self.disconnect()

    # ---- sending

    def publish(
        self,
        topic: str,
        payload: Any,
        message_type: str | None = None,
        compress: bool = False,
        message_id: str | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
    ) -> BlockingWaitFor:
        """Publish any JSON value to a topic. Gives a `BlockingWaitFor` for the ack and replies.

        Where the queue is full it waits for room. `default` is a function that gives something JSON can say in place
        of what it can't, as in `json.dumps`. Dataclasses are written as objects, integers of any size exactly.
        """
        return self._publish(topic, payload, message_type, compress, message_id, default)

    def send(
        self,
        payload: Any,
        message_type: str | None = None,
        compress: bool = False,
        message_id: str | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
    ) -> BlockingWaitFor:
        """Send any JSON value to the application: to whoever may subscribe to `secure/inbound`."""
        return self._publish(None, payload, message_type, compress, message_id, default)

    def publish_nowait(
        self,
        topic: str,
        payload: Any,
        message_type: str | None = None,
        compress: bool = False,
        message_id: str | None = None,
        *,
        default: Callable[[Any], Any] | None = None,
    ) -> BlockingWaitFor:
        """Like `publish`, but raises `QueueFullError` where there is no room."""
        receipt = self._core.publish(topic, payload, message_type, compress, message_id, default or self._default)
        return BlockingWaitFor(self, receipt)

    def _publish(
        self,
        topic: str | None,
        payload: Any,
        message_type: str | None,
        compress: bool,
        message_id: str | None,
        default: Callable[[Any], Any] | None,
    ) -> BlockingWaitFor:
        default = default or self._default
        try:
            receipt = self._core.publish(topic, payload, message_type, compress, message_id, default)
        except QueueFullError:
            room: Op = self._core.publish_when_room(topic, payload, message_type, compress, message_id, default)
            receipt = room.block()
        return BlockingWaitFor(self, receipt)

    def _reply(self, message: IncomingMessage, data: Any, status: str, compress: bool) -> BlockingWaitFor:
        try:
            receipt = self._core.reply(message, data, status, compress, self._default)
        except QueueFullError:
            receipt = self._core.reply_when_room(message, data, status, compress, self._default).block()
        return BlockingWaitFor(self, receipt)

    def flush(self) -> None:
        """Return when all that was published before has reached the gateway."""
        self._core.flush().block()

    def request(
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
        waiter = self._publish(topic, payload, message_type, compress, message_id, default)
        return waiter.wait_for_reply(timeout)

    def serve(
        self, topic: str, message_type: str, answer: Callable[[IncomingMessage], Any], *, concurrency: int = 1
    ) -> BlockingServing:
        """Answer messages of a topic and type with what `answer` returns, on the listeners' thread, one by one.

        It becomes a reply with status `ok`; what it raises becomes one with the error's text and status `error`.
        Subscribes to the topic. Ends with `BlockingServing.stop`, or at the end of `with`. `concurrency` is there for
        likeness with `RealtimeClient`; one thread does one thing at a time.
        """

        def listener(message: IncomingMessage) -> None:
            try:
                message.reply(answer(message))
            except Exception as error:
                self._logger.debug("an answer failed", exc_info=error)
                message.reply(str(error), "error")

        serving = BlockingServing(self, self.on(f"{topic}.{message_type}", listener))
        try:
            if topic != "main" and not topic.startswith("priv/"):
                self.subscribe_remote_topic(topic)
        except BaseException:
            serving.stop()
            raise
        return serving

    # ---- remote topics

    def subscribe_remote_topic(self, topic: str) -> BlockingClient:
        """Subscribe to a topic, now and after each reconnect. Returns when the gateway has processed that.

        Raises `ForbiddenError` for a topic that the token may not read. Subscribing again is harmless.
        """
        self._core.subscribe(topic).block()
        return self

    def unsubscribe_remote_topic(self, topic: str) -> BlockingClient:
        """End a subscription. Harmless for topics that are not subscribed."""
        self._core.unsubscribe(topic).block()
        return self

    # ---- receiving

    def messages(self, pattern: str) -> BlockingMessageStream:
        """All messages that match, in a queue of their own: `for message in client.messages("chat.*")`.

        The listening begins at once, and ends with the stream's `close`, at the end of `with`, or when nobody holds
        the stream any more.
        """
        return BlockingMessageStream(self._core.messages(pattern))

    def wait_for(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
        """Wait for an event: a message that matches, or a control event.

        Gives what a listener would be called with: `message, reply_fn = client.wait_for("chat.*")`,
        `info, = client.wait_for("session.started")`. The latter is there at once in a running session.
        """
        return arguments(self._core.event(event, timeout).block())

    def replies(
        self,
        topic: str | None,
        payload: Any,
        message_type: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Generator[ResponseMessage, None, None]:
        """Publish or send, and give all replies, one by one, for so many seconds (5 unless told otherwise)."""
        yield from self._publish(topic, payload, message_type, False, None, None).replies(timeout)


def _run(reference: weakref.ref[BlockingClient], core: Core) -> None:
    """The listeners' thread. Holds the client only while there is something to tell."""
    while core.wait(None):
        client = reference()
        if client is None or (not client._pump() and client._may_end(LISTENERS)):
            return
        del client


def _provide(reference: weakref.ref[BlockingClient], core: Core) -> None:
    """The thread that asks the URL provider: a listener that blocks must not keep the client from reconnecting."""
    while True:
        core.wait_for_url_request()
        client = reference()
        if client is None or client._may_end(PROVIDER) or client._provider is None:
            return
        request = core.next_url_request()
        if request is not None:
            try:
                url = client._provider()
                if not isinstance(url, str) or not url:
                    getattr(url, "close", bool)()
                    raise TypeError(f"it gave {type(url).__name__}, not a URL")
            except Exception as error:
                request.reject(f"{type(error).__name__}: {error}")
            else:
                request.resolve(url)
        del client
