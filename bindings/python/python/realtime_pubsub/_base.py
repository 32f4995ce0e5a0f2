"""What the client for asyncio and the one for threads have in common."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from . import _native
from ._config import ClientConfig, Config, UrlProvider
from ._errors import InternalError, RealtimeError
from ._events import ConnectionInfo, State, Stats
from ._listeners import Callback, Listener, call
from ._native import IncomingMessage

F = TypeVar("F", bound=Callback)
Groups = list[tuple[tuple[Listener, ...], list[Any]]]
Delivery = Generator[Any, None, None]

BATCH = 512
"""How much is taken at once: more gains nothing, and the loop must keep breathing."""

_LEVELS = {5: "TRACE"}


class BaseClient:
    """The constructor, listeners, and what never waits."""

    _manual_kick = False

    def __init__(
        self,
        config: ClientConfig | str | Callable[[], Any] | None = None,
        *,
        url: str | None = None,
        url_provider: UrlProvider | None = None,
        logger: logging.Logger | None = None,
        default: Callable[[Any], Any] | None = None,
        connect_timeout: float | None = None,
        provider_timeout: float | None = None,
        handshake_timeout: float | None = None,
        welcome_timeout: float | None = None,
        wait_timeout: float | None = None,
        barrier_timeout: float | None = None,
        disconnect_timeout: float | None = None,
        backoff_min: float | None = None,
        backoff_max: float | None = None,
        stable_after: float | None = None,
        max_retries: int | None = None,
        stop_on_close_codes: Sequence[int] | None = None,
        ping_after: float | None = None,
        pong_timeout: float | None = None,
        offline: Literal["fail", "queue"] | None = None,
        offline_messages: int | None = None,
        offline_bytes: int | None = None,
        offline_ttl: float | None = None,
        retry: bool | None = None,
        retry_for: float | None = None,
        dedupe: int | None = None,
        overflow: Literal["block", "drop_oldest", "drop_newest"] | None = None,
        inbox_messages: int | None = None,
        inbox_bytes: int | None = None,
        outbox_messages: int | None = None,
        outbox_bytes: int | None = None,
        max_message_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ca_pem: str | bytes | None = None,
        only_own_ca: bool | None = None,
        client_cert_pem: str | bytes | None = None,
        client_key_pem: str | bytes | None = None,
    ) -> None:
        """Make a client. It connects when it is told to.

        The first argument is a URL, a function or coroutine function that gives one, or upstream's config dict; or
        give `url` or `url_provider` by name. All other options are by name, or keys of the dict. Times are in seconds.
        """
        names = ClientConfig.__annotations__.keys() - {"logger", "websocket_options", "url", "url_provider", "default"}
        scope = locals()
        options = {name: scope[name] for name in sorted(names) if scope[name] is not None}
        if headers is not None:
            options["headers"] = dict(headers)
        settings = Config(config, url, url_provider, logger, default, options)
        self._logger = settings.logger
        self._default = settings.default
        self._provider = settings.provider
        self._core = _native.Core(settings.url, settings.options, self._manual_kick)
        self._core.set_owner(weakref.ref(self))
        self._listeners: dict[int, Listener] = {}
        self._waits: dict[int, Any] = {}
        self._wait_timeout = float(settings.options.get("wait_timeout") or 5.0)
        self._current: Listener | None = None
        self._provider_timeout = float(settings.options.get("provider_timeout") or 10.0)
        self._set_log_level()
        self._prepare()

    def _prepare(self) -> None:
        raise NotImplementedError

    # ---- looking

    @property
    def state(self) -> State:
        """Where the client stands."""
        return State(self._core.state)

    @property
    def connection(self) -> ConnectionInfo | None:
        """The present session's connection; `None` without one."""
        return self._core.connection

    @property
    def subscriptions(self) -> list[str]:
        """The topics that are subscribed at the gateway in each session, in the order they were asked for."""
        return self._core.subscriptions

    @property
    def logger(self) -> logging.Logger:
        """Where the client logs to."""
        return self._logger

    def stats(self) -> Stats:
        """Counters of what the client has done, and what it holds."""
        return Stats(**self._core.stats())

    def __repr__(self) -> str:
        """The client's state and connection."""
        connection = self._core.connection
        return f"<{type(self).__name__} {self._core.state}{f' {connection.id}' if connection else ''}>"

    # ---- listening

    @overload
    def on(self, event: str, listener: Callback) -> int: ...
    @overload
    def on(self, event: str, listener: None = None) -> Callable[[F], F]: ...
    def on(self, event: str, listener: Callback | None = None) -> int | Callable[[F], F]:
        """Call `listener` for every message whose name, `<topic>.<message_type>`, matches.

        In the name `*` is one segment between dots, `**` any number. The names `session.started`, `error`, `close`,
        `state` and `lagged` are control events. A listener takes `(message, reply_fn)` or `(message)`, or the object
        of a control event; it is a function or a coroutine function. Listeners run one at a time, in the order of
        arrival, then of registration. What one raises is reported as an `error` event.

        Gives an id for `off`. Without a listener it is a decorator: `@client.on("chat.*")`.
        """
        return self._register(event, listener, False)

    @overload
    def once(self, event: str, listener: Callback) -> int: ...
    @overload
    def once(self, event: str, listener: None = None) -> Callable[[F], F]: ...
    def once(self, event: str, listener: Callback | None = None) -> int | Callable[[F], F]:
        """Like `on`, for the first match only."""
        return self._register(event, listener, True)

    def _register(self, event: str, callback: Callback | None, once: bool) -> int | Callable[[F], F]:
        if callback is not None:
            return self._listen(event, callback, once)

        def register(callback: F) -> F:
            self._listen(event, callback, once)
            return callback

        return register

    def _listen(self, event: str, callback: Callback, once: bool) -> int:
        listener = Listener(event, callback, once)
        self._core.listen(event, once, listener, self._listeners)
        self._listening()
        return listener.id

    def _listening(self) -> None:
        """A listener was registered."""

    def off(self, listener: int | str, callback: Callback | None = None) -> bool:
        """Take a listener off: by the id that `on` gave, or as upstream by its event's name and the function.

        With a name alone all listeners of that name go. Says whether there was one. A call that is running goes on.
        """
        if isinstance(listener, int):
            numbers = [listener]
        else:
            numbers = [
                number
                for number, known in list(self._listeners.items())
                if known.pattern == listener and (callback is None or known.callback == callback)
            ]
        found = False
        for number in numbers:
            # Of several threads that take it off, one does.
            known = self._listeners.pop(number, None)
            if known is not None:
                known.active = False
                self._core.off(number)
                found = True
        return found

    def _deliver(self, groups: Groups) -> Delivery:
        """Calls the listeners. Yields what they return, where that is to be awaited, before it goes on."""
        for listeners, events in groups:
            for event in events:
                for listener in listeners:
                    if not listener.active:
                        continue
                    if listener.once:
                        listener.active = False
                        self._listeners.pop(listener.id, None)
                    try:
                        # The usual listener of messages, without a call more.
                        if listener.arguments == 2 and type(event) is IncomingMessage:
                            result = listener.callback(event, event.reply)
                        else:
                            result = call(listener, event)
                    except Exception as error:
                        self._listener_failed(listener, error)
                    else:
                        if result is not None and hasattr(result, "__await__"):
                            self._current = listener
                            yield result

    def _listener_failed(self, listener: Listener, cause: BaseException) -> None:
        """Reports what a listener raised as an `error` event, to listeners that did not raise it themselves."""
        error = InternalError(f"the listener for {listener.pattern!r} raised {type(cause).__name__}: {cause}")
        error.__cause__ = cause
        told = [other for other in list(self._listeners.values()) if other.pattern == "error"]
        if not told or listener.pattern == "error":
            self._logger.error("%s", error, exc_info=cause)
            return
        self._report(error, told)

    def _report(self, error: RealtimeError, listeners: list[Listener]) -> None:
        raise NotImplementedError

    # ---- logging

    def _set_log_level(self) -> None:
        self._core.set_log_level(max(1, self._logger.getEffectiveLevel()))

    def _log(self) -> None:
        """Hands the core's log records to the logger."""
        for level, origin, text, created in self._core.take_logs():
            if not self._logger.isEnabledFor(level):
                continue
            record = self._logger.makeRecord(self._logger.name, level, origin, 0, text, (), None)
            record.created = created
            record.msecs = (created - int(created)) * 1000
            record.levelname = _LEVELS.get(level, record.levelname)
            self._logger.handle(record)
