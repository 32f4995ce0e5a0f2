//! A gateway for Realtime Pub/Sub: the server's side of the protocol, as a library that runs in-process.
//!
//! ```
//! use realtime_pubsub_gateway::{Gateway, GatewayOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = Gateway::start(GatewayOptions::default()).await?;
//! let url = gateway.url_with_token("alice")?; // ws://127.0.0.1:…/apps/local?access_token=…
//! # let _ = url;
//! gateway.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it decides
//!
//! Where the protocol leaves a choice, this gateway does as follows.
//!
//! * An **ack** is sent for a publish or send that has an `id`. A message without one gets an id for its receivers,
//!   and no ack: its sender could not tell what it is for. Acks can be switched off, [`AppOptions::acks`].
//! * A **ping** is answered once all frames before it are handled, and after everything that was queued for the
//!   client by then. Every ping gets its own pong, in order.
//! * Nobody publishes to `priv/acks` but the gateway. A connection always gets `priv/<its id>`, `priv/<its subject>`
//!   and `priv/acks`, and can't unsubscribe from them; from `main` it can.
//! * A frame that is not a JSON object closes the connection. One of an unknown type, or that lacks what its type
//!   needs, is ignored and counted: newer clients may know more than this gateway.
//! * Tokens need `sub` and `exp`. A token with an `app` claim is good for that app alone; those made here have one.
//!
//! # How connections end
//!
//! | code | reason | when |
//! |---|---|---|
//! | 1001 | `going away` | the gateway stops; see [`GatewayOptions::drain_window`] |
//! | 1002 | what was wrong | bytes that are no WebSocket frames of a client |
//! | 1007 | `not a JSON frame`, `a message must be UTF-8` | see above |
//! | 1008 | `Subscription to secure topic is forbidden!` | a secure topic without permission to read it |
//! | 1008 | `too many subscriptions`, `topic too long`, `message rate exceeded` | [`Limits`] |
//! | 1008 | `slow consumer` | more was queued for the client than [`Limits::outbound_bytes`] |
//! | 1008 | `idle timeout` | silence, and no answer to a ping, for [`Limits::idle`] |
//! | 1008 | `terminated by an administrator` | a REST call |
//! | 1009 | `message too big: … bytes, the limit is …` | [`Limits::message_bytes`] |
//!
//! After its close frame the gateway waits [`Limits::close`] for the client's, then drops the connection.
//!
//! # HTTP
//!
//! Errors are JSON, `{"error":{"code":"…","message":"…"}}`, with these codes:
//!
//! | status | codes |
//! |---|---|
//! | 400 | `body`, `topic_too_long`, `too_many_patterns`, `websocket_key` |
//! | 401 | `token_missing`, `token_malformed`, `token_algorithm`, `token_signature`, `token_expired`, `token_not_yet_valid`, `token_claims` |
//! | 403 | `forbidden`; `origin` (a web page's request to an insecure gateway) |
//! | 404 | `app_not_found`, `connection_not_found`, `not_found` |
//! | 405 | `method` |
//! | 408 | `timeout` |
//! | 413 | `too_big` |
//! | 426 | `upgrade_required`, `websocket_version` |
//! | 429 | `too_many_connections`, `too_many_tails` |
//! | 503 | `gateway_full`; `nats_away` (a REST call reached this gateway only) |
//!
//! The REST calls answer with status 200: `{"delivered":n}`, `{"unsubscribed":n}` or `{"terminated":n}`. In the
//! patterns of an unsubscribe call, `*` stands for any text. `GET /healthz` and `GET /metrics` need no token. A
//! request's head has room for 32 KiB and 99 headers; 64 KiB, or a hundredth header, is answered with status 431. Once
//! [`Limits::handshakes`] are under way, a new one costs the oldest its connection.
//!
//! With [`GatewayOptions::console`] there is a page for operators at `/console`. It asks `GET /api/console/{app}`
//! (`?find=` for a part of names) and `GET /api/console/{app}/tail?topic=…&after=…` with an admin token that has the
//! permission `realtime:admin:read:console`.
//!
//! # Inside
//!
//! `server` accepts, `http` upgrades or answers, `connection` is the task that owns a socket, `session` knows what
//! frames mean, `hub` knows who listens to what and is where a message becomes deliveries. Frames are encoded once;
//! receivers share the bytes. `websocket` is the framing.

mod check;
#[cfg(feature = "nats")]
mod cluster;
#[cfg(not(feature = "nats"))]
#[path = "cluster/off.rs"]
mod cluster;
mod connection;
mod console;
mod error;
mod fault;
mod gateway;
mod handshakes;
mod http;
mod hub;
mod key;
mod metrics;
mod options;
mod outbox;
mod owed;
mod rest;
mod server;
mod session;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod simulation;
mod stream;
mod tail;
mod tls;
mod token;
mod websocket;

pub use error::GatewayError;
pub use fault::{AckFault, ConnectFault, Faults};
pub use gateway::{ConnectionInfo, Gateway, Target};
pub use key::KeySet;
pub use options::{AppOptions, GatewayOptions, Limits, NatsOptions, TlsOptions};
pub use token::TokenRequest;
