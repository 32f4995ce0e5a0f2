//! Answering messages of one topic and type with a function.

use std::fmt;
use std::future::Future;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use realtime_pubsub_protocol::{PREFIX_PRIVATE, TOPIC_MAIN};
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::error::Result;
use crate::message::IncomingMessage;

/// How many answers of one [`Serving`] are worked on at once; more wait in its inbox.
const CONCURRENT: usize = 64;

/// A function that answers, see [`Client::serve`]. Dropping it ends the serving; answers that are being worked on are
/// not sent.
#[derive(Debug)]
#[must_use = "dropping it ends the serving"]
pub struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn serve<F, Fut, T, E>(client: &Client, topic: &str, message_type: &str, answer: F) -> Result<Serving>
where
    F: Fn(IncomingMessage) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: serde::Serialize + Send,
    E: fmt::Display + Send,
{
    let mut messages = client.messages(&format!("{topic}.{message_type}"))?;
    subscribe(client, topic).await?;
    let task = client.runtime().spawn(async move {
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                message = messages.next(), if answers.len() < CONCURRENT => {
                    let Some(message) = message else { break };
                    let answered = answer(message.clone());
                    answers.push(async move {
                        let outcome = answered.await;
                        message.answer(outcome).await.map(drop)
                    });
                }
                Some(sent) = answers.next() => {
                    if let Err(error) = sent {
                        tracing::warn!(kind = %error.kind(), "an answer was not sent: {error}");
                    }
                }
            }
        }
    });
    Ok(Serving(task.abort_handle()))
}

/// Subscribes to the topic, unless every connection is subscribed to it anyway.
pub(crate) async fn subscribe(client: &Client, topic: &str) -> Result<()> {
    if topic == TOPIC_MAIN || topic.starts_with(PREFIX_PRIVATE) {
        return Ok(());
    }
    client.subscribe_remote_topic(topic).await
}
