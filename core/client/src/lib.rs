//! The client of Realtime Pub/Sub.
//!
//! ```no_run
//! use realtime_pubsub::Client;
//!
//! # async fn example() -> Result<(), realtime_pubsub::Error> {
//! let client = Client::new("wss://gateway.example/apps/my-app?access_token=TOKEN")?;
//! client.on("chat.*", |message| {
//!     println!("{}: {}", message.topic(), message.payload().as_str());
//!     let _ = message.reply("Got it!").enqueue();
//! })?;
//! client.connect().await?;
//! client.subscribe_remote_topic("chat").await?;
//!
//! let waiter = client.publish("chat", "Hello, World!").message_type("text-message").await?;
//! waiter.wait_for_ack().await?;
//! println!("{}", waiter.wait_for_reply().await?.data().as_str());
//! client.disconnect().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! One task owns the connection. [`Client`] is a handle: publishing appends to a queue and wakes that task once, which
//! writes all there is and flushes once. The place for a message's answers is registered before its frame is written,
//! so no ack or reply is missed, however late you [wait](WaitFor) for it. What comes in is matched by its envelope
//! alone, queued in one bounded inbox, and handed in batches to the thread that runs the listeners. JSON stays text
//! until somebody reads it.
//!
//! # Without async
//!
//! [`blocking::Client`] is the same client for threads; it needs no runtime of yours.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod guide {}

mod block;
pub mod blocking;
mod client;
mod control;
mod deadlines;
mod dedupe;
mod dial;
mod dispatch;
mod driver;
mod error;
mod event;
mod event_wait;
mod give_way;
mod inbox;
mod message;
mod options;
mod outbox;
mod publish;
mod receipt;
mod receipts;
mod registry;
pub mod runtime;
mod serve;
mod session;
mod shared;
mod stats;
mod stream;
mod subscriptions;
mod supervisor;
mod sync;
mod upgrade;
mod url;
mod waits;

pub use block::block_on;
pub use client::{Client, ClientBuilder, RealtimeClient};
pub use error::{Error, ErrorKind, Result};
pub use event::{CloseEvent, ConnectionInfo, ControlEvent, Event, Lagged, State, StateChange};
pub use event_wait::EventFuture;
pub use inbox::{Delivery, Inbox, Settled};
pub use message::{IncomingMessage, PresenceMessage, ResponseMessage};
pub use options::{Backoff, Kick, Offline, Options, Overflow, TlsOptions};
pub use publish::{Publish, Publishing, Reply, Request};
pub use realtime_pubsub_protocol::{RawJson, Sender};
pub use registry::ListenerId;
pub use serve::Serving;
pub use stats::Stats;
pub use stream::Messages;
pub use url::BoxError;
pub use waits::{AckWait, Replies, ReplyWait, Ticket, WaitFor};
