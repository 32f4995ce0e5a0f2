//! Writing: all that is queued, and one flush.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Sink;
use realtime_pubsub_protocol::frame;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use super::{Barrier, BarrierKind, Phase, Session};
use crate::outbox::Item;
use crate::stats::Counters;

impl Session<'_> {
    pub(super) fn write(&mut self, context: &mut Context<'_>) -> Result<(), WsError> {
        if matches!(self.phase, Phase::Closing) {
            return self.flush(context);
        }
        if !matches!(self.phase, Phase::Resubscribing { .. }) {
            self.shared.outbox.take(&mut self.writing);
        }
        let (mut messages, mut bytes) = (0, 0);
        let outcome = loop {
            if self.writing.is_empty() || matches!(self.phase, Phase::Resubscribing { .. }) {
                break Ok(());
            }
            match Pin::new(&mut self.socket).poll_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => break Ok(()),
            }
            match self.writing.pop_front() {
                Some(Item::Message { frame, receipt, .. }) => {
                    messages += 1;
                    bytes += frame.len();
                    receipt.set_written();
                    if self.shared.options.retry {
                        self.unacked.push_back((Instant::now(), receipt));
                    }
                    if let Err(error) = self.send_text(frame) {
                        break Err(error);
                    }
                }
                Some(Item::Subscribe(topic)) => self.subscribe(topic),
                Some(Item::Unsubscribe(topic, done)) => {
                    if !self.shared.subscriptions.lock().is_written(&topic) {
                        let mut frame = Vec::new();
                        frame::encode_unsubscribe(&mut frame, &topic);
                        if let Err(error) = self.send_text(frame.into()) {
                            break Err(error);
                        }
                    }
                    self.flushes.push(done);
                }
                Some(Item::Flush(done)) => self.flushes.push(done),
                None => break Ok(()),
            }
        };
        if messages > 0 {
            Counters::add(&self.shared.counters.messages_sent, messages as u64);
            Counters::add(&self.shared.counters.bytes_sent, bytes as u64);
            if !self.shared.options.retry {
                self.shared.outbox.free(messages, bytes);
            }
        }
        outcome?;
        self.raise_barrier();
        if matches!(self.phase, Phase::Draining) && self.writing.is_empty() {
            self.phase = Phase::Closing;
            let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("disconnect") };
            self.send(Message::Close(Some(frame)))?;
        }
        self.flush(context)
    }

    pub(super) fn send(&mut self, message: Message) -> Result<(), WsError> {
        self.unflushed = true;
        Pin::new(&mut self.socket).start_send(message)
    }

    pub(super) fn send_text(&mut self, frame: Bytes) -> Result<(), WsError> {
        // As a raw frame: its text was made by our encoder and need not be checked to be UTF-8 again.
        self.send(Message::Frame(Frame::message(frame, OpCode::Data(Data::Text), true)))
    }

    pub(super) fn flush(&mut self, context: &mut Context<'_>) -> Result<(), WsError> {
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    pub(super) fn subscribe(&mut self, topic: Arc<str>) {
        if !self.shared.subscriptions.lock().writing(&topic) {
            return;
        }
        let mut frame = Vec::new();
        frame::encode_subscribe(&mut frame, &topic);
        // An error shows again at the next write or read.
        let _ = self.send_text(frame.into());
        self.unconfirmed.push(topic);
    }

    /// Writes a ping behind subscriptions and flushes that have none yet.
    pub(super) fn raise_barrier(&mut self) {
        if self.unconfirmed.is_empty() && self.flushes.is_empty() {
            return;
        }
        self.barrier_number += 1;
        let number = self.barrier_number;
        let deadline = Instant::now() + self.shared.options.barrier_timeout;
        let topics = std::mem::take(&mut self.unconfirmed);
        if !topics.is_empty() {
            self.barriers.push_back(Barrier { number, deadline, kind: BarrierKind::Subscribed(topics) });
        }
        let flushes = std::mem::take(&mut self.flushes);
        if !flushes.is_empty() {
            self.barriers.push_back(Barrier { number, deadline, kind: BarrierKind::Flushed(flushes) });
        }
        let _ = self.send(Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes())));
    }
}
