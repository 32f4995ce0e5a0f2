//! What waits to be written. Publishers append under a lock and kick the connection once; it takes all there is,
//! writes it and flushes once.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::give_way::give_way;
use crate::options::{Kick, Offline, Options};
use crate::receipt::Receipt;
use crate::shared::Kicker;
use crate::sync::Lock;

/// With [`Kick::Manual`] the connection is woken all the same when this much waits.
const KICK_BYTES: usize = 64 * 1024;

pub(crate) enum Item {
    /// A publish or send.
    Message { frame: Bytes, receipt: Arc<Receipt>, expires: Option<Instant> },
    /// A `subscribe` frame.
    Subscribe(Arc<str>),
    /// An `unsubscribe` frame, and who waits for it.
    Unsubscribe(Arc<str>, oneshot::Sender<Result<()>>),
    /// Who waits for all before it to have reached the gateway.
    Flush(oneshot::Sender<Result<()>>),
}

impl Item {
    fn size(&self) -> usize {
        match self {
            Item::Message { frame, .. } => frame.len(),
            _ => 0,
        }
    }
}

/// Whether messages are taken.
#[derive(Clone)]
enum Gate {
    /// In a session.
    Open,
    /// Not in a session, and messages wait for the next.
    Queueing,
    /// Not in a session, and messages fail with this.
    Shut(Error),
}

/// What came since the last [`end_burst`](Outbox::end_burst).
#[derive(Default)]
struct Burst {
    published: usize,
    /// Replies that are awaited.
    asked: usize,
}

/// What a burst leaves to be written.
pub(crate) enum Left {
    Nothing,
    /// A lone message, in a session.
    One,
    Many,
}

struct State {
    items: VecDeque<Item>,
    /// How many messages and bytes wait: in `items`, with the connection, or with `retry` for their acks.
    messages: usize,
    bytes: usize,
    burst: Burst,
    gate: Gate,
}

pub(crate) struct Outbox {
    state: Lock<State>,
    room: Notify,
    kicker: Arc<Kicker>,
    options: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    messages: usize,
    bytes: usize,
    offline: Offline,
    kick: Kick,
}

impl Outbox {
    pub(crate) fn new(options: &Options, kicker: &Arc<Kicker>) -> Self {
        let limits = Limits {
            messages: options.outbox_messages,
            bytes: options.outbox_bytes,
            offline: options.offline,
            kick: options.kick,
        };
        let outbox = Outbox {
            state: Lock::new(State {
                items: VecDeque::new(),
                messages: 0,
                bytes: 0,
                burst: Burst::default(),
                gate: Gate::Queueing,
            }),
            room: Notify::new(),
            kicker: Arc::clone(kicker),
            options: limits,
        };
        outbox.suspend(&not_connected("call connect first"));
        outbox
    }

