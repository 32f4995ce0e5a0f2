//! The messages that match a pattern, taken in batches from a queue of their own.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use realtime_pubsub::{IncomingMessage, Messages};

use crate::open::lock;
use crate::pack;

/// A stream of messages with a bounded queue in the core: who takes none makes the gateway wait.
#[derive(uniffi::Object)]
pub struct CoreMessages {
    state: Mutex<State>,
    batches: AtomicU64,
}

struct State {
    /// `None` once it was closed.
    messages: Option<Messages>,
    waiting: Option<Waker>,
}

#[uniffi::export]
impl CoreMessages {
    /// Waits for messages and takes up to `max`: their number (u32), then each. Empty when the stream has ended.
    pub async fn next(&self, max: u32) -> Vec<u8> {
        let batch = std::future::poll_fn(|context| self.poll_batch(max, context)).await;
        self.batches.fetch_add(1, Ordering::Relaxed);
        if batch.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(batch.iter().map(|message| message.frame().len() + 32).sum());
        out.extend_from_slice(&u32::try_from(batch.len()).unwrap_or(max).to_le_bytes());
        batch.iter().for_each(|message| pack::message(&mut out, message));
        out
    }

    /// Ends the stream: whoever waits for its next batch gets an empty one.
    pub fn end(&self) {
        let mut state = lock(&self.state);
        let gone = state.messages.take();
        let waiting = state.waiting.take();
        drop(state);
        drop(gone);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// How many batches were taken.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }
}

impl CoreMessages {
    pub(crate) fn new(messages: Messages) -> Self {
        let state = State { messages: Some(messages), waiting: None };
        CoreMessages { state: Mutex::new(state), batches: AtomicU64::new(0) }
    }

    fn poll_batch(&self, max: u32, context: &mut Context<'_>) -> Poll<Vec<IncomingMessage>> {
        let mut state = lock(&self.state);
        state.waiting = Some(context.waker().clone());
        let Some(messages) = &mut state.messages else { return Poll::Ready(Vec::new()) };
        let mut batch = Vec::new();
        while batch.len() < max.max(1) as usize {
            match Pin::new(&mut *messages).poll_next(context) {
                Poll::Ready(Some(message)) => batch.push(message),
                Poll::Ready(None) => return Poll::Ready(batch),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(batch)
    }
}
