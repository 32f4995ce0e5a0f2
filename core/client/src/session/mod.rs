//! One session: the only owner of the socket, from the welcome to the end.
//!
//! It is polled, not awaited piece by piece, so that one run takes all commands, writes all that is queued with one
//! flush, reads all that has come, and hands it over under one lock.

mod reading;
mod writing;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::control::{Control, Stop};
use crate::dedupe::Dedupe;
use crate::dial::{Established, Socket};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{ConnectionInfo, Event, State};
use crate::inbox::Entry;
use crate::outbox::Item;
use crate::receipt::Receipt;
use crate::registry::MatchCache;
use crate::shared::Shared;
use crate::stats::Counters;

/// Close code, reason, how, and what waits end with.
type Ending = (u16, String, How, Error);

/// How a session ended.
pub(crate) struct End {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) how: How,
    /// What waits end with.
    pub(crate) error: Error,
    /// How long it lasted after it had started; `None` if it never did.
    pub(crate) lasted: Option<Duration>,
    /// What was taken from the outbox and not written.
    pub(crate) unwritten: VecDeque<Item>,
}

pub(crate) enum How {
    /// The gateway closed it.
    ByPeer,
    /// It broke.
    Lost,
    /// This side closed it, for this reason.
    ByUs(Stop),
}

/// A ping whose pong says that the gateway has processed all that was written before.
struct Barrier {
    number: u64,
    deadline: Instant,
    kind: BarrierKind,
}

enum BarrierKind {
    /// These topics are subscribed.
    Subscribed(Vec<Arc<str>>),
    /// All before has arrived; tell them.
    Flushed(Vec<oneshot::Sender<Result<()>>>),
}

enum Phase {
    /// Subscribing the topics of the session before; then those that may close the connection, one at a time.
    Resubscribing { suspects: VecDeque<Arc<str>> },
    /// Started.
    Live,
    /// Writing what is queued, on the user's wish to disconnect.
    Draining,
    /// The close frame is written; waiting for the peer's.
    Closing,
}

struct Leaving {
    deadline: Instant,
    stop: Stop,
}

