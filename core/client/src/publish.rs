//! Publishing, sending and replying: what is on its way out, before it is queued.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use realtime_pubsub_protocol::frame::{self, Target};
use realtime_pubsub_protocol::{PREFIX_PRIVATE, RawJson, Sender, TYPE_RESPONSE};
use serde::Serialize;

use crate::block::block_on;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{IncomingMessage, ResponseMessage, not_replyable};
use crate::session::closed_by_user;
use crate::shared::Shared;
use crate::waits::WaitFor;

/// A message that is being put together. Awaiting it queues it and gives a [`WaitFor`]; where the queue is full,
/// awaiting waits for room. [`enqueue`](Self::enqueue) does the same without waiting.
///
/// Nothing is sent before that.
#[must_use = "nothing is sent before a message is awaited or enqueued"]
pub struct Publish {
    shared: Arc<Shared>,
    id: Option<Box<str>>,
    compress: bool,
    /// The frame as far as it is known: up to its payload's end, or its message type's.
    frame: Result<Vec<u8>>,
    payload_end: usize,
}

impl Publish {
    pub(crate) fn new(shared: &Arc<Shared>, topic: Option<&str>, payload: impl Serialize) -> Self {
        Self::make(shared, topic, |out| write_json(out, "payload", &payload))
    }

    pub(crate) fn raw(shared: &Arc<Shared>, topic: Option<&str>, payload: RawJson<'_>) -> Self {
        Self::make(shared, topic, |out| {
            out.extend_from_slice(payload.as_str().as_bytes());
            Ok(())
        })
    }

    fn make(shared: &Arc<Shared>, topic: Option<&str>, payload: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Self {
        let mut frame = Vec::with_capacity(256);
        frame::begin_message(&mut frame, topic.map_or(Target::Inbound, Target::Topic));
        let frame = match topic {
            Some("") => Err(Error::invalid("the topic is empty")),
            _ => payload(&mut frame).map(|()| frame),
        };
        Self::with_frame(shared, frame)
    }

    /// `frame` is all up to the payload's end.
    fn with_frame(shared: &Arc<Shared>, frame: Result<Vec<u8>>) -> Self {
        let payload_end = frame.as_ref().map_or(0, Vec::len);
        Publish { shared: Arc::clone(shared), id: None, compress: false, frame, payload_end }
    }

    /// The message type; listeners match `<topic>.<message_type>`. Default: the gateway's, `broadcast`.
    pub fn message_type(mut self, message_type: impl AsRef<str>) -> Self {
        if let Ok(frame) = &mut self.frame {
            frame.truncate(self.payload_end);
            frame::put_message_type(frame, message_type.as_ref());
        }
        self
    }

    /// The message's id. Default: 16 random bytes in hexadecimal.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Whether receivers get it as a binary frame, which the wire may compress. Default: no.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Queues the message.
    ///
    /// # Errors
    /// [`ErrorKind::NotConnected`] or [`ErrorKind::Closed`] without a session, [`ErrorKind::QueueFull`] where the
    /// queue is full, [`ErrorKind::MessageTooLarge`] beyond `max_message_size`, [`ErrorKind::InvalidArgument`] for a
    /// payload that can't be JSON, an empty topic, or the id of a message still on its way. Nothing is sent then.
    pub fn enqueue(self) -> Result<WaitFor> {
        let mut ready = self.encode()?;
        ready.push()
    }

    /// Queues the message; where the queue is full, waits for room on this thread.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue) but for a full queue, and [`ErrorKind::WouldDeadlock`] on the thread that does the
    /// client's input and output.
    pub fn block(self) -> Result<WaitFor> {
        self.into_future().block()
    }

    /// Queues the message and waits for the first reply: a request.
    pub fn request(self) -> Request {
        Request { timeout: self.shared.options.wait_timeout, publish: self }
    }

    fn encode(self) -> Result<Ready> {
        // Before the work of encoding, which would be for nothing.
        self.shared.outbox.check()?;
        let mut frame = self.frame?;
        let id = match self.id {
            Some(id) if id.is_empty() => return Err(Error::invalid("the message id is empty")),
            Some(id) => MessageId::Given(id),
            None => MessageId::random(),
        };
        frame::end_message(&mut frame, id.as_str(), self.compress);
        let limit = self.shared.options.max_message_size;
        if frame.len() > limit {
            return Err(Error::new(
                ErrorKind::MessageTooLarge,
                format!("the message has {} bytes, the limit is {limit}: nothing was sent", frame.len()),
            ));
        }
        Ok(Ready { shared: self.shared, id, frame: frame.into() })
    }
}

/// An encoded message.
struct Ready {
    shared: Arc<Shared>,
    id: MessageId,
    /// Empty once it is queued.
    frame: Bytes,
}

impl Ready {
    /// Registers the receipt, then queues the frame: an answer can't come before there is a place for it.
    fn push(&mut self) -> Result<WaitFor> {
        let shared = &self.shared;
        let retained = shared.options.retry.then(|| self.frame.clone());
        let receipt = shared.receipts.register(self.id.clone(), retained, shared)?;
        let wait_for = WaitFor::new(Arc::clone(&receipt));
        shared.outbox.push(&mut self.frame, &receipt).map(|()| wait_for).inspect_err(|_| {
            receipt.release();
        })
    }
}

/// What names a message.
#[derive(Clone)]
pub(crate) enum MessageId {
    /// 16 random bytes, in hexadecimal.
    Random([u8; 32]),
    Given(Box<str>),
}

impl MessageId {
    fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let random: u128 = rand::rng().random();
        let mut id = [0; 32];
        for (digits, byte) in id.chunks_exact_mut(2).zip(random.to_be_bytes()) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 15)];
        }
        MessageId::Random(id)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            MessageId::Random(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            MessageId::Given(id) => id,
        }
    }
}

