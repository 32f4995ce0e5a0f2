"""The client of Realtime Pub/Sub, for asyncio and for threads.

    import asyncio
    from realtime_pubsub import RealtimeClient

    async def main():
        async with RealtimeClient("wss://gateway.example/apps/my-app?access_token=TOKEN") as client:
            await client.subscribe_remote_topic("chat")
            waiter = await client.publish("chat", "Hello, World!", message_type="text-message")
            await waiter.wait_for_ack()
            async for message in client.messages("chat.*"):
                print(message.sender.subject, message.payload)

    asyncio.run(main())

`RealtimeClient` is for asyncio, `BlockingClient` has the same surface for threads, and `LocalGateway` is a gateway in
the same process, for tests. Every exception is a `RealtimeError` with the number that all languages share.
"""

from __future__ import annotations

import atexit as _atexit
import importlib as _importlib
import os as _os
from collections.abc import Mapping as _Mapping
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

try:
    from . import _native
except ImportError as _error:  # pragma: no cover
    raise ImportError(
        f"the native part of realtime_pubsub can't be loaded ({_error}): install a wheel for this system, or build "
        "from the sdist with a Rust toolchain; subinterpreters are not supported"
    ) from _error

if not _native.is_main_interpreter():
    raise ImportError("realtime_pubsub does not work in subinterpreters: use the main interpreter, or processes")

from ._blocking import BlockingClient, BlockingMessageStream, BlockingServing, BlockingWaitFor
from ._config import ClientConfig, ClientOptions, UrlProvider, WebSocketOptions
from ._errors import (
    ClosedError,
    ConnectionLostError,
    ForbiddenError,
    HandshakeError,
    InternalError,
    InvalidArgumentError,
    InvalidHandleError,
    MessageTooLargeError,
    NotConnectedError,
    NotReplyableError,
    ProtocolViolationError,
    QueueFullError,
    RealtimeError,
    UrlProviderError,
    WaitCancelledError,
    WaitTimeoutError,
    WouldDeadlockError,
)
from ._events import CloseEvent, ConnectionInfo, Lagged, PresenceMessage, Sender, State, StateChange, Stats
from ._gateway import GatewayConnection, LocalGateway
from ._native import Faults, IncomingMessage, MessageData, ResponseMessage

if _TYPE_CHECKING:
    from ._client import RealtimeClient, wait
    from ._streams import MessageStream, Serving
    from ._waits import WaitFor

__version__: str = _native.__version__

__all__ = [
    "BlockingClient",
    "BlockingMessageStream",
    "BlockingServing",
    "BlockingWaitFor",
    "ClientConfig",
    "ClientOptions",
    "CloseEvent",
    "ClosedError",
    "ConnectionInfo",
    "ConnectionLostError",
    "Faults",
    "ForbiddenError",
    "GatewayConnection",
    "HandshakeError",
    "IncomingMessage",
    "InternalError",
    "InvalidArgumentError",
    "InvalidHandleError",
    "Lagged",
    "LocalGateway",
    "MessageData",
    "MessageStream",
    "MessageTooLargeError",
    "NotConnectedError",
    "NotReplyableError",
    "PresenceMessage",
    "ProtocolViolationError",
    "QueueFullError",
    "RealtimeClient",
    "RealtimeError",
    "ResponseMessage",
    "Sender",
    "Serving",
    "State",
    "StateChange",
    "Stats",
    "UrlProvider",
    "UrlProviderError",
    "WaitCancelledError",
    "WaitFor",
    "WaitTimeoutError",
    "WebSocketOptions",
    "WouldDeadlockError",
    "wait",
]

# What needs asyncio, which takes longer to import than all the rest: a program that has only threads does without.
_LAZY = {
    "MessageStream": "_streams",
    "RealtimeClient": "_client",
    "Serving": "_streams",
    "WaitFor": "_waits",
    "wait": "_client",
}


def __getattr__(name: str) -> _Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


_Mapping.register(MessageData)
_atexit.register(_native.prepare_exit)
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_native.after_fork_in_child)
