//! Messages as they came: the frame's text is kept, and looked into when somebody asks.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Weak};

use realtime_pubsub_protocol::envelope::Presence;
use realtime_pubsub_protocol::{Envelope, RawJson, Response, Sender};
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::publish::Reply;
use crate::shared::Shared;

/// Frames up to this many bytes are copied. Others share the buffer they were read into, which is kept as long as one of
/// them is: 16 KiB, or the frame where it is larger. A message that waits, or that somebody keeps, holds little more
/// than itself, and the buffer is soon free to be read into again.
const COPIED: usize = 4 * 1024;

/// Where in the frame something stands.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The place of `part` in `frame`, if it lies there.
    fn of(part: &str, frame: &str) -> Option<Span> {
        let start = (part.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
        let end = start + part.len();
        // `max_message_size` keeps frames far below 4 GiB.
        (end <= frame.len()).then_some(Span { start: start as u32, end: end as u32 })
    }

    fn get(self, frame: &str) -> &str {
        frame.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A name in the frame, or on its own where it was written with escapes.
#[derive(Clone, Debug)]
enum Name {
    Span(Span),
    // Boxed twice so that a name is no larger than a span: it is rare.
    Owned(Box<Box<str>>),
}

impl Name {
    fn new(name: &str, frame: &str) -> Self {
        Span::of(name, frame).map_or_else(|| Name::Owned(Box::new(name.into())), Name::Span)
    }

    fn get<'a>(&'a self, frame: &'a str) -> &'a str {
        match self {
            Name::Span(span) => span.get(frame),
            Name::Owned(text) => text,
        }
    }
}

/// A message from the gateway. The seed's `IncomingMessage`.
///
/// Cheap to clone. Its JSON is kept as it came, so that no number loses a digit, and is parsed when asked for.
#[derive(Clone)]
pub struct IncomingMessage {
    frame: Utf8Bytes,
    topic: Name,
    message_type: Name,
    // An empty span is a part that is missing.
    data: Span,
    client: Span,
    payload: Span,
    id: Span,
    compression: bool,
    // Weak, or messages that nobody took from an inbox would keep their client, and it them.
    shared: Weak<Shared>,
}

impl IncomingMessage {
    pub(crate) fn new(frame: &Utf8Bytes, envelope: &Envelope<'_>, compression: bool, shared: &Arc<Shared>) -> Self {
        let text = frame.as_str();
        let span = |raw: Option<RawJson<'_>>| raw.and_then(|raw| Span::of(raw.as_str(), text)).unwrap_or_default();
        let parts = envelope.message_data();
        IncomingMessage {
            topic: Name::new(&envelope.topic, text),
            message_type: Name::new(&envelope.message_type, text),
            data: span(Some(envelope.data)),
            client: span(parts.client),
            payload: span(Some(parts.payload)),
            id: span(parts.id),
            frame: if text.len() <= COPIED { Utf8Bytes::from(text) } else { frame.clone() },
            compression,
            shared: Arc::downgrade(shared),
        }
    }

    fn part(&self, span: Span) -> Option<RawJson<'_>> {
        let text = span.get(&self.frame);
        (!text.is_empty()).then(|| RawJson::trusted(text))
    }

    fn raw(&self, span: Span) -> RawJson<'_> {
        self.part(span).unwrap_or(RawJson::NULL)
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.topic.get(&self.frame)
    }

    /// The message type, `broadcast` where the sender gave none.
    pub fn message_type(&self) -> &str {
        self.message_type.get(&self.frame)
    }

    /// All of the message's data: for one published or sent over WebSocket an object with `client`, `payload` and
    /// `id`, for one published over REST whatever was published.
    pub fn data(&self) -> RawJson<'_> {
        self.raw(self.data)
    }

    /// Whether it came as a binary frame, which is how the gateway delivers what was published with `compress`.
    pub fn compression(&self) -> bool {
        self.compression
    }

    /// What was published: `data.payload`, or all of `data` for a message published over REST.
    pub fn payload(&self) -> RawJson<'_> {
        self.raw(self.payload)
    }

    /// The payload, read into `T`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when it has another shape.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T> {
        parse(self.payload(), "payload")
    }

    /// The message's id; `None` for one published over REST.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.part(self.id).and_then(RawJson::to_text)
    }

    /// Who sent it; `None` for one published over REST.
    pub fn sender(&self) -> Option<Sender<'_>> {
        Sender::parse(self.part(self.client)?)
    }

    /// Who sent it as it came, JSON; `None` for one published over REST. Bindings tell senders apart by it without
    /// reading it.
    pub fn sender_raw(&self) -> Option<RawJson<'_>> {
        self.part(self.client)
    }

    /// `data` as a JSON object. The seed's `DataAsMap`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when `data` is no object.
    pub fn data_as_map(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        parse(self.data(), "data")
    }

    /// What a presence message says; `None` where this is none. The seed's `DataAsPresenceMessage`.
    pub fn data_as_presence(&self) -> Option<PresenceMessage> {
        if self.message_type() != realtime_pubsub_protocol::TYPE_PRESENCE {
            return None;
        }
        let presence = Presence::parse(self.payload())?;
        let sender = self.sender().unwrap_or_default();
        Some(PresenceMessage {
            status: presence.status.into_owned(),
            code: presence.code,
            connection_id: sender.connection_id.into_owned(),
            subject: sender.subject.into_owned(),
            permissions: sender.permissions.into_iter().map(Cow::into_owned).collect(),
        })
    }

    /// The frame as it came.
    pub fn frame(&self) -> &str {
        &self.frame
    }

    /// A reply to the sender, with status `ok` unless another is given:
    /// `message.reply("Got it!").status("ok").enqueue()?`.
    ///
    /// Nothing is sent before the [`Reply`] is awaited or [enqueued](Reply::enqueue).
    pub fn reply(&self, data: impl serde::Serialize) -> Reply {
        Reply::new(self, &self.shared, data)
    }

    /// Like [`reply`](Self::reply), with data that is JSON text already.
    pub fn reply_raw(&self, data: RawJson<'_>) -> Reply {
        Reply::raw(self, &self.shared, data)
    }

    /// A reply that says how an attempt to answer ended: the data with status `ok`, or the error's text with status
    /// `error`.
    pub fn answer<T: serde::Serialize, E: fmt::Display>(&self, outcome: std::result::Result<T, E>) -> Reply {
        match outcome {
            Ok(data) => self.reply(data),
            Err(error) => self.reply(error.to_string()).status("error"),
        }
    }
}

