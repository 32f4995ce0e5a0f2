//! Tails for the console: the latest messages of chosen topics, kept while somebody looks.
//!
//! While nobody does, a message costs the reading of one number. While somebody does, what is kept is bounded in
//! every dimension: so many tails, so many messages of each, so many of them a second, so many bytes of each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use realtime_pubsub_protocol::envelope::Delivery;
#[cfg(feature = "nats")]
use realtime_pubsub_protocol::envelope::{Envelope, MessageData};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cluster::Scope;

/// Topics that are tailed at a time, in one app.
const TAILS: usize = 8;
/// Messages kept of each.
const KEPT: usize = 200;
/// Messages kept a second; the others are counted.
const PER_SECOND: u32 = 100;
/// Bytes kept of a payload.
const PAYLOAD: usize = 2048;
/// Bytes kept of what is shorter, usually.
const NAME: usize = 256;
/// How long a tail lasts that nobody looks at.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// An app's tails.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    /// How many there are: all that a message looks at while there is none.
    count: AtomicUsize,
    tails: Mutex<Vec<Tail>>,
    /// Where other gateways' messages come from.
    scope: Option<Scope>,
}

#[derive(Debug)]
struct Tail {
    /// A topic, or the beginning of one and `*`.
    pattern: Box<str>,
    asked: Instant,
    messages: VecDeque<Seen>,
    sequence: u64,
    skipped: u64,
    second: Instant,
    in_second: u32,
}

/// A message that went by.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    /// Counts up from 1.
    sequence: u64,
    /// Milliseconds since 1970.
    time: u64,
    topic: String,
    message_type: String,
    connection_id: Option<String>,
    subject: Option<String>,
    id: Option<String>,
    /// JSON, or its beginning if it is longer than what is kept.
    payload: String,
    payload_bytes: usize,
}

/// What is new.
#[derive(Debug, Serialize)]
pub(crate) struct News {
    messages: Vec<Seen>,
    /// Messages that were not kept because there were too many a second, since the tail began.
    skipped: u64,
    /// The number of the latest message.
    sequence: u64,
}

/// Why there is no tail.
#[derive(Debug)]
pub(crate) struct TooManyTails;

#[derive(Deserialize)]
struct Sender<'a> {
    #[serde(rename = "connectionId")]
    connection_id: &'a str,
    subject: String,
}

impl Tails {
    pub(crate) fn new(scope: Option<Scope>) -> Self {
        Tails { scope, ..Tails::default() }
    }

    fn tails(&self) -> MutexGuard<'_, Vec<Tail>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees a message go by.
    pub(crate) fn see(&self, message: &Delivery<'_>) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut tails = self.tails();
            let now = Instant::now();
            self.forget(&mut tails, now);
            let covering = tails.iter_mut().filter(|tail| tail.covers(message.topic));
            covering.filter_map(|tail| tail.room(now)).for_each(|tail| tail.keep(message));
        }
    }

    /// Sees a message that another gateway published, as it is encoded: for the tails of this one topic, or for those
    /// that are of more. `raw`: it came by REST.
    #[cfg(feature = "nats")]
    pub(crate) fn see_encoded(&self, topic: &str, wide: bool, raw: bool, bytes: &[u8]) {
        let mut tails = self.tails();
        let now = Instant::now();
        self.forget(&mut tails, now);
        let covering = tails.iter_mut().filter(|tail| tail.one().is_none() == wide && tail.covers(topic));
        let mut read = None;
        for tail in covering.filter_map(|tail| tail.room(now)) {
            let envelope = read.get_or_insert_with(|| Envelope::parse(std::str::from_utf8(bytes).ok()?).ok());
            let Some(envelope) = envelope else { return };
            let whole = MessageData { client: None, payload: envelope.data, id: None };
            let MessageData { client, payload, id } = if raw { whole } else { envelope.message_data() };
            tail.keep(&Delivery { topic, message_type: &envelope.message_type, client, payload, id });
        }
    }

    /// What was seen after message number `after`. The first to ask begins the tail.
    pub(crate) fn after(&self, pattern: &str, after: u64) -> Result<News, TooManyTails> {
        let mut tails = self.tails();
        let now = Instant::now();
        self.forget(&mut tails, now);
        let index = match tails.iter().position(|tail| *tail.pattern == *pattern) {
            Some(index) => index,
            None if tails.len() >= TAILS => return Err(TooManyTails),
            None => {
                let tail = Tail::new(pattern, now);
                if let Some(scope) = &self.scope {
                    scope.follow(tail.one());
                }
                tails.push(tail);
                self.count.store(tails.len(), Ordering::Relaxed);
                tails.len() - 1
            }
        };
        let tail = &mut tails[index];
        tail.asked = now;
        let messages = tail.messages.iter().filter(|seen| seen.sequence > after).cloned().collect();
        Ok(News { messages, skipped: tail.skipped, sequence: tail.sequence })
    }

    fn forget(&self, tails: &mut Vec<Tail>, now: Instant) {
        tails.retain(|tail| {
            let asked = now.saturating_duration_since(tail.asked) < FORGOTTEN;
            if let Some(scope) = self.scope.as_ref().filter(|_| !asked) {
                scope.unfollow(tail.one());
            }
            asked
        });
        self.count.store(tails.len(), Ordering::Relaxed);
    }
}

