//! What a user holds of a message on its way, and the waits for its ack and replies.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Instant;

use crate::block::block_on;
use crate::deadlines::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::event_wait::EventWait;
use crate::inbox::{Entry, Settled};
use crate::message::ResponseMessage;
use crate::receipt::{Receipt, Share, Waiter, What};

/// A message on its way: wait for the gateway's ack, for a peer's reply, or for both. The seed's `WaitFor`.
///
/// It was registered before the message was written, so an answer is never missed, however late you ask. Dropping it
/// frees its slot; the message goes its way all the same.
///
/// Waits end with [`ErrorKind::Timeout`] when their time is up (5 s unless given), with
/// [`ErrorKind::ConnectionLost`] as soon as the connection dies, and with [`ErrorKind::Closed`] when the client is
/// disconnected.
#[must_use = "dropping it is fine when nobody cares for the ack: say so with `drop`"]
pub struct WaitFor {
    share: Share,
}

impl fmt::Debug for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").field("id", &self.id()).finish()
    }
}

impl WaitFor {
    pub(crate) fn new(receipt: Arc<Receipt>) -> Self {
        WaitFor { share: Share::new(receipt) }
    }

    /// The message's id.
    pub fn id(&self) -> &str {
        self.share.0.id()
    }

    /// Whether the gateway has taken the message: `None` while that is open.
    pub fn acknowledged(&self) -> Option<Result<()>> {
        self.share.0.answers.lock().ack.clone()
    }

    /// Waits for the gateway's ack.
    pub fn wait_for_ack(&self) -> AckWait {
        AckWait(Wait::new(&self.share, What::Ack))
    }

    /// Waits for a peer's reply. Where several reply, each call gives the next.
    pub fn wait_for_reply(&self) -> ReplyWait {
        ReplyWait(Wait::new(&self.share, What::Reply))
    }

    /// All replies, until the time is up, the connection is lost, or the stream is dropped. It ends with the error
    /// that ended it, except that running out of time is a plain end.
    pub fn replies(&self) -> Replies {
        Replies { wait: Wait::new(&self.share, What::Reply), ended: false }
    }

    /// Registers that the inbox is told of the ack, with this token: for bindings. Dropping the ticket cancels.
    pub fn notify_ack(&self, token: u64, timeout: Option<Duration>) -> Ticket {
        self.notify(What::Ack, token, timeout)
    }

    /// Registers that the inbox is told of the next reply, with this token: for bindings. Dropping the ticket cancels.
    pub fn notify_reply(&self, token: u64, timeout: Option<Duration>) -> Ticket {
        self.notify(What::Reply, token, timeout)
    }

    fn notify(&self, what: What, token: u64, timeout: Option<Duration>) -> Ticket {
        let receipt = &self.share.0;
        let shared = &receipt.shared;
        let mut answers = receipt.answers.lock();
        let key = if let Some(outcome) = answers.take(what) {
            drop(answers);
            shared.inbox.push(&mut vec![Entry::Settled { token, outcome }]);
            shared.deadlines.key()
        } else {
            let timeout = timeout.unwrap_or(shared.options.wait_timeout);
            receipt.await_answer(answers, what, timeout, Waiter::Inbox(token)).key
        };
        Ticket(TicketKind::Receipt { share: self.share.clone(), key })
    }
}

/// A wait that the inbox will be told of. Dropping it cancels the wait: nothing is delivered after, unless it was in
/// the inbox already.
#[derive(Debug)]
#[must_use = "dropping a ticket cancels its wait"]
pub struct Ticket(pub(crate) TicketKind);

pub(crate) enum TicketKind {
    Receipt { share: Share, key: u64 },
    Event { wait: Arc<EventWait> },
}

impl fmt::Debug for TicketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wait")
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match &self.0 {
            TicketKind::Receipt { share, key } => share.0.forget(*key),
            TicketKind::Event { wait } => wait.cancel(),
        }
    }
}

struct Wait {
    share: Share,
    what: What,
    timeout: Duration,
    deadline: Option<Deadline>,
}