    /// Whether a message would be taken now, without making one.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.state.lock().gate {
            Gate::Shut(error) => Err(error.clone()),
            Gate::Open | Gate::Queueing => Ok(()),
        }
    }

    /// Queues a message. Takes `frame` only when it does.
    pub(crate) fn push(&self, frame: &mut Bytes, receipt: &Arc<Receipt>) -> Result<()> {
        let mut state = self.state.lock();
        let (messages, bytes, expires) = match (&state.gate, self.options.offline) {
            (Gate::Shut(error), _) => return Err(error.clone()),
            (Gate::Queueing, Offline::Queue { messages, bytes, ttl }) => {
                (messages, bytes, Instant::now().checked_add(ttl))
            }
            (Gate::Open | Gate::Queueing, _) => (self.options.messages, self.options.bytes, None),
        };
        // A message larger than the whole queue is taken when the queue is empty, or it could never be sent.
        if state.messages >= messages || (state.messages > 0 && state.bytes + frame.len() > bytes) {
            return Err(Error::new(
                ErrorKind::QueueFull,
                format!(
                    "{} messages with {} bytes wait to be written, the limit is {messages} with {bytes}: wait for acks, or flush",
                    state.messages, state.bytes
                ),
            ));
        }
        state.messages += 1;
        state.bytes += frame.len();
        state.burst.published = state.burst.published.saturating_add(1);
        let kick = match self.options.kick {
            Kick::Auto => true,
            Kick::Manual { published, .. } => published == Some(state.burst.published) || state.bytes >= KICK_BYTES,
        };
        let frame = std::mem::take(frame);
        state.items.push_back(Item::Message { frame, receipt: Arc::clone(receipt), expires });
        drop(state);
        if kick {
            self.kicker.kick();
        }
        Ok(())
    }

    /// Somebody waits for a reply to a message.
    pub(crate) fn asked(&self) {
        let Kick::Manual { asked: Some(limit), .. } = self.options.kick else { return };
        let mut state = self.state.lock();
        state.burst.asked = state.burst.asked.saturating_add(1);
        let kick = state.burst.asked == limit;
        drop(state);
        if kick {
            self.kicker.kick();
            give_way();
        }
    }

    /// With [`Kick::Manual`]: what came is all that comes for now. Says what of it waits to be written.
    pub(crate) fn end_burst(&self) -> Left {
        let mut state = self.state.lock();
        let burst = std::mem::take(&mut state.burst);
        if state.items.is_empty() {
            Left::Nothing
        } else if burst.published == 1 && matches!(state.gate, Gate::Open) {
            Left::One
        } else {
            Left::Many
        }
    }

    /// Queues what is no message; it takes no room.
    pub(crate) fn push_control(&self, item: Item) {
        self.state.lock().items.push_back(item);
        self.kicker.kick();
    }

    /// Resolves when there may be room again. Make it before trying, await it after failing.
    pub(crate) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Takes all there is.
    pub(crate) fn take(&self, into: &mut VecDeque<Item>) {
        let mut state = self.state.lock();
        if into.is_empty() {
            std::mem::swap(&mut state.items, into);
        } else {
            into.append(&mut state.items);
        }
    }

    /// Says that messages are written (with `retry`: acknowledged) and take no room any more.
    pub(crate) fn free(&self, messages: usize, bytes: usize) {
        if messages == 0 {
            return;
        }
        let mut state = self.state.lock();
        state.messages = state.messages.saturating_sub(messages);
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.room.notify_waiters();
    }

    /// A session has begun.
    pub(crate) fn open(&self) {
        self.state.lock().gate = Gate::Open;
        self.kicker.kick();
    }

    /// There is no session for now, and `error` says why. Messages wait for the next one or fail, as the options say.
    pub(crate) fn suspend(&self, error: &Error) {
        match self.options.offline {
            Offline::Fail => self.shut(error),
            Offline::Queue { .. } => self.state.lock().gate = Gate::Queueing,
        }
    }

    /// No messages are taken; they fail with `error`.
    pub(crate) fn shut(&self, error: &Error) {
        self.state.lock().gate = Gate::Shut(error.clone());
        self.room.notify_waiters();
    }

    /// Puts back what a connection had taken and not written, before what has come since.
    pub(crate) fn put_back(&self, mut unwritten: VecDeque<Item>, ttl: Option<std::time::Duration>) {
        let new_expiry = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        for item in &mut unwritten {
            if let Item::Message { expires, .. } = item
                && expires.is_none()
            {
                *expires = new_expiry;
            }
        }
        let mut state = self.state.lock();
        unwritten.append(&mut state.items);
        state.items = unwritten;
    }

    /// Takes out all items, messages and others, and frees their room.
    pub(crate) fn clear(&self) -> VecDeque<Item> {
        let mut state = self.state.lock();
        let items = std::mem::take(&mut state.items);
        let messages = items.iter().filter(|item| matches!(item, Item::Message { .. })).count();
        let bytes: usize = items.iter().map(Item::size).sum();
        state.messages = state.messages.saturating_sub(messages);
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.room.notify_waiters();
        items
    }

    /// Takes out the messages whose time is up; says when the next one's is.
    pub(crate) fn expire(&self, now: Instant) -> (Vec<Arc<Receipt>>, Option<Instant>) {
        let mut expired = Vec::new();
        let mut next = None;
        let mut state = self.state.lock();
        let (mut messages, mut bytes) = (0, 0);
        state.items.retain(|item| match item {
            Item::Message { frame, receipt, expires: Some(at) } if *at <= now => {
                messages += 1;
                bytes += frame.len();
                expired.push(Arc::clone(receipt));
                false
            }
            Item::Message { expires: Some(at), .. } => {
                next = Some(next.map_or(*at, |next: Instant| next.min(*at)));
                true
            }
            _ => true,
        });
        state.messages = state.messages.saturating_sub(messages);
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        if !expired.is_empty() {
            self.room.notify_waiters();
        }
        (expired, next)
    }

    /// How many messages and bytes wait.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.messages, state.bytes)
    }
}

pub(crate) fn not_connected(what_to_do: &str) -> Error {
    Error::new(ErrorKind::NotConnected, format!("there is no session: {what_to_do}"))
}
