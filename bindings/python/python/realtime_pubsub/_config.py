"""What a client can be told, in upstream's dict or as keyword arguments."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from ._errors import InvalidArgumentError

UrlProvider: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]
"""A URL, or a function or coroutine function that gives one, asked at each attempt to connect."""


class WebSocketOptions(TypedDict, total=False):
    """The `websocket_options` of upstream's config."""

    url_provider: UrlProvider


class ClientOptions(TypedDict, total=False):
    """The options of a client. Times are in seconds. See the guide for what they mean and their defaults."""

    connect_timeout: float
    provider_timeout: float
    handshake_timeout: float
    welcome_timeout: float
    wait_timeout: float
    barrier_timeout: float
    disconnect_timeout: float
    backoff_min: float
    backoff_max: float
    stable_after: float
    max_retries: int | None
    stop_on_close_codes: Sequence[int]
    ping_after: float
    pong_timeout: float
    offline: Literal["fail", "queue"]
    offline_messages: int
    offline_bytes: int
    offline_ttl: float
    retry: bool
    retry_for: float
    dedupe: int | None
    overflow: Literal["block", "drop_oldest", "drop_newest"]
    inbox_messages: int
    inbox_bytes: int
    outbox_messages: int
    outbox_bytes: int
    max_message_size: int
    headers: Mapping[str, str]
    proxy: str | None
    ca_pem: str | bytes | None
    only_own_ca: bool
    client_cert_pem: str | bytes | None
    client_key_pem: str | bytes | None


class ClientConfig(ClientOptions, total=False):
    """The config dict: upstream's `logger` and `websocket_options`, and every option by its name."""

    logger: logging.Logger | None
    websocket_options: WebSocketOptions
    url: str
    url_provider: UrlProvider
    default: Callable[[Any], Any] | None


class Config:
    """What the constructor's arguments come to."""

    __slots__ = ("default", "logger", "options", "provider", "url")

    def __init__(
        self,
        config: ClientConfig | str | Callable[[], Any] | None,
        url: str | None,
        url_provider: UrlProvider | None,
        logger: logging.Logger | None,
        default: Callable[[Any], Any] | None,
        options: Mapping[str, Any],
    ) -> None:
        given: dict[str, Any] = {}
        if isinstance(config, str) or callable(config):
            given["url_provider"] = config
        elif isinstance(config, Mapping):
            # A copy: the caller's dict stays as it is.
            given.update(config)
        elif config is not None:
            raise InvalidArgumentError("a client is made with a URL, a function that gives one, or a config dict")
        websocket_options = dict(given.pop("websocket_options", None) or {})
        given.setdefault("url_provider", websocket_options.pop("url_provider", None))
        if websocket_options:
            raise InvalidArgumentError(f"there is no websocket option {next(iter(websocket_options))!r}")
        source = url_provider or url or given.pop("url", None) or given["url_provider"]
        given.pop("url_provider")
        given.pop("url", None)
        if source is None:
            raise InvalidArgumentError("a client needs a url, or a url_provider: a function that gives one")
        if not isinstance(source, str) and not callable(source):
            raise InvalidArgumentError("the url_provider must be a str, a function or a coroutine function")
        self.url: str | None = source if isinstance(source, str) else None
        self.provider: Callable[[], Any] | None = None if isinstance(source, str) else source
        self.logger: logging.Logger = logger or given.pop("logger", None) or logging.getLogger("realtime_pubsub")
        given.pop("logger", None)
        in_dict = given.pop("default", None)
        self.default: Callable[[Any], Any] | None = default or in_dict
        self.options: dict[str, Any] = {**given, **options}
