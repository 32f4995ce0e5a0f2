//! What handles ask of the task that runs the client, and who waits for the outcome.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use std::future::Future;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::deadlines::due;
use crate::error::{Error, ErrorKind, Result};
use crate::event::ConnectionInfo;
use crate::inbox::Entry;
use crate::shared::Shared;
use crate::stats::Counters;

pub(crate) enum Command {
    /// Connect, and tell when the session has started.
    Connect { timeout: Duration, done: oneshot::Sender<Result<Arc<ConnectionInfo>>> },
    /// Connect, for as long as it takes.
    Start,
    /// Disconnect, and tell when that is done.
    Disconnect { timeout: Duration, done: oneshot::Sender<()> },
    /// The last handle is gone.
    Shutdown,
}

/// Why the client is to stop connecting or being connected.
pub(crate) enum Stop {
    /// Its user wants it to.
    Disconnect { timeout: Duration, done: oneshot::Sender<()> },
    /// No one waits for the connection any more, and this is why it failed.
    GaveUp(Error),
    /// No one is left to want anything.
    Shutdown,
}

struct ConnectWaiter {
    deadline: Instant,
    timeout: Duration,
    done: oneshot::Sender<Result<Arc<ConnectionInfo>>>,
}

/// What a client that does nothing is to do.
pub(crate) enum Wish {
    Connect,
    /// End what waits; there is no connection to close.
    Disconnect {
        done: oneshot::Sender<()>,
    },
    /// No one is left to want anything.
    Nothing,
}

/// The receiving end of [`Command`]s.
pub(crate) struct Control {
    shared: Arc<Shared>,
    commands: UnboundedReceiver<Command>,
    waiters: Vec<ConnectWaiter>,
    /// Go on when nobody waits for it.
    background: bool,
    /// Why the last attempt failed.
    pub(crate) last_cause: Option<Error>,
    timer: Pin<Box<Sleep>>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>, commands: UnboundedReceiver<Command>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        Control { shared, commands, waiters: Vec::new(), background: false, last_cause: None, timer }
    }

    /// Waits for a wish, without a connection and without the wish for one.
    pub(crate) async fn idle(&mut self) -> Wish {
        std::future::poll_fn(|context| {
            self.shared.kicker.listen(context.waker());
            if self.wants_connection() {
                return Poll::Ready(Wish::Connect);
            }
            if let Poll::Ready(command) = self.commands.poll_recv(context) {
                match command {
                    Some(Command::Disconnect { done, .. }) => return Poll::Ready(Wish::Disconnect { done }),
                    None | Some(Command::Shutdown) => return Poll::Ready(Wish::Nothing),
                    Some(command) => {
                        self.take(command);
                        return Poll::Ready(Wish::Connect);
                    }
                }
            }
            let next = self.expire_queued();
            self.arm(context, next)
        })
        .await
    }

    fn wants_connection(&self) -> bool {
        self.background || !self.waiters.is_empty()
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Connect { timeout, done } => {
                self.waiters.push(ConnectWaiter { deadline: due(timeout), timeout, done });
            }
            Command::Start => self.background = true,
            Command::Disconnect { .. } | Command::Shutdown => {}
        }
    }

    /// Waits for a reason to stop, outside of a session.
    pub(crate) async fn stop(&mut self) -> Stop {
        std::future::poll_fn(|context| {
            self.shared.kicker.listen(context.waker());
            if let Poll::Ready(stop) = self.poll_commands(context, None) {
                return Poll::Ready(stop);
            }
            let mut next = self.expire_queued();
            if let Poll::Ready(stop) = self.expire_waiters(&mut next) {
                return Poll::Ready(stop);
            }
            self.arm(context, next)
        })
        .await
    }

    /// Takes commands. In a session, given as `connected`, connecting is done at once.
    pub(crate) fn poll_commands(
        &mut self,
        context: &mut Context<'_>,
        connected: Option<&Arc<ConnectionInfo>>,
    ) -> Poll<Stop> {
        while let Poll::Ready(command) = self.commands.poll_recv(context) {
            match command {
                None | Some(Command::Shutdown) => return Poll::Ready(Stop::Shutdown),
                Some(Command::Disconnect { timeout, done }) => return Poll::Ready(Stop::Disconnect { timeout, done }),
                Some(command) => self.take(command),
            }
        }
        if let Some(info) = connected {
            self.connected(info);
        }
        Poll::Pending
    }

    /// Tells all who wait that the session has started. It is kept up from now on.
    pub(crate) fn connected(&mut self, info: &Arc<ConnectionInfo>) {
        self.background = true;
        self.last_cause = None;
        for waiter in self.waiters.drain(..) {
            let _ = waiter.done.send(Ok(Arc::clone(info)));
        }
    }

    /// Tells all who wait that there will be no session.
    pub(crate) fn stopped(&mut self, error: &Error) {
        self.background = false;
        for waiter in self.waiters.drain(..) {
            let _ = waiter.done.send(Err(error.clone()));
        }
    }

    /// Ends the waits whose time is up, with the last cause, and forgets those that were given up. When that leaves
    /// nobody who wants a connection: stop; those whose time is up are told by [`stopped`](Self::stopped), so that they
    /// find the client stopped.
    pub(crate) fn expire_waiters(&mut self, next: &mut Option<Instant>) -> Poll<Stop> {
        let now = Instant::now();
        let before = self.waiters.len();
        self.waiters.retain(|waiter| !waiter.done.is_closed());
        let dropped = self.waiters.len() < before;
        let (expired, waiting): (Vec<_>, Vec<_>) = self.waiters.drain(..).partition(|waiter| waiter.deadline <= now);
        self.waiters = waiting;
        *next = self.waiters.iter().map(|waiter| waiter.deadline).chain(*next).min();
        let gave_up = match expired.last() {
            Some(last) => Some(self.timed_out(last.timeout)),
            None => dropped.then(|| Error::new(ErrorKind::Cancelled, "nobody waits for the connection any more")),
        };
        match gave_up {
            Some(error) if !self.wants_connection() => {
                self.waiters = expired;
                Poll::Ready(Stop::GaveUp(error))
            }
            _ => {
                for waiter in expired {
                    let error = self.timed_out(waiter.timeout);
                    let _ = waiter.done.send(Err(error));
                }
                Poll::Pending
            }
        }
    }

    fn timed_out(&self, timeout: Duration) -> Error {
        match &self.last_cause {
            Some(cause) => {
                Error::new(cause.kind(), format!("not connected within {timeout:?}; the last attempt: {cause}"))
            }
            None => {
                Error::new(ErrorKind::Timeout, format!("not connected within {timeout:?}: no attempt has ended yet"))
            }
        }
    }

    /// Ends queued messages whose time is up.
    pub(crate) fn expire_queued(&self) -> Option<Instant> {
        let (expired, next) = self.shared.outbox.expire(Instant::now());
        if !expired.is_empty() {
            let error = Error::new(ErrorKind::Timeout, "the message waited too long for a session and was not sent");
            Counters::add(&self.shared.counters.lost, expired.len() as u64);
            let mut told: Vec<Entry> = Vec::new();
            for receipt in expired {
                receipt.release();
                receipt.fail(&error, &mut told);
                if !receipt.is_wanted() {
                    self.shared.receipts.remove(&receipt);
                }
            }
            self.shared.inbox.push(&mut told);
        }
        next
    }

    fn arm<T>(&mut self, context: &mut Context<'_>, next: Option<Instant>) -> Poll<T> {
        if let Some(next) = next {
            self.timer.as_mut().reset(next);
            if self.timer.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
