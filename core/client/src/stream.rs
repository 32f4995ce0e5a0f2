//! Messages as a stream, for programs that would rather ask than be called.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::block::block_on;
use crate::error::Result;
use crate::inbox::{Capacity, Inbox};
use crate::message::IncomingMessage;
use crate::registry::{ListenerId, Sink};
use crate::shared::Shared;

/// The messages that match a pattern, see [`Client::messages`](crate::Client::messages). Ends when the last handle of
/// its client is gone. Dropping it ends the listening.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Messages {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    id: ListenerId,
    taken: VecDeque<IncomingMessage>,
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("id", &self.id).field("waiting", &self.inbox.len()).finish()
    }
}

impl Messages {
    pub(crate) fn new(shared: &Arc<Shared>, pattern: &str) -> Result<Self> {
        let options = &shared.options;
        let capacity =
            Capacity { messages: options.inbox_messages, bytes: options.inbox_bytes, overflow: options.overflow };
        let inbox = Arc::new(Inbox::new(capacity, None, Arc::clone(&shared.kicker)));
        let id = shared.registry.add(pattern, |_| Sink::Stream(Arc::clone(&inbox)))?;
        shared.streams.lock().insert(id, Arc::clone(&inbox));
        Ok(Messages { shared: Arc::clone(shared), inbox, id, taken: VecDeque::new() })
    }

    /// The next message, waiting on this thread. `None` when the client is gone.
    ///
    /// # Errors
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) on the thread that does the client's input and output.
    pub fn block_next(&mut self) -> Result<Option<IncomingMessage>> {
        block_on(std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)))
    }
}

impl Stream for Messages {
    type Item = IncomingMessage;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<IncomingMessage>> {
        let this = &mut *self;
        this.inbox.poll_message(&mut this.taken, context.waker())
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.shared.registry.remove(self.id);
        self.shared.streams.lock().remove(&self.id);
        self.inbox.close();
    }
}