pub(crate) struct Session<'a> {
    shared: &'a Arc<Shared>,
    socket: Socket,
    info: Arc<ConnectionInfo>,
    own_topic: String,
    phase: Phase,
    started: Option<Instant>,
    leaving: Option<Leaving>,
    writing: VecDeque<Item>,
    unflushed: bool,
    barriers: VecDeque<Barrier>,
    barrier_number: u64,
    /// Topics and flushes whose frames are written and that the next ping will cover.
    unconfirmed: Vec<Arc<str>>,
    flushes: Vec<oneshot::Sender<Result<()>>>,
    /// A frame has come since `last_received` was set, which is done once a read.
    received: bool,
    last_received: Instant,
    pinged: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    cache: MatchCache,
    dedupe: &'a mut Option<Dedupe>,
    unacked: &'a mut VecDeque<(Instant, Arc<Receipt>)>,
    batch: Vec<Entry>,
    batch_bytes: usize,
    early: Vec<Message>,
    close_frame: Option<(u16, String)>,
    /// When to drop a connection that its peer has closed and keeps open all the same.
    close_by: Option<Instant>,
    counts: reading::Counts,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        established: Established,
        dedupe: &'a mut Option<Dedupe>,
        unacked: &'a mut VecDeque<(Instant, Arc<Receipt>)>,
    ) -> Self {
        let suspects = shared.subscriptions.lock().suspects().into();
        let now = Instant::now();
        Session {
            own_topic: format!("{}{}", realtime_pubsub_protocol::PREFIX_PRIVATE, established.info.id),
            info: Arc::new(established.info),
            socket: established.socket,
            phase: Phase::Resubscribing { suspects },
            started: None,
            leaving: None,
            writing: VecDeque::new(),
            unflushed: false,
            barriers: VecDeque::new(),
            barrier_number: 0,
            unconfirmed: Vec::new(),
            flushes: Vec::new(),
            received: false,
            last_received: now,
            pinged: None,
            timer: Box::pin(tokio::time::sleep_until(now + shared.options.ping_after)),
            cache: MatchCache::new(),
            dedupe,
            unacked,
            batch: Vec::new(),
            batch_bytes: 0,
            early: established.early,
            close_frame: None,
            close_by: None,
            counts: reading::Counts::default(),
            shared,
        }
    }

    /// Runs the session to its end.
    pub(crate) async fn run(mut self, control: &mut Control) -> End {
        for message in std::mem::take(&mut self.early) {
            self.receive(message);
        }
        let topics = self.shared.subscriptions.lock().trusted();
        for topic in topics {
            self.subscribe(topic);
        }
        self.raise_barrier();
        let end = poll_fn(|context| self.poll(control, context)).await;
        self.hand_over();
        self.end(end)
    }

    fn poll(&mut self, control: &mut Control, context: &mut Context<'_>) -> Poll<End> {
        // Before it is live there is more to do, and nothing to write.
        if self.shared.driver.only_writes() && matches!(self.phase, Phase::Live) {
            if self.write(context).is_err() {
                // It shows again, to whoever can end the session.
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        self.shared.kicker.listen(context.waker());
        match self.work(control, context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready((code, reason, how, error)) => {
                Poll::Ready(End { code, reason, how, error, lasted: None, unwritten: VecDeque::new() })
            }
        }
    }

    fn end(mut self, mut end: End) -> End {
        end.lasted = self.started.map(|since| since.elapsed());
        end.unwritten = std::mem::take(&mut self.writing);
        for barrier in self.barriers.drain(..) {
            if let BarrierKind::Flushed(waiters) = barrier.kind {
                self.flushes.extend(waiters);
            }
        }
        for waiter in self.flushes.drain(..) {
            let _ = waiter.send(Err(end.error.clone()));
        }
        end
    }

    fn work(&mut self, control: &mut Control, context: &mut Context<'_>) -> Poll<Ending> {
        if self.leaving.is_none() {
            let connected = matches!(self.phase, Phase::Live).then_some(&self.info);
            if let Poll::Ready(stop) = control.poll_commands(context, connected) {
                self.leave(stop);
            }
        }
        if let Err(error) = self.write(context) {
            return Poll::Ready(self.broken(error));
        }
        let read = self.read(context);
        if std::mem::take(&mut self.received) {
            self.last_received = Instant::now();
            self.pinged = None;
        }
        self.hand_over();
        if let Poll::Ready(Err(end)) = read {
            return Poll::Ready(end);
        }
        self.progress(control);
        if let Err(error) = self.write(context) {
            return Poll::Ready(self.broken(error));
        }
        self.keep_time(control, context)
    }

    fn leave(&mut self, stop: Stop) {
        let timeout = match &stop {
            Stop::Disconnect { timeout, .. } => *timeout,
            Stop::Shutdown => self.shared.options.disconnect_timeout,
            // Whoever waited for the connection is told when it is gone, and their time is up.
            Stop::GaveUp(_) => Duration::ZERO,
        };
        // No new messages; those queued are still written.
        self.shared.outbox.shut(&Error::new(ErrorKind::Closed, "the client was disconnected"));
        self.leaving = Some(Leaving { deadline: Instant::now() + timeout.min(Duration::from_secs(3600)), stop });
        self.phase = Phase::Draining;
    }

    fn broken(&mut self, error: WsError) -> Ending {
        if let Some(leaving) = self.leaving.take() {
            // Gone while saying good-bye: that is what was wanted.
            return (1000, "disconnected".into(), How::ByUs(leaving.stop), closed_by_user());
        }
        if let Some((code, reason)) = self.close_frame.take() {
            let error = Error::new(
                ErrorKind::ConnectionLost,
                format!("the gateway closed the connection: {code} {reason}").trim_end().to_owned(),
            );
            return (code, reason, How::ByPeer, error);
        }
        let reason = match &error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => {
                "the connection broke without a close frame".to_owned()
            }
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                "the connection broke without a close frame".to_owned()
            }
            error => error.to_string(),
        };
        let error = Error::new(ErrorKind::ConnectionLost, format!("the connection was lost: {reason}"));
        (1006, reason, How::Lost, error)
    }

    fn lower_barriers(&mut self, number: u64) {
        while self.barriers.front().is_some_and(|barrier| barrier.number <= number) {
            if let Some(barrier) = self.barriers.pop_front() {
                self.lower(barrier.kind);
            }
        }
    }

    fn lower(&mut self, kind: BarrierKind) {
        match kind {
            BarrierKind::Subscribed(topics) => {
                let told = self.shared.subscriptions.lock().confirm(&topics);
                told.tell();
            }
            BarrierKind::Flushed(waiters) => {
                for waiter in waiters {
                    let _ = waiter.send(Ok(()));
                }
            }
        }
    }

    /// Goes on with resubscribing, and starts the session when that is done.
    fn progress(&mut self, control: &mut Control) {
        let Phase::Resubscribing { suspects } = &mut self.phase else { return };
        if !self.barriers.is_empty() {
            return;
        }
        if let Some(topic) = suspects.pop_front() {
            self.subscribe(topic);
            self.raise_barrier();
            return;
        }
        let now = Instant::now();
        self.phase = Phase::Live;
        self.started = Some(now);
        Counters::add(&self.shared.counters.sessions, 1);
        self.shared.set_state(State::Connected, Some(Arc::clone(&self.info)), "the session has started");
        self.shared.outbox.open();
        // Topics that were asked for meanwhile.
        let wanted = self.shared.subscriptions.lock().trusted();
        for topic in wanted {
            self.subscribe(topic);
        }
        self.shared.emit(Event::SessionStarted(Arc::clone(&self.info)));
        control.connected(&self.info);
    }

    fn keep_time(&mut self, control: &mut Control, context: &mut Context<'_>) -> Poll<Ending> {
        loop {
            let now = Instant::now();
            if let Some(leaving) = self.leaving.take_if(|leaving| leaving.deadline <= now) {
                return Poll::Ready((1000, "disconnected".into(), How::ByUs(leaving.stop), closed_by_user()));
            }
            if self.close_by.is_some_and(|due| due <= now) {
                return Poll::Ready(self.broken(WsError::ConnectionClosed));
            }
            while self.barriers.front().is_some_and(|barrier| barrier.deadline <= now) {
                if let Some(barrier) = self.barriers.pop_front() {
                    tracing::warn!("the gateway answers no pings: subscriptions and flushes are taken for done");
                    self.lower(barrier.kind);
                }
                self.progress(control);
            }
            let mut next = match self.check_liveness(now) {
                Ok(next) => next,
                Err(silence) => {
                    let reason = format!("no frame came for {silence:?}");
                    let error = Error::new(ErrorKind::ConnectionLost, format!("the connection was lost: {reason}"));
                    return Poll::Ready((1006, reason, How::Lost, error));
                }
            };
            if self.expire_unacked(now)
                && let Some((oldest, _)) = self.unacked.front()
            {
                next = next.min(*oldest + self.shared.options.retry_for);
            }
            if matches!(self.phase, Phase::Resubscribing { .. }) {
                let mut waiter = Some(next);
                if let Poll::Ready(stop) = control.expire_waiters(&mut waiter) {
                    self.leave(stop);
                    // The close frame, where there is room for it.
                    if let Err(error) = self.write(context) {
                        return Poll::Ready(self.broken(error));
                    }
                }
                next = waiter.unwrap_or(next);
            }
            if let Some(barrier) = self.barriers.front() {
                next = next.min(barrier.deadline);
            }
            if let Some(leaving) = &self.leaving {
                next = next.min(leaving.deadline);
            }
            if let Some(due) = self.close_by {
                next = next.min(due);
            }
            if let Err(error) = self.flush(context) {
                return Poll::Ready(self.broken(error));
            }
            // Left as it is where it fires too early: that costs one look, a reset costs one a message.
            if next < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(context));
        }
    }

    /// When to look again; or for how long the peer has been silent, if that is too long.
    fn check_liveness(&mut self, now: Instant) -> Result<Instant, Duration> {
        let options = &self.shared.options;
        // What can't be read for want of room is no sign of death.
        if self.inboxes_block() {
            self.last_received = now;
            self.pinged = None;
        }
        match self.pinged {
            None if now < self.last_received + options.ping_after => Ok(self.last_received + options.ping_after),
            None => {
                self.pinged = Some(now);
                // 0 is no barrier's number.
                let _ = self.send(Message::Ping(Bytes::from_static(&[0; 8])));
                Ok(now + options.pong_timeout)
            }
            Some(pinged) if now < pinged + options.pong_timeout => Ok(pinged + options.pong_timeout),
            Some(_) => Err(now - self.last_received),
        }
    }

    /// Gives up on publishes that were not acknowledged for too long. Says whether any are left.
    fn expire_unacked(&mut self, now: Instant) -> bool {
        let keep = self.shared.options.retry_for;
        while let Some((since, receipt)) = self.unacked.front() {
            let retained = receipt.retained().is_some();
            if retained && *since + keep > now {
                return true;
            }
            if retained {
                let error = Error::new(ErrorKind::Timeout, format!("no ack within {keep:?}: given up"));
                if let Some(bytes) = receipt.release() {
                    self.shared.outbox.free(1, bytes);
                }
                Counters::add(&self.shared.counters.lost, 1);
                receipt.fail(&error, &mut self.batch);
                if !receipt.is_wanted() {
                    self.shared.receipts.remove(receipt);
                }
            }
            self.unacked.pop_front();
        }
        false
    }
}

pub(crate) fn closed_by_user() -> Error {
    Error::new(ErrorKind::Closed, "the client was disconnected")
}
