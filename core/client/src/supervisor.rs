//! The task that runs a client: idle, connecting, in a session, pausing, and round again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument;

use crate::block::refuse_blocking;
use crate::control::{Control, Stop, Wish};
use crate::dedupe::Dedupe;
use crate::dial::Dialer;
use crate::driver::drive;
use crate::error::{Error, ErrorKind};
use crate::event::State;
use crate::inbox::Entry;
use crate::options::Offline;
use crate::outbox::{Item, not_connected};
use crate::receipt::Receipt;
use crate::session::{End, How, Session, closed_by_user};
use crate::shared::Shared;
use crate::stats::Counters;
use crate::subscriptions::forbidden;

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    dialer: Dialer,
    control: Control,
    dedupe: Option<Dedupe>,
    /// With `retry`: written, not acknowledged, oldest first, and since when.
    unacked: VecDeque<(Instant, Arc<Receipt>)>,
}

/// Codes with which gateways close for reasons of their own: no topic is to blame.
const BLAMELESS: [u16; 6] = [1000, 1001, 1009, 1011, 1012, 1013];

impl Supervisor {
    pub(crate) fn new(shared: Arc<Shared>, dialer: Dialer, control: Control) -> Self {
        let dedupe = shared.options.dedupe.map(Dedupe::new);
        Supervisor { shared, dialer, control, dedupe, unacked: VecDeque::new() }
    }

    /// Runs until no handle is left.
    pub(crate) async fn run(mut self) {
        loop {
            match self.control.idle().await {
                Wish::Connect if self.stay_connected().await => break,
                Wish::Connect => {}
                Wish::Disconnect { done } => {
                    // What was queued for a session to come. The client stays what it is.
                    self.end_waits(&closed_by_user());
                    self.shared.end_event_waits(&closed_by_user());
                    let _ = done.send(());
                }
                Wish::Nothing => break,
            }
        }
    }

