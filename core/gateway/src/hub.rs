//! Who listens to what in one app, and the one place where a message becomes deliveries.
//!
//! Everything that reaches subscribers goes through [`Hub::publish`]: publishes and sends from clients, REST messages,
//! presence. There it goes to other gateways too; [`Hub::deliver`] is about this process alone.

use std::cell::Cell;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use indexmap::IndexMap;
use realtime_pubsub_protocol::envelope::{Delivery, encode_sender, presence_payload};
use realtime_pubsub_protocol::{PREFIX_PRIVATE, Permissions, RawJson, TOPIC_INBOUND, TOPIC_MAIN, TYPE_PRESENCE};
use serde::Serialize;
use tokio::time::Instant;

use crate::cluster::Scope;
use crate::metrics::AppMetrics;
use crate::outbox::{Frame, Order, Outbox, SLOW_CONSUMER};
use crate::rest::matches;
use crate::tail::Tails;
use crate::websocket::{FrameKind, begin_frame, end_frame};

/// A connection as the rest of the gateway sees it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Unique in the process; cheaper to compare than the id.
    pub(crate) number: u64,
    pub(crate) id: Arc<str>,
    pub(crate) subject: Arc<str>,
    pub(crate) permissions: Permissions,
    /// What receivers are shown as `client`, as JSON.
    pub(crate) client: Box<str>,
    pub(crate) remote: SocketAddr,
    since: Instant,
    outbound_limit: usize,
    outbox: Mutex<Outbox>,
    /// Changed under the hub's write lock only.
    topics: Mutex<HashSet<Arc<str>>>,
}

impl Peer {
    pub(crate) fn new(
        number: u64,
        id: Arc<str>,
        subject: Arc<str>,
        permissions: Permissions,
        remote: SocketAddr,
        outbound_limit: usize,
    ) -> Self {
        let mut client = Vec::new();
        encode_sender(&mut client, &id, &subject, permissions.names());
        let client = String::from_utf8(client).unwrap_or_default().into();
        let (outbox, topics) = Default::default();
        let since = Instant::now();
        Peer { number, id, subject, permissions, client, remote, since, outbound_limit, outbox, topics }
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn order(&self, order: Order) {
        self.outbox().give(order);
    }

    /// Queues a frame. One too many ends the connection: it reads more slowly than others write.
    pub(crate) fn push(&self, frame: &Frame<'_>, now: Instant) -> bool {
        let mut outbox = self.outbox();
        if outbox.closed {
            return false;
        }
        if outbox.queued() + frame.len() > self.outbound_limit {
            outbox.closed = true;
            outbox.give(Order::CloseNow { code: 1008, reason: SLOW_CONSUMER.into() });
            return false;
        }
        outbox.since.get_or_insert(now);
        outbox.segments.push(frame);
        outbox.wake();
        true
    }

    /// Whether it gets this topic's messages without having asked, and can't ask not to.
    fn always_gets(&self, topic: &str) -> bool {
        topic
            .strip_prefix(PREFIX_PRIVATE)
            .is_some_and(|rest| rest == "acks" || *rest == *self.id || *rest == *self.subject)
    }
}

/// A message on its way to the subscribers of its topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) delivery: Delivery<'a>,
    /// Whether it is to go out as a binary frame.
    pub(crate) compress: bool,
}

/// What a look at a hub shows, see [`Hub::survey`].
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) connections: Vec<Surveyed>,
    /// Names, and how many are subscribed.
    pub(crate) topics: Vec<(String, usize)>,
    /// Whether that is all.
    pub(crate) complete: bool,
}

/// A connection in a [`Survey`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Surveyed {
    id: String,
    subject: String,
    remote_address: SocketAddr,
    /// Seconds.
    age: f64,
    subscriptions: usize,
    queued_bytes: usize,
}

