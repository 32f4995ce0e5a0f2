//! Many gateways as one, through NATS. What is guaranteed is in the crate's README.
//!
//! A topic is a subject (`subject`), and a gateway subscribes to those that its own connections listen to. All that a
//! gateway publishes goes through one connection (`link`), in one order. A ping behind it makes a [`Barrier`]: its
//! pong says that the server has handled all before it, which acks and pongs to clients wait for. Gateways tell each
//! other of their connections (`members`).
//!
//! It speaks NATS' protocol itself (`wire`, `login`), because three things that are promised here can't be had of the
//! public client crate: its flush ends at the system's socket buffer, not at the server; it has a queue for each
//! subscription, so the order between topics is lost; and a full queue drops messages.

mod barrier;
mod link;
mod login;
mod members;
mod subject;
mod wire;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

pub(crate) use self::barrier::Barrier;
use self::login::Login;
pub(crate) use self::members::Call;
use self::members::{MemberId, Members, Remote, Spoken, Word, parts};
use crate::hub::Peer;
use crate::metrics::Metrics;
use crate::options::NatsOptions;

/// With more than this waiting for NATS to take it, connections that wait for it read no more.
const CONGESTED: usize = 8 << 20;
/// How long a call to the other gateways may take.
const CALL: Duration = Duration::from_secs(2);
/// A payload's first byte: what the message is.
const BINARY: u8 = 1;
/// Its receivers are counted: 8 bytes that name it follow the sender's.
const COUNTED: u8 = 2;
/// More parts of the message follow.
const MORE: u8 = 4;
/// It goes on from the part before.
const CONTINUED: u8 = 8;
/// The longest head of a payload: flags, sender, name.
const HEAD: usize = 17;

thread_local! {
    static ENCODED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
const KEPT: usize = 64 * 1024;

/// This gateway's part in the cluster.
pub(crate) struct Cluster {
    id: MemberId,
    options: NatsOptions,
    login: Login,
    state: Mutex<State>,
    /// Wakes the writer.
    wake: Notify,
    congested: AtomicBool,
    members: Mutex<Members>,
    metrics: Arc<Metrics>,
}

/// What changes with every message; locked for moments only.
#[derive(Default)]
struct State {
    /// How often NATS was reached; the current time if `up`.
    epoch: u64,
    up: bool,
    /// What to write next.
    out: Vec<u8>,
    /// The barrier behind what is in `out`, if somebody needs one.
    gathering: Option<Arc<Barrier>>,
    /// Those whose ping is written, since when.
    inflight: VecDeque<(Instant, Arc<Barrier>)>,
    /// Whether the server has said that it refused a publish since its last pong.
    refused: bool,
    /// Whether the server was reached when it was last tried, and did not let this gateway in.
    login_refused: bool,
    /// The largest payload it takes.
    max_payload: usize,
    /// The subjects that are listened to, what for and how often, and as which subscription.
    needs: HashMap<(Purpose, Box<str>), Need>,
    subscriptions: u64,
    /// This gateway's connections, with their app.
    local: HashMap<Arc<str>, (Arc<str>, Arc<Peer>)>,
}

struct Need {
    sid: u64,
    count: usize,
}

/// What a subscription is for. A message that is wanted for several comes once for each, so it is told by its
/// subscription's number, in the upper bits, what it came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    /// Delivering to connections.
    Deliver,
    /// A console's tails of one topic.
    TailOne,
    /// A console's tails of all topics that begin in some way: all of the app's.
    TailAll,
}

/// Where the purpose is in a subscription's number.
const PURPOSE: u32 = 60;

impl Purpose {
    fn number(self, subscription: u64) -> u64 {
        (self as u64) << PURPOSE | subscription
    }

    fn of(sid: u64) -> Purpose {
        match sid >> PURPOSE {
            0 => Purpose::Deliver,
            1 => Purpose::TailOne,
            _ => Purpose::TailAll,
        }
    }
}

impl State {
    /// The barrier behind all that is written by now.
    fn barrier(&mut self) -> &Arc<Barrier> {
        self.gathering.get_or_insert_default()
    }
}

/// An app's part in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) cluster: Arc<Cluster>,
    app: Arc<str>,
}

impl Scope {
    pub(crate) fn new(cluster: Arc<Cluster>, app: &str) -> Self {
        Scope { cluster, app: app.into() }
    }

    /// Somebody here listens to the topic.
    pub(crate) fn need(&self, topic: &str) {
        self.cluster.need(Purpose::Deliver, self.cluster.subject(&self.app, topic));
    }

    /// Somebody who listened to the topic does no more.
    pub(crate) fn unneed(&self, topic: &str) {
        self.cluster.unneed(Purpose::Deliver, self.cluster.subject(&self.app, topic));
    }

    /// A console here follows one topic, or all that begin in some way: then all of the app's come, NATS knows no
    /// other way.
    pub(crate) fn follow(&self, topic: Option<&str>) {
        let (purpose, subject) = self.followed(topic);
        self.cluster.need(purpose, subject);
    }

