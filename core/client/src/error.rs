//! The one table of errors. Every binding maps it to its own error type and keeps the number.

use std::fmt;
use std::sync::Arc;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What went wrong. The numbers are the same in every language and are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorKind {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ErrorKind {
            /// All kinds, in the order of their numbers.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$variant,)*];

            /// The name that every language shows, such as `NOT_CONNECTED`.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorKind::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    /// An argument makes no sense: a bad URL, an empty topic, a bad pattern, a payload that can't be JSON.
    InvalidArgument = -1, "INVALID_ARGUMENT";
    /// A handle is stale, freed or of another type. Only the C ABI has it.
    InvalidHandle = -2, "INVALID_HANDLE";
    /// There is no session, and the client does not queue while offline.
    NotConnected = -3, "NOT_CONNECTED";
    /// What was waited for did not come in time.
    Timeout = -4, "TIMEOUT";
    /// The client was disconnected by its user.
    Closed = -5, "CLOSED";
    /// The connection died before the answer came.
    ConnectionLost = -6, "CONNECTION_LOST";
    /// A queue is full.
    QueueFull = -7, "QUEUE_FULL";
    /// A message is larger than the limit.
    MessageTooLarge = -8, "MESSAGE_TOO_LARGE";
    /// The gateway does not let this token do that.
    Forbidden = -9, "FORBIDDEN";
    /// The connection could not be made: dial, TLS, upgrade or welcome failed.
    HandshakeFailed = -10, "HANDSHAKE_FAILED";
    /// The URL provider failed.
    UrlProviderFailed = -11, "URL_PROVIDER_FAILED";
    /// The gateway sent what the protocol does not allow.
    ProtocolViolation = -12, "PROTOCOL_VIOLATION";
    /// The wait was cancelled.
    Cancelled = -13, "CANCELLED";
    /// This call, made here, would wait for itself.
    WouldDeadlock = -14, "WOULD_DEADLOCK";
    /// A bug or a panic that was caught.
    Internal = -15, "INTERNAL";
    /// The message came over REST and has no sender to reply to.
    NotReplyable = -16, "NOT_REPLYABLE";
}

impl ErrorKind {
    /// The number that every language keeps.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error: its kind for programs, and for people what happened, to what, and what to do.
///
/// Cheap to clone, because one lost connection settles many waits. Never holds a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    topic: Option<Arc<str>>,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into().into(), topic: None }
    }

    pub(crate) fn about_topic(mut self, topic: &str) -> Self {
        self.topic = Some(topic.into());
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument, message)
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The number that every language keeps, see [`ErrorKind`].
    pub fn number(&self) -> i32 {
        self.kind.number()
    }

    /// What happened, to what, and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The topic that is forbidden, for [`ErrorKind::Forbidden`].
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kind, self.number(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_contracts() {
        let numbers: Vec<i32> = ErrorKind::ALL.iter().map(|kind| kind.number()).collect();
        assert_eq!(numbers, (1..=16).map(|number: i32| -number).collect::<Vec<_>>());
        assert_eq!(ErrorKind::from_number(-16), Some(ErrorKind::NotReplyable));
        assert_eq!(ErrorKind::from_number(0), None);
        assert_eq!(ErrorKind::UrlProviderFailed.name(), "URL_PROVIDER_FAILED");
    }
}
