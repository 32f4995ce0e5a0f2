//! What can go wrong when a gateway starts, or when it is asked for something.

use std::net::SocketAddr;

/// Why a gateway could not be started, or could not do what its handle was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The gateway's own thread or runtime could not be started.
    #[error("can't start the gateway's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// Options that contradict each other, or a value out of its range.
    #[error("{0}")]
    InvalidOptions(String),
    /// A key could not be read. Never says what is in it.
    #[error("can't read the key: {0}")]
    InvalidKey(String),
    /// The TLS certificate or its key could not be used.
    #[error("can't use the TLS certificate: {0}")]
    InvalidCertificate(String),
    /// NATS does not let the gateway in. That it can't be reached is no error.
    #[error("{0}")]
    Nats(String),
    /// No app of this id is served here.
    #[error("there is no app {0:?} here")]
    UnknownApp(String),
    /// The app has public keys only, and a token needs a secret to be signed with.
    #[error("app {0:?} has no secret key, so tokens can't be made for it here")]
    CannotSign(String),
}
