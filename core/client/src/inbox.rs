//! The one bounded, ordered queue between the connection and whoever runs the listeners.
//!
//! The connection pushes a batch under one lock, the consumer drains batches, and is woken once when the queue turns
//! from empty to non-empty. Settled waits and control events are never dropped; messages are, by [`Overflow`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::error::Error;
use crate::event::{Event, Lagged};
use crate::message::{IncomingMessage, ResponseMessage};
use crate::options::Overflow;
use crate::registry::{ListenerId, Matched, Registry};
use crate::shared::Kicker;

/// How much of a message's size counts beyond its frame.
const OVERHEAD: usize = 64;
/// How much is handed over at a time, which may exceed an inbox's bounds by that. After so much the consumer had better
/// begin while the rest is read.
pub(crate) const HAND_OVER: usize = 128;

/// One entry of an [`Inbox`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// A message or control event, for these listeners, in the order of their registration.
    Event {
        /// The listeners.
        listeners: Arc<[ListenerId]>,
        /// What they are told.
        event: Event,
    },
    /// A wait that was registered with a token has ended.
    Settled {
        /// The token.
        token: u64,
        /// How it ended.
        outcome: Result<Settled, Error>,
    },
}

/// What a wait was for, and got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Settled {
    /// The gateway took the message.
    Ack,
    /// A peer replied.
    Reply(ResponseMessage),
    /// The event came.
    Event(Event),
}

/// What the connection pushes.
pub(crate) enum Entry {
    Message { matched: Arc<Matched>, message: IncomingMessage },
    Control { listeners: Arc<[ListenerId]>, event: Event },
    Settled { token: u64, outcome: Result<Settled, Error> },
}

/// How much an inbox holds and what happens beyond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// Settled waits, each with the entries it comes after: a place in the same order, in a lane that
    /// [`Inbox::drain_settled`] can empty on its own.
    settled: VecDeque<(u64, Entry)>,
    /// How many of `entries` were ever taken out.
    taken: u64,
    /// The consumer has no use for messages now, but for settled waits.
    settled_only: bool,
    messages: usize,
    bytes: usize,
    lagged: u64,
    blocked: bool,
    closed: bool,
    waker: Option<Waker>,
    /// How many threads wait: telling nobody would still be a system call.
    waiting: usize,
}

/// A client's queue of deliveries, for a consumer that drains it itself, as the language bindings do. Rust programs use
/// [`Client::on`](crate::Client::on) or [`Client::messages`](crate::Client::messages), which drain one for them.
pub struct Inbox {
    queue: Mutex<Queue>,
    arrived: Condvar,
    ready: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// The client's task is running: it calls `ready` when it has done its work, if by then that is `owed`.
    held: AtomicBool,
    owed: AtomicBool,
    capacity: Capacity,
    lagged_listeners: Option<Arc<Registry>>,
    kicker: Arc<Kicker>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lock();
        f.debug_struct("Inbox").field("len", &queue.entries.len()).field("bytes", &queue.bytes).finish()
    }
}

