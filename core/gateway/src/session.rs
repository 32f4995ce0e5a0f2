//! What a client's frames mean: the protocol, without the socket.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use realtime_pubsub_protocol::envelope::{Delivery, encode_ack};
use realtime_pubsub_protocol::frame::{FrameError, OutgoingMessage};
use realtime_pubsub_protocol::{ClientFrame, REASON_FORBIDDEN, RawJson, TOPIC_ACKS, TOPIC_INBOUND};
use tokio::time::Instant;
use tracing::debug;

use crate::fault::{AckFault, Active};
use crate::hub::{Message, Peer, Published};
use crate::outbox::Segments;
use crate::owed::Owed;
use crate::server::{App, Shared};
use crate::websocket::{FrameKind, begin_frame, end_frame};

/// Why the gateway closes a connection.
#[derive(Debug, PartialEq)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: Cow<'static, str>,
}

impl Closing {
    pub(crate) const fn new(code: u16, reason: &'static str) -> Self {
        Closing { code, reason: Cow::Borrowed(reason) }
    }
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) app: Arc<App>,
    pub(crate) peer: Arc<Peer>,
    /// Messages that it may send without waiting.
    allowance: f64,
    refilled: Instant,
    /// Messages that came without an id.
    anonymous: u64,
    pub(crate) counts: Counts,
    /// Deliveries that its messages led to, since somebody last took this number.
    pub(crate) delivered: usize,
    /// Acks that a fault holds back.
    pub(crate) delayed: VecDeque<(Instant, Vec<u8>)>,
    /// With several gateways: what waits for NATS.
    pub(crate) owed: Owed,
}

/// What happened since the last [`Session::count`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    messages: u64,
    bytes: u64,
    acks: u64,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, app: Arc<App>, peer: Arc<Peer>, now: Instant) -> Self {
        let allowance = shared.limits.messages_per_second.map_or(0.0, f64::from);
        let (counts, delayed, owed) = Default::default();
        Session { shared, app, peer, allowance, refilled: now, anonymous: 0, counts, delivered: 0, delayed, owed }
    }

    /// With several gateways: has what this batch is owed wait for NATS, or writes it if that is away.
    pub(crate) fn batch_done(&mut self, out: &mut Segments) {
        if let Some(scope) = &self.app.hub.scope {
            self.owed.batch_done(&scope.cluster, &self.peer, out, &self.app.metrics);
        }
    }

    /// Whether so much waits for NATS that no more should be read. What it waits for will wake this task.
    pub(crate) fn backed_up(&self) -> bool {
        self.app.hub.scope.as_ref().is_some_and(|scope| self.owed.backed_up(scope.cluster.congested()))
    }

    /// Adds up what happened. Once a batch: counters are shared by all connections.
    pub(crate) fn count(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let metrics = &self.app.metrics;
        if counts.bytes > 0 {
            metrics.received_bytes.inc_by(counts.bytes);
            metrics.messages_received.inc_by(counts.messages);
            metrics.acks.inc_by(counts.acks);
        }
    }

    /// Handles a frame. Its ack goes to `out`.
    pub(crate) fn frame(
        &mut self,
        text: &str,
        out: &mut Segments,
        now: Instant,
        faults: Option<&Active>,
    ) -> Result<(), Closing> {
        self.counts.bytes += text.len() as u64;
        match ClientFrame::parse(text) {
            Ok(ClientFrame::Publish { topic, message }) => {
                self.limit_rate(now)?;
                self.check_topic(&topic)?;
                // Acks come from the gateway alone.
                if topic == TOPIC_ACKS || !self.peer.permissions.publish(&topic) {
                    self.app.metrics.publishes_refused.inc();
                    debug!(connection = %self.peer.id, "publish refused");
                    return Ok(());
                }
                self.publish(&topic, &message, out, now, faults);
            }
            Ok(ClientFrame::Message(message)) => {
                self.limit_rate(now)?;
                self.publish(TOPIC_INBOUND, &message, out, now, faults);
            }
            Ok(ClientFrame::Subscribe { topic }) => {
                self.check_topic(&topic)?;
                if !self.peer.permissions.subscribe(&topic) {
                    return Err(Closing::new(1008, REASON_FORBIDDEN));
                }
                let limit = self.shared.limits.subscriptions_per_connection;
                self.app
                    .hub
                    .subscribe(&self.peer, &topic, limit)
                    .map_err(|_| Closing::new(1008, "too many subscriptions"))?;
            }
            Ok(ClientFrame::Unsubscribe { topic }) => self.app.hub.unsubscribe(&self.peer, &topic),
            Err(FrameError::Malformed(_)) => return Err(Closing::new(1007, "not a JSON frame")),
            Err(error) => {
                // A newer client may know frames that this gateway does not.
                self.app.metrics.frames_ignored.inc();
                debug!(connection = %self.peer.id, %error, "frame ignored");
            }
        }
        Ok(())
    }

    fn check_topic(&self, topic: &str) -> Result<(), Closing> {
        match topic.len() > self.shared.limits.topic_bytes {
            true => Err(Closing::new(1008, "topic too long")),
            false => Ok(()),
        }
    }

    fn limit_rate(&mut self, now: Instant) -> Result<(), Closing> {
        self.counts.messages += 1;
        let Some(rate) = self.shared.limits.messages_per_second.map(f64::from) else { return Ok(()) };
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.allowance = (self.allowance + passed * rate).min(rate);
        if self.allowance < 1.0 {
            return Err(Closing::new(1008, "message rate exceeded"));
        }
        self.allowance -= 1.0;
        Ok(())
    }

    fn publish(
        &mut self,
        topic: &str,
        message: &OutgoingMessage<'_>,
        out: &mut Segments,
        now: Instant,
        faults: Option<&Active>,
    ) {
        let generated;
        let id = match message.id {
            Some(id) => id,
            None => {
                self.anonymous += 1;
                generated = format!("\"{}-{}\"", self.peer.id, self.anonymous);
                RawJson::trusted(&generated)
            }
        };
        let whole = Message {
            delivery: Delivery {
                topic,
                message_type: &message.message_type,
                client: Some(RawJson::trusted(&self.peer.client)),
                payload: message.payload,
                id: Some(id),
            },
            compress: message.compress,
        };
        let Published { delivered, epoch } = self.app.hub.publish(&whole, None);
        self.delivered += delivered;
        let alone = self.app.hub.scope.is_none();
        self.owed.published(epoch);
        // An ack for a message without an id would name an id that its sender never saw.
        if message.id.is_some() && self.app.acks {
            let ack = |out: &mut Vec<u8>| {
                let start = begin_frame(out);
                encode_ack(out, id);
                end_frame(out, start, FrameKind::Text);
            };
            match faults.map_or(AckFault::None, |faults| faults.acks) {
                AckFault::None if alone => {
                    self.counts.acks += 1;
                    out.write(ack);
                }
                _ if !alone && epoch.is_none() => self.owed.refuse(),
                AckFault::None => self.owed.ack(ack),
                AckFault::Drop => {}
                AckFault::Delay(by) => {
                    let mut late = Vec::new();
                    ack(&mut late);
                    self.delayed.push_back((now + by, late));
                }
            }
        }
    }
}