    /// It does no more.
    pub(crate) fn unfollow(&self, topic: Option<&str>) {
        let (purpose, subject) = self.followed(topic);
        self.cluster.unneed(purpose, subject);
    }

    fn followed(&self, topic: Option<&str>) -> (Purpose, String) {
        match topic {
            Some(topic) => (Purpose::TailOne, self.cluster.subject(&self.app, topic)),
            None => {
                let mut subject = self.cluster.subject(&self.app, "");
                subject.pop();
                (Purpose::TailAll, subject + "*")
            }
        }
    }

    /// A connection is here.
    pub(crate) fn joined(&self, peer: &Arc<Peer>) {
        let cluster = &self.cluster;
        let mut state = cluster.state();
        state.local.insert(peer.id.clone(), (self.app.clone(), peer.clone()));
        cluster.tell(&mut state, None, Word::Joined { connection: remote(&self.app, peer) });
    }

    /// It is here no more.
    pub(crate) fn left(&self, peer: &Peer) {
        let cluster = &self.cluster;
        let mut state = cluster.state();
        if state.local.remove(&peer.id).is_some() {
            cluster.tell(&mut state, None, Word::Left { id: peer.id.to_string() });
        }
    }

    /// How many connections of a subject other gateways have.
    pub(crate) fn elsewhere(&self, subject: &str) -> usize {
        self.cluster.members().of_subject(&self.app, subject)
    }

    /// Hands a message to NATS. The epoch in which that was, `None` while NATS is away.
    pub(crate) fn publish(
        &self,
        topic: &str,
        binary: bool,
        counted: Option<u64>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<u64> {
        let mut encoded = ENCODED.take();
        encoded.clear();
        encode(&mut encoded);
        let subject = self.cluster.subject(&self.app, topic);
        let epoch = self.cluster.write(&subject, binary, counted, &encoded);
        if encoded.capacity() <= KEPT {
            ENCODED.set(encoded);
        }
        epoch
    }

    /// Has all other gateways do something; the sum of their answers, of those that answered in time.
    pub(crate) async fn call(&self, what: Call) -> usize {
        let (number, sum) = {
            let mut members = self.cluster.members();
            let number = rand::random();
            let sum = members.call(number);
            let word = Word::Call { number, app: self.app.to_string(), what };
            self.cluster.tell(&mut self.cluster.state(), None, word);
            (number, sum)
        };
        match timeout(CALL, sum).await {
            Ok(Ok(sum)) => sum,
            _ => self.cluster.members().give_up(number),
        }
    }
}

fn remote(app: &str, peer: &Peer) -> Remote {
    let (id, subject, client) = (peer.id.to_string(), peer.subject.to_string(), peer.client.to_string());
    Remote { app: app.to_owned(), id, subject, client }
}

/// What is wrong with the options, if anything is, as far as can be known without connecting.
pub(crate) fn check(options: &NatsOptions) -> Result<(), String> {
    Login::new(options, String::new()).map(drop)
}

impl Cluster {
    /// Checks the options. Nothing is connected yet.
    pub(crate) fn new(options: &NatsOptions, metrics: Arc<Metrics>) -> Result<Self, String> {
        let id: MemberId = rand::random();
        Ok(Cluster {
            id,
            login: Login::new(options, format!("realtime-pubsub-gateway {id:016x}"))?,
            options: options.clone(),
            state: Mutex::default(),
            wake: Notify::new(),
            congested: AtomicBool::new(false),
            members: Mutex::default(),
            metrics,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether NATS is there.
    pub(crate) fn up(&self) -> bool {
        self.state().up
    }

    /// How it stands with NATS, in a word.
    pub(crate) fn standing(&self) -> &'static str {
        let state = self.state();
        match (state.up, state.login_refused) {
            (true, _) => "connected",
            (false, false) => "away",
            (false, true) => "refused",
        }
    }

    /// Whether more waits for NATS than should.
    pub(crate) fn congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed)
    }

    /// The barrier behind all that is handed to NATS by now; it will wake the connection. `None` while NATS is away,
    /// or if it was since `epoch`.
    pub(crate) fn barrier(&self, peer: &Arc<Peer>, epoch: Option<u64>) -> Option<Arc<Barrier>> {
        let mut state = self.state();
        if !state.up || epoch.is_some_and(|epoch| epoch != state.epoch) {
            return None;
        }
        let barrier = state.barrier();
        barrier.wake(peer);
        let barrier = barrier.clone();
        drop(state);
        self.wake.notify_one();
        Some(barrier)
    }

    /// Returns once NATS has taken all that was handed to it by now: whether it has.
    pub(crate) async fn settle(&self) -> bool {
        let told = {
            let mut state = self.state();
            if !state.up {
                return false;
            }
            state.barrier().told()
        };
        self.wake.notify_one();
        told.await.unwrap_or(false)
    }

    /// Says goodbye.
    pub(crate) async fn leave(&self) {
        self.tell(&mut self.state(), None, Word::Bye);
        let _ = timeout(Duration::from_secs(1), self.settle()).await;
    }