impl Inbox {
    pub(crate) fn new(capacity: Capacity, registry: Option<Arc<Registry>>, kicker: Arc<Kicker>) -> Self {
        Inbox {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            ready: OnceLock::new(),
            held: AtomicBool::new(false),
            owed: AtomicBool::new(false),
            capacity,
            lagged_listeners: registry,
            kicker,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers what is called when the inbox turns from empty to non-empty, or closes: once, from any thread, with
    /// no lock held. It must not block; it should make the consumer call [`drain`](Self::drain). Only the first
    /// registration counts. If there is something already, it is called at once.
    pub fn on_ready(&self, wake: impl Fn() + Send + Sync + 'static) {
        if self.ready.set(Box::new(wake)).is_ok() && self.wants_drain() {
            self.wake(false, None, true);
        }
    }

    fn wants_drain(&self) -> bool {
        let queue = self.lock();
        !queue.is_empty() || queue.closed
    }

    fn wake(&self, waiting: bool, waker: Option<Waker>, at_once: bool) {
        if waiting {
            self.arrived.notify_one();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(ready) = self.ready.get() {
            if !at_once && self.held.load(Ordering::SeqCst) {
                self.owed.store(true, Ordering::SeqCst);
                if self.held.load(Ordering::SeqCst) || !self.owed.swap(false, Ordering::SeqCst) {
                    return;
                }
            }
            ready();
        }
    }

    /// From now on the consumer is told of what comes by [`release_wakes`](Self::release_wakes).
    pub(crate) fn hold_wakes(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Says whether it told the consumer.
    pub(crate) fn release_wakes(&self) -> bool {
        self.held.store(false, Ordering::SeqCst);
        if self.owed.swap(false, Ordering::SeqCst)
            && let Some(ready) = self.ready.get()
        {
            ready();
            return true;
        }
        false
    }

    /// Pushes what came in one read. Empties `batch`. Says how many messages were dropped.
    pub(crate) fn push(&self, batch: &mut Vec<Entry>) -> u64 {
        if batch.is_empty() {
            return 0;
        }
        let mut queue = self.lock();
        if queue.closed {
            batch.clear();
            return 0;
        }
        let full = batch.len() >= HAND_OVER;
        let was_empty = queue.is_empty();
        let none_settled = queue.settled.is_empty();
        let lagged = queue.lagged;
        for entry in batch.drain(..) {
            queue.push(entry, &self.capacity);
        }
        let dropped = queue.lagged - lagged;
        let woken =
            (was_empty && !queue.is_empty()) || (queue.settled_only && none_settled && !queue.settled.is_empty());
        let waker = if woken { queue.waker.take() } else { None };
        let waiting = queue.waiting > 0;
        drop(queue);
        if woken {
            self.wake(waiting, waker, full);
        }
        dropped
    }

    /// Whether the connection must stop reading. Remembers that it asked, so that a drain wakes it.
    pub(crate) fn blocks(&self) -> bool {
        if self.capacity.overflow != Overflow::Block {
            return false;
        }
        let mut queue = self.lock();
        queue.blocked = !queue.closed && queue.is_full(&self.capacity, 0);
        queue.blocked
    }

    /// Moves up to `max` deliveries to the end of `out`, in order, and says how many are left. A `once` listener is in
    /// the first of its deliveries only. A listener may have been taken off while the delivery waited: the consumer
    /// passes over ids it does not know.
    pub fn drain(&self, max: usize, out: &mut Vec<Delivery>) -> usize {
        let mut taken = Vec::new();
        let (left, lagged) = self.take(max, &mut taken);
        out.reserve(taken.len() + 1);
        if lagged > 0 {
            out.extend(self.lagged(lagged));
        }
        out.extend(taken.into_iter().filter_map(|entry| self.deliver(entry)));
        left
    }

    /// Moves up to `max` entries to `taken`; says how many are left and how many messages were dropped before them.
    fn take(&self, max: usize, taken: &mut Vec<Entry>) -> (usize, u64) {
        let mut queue = self.lock();
        queue.settled_only = false;
        let count = max.min(queue.len());
        if count == queue.entries.len() && queue.settled.is_empty() {
            taken.extend(queue.entries.drain(..));
            queue.taken += count as u64;
            (queue.messages, queue.bytes) = (0, 0);
        } else {
            for _ in 0..count {
                if let Some(entry) = queue.pop() {
                    taken.push(entry);
                }
            }
        }
        let lagged = std::mem::take(&mut queue.lagged);
        let left = queue.len();
        let kick = queue.blocked && !queue.is_full(&self.capacity, 0);
        if kick {
            queue.blocked = false;
        }
        drop(queue);
        if kick {
            self.kicker.kick();
        }
        (left, lagged)
    }

    /// Like [`drain`](Self::drain), for settled waits alone: messages and control events stay, and go on counting
    /// towards the inbox's bounds. For a consumer whose listener is busy, and may itself wait for an ack. From then on
    /// until the next `drain` it is woken for settled waits although there are messages.
    pub fn drain_settled(&self, max: usize, out: &mut Vec<Delivery>) -> usize {
        let mut queue = self.lock();
        queue.settled_only = true;
        let count = max.min(queue.settled.len());
        let taken: Vec<_> = queue.settled.drain(..count).collect();
        let left = queue.settled.len();
        drop(queue);
        out.extend(taken.into_iter().filter_map(|(_, entry)| self.deliver(entry)));
        left
    }

    fn lagged(&self, dropped: u64) -> Option<Delivery> {
        let event = Event::Lagged(Lagged { dropped });
        let listeners = self.lagged_listeners.as_ref()?.control_listeners(&event)?;
        Some(Delivery::Event { listeners, event })
    }

    fn deliver(&self, entry: Entry) -> Option<Delivery> {
        match entry {
            Entry::Settled { token, outcome } => Some(Delivery::Settled { token, outcome }),
            Entry::Control { listeners, event } => {
                let listeners = match &self.lagged_listeners {
                    Some(registry) => registry.take_once(&listeners).unwrap_or(listeners),
                    None => listeners,
                };
                (!listeners.is_empty()).then_some(Delivery::Event { listeners, event })
            }
            Entry::Message { matched, message } => {
                let mut listeners = Arc::clone(&matched.listeners);
                if matched.has_once {
                    if let Some(left) = self.lagged_listeners.as_ref().and_then(|r| r.take_once(&listeners)) {
                        listeners = left;
                    }
                    if listeners.is_empty() {
                        return None;
                    }
                }
                Some(Delivery::Event { listeners, event: Event::Message(message) })
            }
        }
    }

    /// Waits until there is something to drain, the inbox closes, or the time is up. Says whether there is something.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut queue = self.lock();
        queue.waiting += 1;
        let empty = |queue: &mut Queue| queue.is_empty() && !queue.closed;
        let mut queue = match timeout {
            None => self.arrived.wait_while(queue, empty).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.arrived.wait_timeout_while(queue, timeout, empty).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        queue.waiting -= 1;
        !queue.is_empty()
    }

    /// Whether the client is gone: nothing more will come once it is drained.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many deliveries wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        let waker = queue.waker.take();
        drop(queue);
        self.arrived.notify_all();
        self.wake(false, waker, true);
        self.kicker.kick();
    }

    /// The next message of a stream's inbox.
    pub(crate) fn poll_message(
        &self,
        local: &mut VecDeque<IncomingMessage>,
        waker: &Waker,
    ) -> Poll<Option<IncomingMessage>> {
        if let Some(message) = local.pop_front() {
            return Poll::Ready(Some(message));
        }
        let mut taken = Vec::new();
        self.take(256, &mut taken);
        local.extend(taken.into_iter().filter_map(|entry| match entry {
            Entry::Message { message, .. } => Some(message),
            _ => None,
        }));
        if let Some(message) = local.pop_front() {
            return Poll::Ready(Some(message));
        }
        let mut queue = self.lock();
        if !queue.entries.is_empty() {
            waker.wake_by_ref();
        } else if queue.closed {
            return Poll::Ready(None);
        }
        queue.waker = Some(waker.clone());
        Poll::Pending
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.entries.len() + self.settled.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && self.lagged == 0
    }

    fn is_full(&self, capacity: &Capacity, adding: usize) -> bool {
        self.messages >= capacity.messages || self.bytes + adding > capacity.bytes
    }

    fn push(&mut self, entry: Entry, capacity: &Capacity) {
        if matches!(entry, Entry::Settled { .. }) {
            self.settled.push_back((self.taken + self.entries.len() as u64, entry));
            return;
        }
        let Some(size) = entry.size() else {
            self.entries.push_back(entry);
            return;
        };
        // One message larger than all of the inbox is taken when there is no other, or it could never be delivered.
        match capacity.overflow {
            Overflow::Block => {}
            Overflow::DropNewest => {
                if self.messages > 0 && self.is_full(capacity, size) {
                    self.lagged += 1;
                    return;
                }
            }
            Overflow::DropOldest => {
                while self.messages > 0 && self.is_full(capacity, size) {
                    let Some(oldest) = self.entries.iter().position(|entry| entry.size().is_some()) else { break };
                    if let Some(size) = self.entries.remove(oldest).and_then(|entry| entry.size()) {
                        self.taken += 1;
                        self.messages -= 1;
                        self.bytes -= size;
                        self.lagged += 1;
                    }
                }
            }
        }
        self.messages += 1;
        self.bytes += size;
        self.entries.push_back(entry);
    }

    fn pop(&mut self) -> Option<Entry> {
        if self.settled.front().is_some_and(|(after, _)| *after <= self.taken) {
            return self.settled.pop_front().map(|(_, entry)| entry);
        }
        let entry = self.entries.pop_front()?;
        self.taken += 1;
        if let Some(size) = entry.size() {
            self.messages -= 1;
            self.bytes -= size;
        }
        Some(entry)
    }
}

impl Entry {
    /// What it counts for; `None` for what is never dropped.
    fn size(&self) -> Option<usize> {
        match self {
            Entry::Message { message, .. } => Some(message.frame().len() + OVERHEAD),
            // A gateway that sends nothing but garbage makes many of these.
            Entry::Control { event: Event::Error(error), .. } => Some(error.message().len() + OVERHEAD),
            Entry::Control { .. } | Entry::Settled { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::error::ErrorKind;

    fn inbox() -> Inbox {
        Inbox::new(Capacity { messages: 8, bytes: 1024, overflow: Overflow::Block }, None, Arc::default())
    }

    fn control(listener: u64) -> Entry {
        let error = Error::new(ErrorKind::Internal, "test");
        Entry::Control { listeners: Arc::new([ListenerId(listener)]), event: Event::Error(error) }
    }

    fn settled(token: u64) -> Entry {
        Entry::Settled { token, outcome: Ok(Settled::Ack) }
    }

    /// Listeners as they are, tokens negative.
    fn order(deliveries: &[Delivery]) -> Vec<i64> {
        let number = |delivery: &Delivery| match delivery {
            Delivery::Event { listeners, .. } => listeners[0].get() as i64,
            Delivery::Settled { token, .. } => -(*token as i64),
        };
        deliveries.iter().map(number).collect()
    }

    #[test]
    fn settled_waits_and_events_are_drained_in_the_order_they_came() {
        let inbox = inbox();
        inbox.push(&mut vec![settled(1), control(2), control(3), settled(4), settled(5), control(6)]);
        let mut out = Vec::new();
        assert_eq!(inbox.drain(2, &mut out), 4);
        inbox.push(&mut vec![settled(7)]);
        assert_eq!(inbox.drain(100, &mut out), 0);
        assert_eq!(order(&out), [-1, 2, 3, -4, -5, 6, -7]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_busy_consumer_gets_settled_waits_past_the_events_that_must_wait() {
        let inbox = inbox();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        inbox.on_ready(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        inbox.push(&mut vec![control(1)]);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        inbox.push(&mut vec![settled(2)]);
        assert_eq!(woken.load(Ordering::Relaxed), 1, "it is awake and will look");

        let mut out = Vec::new();
        assert_eq!(inbox.drain_settled(100, &mut out), 0);
        inbox.push(&mut vec![control(3), settled(4)]);
        assert_eq!(woken.load(Ordering::Relaxed), 2, "there were events, but no settled wait");
        assert_eq!(inbox.drain_settled(100, &mut out), 0);
        assert_eq!(order(&out), [-2, -4]);

        inbox.push(&mut vec![settled(5)]);
        out.clear();
        assert_eq!(inbox.drain(100, &mut out), 0);
        assert_eq!(order(&out), [1, 3, -5]);
        assert_eq!(woken.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_consumer_is_told_when_the_task_is_done_and_of_a_full_batch_at_once() {
        let inbox = inbox();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        inbox.on_ready(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        inbox.hold_wakes();
        inbox.push(&mut vec![settled(1)]);
        assert_eq!(woken.load(Ordering::Relaxed), 0);
        assert!(inbox.release_wakes());
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(!inbox.release_wakes(), "once is enough");

        inbox.drain(usize::MAX, &mut Vec::new());
        inbox.hold_wakes();
        inbox.push(&mut (0..HAND_OVER as u64).map(settled).collect());
        assert_eq!(woken.load(Ordering::Relaxed), 2);
        assert!(!inbox.release_wakes());
        inbox.drain(usize::MAX, &mut Vec::new());
        inbox.push(&mut vec![settled(1)]);
        assert_eq!(woken.load(Ordering::Relaxed), 3, "nobody holds it");
    }
}