fn write_json(out: &mut Vec<u8>, what: &str, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(out, value)
        .map_err(|error| Error::invalid(format!("the {what} can't be written as JSON: {error}")))
}

impl IntoFuture for Publish {
    type Output = Result<WaitFor>;
    type IntoFuture = Publishing;
    fn into_future(self) -> Publishing {
        Publishing(match self.encode() {
            Err(error) => Step::Done(Some(Err(error))),
            Ok(mut ready) => match ready.push() {
                Err(error) if error.kind() == ErrorKind::QueueFull => Step::Waiting(Box::pin(wait_for_room(ready))),
                outcome => Step::Done(Some(outcome)),
            },
        })
    }
}

async fn wait_for_room(mut ready: Ready) -> Result<WaitFor> {
    let shared = Arc::clone(&ready.shared);
    loop {
        let room = shared.outbox.room();
        tokio::pin!(room);
        // Listening before trying, or room that is made in between would be missed.
        room.as_mut().enable();
        match ready.push() {
            Err(error) if error.kind() == ErrorKind::QueueFull => {
                // With `Kick::Manual` nobody else may tell the connection that there is something to write.
                shared.kicker.kick();
                room.await;
            }
            outcome => return outcome,
        }
    }
}

/// A message on its way into the queue.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Publishing(Step);

enum Step {
    Done(Option<Result<WaitFor>>),
    Waiting(Pin<Box<dyn Future<Output = Result<WaitFor>> + Send>>),
}

impl Publishing {
    /// Waits on this thread.
    ///
    /// # Errors
    /// As the future, and [`ErrorKind::WouldDeadlock`] on the thread that does the client's input and output.
    pub fn block(self) -> Result<WaitFor> {
        match self.0 {
            Step::Done(Some(outcome)) => outcome,
            _ => block_on(self)?,
        }
    }
}

impl Future for Publishing {
    type Output = Result<WaitFor>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Step::Done(outcome) => Poll::Ready(
                outcome.take().unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "polled after it was done"))),
            ),
            Step::Waiting(waiting) => waiting.as_mut().poll(context),
        }
    }
}

/// A publish or send and its first reply in one, see [`Publish::request`].
#[must_use = "nothing is sent before a request is awaited"]
pub struct Request {
    publish: Publish,
    timeout: Duration,
}