impl Tail {
    fn new(pattern: &str, now: Instant) -> Self {
        let (messages, sequence, skipped, in_second) = Default::default();
        Tail { pattern: pattern.into(), asked: now, messages, sequence, skipped, second: now, in_second }
    }

    /// The topic, if it is of one.
    fn one(&self) -> Option<&str> {
        Some(&*self.pattern).filter(|pattern| !pattern.ends_with('*'))
    }

    fn covers(&self, topic: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(beginning) => topic.starts_with(beginning),
            None => *self.pattern == *topic,
        }
    }

    /// Itself, if it keeps one more message; it counts those that it does not.
    fn room(&mut self, now: Instant) -> Option<&mut Self> {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.in_second) = (now, 0);
        }
        if self.in_second >= PER_SECOND {
            self.skipped += 1;
            return None;
        }
        self.in_second += 1;
        Some(self)
    }

    fn keep(&mut self, message: &Delivery<'_>) {
        self.sequence += 1;
        if self.messages.len() >= KEPT {
            self.messages.pop_front();
        }
        let sender = message.client.and_then(|client| serde_json::from_str::<Sender<'_>>(client.as_str()).ok());
        let (connection_id, subject) =
            sender.map(|sender| (cut(sender.connection_id, NAME), cut(&sender.subject, NAME))).unzip();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let payload = message.payload.as_str();
        self.messages.push_back(Seen {
            sequence: self.sequence,
            time: u64::try_from(time).unwrap_or_default(),
            topic: cut(message.topic, NAME),
            message_type: cut(message.message_type, NAME),
            connection_id,
            subject,
            id: message.id.map(|id| cut(id.as_str(), NAME)),
            payload: cut(payload, PAYLOAD),
            payload_bytes: payload.len(),
        });
    }
}

/// The beginning of a text.
fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use realtime_pubsub_protocol::RawJson;

    fn message<'a>(topic: &'a str, payload: &'a str) -> Delivery<'a> {
        let client = Some(RawJson::trusted(r#"{"connectionId":"c","subject":"a\"b","permissions":[]}"#));
        let id = Some(RawJson::trusted("7"));
        Delivery { topic, message_type: "t", client, payload: RawJson::trusted(payload), id }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tail_keeps_what_its_pattern_covers_and_no_more_than_it_may() {
        let tails = Tails::default();
        tails.see(&message("chat/1", "0"));
        assert!(tails.after("chat/*", 0).unwrap().messages.is_empty(), "nothing from before it began");
        let long = format!("\"{}\"", "ü".repeat(5000));
        for topic in ["chat/1", "chat", "chat/2"] {
            tails.see(&message(topic, &long));
        }
        let news = tails.after("chat/*", 0).unwrap();
        assert_eq!(news.messages.iter().map(|seen| seen.topic.as_str()).collect::<Vec<_>>(), ["chat/1", "chat/2"]);
        let seen = &news.messages[0];
        assert_eq!((seen.payload.len(), seen.payload_bytes, seen.subject.as_deref()), (2047, 10_002, Some("a\"b")));
        assert_eq!(tails.after("chat/*", 1).unwrap().messages.len(), 1);
        for _ in 0..1000 {
            tails.see(&message("chat/1", "1"));
        }
        let news = tails.after("chat/*", 0).unwrap();
        assert_eq!((news.messages.len(), news.sequence, news.skipped), (100, 100, 902));
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(1)).await;
            (0..1000).for_each(|_| tails.see(&message("chat/1", "1")));
        }
        let news = tails.after("chat/*", 0).unwrap();
        assert_eq!((news.messages.len(), news.sequence), (KEPT, 600));
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_tails_and_those_nobody_looks_at_end() {
        let tails = Tails::default();
        for n in 0..TAILS {
            tails.after(&n.to_string(), 0).unwrap();
        }
        assert!(tails.after("more", 0).is_err());
        tails.after("0", 0).unwrap();
        tokio::time::advance(FORGOTTEN / 2).await;
        tails.after("1", 0).unwrap();
        tokio::time::advance(FORGOTTEN / 2).await;
        tails.see(&message("0", "0"));
        assert_eq!(tails.count.load(Ordering::Relaxed), 1);
        tokio::time::advance(FORGOTTEN).await;
        tails.see(&message("1", "0"));
        assert_eq!((tails.count.load(Ordering::Relaxed), tails.tails().len()), (0, 0));
    }
}