impl Wait {
    fn new(share: &Share, what: What) -> Self {
        Wait { share: share.clone(), what, timeout: share.0.shared.options.wait_timeout, deadline: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Settled>> {
        let receipt = &self.share.0;
        let mut answers = receipt.answers.lock();
        if let Some(outcome) = answers.take(self.what) {
            drop(answers);
            self.forget();
            return Poll::Ready(outcome);
        }
        let Some(deadline) = self.deadline else {
            let waiter = Waiter::Task(Some(context.waker().clone()));
            self.deadline = Some(receipt.await_answer(answers, self.what, self.timeout, waiter));
            return Poll::Pending;
        };
        if Instant::now() >= deadline.at {
            let error = receipt.timeout(self.what, self.timeout);
            drop(answers);
            self.forget();
            return Poll::Ready(Err(error));
        }
        if let Some(waiting) = answers.waiting.iter_mut().find(|waiting| waiting.deadline.key == deadline.key)
            && let Waiter::Task(waker) = &mut waiting.waiter
        {
            match waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
        }
        Poll::Pending
    }

    fn forget(&mut self) {
        if let Some(deadline) = self.deadline.take() {
            self.share.0.forget(deadline.key);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Waits for an ack: a future, or [`block`](Self::block) without one.
#[must_use = "a wait does nothing unless it is awaited or blocked on"]
pub struct AckWait(Wait);

/// Waits for a reply: a future, or [`block`](Self::block) without one.
#[must_use = "a wait does nothing unless it is awaited or blocked on"]
pub struct ReplyWait(Wait);

impl AckWait {
    /// Waits no longer than this, from the first poll on. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Waits on this thread.
    ///
    /// # Errors
    /// As the future, and [`ErrorKind::WouldDeadlock`] on the thread that does the client's input and output.
    pub fn block(self) -> Result<()> {
        block_on(self)?
    }
}

impl ReplyWait {
    /// Waits no longer than this, from the first poll on. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Waits on this thread.
    ///
    /// # Errors
    /// As the future, and [`ErrorKind::WouldDeadlock`] on the thread that does the client's input and output.
    pub fn block(self) -> Result<ResponseMessage> {
        block_on(self)?
    }
}

impl Future for AckWait {
    type Output = Result<()>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context).map(|outcome| outcome.map(drop))
    }
}

fn reply_of(settled: Settled) -> Result<ResponseMessage> {
    match settled {
        Settled::Reply(reply) => Ok(reply),
        _ => Err(Error::new(ErrorKind::Internal, "a wait for a reply was settled with something else")),
    }
}

impl Future for ReplyWait {
    type Output = Result<ResponseMessage>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context).map(|outcome| outcome.and_then(reply_of))
    }
}

/// The replies to one message, see [`WaitFor::replies`].
#[must_use = "a stream does nothing unless it is polled"]
pub struct Replies {
    wait: Wait,
    ended: bool,
}

impl Replies {
    /// Ends the stream after this long, from the first poll on. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait.timeout = timeout;
        self
    }

    /// The next reply, waiting on this thread.
    pub fn block_next(&mut self) -> Option<Result<ResponseMessage>> {
        let next = std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context));
        block_on(next).unwrap_or_else(|error| Some(Err(error)))
    }
}

impl Stream for Replies {
    type Item = Result<ResponseMessage>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // The time runs for the whole stream, so its deadline stays when a reply comes.
        let deadline = self.wait.deadline;
        let Poll::Ready(outcome) = self.wait.poll(context) else { return Poll::Pending };
        match outcome.and_then(reply_of) {
            Ok(reply) => {
                if let Some(deadline) = deadline {
                    self.wait.timeout = deadline.at.saturating_duration_since(Instant::now());
                }
                Poll::Ready(Some(Ok(reply)))
            }
            Err(error) => {
                self.ended = true;
                Poll::Ready((error.kind() != ErrorKind::Timeout).then_some(Err(error)))
            }
        }
    }
}
