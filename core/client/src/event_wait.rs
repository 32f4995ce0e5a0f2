//! Waits for one event.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::block::block_on;
use crate::deadlines::{Deadline, Expire, due};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::inbox::{Entry, Settled};
use crate::receipt::Waiter;
use crate::registry::ListenerId;
use crate::shared::Shared;
use crate::sync::Lock;
use crate::waits::{Ticket, TicketKind};

/// A wait for one event.
pub(crate) struct EventWait {
    id: ListenerId,
    state: Lock<EventState>,
    key: u64,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct EventState {
    outcome: Option<Result<Event>>,
    waiter: Option<Waiter>,
    deadline: Option<Deadline>,
    done: bool,
}

impl EventWait {
    pub(crate) fn new(id: ListenerId, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(EventWait { id, state: Lock::default(), key: shared.deadlines.key(), shared: Arc::clone(shared) })
    }

    pub(crate) fn settle(&self, event: &Event) {
        self.finish(Ok(event.clone()));
    }

    pub(crate) fn finish(&self, outcome: Result<Event>) {
        let mut state = self.state.lock();
        if state.done {
            return;
        }
        state.done = true;
        let waiter = state.waiter.take();
        let deadline = state.deadline.take();
        let (told, woken) = match waiter {
            Some(Waiter::Inbox(token)) => (Some(Entry::Settled { token, outcome: outcome.map(Settled::Event) }), None),
            other => {
                state.outcome = Some(outcome);
                (None, if let Some(Waiter::Task(waker)) = other { waker } else { None })
            }
        };
        drop(state);
        self.leave(deadline);
        if let Some(told) = told {
            self.shared.inbox.push(&mut vec![told]);
        }
        // Without the lock: an executor may poll the task then and there.
        if let Some(waker) = woken {
            waker.wake();
        }
    }

    pub(crate) fn cancel(&self) {
        let mut state = self.state.lock();
        state.done = true;
        state.waiter = None;
        let deadline = state.deadline.take();
        drop(state);
        self.leave(deadline);
    }

    fn leave(&self, deadline: Option<Deadline>) {
        self.shared.registry.remove(self.id);
        self.shared.event_waits.lock().remove(&self.id);
        if let Some(deadline) = deadline {
            self.shared.deadlines.remove(deadline);
        }
    }

    fn arm(self: &Arc<Self>, state: &mut EventState, timeout: Duration) {
        let deadline = Deadline { at: due(timeout), key: self.key };
        state.deadline = Some(deadline);
        self.shared.deadlines.insert(deadline, Arc::clone(self) as Arc<dyn Expire>);
    }

    pub(crate) fn notify(self: Arc<Self>, token: u64, timeout: Option<Duration>) -> Ticket {
        let mut state = self.state.lock();
        let outcome = state.outcome.take();
        if outcome.is_none() {
            state.waiter = Some(Waiter::Inbox(token));
            self.arm(&mut state, timeout.unwrap_or(self.shared.options.wait_timeout));
        }
        drop(state);
        if let Some(outcome) = outcome {
            let outcome = outcome.map(Settled::Event);
            self.shared.inbox.push(&mut vec![Entry::Settled { token, outcome }]);
        }
        Ticket(TicketKind::Event { wait: self })
    }
}

impl Expire for EventWait {
    fn expire(&self, _key: u64) {
        self.finish(Err(Error::new(ErrorKind::Timeout, "the event did not come in time")));
    }
}

/// Waits for an event, see [`Client::wait_for`](crate::Client::wait_for): a future, or [`block`](Self::block) without
/// one.
#[must_use = "a wait does nothing unless it is awaited or blocked on"]
pub struct EventFuture {
    wait: Result<Arc<EventWait>>,
    timeout: Duration,
}

impl EventFuture {
    pub(crate) fn new(wait: Result<Arc<EventWait>>, timeout: Duration) -> Self {
        EventFuture { wait, timeout }
    }

    /// Waits no longer than this, from the first poll on. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits on this thread.
    ///
    /// # Errors
    /// As the future, and [`ErrorKind::WouldDeadlock`] on the thread that does the client's input and output.
    pub fn block(self) -> Result<Event> {
        block_on(self)?
    }
}

impl Future for EventFuture {
    type Output = Result<Event>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let wait = match &self.wait {
            Ok(wait) => wait,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        let mut state = wait.state.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        if state.done {
            return Poll::Ready(Err(Error::new(ErrorKind::Cancelled, "this wait has ended already")));
        }
        state.waiter = Some(Waiter::Task(Some(context.waker().clone())));
        if state.deadline.is_none() {
            wait.arm(&mut state, self.timeout);
        }
        Poll::Pending
    }
}

impl Drop for EventFuture {
    fn drop(&mut self) {
        if let Ok(wait) = &self.wait {
            wait.cancel();
        }
    }
}
