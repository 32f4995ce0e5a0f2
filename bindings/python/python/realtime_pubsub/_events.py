"""What listeners of control events are given, and what messages say of people."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class State(str, enum.Enum):
    """Where a client stands."""

    IDLE = "idle"
    """Made, and never asked to connect."""
    CONNECTING = "connecting"
    """Asked to connect; there has been no session since."""
    CONNECTED = "connected"
    """In a session."""
    RECONNECTING = "reconnecting"
    """The session was lost; the next one is being made."""
    CLOSED = "closed"
    """Disconnected by its user. It can connect again."""
    FAILED = "failed"
    """Given up. It can connect again."""

    def __str__(self) -> str:
        """The state's name."""
        return str(self.value)


class _Record:
    """What dataclasses have. Made here once: generating it for each is half of what importing this package takes."""

    def __repr__(self) -> str:
        """The class and the fields."""
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal."""
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        """Of all fields."""
        return hash(tuple(vars(self).values()))


class _Items(_Record):
    """Attributes as items too, by their names on the wire: `info["appId"]` is `info.app_id`."""

    def __getitem__(self, name: str) -> Any:
        attribute = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
        if attribute.startswith("_") or not hasattr(self, attribute):
            raise KeyError(name)
        return getattr(self, attribute)

    def get(self, name: str, default: Any = None) -> Any:
        """The item of this name, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default


@dataclass(frozen=True, eq=False, repr=False)
class ConnectionInfo(_Items):
    """A connection, as the gateway's welcome introduced it."""

    id: str
    """The connection's id. It changes with every session."""
    app_id: str
    """The app the connection belongs to."""
    remote_address: str
    """This client's address as the gateway sees it."""


@dataclass(frozen=True, eq=False, repr=False)
class CloseEvent(_Items):
    """The end of a connection."""

    code: int
    """The close code: the peer's, 1000 after `disconnect`, 1006 if the connection broke."""
    reason: str
    """The peer's reason, or what broke."""
    will_reconnect: bool
    """Whether the client will connect again by itself."""


@dataclass(frozen=True, eq=False, repr=False)
class StateChange(_Items):
    """A change of the client's state."""

    before: State
    """The state before."""
    now: State
    """The state now."""
    reason: str
    """Why."""

    def __init__(self, before: str, now: str, reason: str) -> None:
        object.__setattr__(self, "before", State(before))
        object.__setattr__(self, "now", State(now))
        object.__setattr__(self, "reason", reason)


@dataclass(frozen=True, eq=False, repr=False)
class Lagged(_Items):
    """Messages were dropped because the inbox was full."""

    dropped: int
    """How many since the last such event."""


@dataclass(frozen=True, eq=False, repr=False)
class Sender(_Items):
    """Who sent a message, as the gateway says."""

    connection_id: str
    """The sender's connection, where a reply goes to."""
    subject: str
    """The sender's token's subject."""
    permissions: tuple[str, ...]
    """The sender's token's permissions."""


@dataclass(frozen=True, eq=False, repr=False)
class PresenceMessage(_Items):
    """A client of the app came or went."""

    status: str
    """`connected` or `disconnected`."""
    connection_id: str
    """Whose connection."""
    subject: str
    """Its token's subject."""
    permissions: tuple[str, ...]
    """Its token's permissions."""
    code: int | None = None
    """0 for connected, -1 for disconnected."""


@dataclass(frozen=True, eq=False, repr=False)
class Stats(_Record):
    """What a client has done since it was made, and what it holds now."""

    sessions: int
    """Sessions started."""
    failed_attempts: int
    """Attempts to connect that failed."""
    messages_sent: int
    """Messages written."""
    bytes_sent: int
    """Bytes of frames written."""
    messages_received: int
    """Messages received, acks and replies included."""
    bytes_received: int
    """Bytes of frames received."""
    acks: int
    """Acks received for messages of this client."""
    replies: int
    """Replies received for messages of this client."""
    unmatched: int
    """Messages that no listener wanted."""
    dropped: int
    """Messages dropped because the inbox was full."""
    duplicates: int
    """Messages dropped because they repeat another, see `dedupe`."""
    unreadable: int
    """Frames that could not be understood."""
    lost: int
    """Publishes that were queued or unacknowledged when they were given up."""
    outbox_messages: int
    """Messages that wait to be written, or with `retry` to be acknowledged."""
    outbox_bytes: int
    """Their bytes."""
    inbox_len: int
    """Deliveries that wait for the listeners."""
    receipts: int
    """Messages whose ack or replies somebody can still ask for."""
    waits: int
    """Waits that are going on."""
