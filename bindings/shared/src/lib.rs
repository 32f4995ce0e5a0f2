//! What the language bindings of Realtime Pub/Sub have in common.
//!
//! * [`handles`]: numbers that stand for objects, for languages that hold no Rust values. A wrong number is an error.
//! * [`logs`]: what the client logs, handed to the host language's own logger, off the hot path.
//! * [`wake`]: a file descriptor that becomes readable when an inbox has something, for event loops that poll one.
//!
//! The runtime is [`realtime_pubsub::runtime`], the table of errors [`realtime_pubsub::ErrorKind`].

pub mod handles;
pub mod logs;
#[cfg(unix)]
pub mod wake;
