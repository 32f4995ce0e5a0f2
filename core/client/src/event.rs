//! What a client tells its user besides messages: control events. Only the client makes them, nothing from the wire can.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::message::IncomingMessage;

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, and never asked to connect.
    Idle,
    /// Asked to connect; there has been no session since.
    Connecting,
    /// In a session: the welcome came and the topics are subscribed.
    Connected,
    /// The session was lost; the next one is being made.
    Reconnecting,
    /// Disconnected by its user. It can connect again.
    Closed,
    /// Given up: `max_retries` are spent, a close code is one to stop on, or `connect` ran out of time. It can connect again.
    Failed,
}

impl State {
    /// The name that every language shows, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Reconnecting => "reconnecting",
            State::Closed => "closed",
            State::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A connection, as the gateway's welcome introduced it. The seed's `ConnectionInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection's id. It changes with every session.
    pub id: String,
    /// The app the connection belongs to.
    pub app_id: String,
    /// This client's address as the gateway sees it.
    pub remote_address: String,
}

/// A change of [`State`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why.
    pub reason: String,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseEvent {
    /// The close code of RFC 6455: the peer's, 1000 after `disconnect`, 1005 if the peer gave none, 1006 if the
    /// connection broke without a close frame, 1009 if the peer sent more than the limit.
    pub code: u16,
    /// The peer's reason, or what broke.
    pub reason: String,
    /// Whether the client will connect again by itself.
    pub will_reconnect: bool,
}

/// Messages were dropped because the inbox was full, see [`Overflow`](crate::Overflow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lagged {
    /// How many since the last such event.
    pub dropped: u64,
}

/// The kinds of control events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlEvent {
    /// `session.started`: a session has begun and the topics are subscribed.
    SessionStarted,
    /// `error`: something went wrong that no call could return.
    Error,
    /// `close`: a connection has ended.
    Close,
    /// `state`: the state has changed.
    State,
    /// `lagged`: messages were dropped.
    Lagged,
}

impl ControlEvent {
    pub(crate) const ALL: [ControlEvent; 5] = [
        ControlEvent::SessionStarted,
        ControlEvent::Error,
        ControlEvent::Close,
        ControlEvent::State,
        ControlEvent::Lagged,
    ];

    /// The name listeners give.
    pub const fn name(self) -> &'static str {
        match self {
            ControlEvent::SessionStarted => "session.started",
            ControlEvent::Error => "error",
            ControlEvent::Close => "close",
            ControlEvent::State => "state",
            ControlEvent::Lagged => "lagged",
        }
    }

    /// The control event of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Anything a listener can be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(IncomingMessage),
    /// See [`ControlEvent::SessionStarted`].
    SessionStarted(Arc<ConnectionInfo>),
    /// See [`ControlEvent::Error`].
    Error(Error),
    /// See [`ControlEvent::Close`].
    Close(Arc<CloseEvent>),
    /// See [`ControlEvent::State`].
    State(Arc<StateChange>),
    /// See [`ControlEvent::Lagged`].
    Lagged(Lagged),
}

impl Event {
    /// Which control event this is; `None` for a message.
    pub fn control(&self) -> Option<ControlEvent> {
        Some(match self {
            Event::Message(_) => return None,
            Event::SessionStarted(_) => ControlEvent::SessionStarted,
            Event::Error(_) => ControlEvent::Error,
            Event::Close(_) => ControlEvent::Close,
            Event::State(_) => ControlEvent::State,
            Event::Lagged(_) => ControlEvent::Lagged,
        })
    }

    /// The message, if it is one.
    pub fn message(&self) -> Option<&IncomingMessage> {
        match self {
            Event::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The message, if it is one.
    pub fn into_message(self) -> Option<IncomingMessage> {
        match self {
            Event::Message(message) => Some(message),
            _ => None,
        }
    }
}
