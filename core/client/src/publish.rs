//! Publishing, sending and replying: what is on its way out, before it is queued.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use realtime_pubsub_protocol::frame::{self, Head, Target};
use realtime_pubsub_protocol::{PREFIX_PRIVATE, RawJson, TYPE_RESPONSE};
use serde::Serialize;

use crate::block::block_on;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{IncomingMessage, ResponseMessage, not_replyable};
use crate::shared::Shared;
use crate::waits::WaitFor;

/// A message that is being put together. Awaiting it queues it and gives a [`WaitFor`]; where the queue is full,
/// awaiting waits for room. [`enqueue`](Self::enqueue) does the same without waiting.
///
/// Nothing is sent before that.
#[must_use = "nothing is sent before a message is awaited or enqueued"]
pub struct Publish {
    shared: Arc<Shared>,
    topic: Option<Box<str>>,
    message_type: Option<Box<str>>,
    id: Option<Box<str>>,
    compress: bool,
    /// The frame up to its payload's end.
    frame: Result<Vec<u8>>,
}

impl Publish {
    pub(crate) fn new(shared: &Arc<Shared>, topic: Option<&str>, payload: impl Serialize) -> Self {
        Self::make(shared, topic, |out| {
            serde_json::to_writer(out, &payload)
                .map_err(|error| Error::invalid(format!("the payload can't be written as JSON: {error}")))
        })
    }

    pub(crate) fn raw(shared: &Arc<Shared>, topic: Option<&str>, payload: RawJson<'_>) -> Self {
        Self::make(shared, topic, |out| {
            out.extend_from_slice(payload.as_str().as_bytes());
            Ok(())
        })
    }

    fn make(shared: &Arc<Shared>, topic: Option<&str>, payload: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Self {
        let mut frame = Vec::with_capacity(256);
        frame::begin_message(&mut frame, topic.is_some());
        let frame = match topic {
            Some("") => Err(Error::invalid("the topic is empty")),
            _ => payload(&mut frame).map(|()| frame),
        };
        Publish {
            shared: Arc::clone(shared),
            topic: topic.map(Box::from),
            message_type: None,
            id: None,
            compress: false,
            frame,
        }
    }

    /// The message type; listeners match `<topic>.<message_type>`. Default: the gateway's, `broadcast`.
    pub fn message_type(mut self, message_type: impl Into<Box<str>>) -> Self {
        self.message_type = Some(message_type.into());
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
            Some(id) => id,
            None => random_id(),
        };
        let target = self.topic.as_deref().map_or(Target::Inbound, Target::Topic);
        let head = Head { target, message_type: self.message_type.as_deref(), id: &id, compress: self.compress };
        frame::end_message(&mut frame, &head);
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
    /// Empty once it is queued, as is `frame`.
    id: Box<str>,
    frame: Bytes,
}

impl Ready {
    /// Registers the receipt, then queues the frame: an answer can't come before there is a place for it.
    fn push(&mut self) -> Result<WaitFor> {
        let shared = &self.shared;
        let retained = shared.options.retry.then(|| self.frame.clone());
        let receipt = shared.receipts.register(std::mem::take(&mut self.id), retained, shared)?;
        let wait_for = WaitFor::new(Arc::clone(&receipt));
        shared.outbox.push(&mut self.frame, &receipt).map(|()| wait_for).inspect_err(|_| {
            receipt.release();
            self.id = receipt.id().into();
        })
    }
}

/// 16 random bytes, in hexadecimal.
fn random_id() -> Box<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let random: u128 = rand::rng().random();
    let mut id = String::with_capacity(32);
    for byte in random.to_be_bytes() {
        id.push(char::from(DIGITS[usize::from(byte >> 4)]));
        id.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    id.into_boxed_str()
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
    shared: Arc<Shared>,
    to: Result<(String, String)>,
    data: Result<Vec<u8>>,
    status: Box<str>,
    compress: bool,
}

impl Reply {
    pub(crate) fn new(message: &IncomingMessage, shared: &Arc<Shared>, data: impl Serialize) -> Self {
        let data = serde_json::to_vec(&data)
            .map_err(|error| Error::invalid(format!("the reply can't be written as JSON: {error}")));
        Self::make(message, shared, data)
    }

    pub(crate) fn raw(message: &IncomingMessage, shared: &Arc<Shared>, data: RawJson<'_>) -> Self {
        Self::make(message, shared, Ok(data.as_str().as_bytes().to_vec()))
    }

    /// A reply to a message of which only its sender's connection and its id were kept.
    pub(crate) fn addressed(shared: &Arc<Shared>, connection_id: &str, id: &str, data: RawJson<'_>) -> Self {
        let to = match (connection_id, id) {
            ("", _) => Err(not_replyable("its sender has no connection")),
            (_, "") => Err(not_replyable("it has no id")),
            _ => Ok((format!("{PREFIX_PRIVATE}{connection_id}"), id.to_owned())),
        };
        let data = Ok(data.as_str().as_bytes().to_vec());
        Reply { shared: Arc::clone(shared), to, data, status: "ok".into(), compress: false }
    }

    fn make(message: &IncomingMessage, shared: &Arc<Shared>, data: Result<Vec<u8>>) -> Self {
        let to = match (message.sender(), message.id()) {
            (None, _) => Err(not_replyable("it has no sender, as messages published over REST")),
            (Some(sender), _) if sender.connection_id.is_empty() => Err(not_replyable("its sender has no connection")),
            (_, None) => Err(not_replyable("it has no id")),
            (Some(sender), Some(id)) => Ok((format!("{PREFIX_PRIVATE}{}", sender.connection_id), id.into_owned())),
        };
        Reply { shared: Arc::clone(shared), to, data, status: "ok".into(), compress: false }
    }

    /// The status. Default `ok`.
    pub fn status(mut self, status: impl Into<Box<str>>) -> Self {
        self.status = status.into();
        self
    }

    /// Whether the asker gets it as a binary frame, which the wire may compress. Default: no.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
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
        let (topic, id) = self.to?;
        let data = self.data?;
        let reply = Publish::make(&self.shared, Some(&topic), |out| {
            frame::begin_reply_payload(out, &id, &self.status);
            out.extend_from_slice(&data);
            out.push(b'}');
            Ok(())
        });
        Ok(reply.message_type(TYPE_RESPONSE).compress(self.compress))
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
