"""The exceptions: one for each number of the table that all languages share."""

from __future__ import annotations

import sys


class RealtimeError(Exception):
    """What every exception of this package is.

    The text says what happened, to what, and what to do. It never holds a token.
    """

    number: int = 0
    """The number that is the same in every language."""
    code: str = "OK"
    """The name of the number, such as `NOT_CONNECTED`."""
    topic: str | None = None
    """The topic that is forbidden, for `ForbiddenError`."""

    def __init__(self, message: str = "", topic: str | None = None) -> None:
        super().__init__(message)
        self.topic = topic


class InvalidArgumentError(RealtimeError, ValueError):
    """An argument makes no sense: a bad URL or pattern, an empty topic, a payload that can't be JSON."""

    number = -1
    code = "INVALID_ARGUMENT"


class InvalidHandleError(RealtimeError):
    """A handle is stale. Only the C ABI has it; here for the table's sake."""

    number = -2
    code = "INVALID_HANDLE"


class NotConnectedError(RealtimeError, ConnectionError):
    """There is no session, and the client does not queue while offline."""

    number = -3
    code = "NOT_CONNECTED"


# Before Python 3.11 asyncio had a class of its own, which is what its users catch.
if sys.version_info >= (3, 11):

    class WaitTimeoutError(RealtimeError, TimeoutError):
        """What was waited for did not come in time. It is a `TimeoutError` too."""

        number = -4
        code = "TIMEOUT"

else:
    import asyncio

    class WaitTimeoutError(RealtimeError, TimeoutError, asyncio.TimeoutError):
        """What was waited for did not come in time. It is a `TimeoutError` too."""

        number = -4
        code = "TIMEOUT"


class ClosedError(RealtimeError, ConnectionError):
    """The client was disconnected by its user."""

    number = -5
    code = "CLOSED"


class ConnectionLostError(RealtimeError, ConnectionError):
    """The connection died before the answer came."""

    number = -6
    code = "CONNECTION_LOST"


class QueueFullError(RealtimeError):
    """A queue is full. Awaiting `publish` waits for room instead."""

    number = -7
    code = "QUEUE_FULL"


class MessageTooLargeError(RealtimeError, ValueError):
    """A message is larger than the limit. Nothing was sent."""

    number = -8
    code = "MESSAGE_TOO_LARGE"


class ForbiddenError(RealtimeError, PermissionError):
    """The gateway does not let this token do that; `topic` says where."""

    number = -9
    code = "FORBIDDEN"


class HandshakeError(RealtimeError, ConnectionError):
    """The connection could not be made: dialling, TLS, the upgrade or the welcome failed."""

    number = -10
    code = "HANDSHAKE_FAILED"


class UrlProviderError(RealtimeError):
    """The URL provider failed."""

    number = -11
    code = "URL_PROVIDER_FAILED"


class ProtocolViolationError(RealtimeError):
    """The gateway sent what the protocol does not allow."""

    number = -12
    code = "PROTOCOL_VIOLATION"


class WaitCancelledError(RealtimeError):
    """The wait was cancelled. A cancelled asyncio task gets its `CancelledError`, not this."""

    number = -13
    code = "CANCELLED"


class WouldDeadlockError(RealtimeError, RuntimeError):
    """This call, made here, would wait for itself."""

    number = -14
    code = "WOULD_DEADLOCK"


class InternalError(RealtimeError, RuntimeError):
    """A bug that was caught, here or in a listener: `__cause__` is what the listener raised."""

    number = -15
    code = "INTERNAL"


class NotReplyableError(RealtimeError, ValueError):
    """The message came over REST and has no sender to reply to."""

    number = -16
    code = "NOT_REPLYABLE"


BY_NUMBER: dict[int, type[RealtimeError]] = {
    error.number: error
    for error in (
        InvalidArgumentError,
        InvalidHandleError,
        NotConnectedError,
        WaitTimeoutError,
        ClosedError,
        ConnectionLostError,
        QueueFullError,
        MessageTooLargeError,
        ForbiddenError,
        HandshakeError,
        UrlProviderError,
        ProtocolViolationError,
        WaitCancelledError,
        WouldDeadlockError,
        InternalError,
        NotReplyableError,
    )
}