impl fmt::Debug for IncomingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingMessage")
            .field("topic", &self.topic())
            .field("message_type", &self.message_type())
            .field("data", &self.data().as_str())
            .field("compression", &self.compression)
            .finish()
    }
}

fn parse<T: DeserializeOwned>(raw: RawJson<'_>, what: &str) -> Result<T> {
    serde_json::from_str(raw.as_str())
        .map_err(|error| Error::invalid(format!("the message's {what} has another shape: {error}")))
}

/// A reply. The seed's `ResponseMessage`.
#[derive(Clone, Debug)]
pub struct ResponseMessage {
    message: IncomingMessage,
    id: Name,
    status: Name,
    data: Span,
}

impl ResponseMessage {
    /// Takes the reply in `message`, whose payload `response` is.
    pub(crate) fn new(message: IncomingMessage, response: &Response<'_>) -> Self {
        let frame = &*message.frame;
        ResponseMessage {
            id: Name::new(&response.id, frame),
            status: Name::new(&response.status, frame),
            data: Span::of(response.data.as_str(), frame).unwrap_or_default(),
            message,
        }
    }

    /// The id of the message it answers.
    pub fn id(&self) -> &str {
        self.id.get(&self.message.frame)
    }

    /// `ok`, or what the replier chose.
    pub fn status(&self) -> &str {
        self.status.get(&self.message.frame)
    }

    /// What was replied.
    pub fn data(&self) -> RawJson<'_> {
        self.message.raw(self.data)
    }

    /// What was replied, read into `T`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when it has another shape.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T> {
        parse(self.data(), "data")
    }

    /// What was replied, as a JSON object. The seed's `DataAsMap`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when it is no object.
    pub fn data_as_map(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        parse(self.data(), "data")
    }

    /// The message that carried it: who replied, and whether it was compressed.
    pub fn message(&self) -> &IncomingMessage {
        &self.message
    }
}

/// A client of the app came or went. The seed's `PresenceMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceMessage {
    /// `connected` or `disconnected`.
    pub status: String,
    /// 0 for connected, -1 for disconnected.
    pub code: Option<i64>,
    /// Whose connection.
    pub connection_id: String,
    /// Its token's subject.
    pub subject: String,
    /// Its token's permissions.
    pub permissions: Vec<String>,
}

pub(crate) fn not_replyable(why: &str) -> Error {
    Error::new(ErrorKind::NotReplyable, format!("this message can't be replied to: {why}"))
}