impl Request {
    /// Waits no longer than this for the reply, once the message is queued. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits on this thread.
    ///
    /// # Errors
    /// As the future, and [`ErrorKind::WouldDeadlock`] on the thread that does the client's input and output.
    pub fn block(self) -> Result<ResponseMessage> {
        block_on(self.into_future())?
    }
}

impl IntoFuture for Request {
    type Output = Result<ResponseMessage>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<ResponseMessage>> + Send>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.publish.await?.wait_for_reply().timeout(self.timeout).await })
    }
}

/// A reply that is being put together, see [`IncomingMessage::reply`]. Like [`Publish`], it is sent when it is awaited
/// or [enqueued](Self::enqueue), and gives a [`WaitFor`]: a reply can be acknowledged and replied to itself.
#[must_use = "nothing is sent before a reply is awaited or enqueued"]
pub struct Reply {
    /// Up to its data's end.
    publish: Result<Publish>,
    status: Option<Box<str>>,
}

impl Reply {
    pub(crate) fn new(message: &IncomingMessage, shared: &Weak<Shared>, data: impl Serialize) -> Self {
        Self::to_message(message, shared, |out| write_json(out, "reply", &data))
    }

    pub(crate) fn raw(message: &IncomingMessage, shared: &Weak<Shared>, data: RawJson<'_>) -> Self {
        Self::to_message(message, shared, |out| {
            out.extend_from_slice(data.as_str().as_bytes());
            Ok(())
        })
    }

    /// A reply to a message of which only its sender's connection and its id were kept.
    pub(crate) fn addressed(shared: &Arc<Shared>, connection_id: &str, id: &str, data: RawJson<'_>) -> Self {
        Self::make(shared, Some(connection_id), Some(id), |out| {
            out.extend_from_slice(data.as_str().as_bytes());
            Ok(())
        })
    }

    fn to_message(
        message: &IncomingMessage,
        shared: &Weak<Shared>,
        data: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Self {
        let Some(shared) = shared.upgrade() else {
            return Reply { publish: Err(closed_by_user()), status: None };
        };
        let connection_id = message.sender_raw().map(Sender::connection_id_of);
        Self::make(&shared, connection_id.as_deref(), message.id().as_deref(), data)
    }

    fn make(
        shared: &Arc<Shared>,
        connection_id: Option<&str>,
        id: Option<&str>,
        data: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Self {
        let publish = match (connection_id, id) {
            (None, _) => Err("it has no sender, as messages published over REST"),
            (Some(""), _) => Err("its sender has no connection"),
            (_, None | Some("")) => Err("it has no id"),
            (Some(connection_id), Some(id)) => Ok((format!("{PREFIX_PRIVATE}{connection_id}"), id)),
        };
        let publish = match publish {
            Ok((topic, id)) => Publish::make(shared, Some(&topic), |out| {
                frame::begin_reply_payload(out, id);
                data(out)
            }),
            Err(why) => Publish::with_frame(shared, Err(not_replyable(why))),
        };
        Reply { publish: Ok(publish), status: None }
    }

    /// The status. Default `ok`.
    pub fn status(mut self, status: impl Into<Box<str>>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// Whether the asker gets it as a binary frame, which the wire may compress. Default: no.
    pub fn compress(mut self, compress: bool) -> Self {
        self.publish = self.publish.map(|publish| publish.compress(compress));
        self
    }

    /// Queues the reply.
    ///
    /// # Errors
    /// [`ErrorKind::NotReplyable`] for a message without a sender or an id, and as [`Publish::enqueue`].
    pub fn enqueue(self) -> Result<WaitFor> {
        self.publish()?.enqueue()
    }

    fn publish(self) -> Result<Publish> {
        let mut publish = self.publish?;
        if let Ok(frame) = &mut publish.frame {
            frame::end_reply_payload(frame, self.status.as_deref().unwrap_or("ok"));
            publish.payload_end = frame.len();
        }
        Ok(publish.message_type(TYPE_RESPONSE))
    }
}

impl IntoFuture for Reply {
    type Output = Result<WaitFor>;
    type IntoFuture = Publishing;
    fn into_future(self) -> Publishing {
        match self.publish() {
            Ok(publish) => publish.into_future(),
            Err(error) => Publishing(Step::Done(Some(Err(error)))),
        }
    }
}