    /// Connects, and connects again, until there is a reason to stop. Says whether that is for good.
    async fn stay_connected(&mut self) -> bool {
        let mut failures: u32 = 0;
        let mut state = State::Connecting;
        let mut reason = "asked to connect".to_owned();
        loop {
            self.shared
                .outbox
                .suspend(&not_connected("the client is still connecting; wait for it, or let it queue while offline"));
            self.shared.set_state(state, None, &reason);
            let attempt = tokio::select! {
                biased;
                stop = self.control.stop() => return self.stop(stop, None),
                attempt = self.dialer.connect(&self.shared.options) => attempt,
            };
            match attempt {
                Err(failure) => {
                    failures += 1;
                    Counters::add(&self.shared.counters.failed_attempts, 1);
                    reason = failure.error.to_string();
                    self.control.last_cause = Some(failure.error.clone());
                    let stops = failure.close.as_ref().is_some_and(|(code, _)| self.stops_on(*code));
                    let last = stops || self.spent(failures);
                    self.shared.emit_error(failure.error.clone());
                    if let Some((code, reason)) = &failure.close {
                        self.shared.emit_close(*code, reason, !last);
                    }
                    if last {
                        return self.fail(&failure.error);
                    }
                }
                Ok(established) => {
                    let session = Session::new(&self.shared, established, &mut self.dedupe, &mut self.unacked);
                    let mut end = session.run(&mut self.control).await;
                    let stable = end.lasted.is_some_and(|lasted| lasted >= self.shared.options.backoff.stable_after);
                    failures = if stable { 1 } else { failures + 1 };
                    if end.lasted.is_some() {
                        state = State::Reconnecting;
                    }
                    let how = std::mem::replace(&mut end.how, How::Lost);
                    if let How::ByUs(stop) = how {
                        return self.left(end, stop);
                    }
                    let by_peer = matches!(how, How::ByPeer);
                    let stops = by_peer && self.stops_on(end.code);
                    // A stable session is no failure, so it does not count among the retries.
                    let last = stops || (!stable && self.spent(failures));
                    reason = end.error.to_string();
                    self.control.last_cause = Some(end.error.clone());
                    self.session_lost(end, by_peer, last);
                    if last {
                        let error = self.control.last_cause.clone().unwrap_or_else(closed_by_user);
                        return self.fail(&error);
                    }
                }
            }
            let pause = self.shared.options.backoff.pause(failures, rand::random());
            tokio::select! {
                biased;
                stop = self.control.stop() => return self.stop(stop, None),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn stops_on(&self, code: u16) -> bool {
        self.shared.options.stop_on_close_codes.contains(&code)
    }

    fn spent(&self, failures: u32) -> bool {
        self.shared.options.max_retries.is_some_and(|retries| failures > retries)
    }

    /// A session ended, and not by the user's wish.
    fn session_lost(&mut self, end: End, by_peer: bool, last: bool) {
        let down = not_connected(
            "the connection was lost and is being made again; wait for it, or let it queue while offline",
        );
        self.shared.outbox.suspend(&down);
        let state = if last { State::Failed } else { State::Reconnecting };
        if end.lasted.is_some() || last {
            self.shared.set_state(state, None, end.error.message());
        }
        let mut told = Vec::new();
        self.keep_or_fail(end.unwritten, &end.error, &mut told);
        // Written, and no ack will come on another connection; with `retry` the unacknowledged are written again.
        self.shared
            .receipts
            .fail(&end.error, &mut told, |receipt| receipt.is_written() && receipt.retained().is_none());
        self.shared.inbox.push(&mut told);
        let reason = end.reason.to_lowercase();
        let says_so = reason.contains("forbidden");
        let blame = by_peer && (says_so || !BLAMELESS.contains(&end.code));
        let guilty = self.shared.subscriptions.lock().session_ended(blame, says_so);
        self.shared.emit_close(end.code, &end.reason, !last);
        if let Some((topic, told)) = guilty {
            told.tell();
            self.shared.emit_error(forbidden(&topic));
        }
    }

    /// Puts unwritten messages back for the next session where the options say so, and fails the others.
    fn keep_or_fail(&mut self, unwritten: VecDeque<Item>, error: &Error, told: &mut Vec<Entry>) {
        let options = &self.shared.options;
        let ttl = match options.offline {
            Offline::Queue { ttl, .. } if !options.retry => Some(ttl),
            _ => None,
        };
        let keeps = options.retry || ttl.is_some();
        let mut kept = VecDeque::new();
        for (_, receipt) in self.unacked.drain(..) {
            if let Some(frame) = receipt.retained() {
                kept.push_back(Item::Message { frame, receipt, expires: None });
            }
        }
        let mut items = unwritten;
        self.shared.outbox.take(&mut items);
        let (mut messages, mut bytes) = (0, 0);
        for item in items {
            match item {
                Item::Message { .. } if keeps => kept.push_back(item),
                Item::Message { frame, receipt, .. } => {
                    messages += 1;
                    bytes += frame.len();
                    self.lose(&receipt, error, told);
                }
                // The topic is subscribed at the start of the next session.
                Item::Subscribe(_) => {}
                // It is not subscribed any more.
                Item::Unsubscribe(_, done) => drop(done.send(Ok(()))),
                Item::Flush(done) => drop(done.send(Err(error.clone()))),
            }
        }
        self.shared.outbox.free(messages, bytes);
        self.shared.outbox.put_back(kept, if options.retry { Some(options.retry_for) } else { ttl });
    }

    fn lose(&self, receipt: &Arc<Receipt>, error: &Error, told: &mut Vec<Entry>) {
        Counters::add(&self.shared.counters.lost, 1);
        receipt.release();
        receipt.fail(error, told);
        if !receipt.is_wanted() {
            self.shared.receipts.remove(receipt);
        }
    }

    /// Stops connecting, or, where a session has ended, being connected. Says whether that is for good.
    fn stop(&mut self, stop: Stop, ended: Option<(u16, String)>) -> bool {
        match &stop {
            Stop::Disconnect { .. } => self.stopped(State::Closed, &closed_by_user(), "disconnected"),
            Stop::GaveUp(error) if error.kind() == ErrorKind::Cancelled => {
                self.stopped(State::Closed, error, error.message());
            }
            Stop::GaveUp(error) => self.stopped(State::Failed, error, error.message()),
            // All ends with this task.
            Stop::Shutdown => {}
        }
        if let Some((code, reason)) = ended {
            self.shared.emit_close(code, &reason, false);
        }
        if let Stop::Disconnect { done, .. } = stop {
            self.shared.end_event_waits(&closed_by_user());
            let _ = done.send(());
            return false;
        }
        matches!(stop, Stop::Shutdown)
    }

    fn fail(&mut self, error: &Error) -> bool {
        self.stopped(State::Failed, error, error.message());
        false
    }

    /// A session was closed from this side.
    fn left(&mut self, end: End, stop: Stop) -> bool {
        self.shared.outbox.put_back(end.unwritten, None);
        // Nobody is to blame.
        let _ = self.shared.subscriptions.lock().session_ended(false, false);
        self.stop(stop, Some((end.code, end.reason)))
    }

    /// There will be no session until someone asks for one: everything that waits ends.
    fn stopped(&mut self, state: State, error: &Error, reason: &str) {
        let refusal = if error.kind() == ErrorKind::Closed {
            Error::new(ErrorKind::Closed, "the client was disconnected; connect again first")
        } else {
            not_connected(&format!("connecting was given up ({error}); connect again first"))
        };
        self.shared.outbox.shut(&refusal);
        let waits_end = if error.kind() == ErrorKind::Closed {
            error.clone()
        } else {
            Error::new(ErrorKind::ConnectionLost, format!("connecting was given up: {error}"))
        };
        self.end_waits(&waits_end);
        self.shared.set_state(state, None, reason);
        self.control.stopped(error);
    }

    /// Ends everything that waits, and drops what is queued.
    fn end_waits(&mut self, waits_end: &Error) {
        let mut told = Vec::new();
        for item in self.shared.outbox.clear() {
            match item {
                Item::Message { receipt, .. } => self.lose(&receipt, waits_end, &mut told),
                Item::Subscribe(_) => {}
                Item::Unsubscribe(_, done) => drop(done.send(Ok(()))),
                Item::Flush(done) => drop(done.send(Err(waits_end.clone()))),
            }
        }
        let (mut messages, mut bytes) = (0, 0);
        for (_, receipt) in std::mem::take(&mut self.unacked) {
            if let Some(size) = receipt.release() {
                messages += 1;
                bytes += size;
                self.lose(&receipt, waits_end, &mut told);
            }
        }
        self.shared.outbox.free(messages, bytes);
        self.shared.receipts.fail(waits_end, &mut told, |_| true);
        self.shared.inbox.push(&mut told);
        let told_subscribers = self.shared.subscriptions.lock().fail_waiters(waits_end);
        told_subscribers.tell();
    }
}

/// Also where the runtime is shut down under it: waits end then, as they can't even time out.
impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stopped(State::Closed, &closed_by_user(), "no handle is left, or the runtime was shut down");
        self.shared.shut(&closed_by_user());
    }
}

/// Runs a client: the task above, and the one that ends waits whose time is up.
pub(crate) fn spawn(runtime: &tokio::runtime::Handle, supervise: impl FnOnce() -> Supervisor) {
    let _entered = runtime.enter();
    let supervisor = supervise();
    let shared = Arc::clone(&supervisor.shared);
    let keeping = Arc::clone(&shared);
    let keeper = runtime.spawn(async move { keeping.deadlines.keep().await });
    let span = tracing::info_span!("client", number = supervisor.shared.number);
    // On a runtime of the caller's own any of its threads may be the one that polls the client.
    let run = refuse_blocking("this is the client's own task; use the asynchronous API", async move {
        supervisor.run().await;
        keeper.abort();
    });
    runtime.spawn(drive(shared, run.instrument(span)));
}
