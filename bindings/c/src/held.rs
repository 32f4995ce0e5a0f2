//! What views of events, messages and replies live on.
//!
//! During a callback an event is lent: its handle is a number that only the thread of the callback knows, so that
//! showing a message costs no place in the table of handles. Whoever wants to keep it, or to pass it to another thread,
//! retains it, and gets a handle of that table.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use realtime_pubsub::{Error, ErrorKind, Event, IncomingMessage, PresenceMessage, ResponseMessage};
use realtime_pubsub_bindings::handles::{Named, RESERVED_BIT};

use crate::HANDLES;
use crate::boundary::Result;
use crate::input::rps_str;

pub(crate) enum Content {
    Event(Event),
    Response(ResponseMessage),
}

/// An event or a reply, and the texts made of it that somebody has a view of.
pub(crate) struct Held {
    content: Content,
    texts: OnceLock<Box<Texts>>,
}

impl Named for Held {
    const NAME: &'static str = "message, event or reply";
}

/// Texts that are not in the frame as they are. They stay where they are for as long as whoever holds them lives.
pub(crate) struct Texts {
    pub(crate) id: Option<String>,
    pub(crate) sender: Option<Person>,
    pub(crate) presence: Option<(PresenceMessage, Views)>,
}

/// Who sent a message.
pub(crate) struct Person {
    pub(crate) connection_id: String,
    pub(crate) subject: String,
    _permissions: Vec<String>,
    pub(crate) permissions: Views,
}

/// Views of strings that live beside them, unchanged.
pub(crate) struct Views(Vec<rps_str>);

// SAFETY: nothing is written through them, and what they point to is never changed.
unsafe impl Send for Views {}
// SAFETY: as above.
unsafe impl Sync for Views {}

impl Views {
    fn of(strings: &[String]) -> Self {
        Views(strings.iter().map(|string| rps_str::view(string)).collect())
    }

    pub(crate) fn as_slice(&self) -> &[rps_str] {
        &self.0
    }
}

impl Held {
    pub(crate) fn event(event: Event) -> Self {
        Held { content: Content::Event(event), texts: OnceLock::new() }
    }

    pub(crate) fn response(response: ResponseMessage) -> Self {
        Held { content: Content::Response(response), texts: OnceLock::new() }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    fn message(&self) -> Option<&IncomingMessage> {
        match &self.content {
            Content::Event(event) => event.message(),
            Content::Response(response) => Some(response.message()),
        }
    }

    pub(crate) fn texts(&self) -> &Texts {
        self.texts.get_or_init(|| {
            let message = self.message();
            let sender = message.and_then(IncomingMessage::sender).map(|sender| {
                let permissions: Vec<String> = sender.permissions.into_iter().map(Cow::into_owned).collect();
                let views = Views::of(&permissions);
                Person {
                    connection_id: sender.connection_id.into_owned(),
                    subject: sender.subject.into_owned(),
                    _permissions: permissions,
                    permissions: views,
                }
            });
            let presence = message.and_then(IncomingMessage::data_as_presence).map(|presence| {
                let views = Views::of(&presence.permissions);
                (presence, views)
            });
            let id = message.and_then(IncomingMessage::id).map(Cow::into_owned);
            Box::new(Texts { id, sender, presence })
        })
    }

    fn to_owned(&self) -> Self {
        let content = match &self.content {
            Content::Event(event) => Content::Event(event.clone()),
            Content::Response(response) => Content::Response(response.clone()),
        };
        Held { content, texts: OnceLock::new() }
    }
}

thread_local! {
    /// What is lent on this thread, innermost last.
    static LENT: RefCell<Vec<(u64, Held)>> = const { RefCell::new(Vec::new()) };
}

/// How much was lent in this process.
static LOANS: AtomicU64 = AtomicU64::new(1);

struct Loan(u64);

impl Drop for Loan {
    fn drop(&mut self) {
        let ended = LENT.with_borrow_mut(|lent| {
            let index = lent.iter().rposition(|(handle, _)| *handle == self.0)?;
            Some(lent.remove(index))
        });
        // Dropped when the list is free again.
        drop(ended);
    }
}

/// Lends it to what `body` calls on this thread. The views that `body` makes of it stay valid until `body` returns: they
/// point to the heap, never into `Held` itself.
pub(crate) fn lend<R>(held: Held, body: impl FnOnce(u64) -> R) -> R {
    let handle = LOANS.fetch_add(1, Ordering::Relaxed) | RESERVED_BIT;
    LENT.with_borrow_mut(|lent| lent.push((handle, held)));
    let _loan = Loan(handle);
    body(handle)
}

/// Looks at what a handle, lent or owned, stands for. `look` must not call the program.
pub(crate) fn with<R>(handle: u64, look: impl FnOnce(&Held) -> Result<R>) -> Result<R> {
    if !is_lent(handle) {
        let held: Arc<Held> = HANDLES.get(handle)?;
        return look(&held);
    }
    LENT.with_borrow(|lent| match lent.iter().rev().find(|(of, _)| *of == handle) {
        Some((_, held)) => look(held),
        None => Err(Error::new(
            ErrorKind::InvalidHandle,
            format!(
                "{handle:#x} was lent to a callback, for as long as it runs and on its thread: to keep it, or to pass it \
                 to another thread, retain it first"
            ),
        )),
    })
}

/// The message that a handle stands for.
pub(crate) fn with_message<R>(handle: u64, look: impl FnOnce(&Held, &IncomingMessage) -> Result<R>) -> Result<R> {
    with(handle, |held| match held.content() {
        Content::Event(Event::Message(message)) => look(held, message),
        Content::Event(_) => Err(wrong(handle, "a control event", "a message")),
        Content::Response(_) => Err(wrong(handle, "a reply", "a message")),
    })
}

/// The reply that a handle stands for.
pub(crate) fn with_response<R>(handle: u64, look: impl FnOnce(&Held, &ResponseMessage) -> Result<R>) -> Result<R> {
    with(handle, |held| match held.content() {
        Content::Response(response) => look(held, response),
        Content::Event(_) => Err(wrong(handle, "a message or event", "a reply")),
    })
}

pub(crate) fn wrong(handle: u64, is: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::InvalidHandle, format!("{handle:#x} is {is}, not {wanted}"))
}

/// A handle of its own for what a handle stands for.
pub(crate) fn retain(handle: u64) -> Result<u64> {
    let held = with(handle, |held| Ok(held.to_owned()))?;
    HANDLES.insert(held)
}

/// Whether a handle is one that was lent to a callback.
pub(crate) fn is_lent(handle: u64) -> bool {
    handle & RESERVED_BIT != 0
}

/// Frees a handle that is owned.
pub(crate) fn free(handle: u64) -> Result<()> {
    if is_lent(handle) {
        return Err(Error::new(
            ErrorKind::InvalidHandle,
            format!("{handle:#x} was lent to a callback, which does not free it"),
        ));
    }
    HANDLES.remove::<Held>(handle).map(drop)
}
