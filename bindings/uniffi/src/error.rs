//! The core's errors as UniFFI carries them: one flat error with kind, number and detail.

use realtime_pubsub::{Error, ErrorKind as CoreKind};

macro_rules! kinds {
    ($($name:ident),* $(,)?) => {
        /// What went wrong: the core's table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
        pub enum ErrorKind {
            $(/// See `ErrorKind` of the Rust client.
            $name),*
        }

        impl ErrorKind {
            #[cfg(test)]
            const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name),*];

            fn of(kind: CoreKind) -> Self {
                match kind {
                    $(CoreKind::$name => ErrorKind::$name,)*
                    // A kind that the core has and this table lacks; a test keeps that from happening.
                    _ => ErrorKind::Internal,
                }
            }

            fn core(self) -> CoreKind {
                match self { $(ErrorKind::$name => CoreKind::$name),* }
            }
        }
    };
}

kinds! {
    InvalidArgument, InvalidHandle, NotConnected, Timeout, Closed, ConnectionLost, QueueFull, MessageTooLarge, Forbidden,
    HandshakeFailed, UrlProviderFailed, ProtocolViolation, Cancelled, WouldDeadlock, Internal, NotReplyable,
}

/// One row of the table of errors.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ErrorKindInfo {
    /// The kind.
    pub kind: ErrorKind,
    /// Its number, the same in every language.
    pub number: i32,
    /// Its name, such as `NOT_CONNECTED`.
    pub name: String,
}

/// The core's table of errors, for the packages' tests.
#[uniffi::export]
pub fn error_kinds() -> Vec<ErrorKindInfo> {
    CoreKind::ALL
        .iter()
        .map(|kind| ErrorKindInfo { kind: ErrorKind::of(*kind), number: kind.number(), name: kind.name().to_owned() })
        .collect()
}

/// Any error of the client.
#[derive(Clone, Debug, thiserror::Error, uniffi::Error)]
pub enum CoreError {
    /// What failed, and why.
    #[error("{detail}")]
    Failed {
        /// For programs.
        kind: ErrorKind,
        /// The kind's number.
        number: i32,
        /// For people.
        detail: String,
        /// The topic that is forbidden.
        topic: Option<String>,
    },
}

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        CoreError::Failed {
            kind: ErrorKind::of(error.kind()),
            number: error.number(),
            detail: error.message().to_owned(),
            topic: error.topic().map(str::to_owned),
        }
    }
}

impl From<uniffi::UnexpectedUniFFICallbackError> for CoreError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Error::new(CoreKind::Internal, format!("a callback threw: {}", error.reason)).into()
    }
}

/// An error that the packages report themselves, such as one that a listener threw.
pub(crate) fn reported(kind: ErrorKind, detail: String) -> Error {
    Error::new(kind.core(), detail)
}

pub(crate) fn invalid(detail: impl Into<String>) -> Error {
    Error::new(CoreKind::InvalidArgument, detail)
}

pub(crate) fn closed() -> Error {
    Error::new(CoreKind::Closed, "this client was closed; make another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_core_is_here() {
        assert_eq!(ErrorKind::ALL.len(), CoreKind::ALL.len());
        for (here, core) in ErrorKind::ALL.iter().zip(CoreKind::ALL) {
            assert_eq!((here.core(), ErrorKind::of(*core)), (*core, *here));
        }
        assert_eq!(error_kinds()[2].name, "NOT_CONNECTED");
    }
}
