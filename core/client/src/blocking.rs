//! The client for threads: the same behaviour, waiting on the thread that calls. Needs no runtime of the caller's.
//!
//! ```no_run
//! use realtime_pubsub::blocking::Client;
//!
//! # fn main() -> Result<(), realtime_pubsub::Error> {
//! let client = Client::new("wss://gateway.example/apps/my-app?access_token=TOKEN")?;
//! client.connect()?;
//! let waiter = client.publish("chat", "Hello, World!").message_type("text-message").enqueue()?;
//! waiter.wait_for_ack().block()?;
//! client.disconnect()?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::block::block_on;
use crate::client::ClientBuilder;
use crate::error::Result;
use crate::event::ConnectionInfo;
use crate::message::{IncomingMessage, ResponseMessage};
use crate::publish::{Publish, Request};
use crate::registry::ListenerId;
use crate::runtime;

/// A client whose calls wait on the thread that makes them. What never waits (`publish`, `on`, `off`, `state`,
/// `stats`, …) is [`crate::Client`]'s own and reached through it.
///
/// May be called from several threads at once, and from listeners. Every call that waits fails with
/// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) on the thread that does the client's input and output.
#[derive(Clone, Debug)]
pub struct Client(crate::Client);

impl Deref for Client {
    type Target = crate::Client;
    fn deref(&self) -> &crate::Client {
        &self.0
    }
}

impl Client {
    /// A client for this URL, with default options.
    ///
    /// # Errors
    /// As [`crate::Client::new`].
    pub fn new(url: impl Into<String>) -> Result<Self> {
        Self::build(crate::Client::builder().url(url))
    }

    /// A client with these options, on this crate's own thread.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn build(builder: ClientBuilder) -> Result<Self> {
        Ok(Client(builder.runtime(runtime::handle()?).build()?))
    }

    /// The asynchronous face of the same client.
    pub fn asynchronous(&self) -> &crate::Client {
        &self.0
    }

    /// See [`crate::Client::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn connect(&self) -> Result<Arc<ConnectionInfo>> {
        block_on(self.0.connect())?
    }

    /// See [`crate::Client::connect_within`].
    ///
    /// # Errors
    /// As there.
    pub fn connect_within(&self, timeout: Duration) -> Result<Arc<ConnectionInfo>> {
        block_on(self.0.connect_within(timeout))?
    }

    /// See [`crate::Client::disconnect`].
    ///
    /// # Errors
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) alone.
    pub fn disconnect(&self) -> Result<()> {
        block_on(self.0.disconnect())
    }

    /// See [`crate::Client::flush`].
    ///
    /// # Errors
    /// As there.
    pub fn flush(&self) -> Result<()> {
        block_on(self.0.flush())?
    }

    /// See [`crate::Client::subscribe_remote_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn subscribe_remote_topic(&self, topic: &str) -> Result<()> {
        block_on(self.0.subscribe_remote_topic(topic))?
    }

    /// See [`crate::Client::unsubscribe_remote_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn unsubscribe_remote_topic(&self, topic: &str) -> Result<()> {
        block_on(self.0.unsubscribe_remote_topic(topic))?
    }

    /// Publishes or sends, and waits for the first reply: `client.request(client.publish("math", 2))`.
    ///
    /// # Errors
    /// As [`Publish::enqueue`] and [`crate::WaitFor::wait_for_reply`].
    pub fn request(&self, message: Publish) -> Result<ResponseMessage> {
        Request::block(message.request())
    }

    /// Answers every message of this topic and type with what the function returns, on the listeners' thread, one after
    /// the other. Subscribes to the topic. Ends when the listener is taken [off](crate::Client::off).
    ///
    /// # Errors
    /// As [`crate::Client::subscribe_remote_topic`].
    pub fn serve<T, E>(
        &self,
        topic: &str,
        message_type: &str,
        mut answer: impl FnMut(&IncomingMessage) -> Result<T, E> + Send + 'static,
    ) -> Result<ListenerId>
    where
        T: serde::Serialize,
        E: fmt::Display,
    {
        let id = self.0.on(&format!("{topic}.{message_type}"), move |message| {
            let outcome = answer(&message);
            if let Err(error) = message.answer(outcome).enqueue() {
                tracing::warn!(kind = %error.kind(), "an answer was not sent: {error}");
            }
        })?;
        if let Err(error) = block_on(crate::serve::subscribe(&self.0, topic)).and_then(|outcome| outcome) {
            self.0.off(id);
            return Err(error);
        }
        Ok(id)
    }
}
