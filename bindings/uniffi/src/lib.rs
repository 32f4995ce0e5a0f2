//! The UniFFI component behind the Kotlin and Swift packages of Realtime Pub/Sub.
//!
//! It converts types and threads, and decides nothing: what a client does is the core's. How things cross:
//!
//! * What is rare (connecting, subscribing, options, the gateway) are ordinary UniFFI calls, async where they wait.
//! * Messages and events wait in the client's inbox. The package is told once that there are some
//!   ([`ClientHost::on_messages`]) and takes them in packed batches ([`CoreClient::take`]) from a coroutine or task of
//!   its own until there are none: back-pressure comes by itself.
//! * Waits are numbers that the package chose before it asked. Those that are settled come packed too, at once and
//!   beside the messages ([`ClientHost::on_settled`]), so that a listener may wait for an ack.
//! * Kotlin's publishes and settled waits bypass UniFFI through a few C functions ([`fast`]), because a call through
//!   its runtime costs as much as all the rest.

uniffi::setup_scaffolding!();

mod calls;
mod client;
mod error;
pub mod fast;
mod gateway;
mod host;
mod logs;
mod open;
mod options;
mod outgoing;
mod pack;
mod stream;

pub use calls::Cancellation;
pub use client::{CoreClient, CoreConnection, CoreState, CoreStats};
pub use error::{CoreError, ErrorKind, ErrorKindInfo, error_kinds};
pub use gateway::{ConnectionFault, CoreGateway, GatewayConnection, GatewaySettings, GatewayTarget, TokenSettings};
pub use host::ClientHost;
pub use logs::{LogForwarding, LogHost, LogLevel, LogRecord, forward_logs};
pub use options::{ClientSettings, Header, OfflineQueue, OverflowPolicy};
pub use outgoing::Head;
pub use stream::CoreMessages;

/// Does nothing, and is done before anybody waits: the least that an asynchronous crossing costs, for benchmarks.
#[uniffi::export]
pub async fn empty_crossing() {}

/// Does nothing, on the thread that does the clients' input and output: what an asynchronous crossing costs whose outcome
/// comes from there, as an ack does, for benchmarks.
#[uniffi::export]
pub async fn answered_crossing() -> Result<(), CoreError> {
    let outcome = realtime_pubsub::runtime::handle()?.spawn(async {}).await;
    outcome.map_err(|error| realtime_pubsub::Error::new(realtime_pubsub::ErrorKind::Internal, error.to_string()).into())
}

/// How many clients there are, closed ones included while something of them is still in use: for tests of leaks.
#[uniffi::export]
pub fn live_clients() -> u64 {
    client::live()
}