impl Surveyed {
    fn new(peer: &Peer, queued_bytes: usize) -> Self {
        Surveyed {
            id: peer.id.to_string(),
            subject: peer.subject.to_string(),
            remote_address: peer.remote,
            age: peer.since.elapsed().as_secs_f64(),
            subscriptions: peer.topics().len(),
            queued_bytes,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    /// To how many connections of this gateway it was delivered.
    pub(crate) delivered: usize,
    /// With several gateways: when NATS was given it, `None` if it could not be. Alone: nothing.
    pub(crate) epoch: Option<u64>,
}

/// Why a connection may not subscribe to one more topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySubscriptions;

type Subscribers = IndexMap<u64, Arc<Peer>, DefaultHashBuilder>;

#[derive(Debug, Default)]
struct State {
    connections: HashMap<Arc<str>, Arc<Peer>>,
    subjects: HashMap<Arc<str>, Subject>,
    topics: HashMap<Arc<str>, Subscribers>,
    /// Where other gateways are told what is listened to.
    scope: Option<Scope>,
}

#[derive(Debug, Default)]
struct Subject {
    /// Connections of this subject, those included whose handshake is not over.
    claimed: usize,
    peers: Vec<Arc<Peer>>,
}

/// One app's connections and subscriptions.
#[derive(Debug)]
pub(crate) struct Hub {
    state: RwLock<State>,
    /// What the console looks at.
    pub(crate) tails: Tails,
    metrics: Arc<AppMetrics>,
    /// The app's part in the cluster; `None` for a gateway alone.
    pub(crate) scope: Option<Scope>,
}

thread_local! {
    /// Where a message is encoded; kept, so that publishing allocates nothing.
    static ENCODED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// An encoding buffer larger than this is not kept.
const KEPT: usize = 64 * 1024;

impl Hub {
    pub(crate) fn new(metrics: Arc<AppMetrics>, scope: Option<Scope>) -> Self {
        let state = RwLock::new(State { scope: scope.clone(), ..State::default() });
        Hub { state, tails: Tails::new(scope.clone()), metrics, scope }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for one more connection of a subject, unless there are `limit`. [`Hub::unclaim`] gives it back.
    pub(crate) fn claim(&self, subject: &Arc<str>, limit: usize) -> bool {
        let limit = limit.saturating_sub(self.scope.as_ref().map_or(0, |scope| scope.elsewhere(subject)));
        let mut state = self.write();
        let entry = state.subjects.entry(subject.clone()).or_default();
        if entry.claimed >= limit {
            // With a limit of 0, the entry may be new.
            if entry.claimed == 0 {
                state.subjects.remove(subject);
            }
            return false;
        }
        entry.claimed += 1;
        true
    }

    /// Gives back what [`Hub::claim`] took.
    pub(crate) fn unclaim(&self, subject: &str) {
        let mut state = self.write();
        if let Some(entry) = state.subjects.get_mut(subject) {
            entry.claimed -= 1;
            if entry.claimed == 0 {
                state.subjects.remove(subject);
            }
        }
    }

    /// Takes a connection in, and says so on the inbound topic.
    pub(crate) fn join(&self, peer: &Arc<Peer>) {
        {
            let mut state = self.write();
            state.connections.insert(peer.id.clone(), peer.clone());
            state.subjects.entry(peer.subject.clone()).or_default().peers.push(peer.clone());
            state.add(TOPIC_MAIN, peer);
            if let Some(scope) = &self.scope {
                scope.need(&private(&peer.id));
                scope.need(&private(&peer.subject));
                scope.joined(peer);
            }
        }
        self.metrics.subscriptions.inc();
        self.metrics.connections.inc();
        self.metrics.connections_opened.inc();
        self.announce(&peer.client, true);
    }

    /// Lets a connection go, and says so. Again does nothing.
    pub(crate) fn leave(&self, peer: &Arc<Peer>) {
        {
            let mut state = self.write();
            if state.connections.remove(&peer.id).is_none() {
                return;
            }
            if let Some(subject) = state.subjects.get_mut(&peer.subject) {
                subject.peers.retain(|other| other.number != peer.number);
            }
            let topics = std::mem::take(&mut *peer.topics());
            self.metrics.subscriptions.dec_by(topics.len() as i64);
            for topic in topics {
                state.forget(&topic, peer.number);
            }
            if let Some(scope) = &self.scope {
                scope.unneed(&private(&peer.id));
                scope.unneed(&private(&peer.subject));
                scope.left(peer);
            }
        }
        self.metrics.connections.dec();
        self.announce(&peer.client, false);
    }

    /// Tells this gateway's connections that one came or went, here or elsewhere: each gateway tells its own.
    pub(crate) fn announce(&self, client: &str, connected: bool) {
        let id = serde_json::Value::from(random_id()).to_string();
        self.deliver(&Message {
            delivery: Delivery {
                topic: TOPIC_INBOUND,
                message_type: TYPE_PRESENCE,
                client: Some(RawJson::trusted(client)),
                payload: presence_payload(connected),
                id: Some(RawJson::trusted(&id)),
            },
            compress: false,
        });
    }

    /// Subscribes a connection. A topic it gets anyway is no subscription.
    pub(crate) fn subscribe(&self, peer: &Arc<Peer>, topic: &str, limit: usize) -> Result<(), TooManySubscriptions> {
        if peer.always_gets(topic) {
            return Ok(());
        }
        let mut state = self.write();
        let (has_topic, has_main, count) = {
            let topics = peer.topics();
            (topics.contains(topic), topics.contains(TOPIC_MAIN), topics.len())
        };
        if has_topic {
            return Ok(());
        }
        if topic != TOPIC_MAIN && count - usize::from(has_main) >= limit {
            return Err(TooManySubscriptions);
        }
        // It may have left in the meantime, for good.
        if state.connections.contains_key(&peer.id) {
            state.add(topic, peer);
            self.metrics.subscriptions.inc();
        }
        Ok(())
    }

    /// Ends a subscription, if there is one.
    pub(crate) fn unsubscribe(&self, peer: &Peer, topic: &str) {
        let mut state = self.write();
        if peer.topics().remove(topic) {
            self.metrics.subscriptions.dec();
            state.forget(topic, peer.number);
        }
    }

    /// Ends the subscriptions of a subject whose topic `chosen` chooses; how many there were.
    pub(crate) fn unsubscribe_subject(&self, subject: &str, chosen: impl Fn(&str) -> bool) -> usize {
        let mut state = self.write();
        let peers = state.subjects.get(subject).map(|entry| entry.peers.clone()).unwrap_or_default();
        let mut ended = 0;
        for peer in peers {
            let topics: Vec<_> = peer.topics().extract_if(|topic| chosen(topic)).collect();
            for topic in topics {
                state.forget(&topic, peer.number);
                ended += 1;
            }
        }
        self.metrics.subscriptions.dec_by(ended as i64);
        ended
    }

    /// Ends the subscriptions of a subject whose topics match a pattern; how many there were.
    pub(crate) fn unsubscribe_matching(&self, subject: &str, patterns: &[impl AsRef<str>]) -> usize {
        self.unsubscribe_subject(subject, |topic| patterns.iter().any(|pattern| matches(pattern.as_ref(), topic)))
    }

    /// Closes a connection, or all, for an administrator; how many there were.
    pub(crate) fn terminate(&self, connection: Option<&str>) -> usize {
        let peers = match connection {
            None => self.peers(|_| true),
            Some(id) => self.peer(id).into_iter().collect(),
        };
        let order = Order::Close { code: 1008, reason: "terminated by an administrator".into() };
        peers.iter().for_each(|peer| peer.order(order.clone()));
        peers.len()
    }

    /// Delivers a message to all that listen to its topic, at other gateways too. With a name in `counted`, those
    /// will know to how many they delivered it.
    pub(crate) fn publish(&self, message: &Message<'_>, counted: Option<u64>) -> Published {
        let epoch = self.scope.as_ref().and_then(|scope| {
            scope.publish(message.delivery.topic, message.compress, counted, |out| message.delivery.encode(out))
        });
        Published { delivered: self.deliver(message), epoch }
    }

    fn deliver(&self, message: &Message<'_>) -> usize {
        self.tails.see(&message.delivery);
        self.deliver_with(message.delivery.topic, message.compress, |out| message.delivery.encode(out))
    }

    /// Delivers what another gateway encoded; to how many.
    #[cfg(feature = "nats")]
    pub(crate) fn deliver_encoded(&self, topic: &str, compress: bool, bytes: &[u8]) -> usize {
        self.deliver_with(topic, compress, |out| out.extend_from_slice(bytes))
    }

    fn deliver_with(&self, topic: &str, compress: bool, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let state = self.read();
        let subscribers = state.topics.get(topic);
        let (connection, subject) = match topic.strip_prefix(PREFIX_PRIVATE) {
            Some(rest) => (state.connections.get(rest), state.subjects.get(rest)),
            None => (None, None),
        };
        if subscribers.is_none() && connection.is_none() && subject.is_none() {
            return 0;
        }
        let mut encoded = ENCODED.take();
        encoded.clear();
        let start = begin_frame(&mut encoded);
        encode(&mut encoded);
        end_frame(&mut encoded, start, if compress { FrameKind::Binary } else { FrameKind::Text });
        let receivers = subscribers.map_or(0, Subscribers::len) + subject.map_or(0, |entry| entry.peers.len());
        let frame = Frame::new(&encoded, receivers);
        let (now, mut delivered) = (Instant::now(), 0);
        let mut push = |peer: &Peer| delivered += usize::from(peer.push(&frame, now));
        let subscribed = |peer: &Peer| subscribers.is_some_and(|all| all.contains_key(&peer.number));
        for peer in connection.into_iter().filter(|peer| !subscribed(peer)) {
            push(peer);
        }
        for peer in subject.into_iter().flat_map(|entry| &entry.peers) {
            if !subscribed(peer) && connection.is_none_or(|other| other.number != peer.number) {
                push(peer);
            }
        }
        for peer in subscribers.into_iter().flat_map(Subscribers::values) {
            push(peer);
        }
        self.metrics.messages_delivered.inc_by(delivered as u64);
        self.metrics.delivered_bytes.inc_by((delivered * frame.len()) as u64);
        if encoded.capacity() <= KEPT {
            ENCODED.set(encoded);
        }
        delivered
    }

    /// Brings up to date what is not counted as it happens.
    pub(crate) fn measure(&self) {
        let state = self.read();
        let queues = state.connections.values().map(|peer| peer.outbox().queued());
        let (sum, largest) = queues.fold((0, 0), |(sum, largest), queued| (sum + queued, largest.max(queued)));
        self.metrics.queued_bytes.set(sum as i64);
        self.metrics.largest_queue_bytes.set(largest as i64);
        self.metrics.topics.set(state.topics.len() as i64);
    }

    /// Up to `most` connections, those with the longest queues and then the newest, and topics, those with the most
    /// subscribers, whose names have `find` in them. Looks at up to `look_at` of each.
    pub(crate) fn survey(&self, find: &str, most: usize, look_at: usize) -> Survey {
        let state = self.read();
        let found = |peer: &&Arc<Peer>| peer.id.contains(find) || peer.subject.contains(find);
        let mut peers: Vec<_> = (state.connections.values().take(look_at).filter(found))
            .map(|peer| (peer.outbox().queued(), peer))
            .collect();
        peers.sort_unstable_by_key(|(queued, peer)| (Reverse(*queued), Reverse(peer.number)));
        let mut topics: Vec<_> = (state.topics.iter().take(look_at).filter(|(topic, _)| topic.contains(find)))
            .map(|(topic, subscribers)| (subscribers.len(), topic))
            .collect();
        topics.sort_unstable_by(|(more, topic), (less, other)| less.cmp(more).then_with(|| topic.cmp(other)));
        Survey {
            complete: state.connections.len().max(state.topics.len()) <= look_at
                && peers.len().max(topics.len()) <= most,
            connections: peers.into_iter().take(most).map(|(queued, peer)| Surveyed::new(peer, queued)).collect(),
            topics: topics.into_iter().take(most).map(|(count, topic)| (topic.to_string(), count)).collect(),
        }
    }

    /// The connections that `chosen` chooses.
    pub(crate) fn peers(&self, chosen: impl Fn(&Peer) -> bool) -> Vec<Arc<Peer>> {
        self.read().connections.values().filter(|peer| chosen(peer)).cloned().collect()
    }

    /// The connection with this id.
    pub(crate) fn peer(&self, id: &str) -> Option<Arc<Peer>> {
        self.read().connections.get(id).cloned()
    }
}

impl State {
    fn add(&mut self, topic: &str, peer: &Arc<Peer>) {
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => {
                if let Some(scope) = &self.scope {
                    scope.need(topic);
                }
                Arc::from(topic)
            }
        };
        self.topics.entry(name.clone()).or_default().insert(peer.number, peer.clone());
        peer.topics().insert(name);
    }

    fn forget(&mut self, topic: &str, number: u64) {
        if let Some(subscribers) = self.topics.get_mut(topic) {
            subscribers.swap_remove(&number);
            if subscribers.is_empty() {
                self.topics.remove(topic);
                if let Some(scope) = &self.scope {
                    scope.unneed(topic);
                }
            }
        }
    }
}

fn private(name: &str) -> String {
    format!("{PREFIX_PRIVATE}{name}")
}

/// 128 random bits in hex: a connection's id, or a message's that came without one.
pub(crate) fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
