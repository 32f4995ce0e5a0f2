//! Reading: all that has come, sorted into acks, replies and messages, and handed over in batches.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use realtime_pubsub_protocol::{Envelope, Response, TYPE_RESPONSE};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use super::{Ending, How, Session};
use crate::dial::ENVELOPE_ALLOWANCE;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::inbox::{Entry, HAND_OVER};
use crate::message::{IncomingMessage, ResponseMessage};
use crate::stats::Counters;

/// How much is read before the rest of the runtime gets its turn.
const READ_BATCH: usize = 512;
const HAND_OVER_BYTES: usize = 1 << 20;
/// How long a peer that has sent its close frame may keep the connection open.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Counted here and added to the client's counters once a batch.
#[derive(Default)]
pub(super) struct Counts {
    messages_received: u64,
    bytes_received: u64,
    unmatched: u64,
    duplicates: u64,
    unreadable: u64,
    dropped: u64,
}

impl Session<'_> {
    pub(super) fn read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        for read in 0..READ_BATCH {
            if read % HAND_OVER == 0 || self.batch_bytes >= HAND_OVER_BYTES {
                self.hand_over();
                if self.inboxes_block() {
                    return Poll::Pending;
                }
            }
            let message = match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(message)) => message,
                Some(Err(WsError::Capacity(CapacityError::MessageTooLong { size, .. }))) => {
                    return Poll::Ready(Err(self.too_large(size, context)));
                }
                Some(Err(WsError::Utf8(what))) => {
                    return Poll::Ready(Err(self.violated(CloseCode::Invalid, &what, context)));
                }
                Some(Err(WsError::Protocol(what))) if what != ProtocolError::ResetWithoutClosingHandshake => {
                    return Poll::Ready(Err(self.violated(CloseCode::Protocol, &what.to_string(), context)));
                }
                Some(Err(error)) => return Poll::Ready(Err(self.broken(error))),
                None => return Poll::Ready(Err(self.broken(WsError::ConnectionClosed))),
            };
            self.receive(message);
        }
        // There may be more: let others run, then go on.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether someone must take messages before more are read.
    pub(super) fn inboxes_block(&self) -> bool {
        self.shared.inbox.blocks() || self.shared.streams.lock().values().any(|stream| stream.blocks())
    }

    pub(super) fn too_large(&mut self, size: usize, context: &mut Context<'_>) -> Ending {
        let limit = self.shared.options.max_message_size + ENVELOPE_ALLOWANCE;
        let reason = format!("a message of {size} bytes is larger than the limit of {limit}");
        let error = Error::new(
            ErrorKind::MessageTooLarge,
            format!("the gateway sent {reason}; the connection was closed. Raise max_message_size to take it"),
        );
        self.refuse(CloseCode::Size, reason, error, context)
    }

    pub(super) fn violated(&mut self, code: CloseCode, what: &str, context: &mut Context<'_>) -> Ending {
        let reason = format!("the gateway broke the WebSocket protocol: {what}");
        let error = Error::new(ErrorKind::ProtocolViolation, format!("{reason}; the connection was closed"));
        self.refuse(code, reason, error, context)
    }

    /// Ends the session over something that came, and tells the peer so, as far as that still goes.
    pub(super) fn refuse(
        &mut self,
        code: CloseCode,
        reason: String,
        error: Error,
        context: &mut Context<'_>,
    ) -> Ending {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static("") };
        if self.send(Message::Close(Some(frame))).is_ok() {
            let _ = self.flush(context);
        }
        self.hand_over();
        self.shared.emit_error(error);
        let lost = Error::new(ErrorKind::ConnectionLost, format!("the connection was closed: {reason}"));
        (code.into(), reason, How::Lost, lost)
    }

    pub(super) fn receive(&mut self, message: Message) {
        self.received = true;
        match message {
            Message::Text(text) => self.receive_frame(&text, false),
            Message::Binary(bytes) => match Utf8Bytes::try_from(bytes) {
                Ok(text) => self.receive_frame(&text, true),
                Err(error) => self.unreadable(&format!("a binary frame is not UTF-8: {error}")),
            },
            Message::Pong(payload) => {
                if let Ok(number) = payload.as_ref().try_into().map(u64::from_be_bytes) {
                    self.lower_barriers(number);
                }
            }
            Message::Ping(_) => self.unflushed = true,
            Message::Close(frame) => {
                self.unflushed = true;
                self.close_by = Some(Instant::now() + CLOSE_GRACE);
                self.close_frame =
                    Some(frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string())));
            }
            Message::Frame(_) => {}
        }
    }

    pub(super) fn receive_frame(&mut self, text: &Utf8Bytes, binary: bool) {
        self.counts.messages_received += 1;
        self.counts.bytes_received += text.len() as u64;
        let envelope = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(error) => return self.unreadable(&error.to_string()),
        };
        if envelope.topic == realtime_pubsub_protocol::TOPIC_ACKS {
            match envelope.acknowledged_id() {
                Some(id) => self.acknowledged(&id),
                None => self.unreadable("an acknowledgement names no message"),
            }
            return;
        }
        let message = IncomingMessage::new(text, &envelope, binary, self.shared);
        if let Some(dedupe) = self.dedupe.as_mut() {
            let data = envelope.message_data();
            if let (Some(sender), Some(id)) = (data.sender(), data.id.and_then(|id| id.to_text()))
                && dedupe.repeats(&envelope.topic, &sender.subject, &id)
            {
                self.counts.duplicates += 1;
                return;
            }
        }
        if envelope.message_type == TYPE_RESPONSE && envelope.topic == *self.own_topic {
            let payload = message.payload();
            if let Some(response) = Response::parse(payload)
                && let Some(receipt) = self.shared.receipts.find(&response.id)
            {
                Counters::add(&self.shared.counters.replies, 1);
                let reply = ResponseMessage::new(message.clone(), &response);
                receipt.reply(reply, &mut self.batch);
                return;
            }
        }
        let matched = self.cache.find(&self.shared.registry, &envelope.topic, &envelope.message_type);
        if matched.is_empty() {
            self.counts.unmatched += 1;
            return;
        }
        if !matched.waits.is_empty() {
            for wait in &matched.waits {
                wait.settle(&Event::Message(message.clone()));
            }
        }
        if !matched.streams.is_empty() {
            for stream in &matched.streams {
                let entry = Entry::Message { matched: Arc::clone(matched), message: message.clone() };
                self.counts.dropped += stream.push(&mut vec![entry]);
            }
        }
        if !matched.listeners.is_empty() {
            self.batch_bytes += text.len();
            self.batch.push(Entry::Message { matched: Arc::clone(matched), message });
        }
    }

    pub(super) fn acknowledged(&mut self, id: &str) {
        let Some(receipt) = self.shared.receipts.find(id) else { return };
        // At once: whoever waits for the ack may look at the counters next.
        Counters::add(&self.shared.counters.acks, 1);
        receipt.acknowledge(&mut self.batch);
        if self.shared.options.retry
            && let Some(bytes) = receipt.release()
        {
            self.shared.outbox.free(1, bytes);
            if !receipt.is_wanted() {
                self.shared.receipts.remove(&receipt);
            }
            while self.unacked.front().is_some_and(|(_, oldest)| oldest.retained().is_none()) {
                self.unacked.pop_front();
            }
        }
    }

    pub(super) fn unreadable(&mut self, what: &str) {
        self.counts.unreadable += 1;
        let error = Error::new(ErrorKind::ProtocolViolation, format!("the gateway sent what can't be read: {what}"));
        // In its place among the messages.
        let event = Event::Error(error.clone());
        match self.shared.registry.control_listeners(&event) {
            Some(listeners) => self.batch.push(Entry::Control { listeners, event }),
            None => tracing::warn!(kind = %error.kind(), "{error}"),
        }
    }

    /// Hands what was read to the inbox.
    pub(super) fn hand_over(&mut self) {
        // Counted before it is told, so that a listener finds its message in the counters.
        let counters = &self.shared.counters;
        let mut dropped = std::mem::take(&mut self.counts.dropped);
        if self.counts.messages_received > 0 {
            let counts = std::mem::take(&mut self.counts);
            Counters::add(&counters.messages_received, counts.messages_received);
            Counters::add(&counters.bytes_received, counts.bytes_received);
            Counters::add(&counters.unmatched, counts.unmatched);
            Counters::add(&counters.duplicates, counts.duplicates);
            Counters::add(&counters.unreadable, counts.unreadable);
        }
        dropped += self.shared.inbox.push(&mut self.batch);
        if dropped > 0 {
            Counters::add(&counters.dropped, dropped);
        }
        self.batch_bytes = 0;
    }
}