    fn subject(&self, app: &str, topic: &str) -> String {
        let mut out = String::with_capacity(self.options.prefix.len() + app.len() + topic.len() + 16);
        out.push_str(&self.options.prefix);
        out.push_str(".topic.");
        subject::encode(app, &mut out);
        out.push('.');
        subject::encode(topic, &mut out);
        out
    }

    fn need(&self, purpose: Purpose, subject: String) {
        let mut state = self.state();
        let key = (purpose, subject.into_boxed_str());
        if let Some(need) = state.needs.get_mut(&key) {
            need.count += 1;
            return;
        }
        state.subscriptions += 1;
        let sid = purpose.number(state.subscriptions);
        if state.up {
            wire::subscribe(&mut state.out, &key.1, sid);
            self.wake.notify_one();
        }
        state.needs.insert(key, Need { sid, count: 1 });
    }

    fn unneed(&self, purpose: Purpose, subject: String) {
        let mut state = self.state();
        let key = (purpose, subject.into_boxed_str());
        let Some(need) = state.needs.get_mut(&key) else { return };
        need.count -= 1;
        if need.count > 0 {
            return;
        }
        let sid = need.sid;
        state.needs.remove(&key);
        if state.up {
            wire::unsubscribe(&mut state.out, sid);
            self.wake.notify_one();
        }
    }

    /// Writes a message, in as many parts as the server's limit needs.
    fn write(&self, subject: &str, binary: bool, counted: Option<u64>, bytes: &[u8]) -> Option<u64> {
        let mut state = self.state();
        if !state.up {
            return None;
        }
        let size = state.max_payload.saturating_sub(HEAD).max(1);
        let mut head = [0; HEAD];
        head[1..9].copy_from_slice(&self.id.to_be_bytes());
        head[9..].copy_from_slice(&counted.unwrap_or_default().to_be_bytes());
        let length = if counted.is_some() { HEAD } else { 9 };
        let kind = (u8::from(binary) * BINARY) | (u8::from(counted.is_some()) * COUNTED);
        let mut parts = bytes.chunks(size).peekable();
        let mut continued = 0;
        while let Some(part) = parts.next() {
            head[0] = kind | continued | if parts.peek().is_some() { MORE } else { 0 };
            wire::publish(&mut state.out, subject, &[&head[..length], part]);
            continued = CONTINUED;
        }
        if state.out.len() > CONGESTED {
            self.congested.store(true, Ordering::Relaxed);
        }
        let epoch = state.epoch;
        drop(state);
        self.metrics.nats_published.inc();
        self.wake.notify_one();
        Some(epoch)
    }

    /// Tells one other gateway something, or all.
    fn tell(&self, state: &mut State, to: Option<MemberId>, word: Word) {
        if !state.up {
            return;
        }
        let subject = match to {
            None => format!("{}.members", self.options.prefix),
            Some(id) => format!("{}.member.{id:016x}", self.options.prefix),
        };
        // A word has nothing in it that JSON has not.
        if let Ok(spoken) = serde_json::to_vec(&Spoken { from: self.id, word }) {
            wire::publish(&mut state.out, &subject, &[&spoken]);
            self.wake.notify_one();
        }
    }

    /// Tells of all connections here.
    fn tell_all(&self, state: &mut State, to: Option<MemberId>) {
        let all = state.local.values().map(|(app, peer)| remote(app, peer)).collect();
        let parts = parts(all, state.max_payload / 2);
        let last = parts.len() - 1;
        for (index, connections) in parts.into_iter().enumerate() {
            self.tell(state, to, Word::Snapshot { connections, first: index == 0, last: index == last });
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("id", &self.id).field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::Tails;

    #[tokio::test(start_paused = true)]
    async fn what_tails_follow_is_subscribed_to_while_somebody_looks() {
        let cluster = Arc::new(Cluster::new(&NatsOptions::new("x"), Arc::new(Metrics::new())).unwrap());
        let tails = Tails::new(Some(Scope::new(cluster.clone(), ".a")));
        let followed = || {
            let mut all: Vec<_> = cluster.state().needs.keys().map(|(_, subject)| subject.to_string()).collect();
            all.sort();
            all
        };
        for pattern in ["chat/*", "news/*", "one", ""] {
            tails.after(pattern, 0).unwrap();
        }
        assert_eq!(followed(), ["realtime.topic.=2Ea.*", "realtime.topic.=2Ea.=", "realtime.topic.=2Ea.one"]);
        tokio::time::advance(Duration::from_secs(10)).await;
        tails.after("news/*", 0).unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        tails.after("news/*", 0).unwrap();
        assert_eq!(followed(), ["realtime.topic.=2Ea.*"]);
        tokio::time::advance(Duration::from_secs(20)).await;
        // A message is enough to notice it.
        tails.see_encoded("news/1", true, true, b"");
        assert!(followed().is_empty());
    }

    #[test]
    fn a_subscriptions_number_says_what_it_is_for() {
        for purpose in [Purpose::Deliver, Purpose::TailOne, Purpose::TailAll] {
            assert_eq!(Purpose::of(purpose.number(u64::from(u32::MAX))), purpose);
        }
    }
}
