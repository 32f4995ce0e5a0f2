//! What happened, as JavaScript takes it: one array of 32-bit words, and one JSON array of all texts, so that a batch
//! of any size crosses with one string and one `JSON.parse`.
//!
//! The words are records, the texts the elements that some of them take in turn. The first two words say how many words
//! there are and whether more waits. `ts/batch.ts` reads them.

use std::sync::Arc;

use hashbrown::Equivalent;
use realtime_pubsub::{Delivery, Error, Event, IncomingMessage, ListenerId, Settled};
use realtime_pubsub_bindings::logs::Record;
use serde_json::json;

use crate::hub::News;
use crate::interned::Interned;

/// How many deliveries a batch has at most: more gain nothing, and the event loop has others to serve.
pub(crate) const MOST: usize = 512;
/// A batch ends beyond this many bytes of text.
const MOST_BYTES: usize = 256 * 1024;
/// Words before the first record.
const HEADER: usize = 2;
/// What one delivery takes at most, with all that must be told before it.
const WORDS_EACH: usize = 24;

// The kinds of records: the low byte of their first word. The rest of that word are flags.
const MESSAGE: u32 = 0;
const ACKED: u32 = 1;
const REPLIED: u32 = 2;
const FAILED: u32 = 3;
const EVENT: u32 = 4;
const CONTROL: u32 = 5;
const DONE: u32 = 6;
const URL: u32 = 7;
const NAME: u32 = 8;
const SENDER: u32 = 9;
const LISTENERS: u32 = 10;
const LOG: u32 = 11;

/// It came as a binary frame.
const COMPRESSED: u32 = 1 << 8;
/// Its element is all of `data`: there is no sender.
const WHOLE: u32 = 1 << 9;
/// Its id is four words here.
const PACKED_ID: u32 = 1 << 10;
/// Its id is an element.
const TEXT_ID: u32 = 1 << 11;
/// Its element is JSON in a string, with integers that a double can't hold.
const BIG: u32 = 1 << 12;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Name(Arc<str>, Arc<str>);

#[derive(Hash)]
struct NameRef<'a>(&'a str, &'a str);

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        *self.0 == *name.0 && *self.1 == *name.1
    }
}

/// Makes batches for one client or stream.
#[derive(Default)]
pub(crate) struct Writer {
    /// The texts, without the closing bracket.
    text: Vec<u8>,
    names: Interned<Name>,
    senders: Interned<Arc<str>>,
    listeners: Interned<Arc<[ListenerId]>>,
    /// Whether integers beyond 2^53 are told as such.
    big_integers: bool,
}

/// A batch that is being made.
pub(crate) struct Batch<'a> {
    writer: &'a mut Writer,
    words: &'a mut [u32],
    used: usize,
    count: usize,
}

impl Writer {
    pub(crate) fn new(big_integers: bool) -> Self {
        Writer { big_integers, ..Writer::default() }
    }

    pub(crate) fn batch<'a>(&'a mut self, words: &'a mut [u32]) -> Batch<'a> {
        self.text.clear();
        Batch { writer: self, words, used: HEADER, count: 0 }
    }
}

impl<'a> Batch<'a> {
    /// How many more deliveries it may take. 0 when it is full.
    pub(crate) fn room(&self) -> usize {
        if self.writer.text.len() >= MOST_BYTES {
            return 0;
        }
        let words = self.words.len().saturating_sub(self.used) / WORDS_EACH;
        words.min(MOST - self.count.min(MOST))
    }

    /// Ends it. The texts are empty when there are none.
    pub(crate) fn finish(self, more: bool) -> &'a [u8] {
        if let [used, left, ..] = self.words {
            *used = self.used as u32;
            *left = u32::from(more);
        }
        if !self.writer.text.is_empty() {
            self.writer.text.push(b']');
        }
        &self.writer.text
    }

    pub(crate) fn delivery(&mut self, delivery: &Delivery) {
        self.count += 1;
        match delivery {
            Delivery::Event { listeners, event } => {
                let (number, new) = self.writer.listeners.number(&**listeners, || Arc::clone(listeners));
                if new {
                    self.words(&[LISTENERS, number]);
                    let ids: Vec<u64> = listeners.iter().map(|id| id.get()).collect();
                    self.element(json!(ids).to_string().as_bytes());
                }
                self.event(event, number);
            }
            Delivery::Settled { token, outcome } => match outcome {
                Ok(Settled::Ack) => self.settled(ACKED, *token),
                Ok(Settled::Reply(reply)) => {
                    let data = reply.data();
                    let big = self.is_big(data.as_str());
                    self.settled(REPLIED | big, *token);
                    let mut text = Vec::with_capacity(data.as_str().len() + 80);
                    text.extend_from_slice(br#"{"id":"#);
                    write_string(&mut text, reply.id());
                    text.extend_from_slice(br#","status":"#);
                    write_string(&mut text, reply.status());
                    text.extend_from_slice(br#","data":"#);
                    text.extend_from_slice(data.as_str().as_bytes());
                    text.push(b'}');
                    self.value(&text, big);
                }
                Ok(Settled::Event(event)) => {
                    self.settled(EVENT, *token);
                    self.event(event, 0);
                }
                Ok(_) => {}
                Err(error) => self.failed(*token, error),
            },
            _ => {}
        }
    }

    /// A message of a stream.
    pub(crate) fn streamed(&mut self, message: &IncomingMessage) {
        self.count += 1;
        self.message(message, 0);
    }

    fn message(&mut self, message: &IncomingMessage, listeners: u32) {
        let (topic, message_type) = (message.topic(), message.message_type());
        let (name, new) =
            self.writer.names.number(&NameRef(topic, message_type), || Name(topic.into(), message_type.into()));
        if new {
            self.words(&[NAME, name]);
            self.element(json!([topic, message_type]).to_string().as_bytes());
        }
        let compressed = if message.compression() { COMPRESSED } else { 0 };
        let Some(sender) = message.sender_raw() else {
            let data = message.data();
            let big = self.is_big(data.as_str());
            self.words(&[MESSAGE | WHOLE | big | compressed, listeners, name, 0]);
            self.value(data.as_str().as_bytes(), big);
            return;
        };
        let (sender_number, new) = self.writer.senders.number(sender.as_str(), || sender.as_str().into());
        if new {
            self.words(&[SENDER, sender_number]);
            self.element(sender.as_str().as_bytes());
        }
        let payload = message.payload();
        let big = self.is_big(payload.as_str());
        let id = message.id();
        let packed = id.as_deref().and_then(pack);
        let id_flag = match (&id, &packed) {
            (None, _) => 0,
            (_, Some(_)) => PACKED_ID,
            (_, None) => TEXT_ID,
        };
        self.words(&[MESSAGE | id_flag | big | compressed, listeners, name, sender_number]);
        if let Some(packed) = packed {
            self.words(&packed);
        }
        self.value(payload.as_str().as_bytes(), big);
        if let (None, Some(id)) = (packed, id) {
            let mut text = Vec::new();
            write_string(&mut text, &id);
            self.element(&text);
        }
    }

    pub(crate) fn news(&mut self, news: &News) {
        self.count += 1;
        match news {
            News::Url { request } => self.words(&[URL, *request]),
            News::Done { token, outcome: Ok(info) } => {
                self.settled(DONE, *token);
                let info = info.as_ref().map(|info| connection(info));
                self.element(json!(info).to_string().as_bytes());
            }
            News::Done { token, outcome: Err(error) } => self.failed(*token, error),
        }
    }

    pub(crate) fn log(&mut self, record: &Record) {
        self.count += 1;
        self.words(&[LOG | (record.level as u32) << 8]);
        let mut text = Vec::new();
        write_string(&mut text, &record.message);
        self.element(&text);
    }

    fn event(&mut self, event: &Event, listeners: u32) {
        // The control events' order is that of `ts/batch.ts`.
        let (which, detail) = match event {
            Event::Message(message) => return self.message(message, listeners),
            Event::SessionStarted(info) => (0, connection(info)),
            Event::Error(error) => (1, fault(error)),
            Event::Close(close) => {
                let detail = json!({"code": close.code, "reason": close.reason, "willReconnect": close.will_reconnect});
                (2, detail)
            }
            Event::State(change) => {
                (3, json!({"from": change.from.name(), "to": change.to.name(), "reason": change.reason}))
            }
            Event::Lagged(lagged) => (4, json!({"dropped": lagged.dropped})),
            _ => return,
        };
        self.words(&[CONTROL | which << 8, listeners]);
        self.element(detail.to_string().as_bytes());
    }

    fn failed(&mut self, token: u64, error: &Error) {
        self.settled(FAILED, token);
        self.element(fault(error).to_string().as_bytes());
    }

    /// Tokens are integers that a double holds.
    fn settled(&mut self, kind: u32, token: u64) {
        self.words(&[kind, token as u32, (token >> 32) as u32]);
    }

    fn words(&mut self, words: &[u32]) {
        let end = self.used + words.len();
        if let Some(slots) = self.words.get_mut(self.used..end) {
            slots.copy_from_slice(words);
            self.used = end;
        }
    }

    fn element(&mut self, json: &[u8]) {
        let text = &mut self.writer.text;
        text.push(if text.is_empty() { b'[' } else { b',' });
        text.extend_from_slice(json);
    }

    fn value(&mut self, json: &[u8], big: u32) {
        if big == 0 {
            return self.element(json);
        }
        let mut text = Vec::with_capacity(json.len() + 64);
        write_string(&mut text, &String::from_utf8_lossy(json));
        self.element(&text);
    }

    fn is_big(&self, json: &str) -> u32 {
        if self.writer.big_integers && has_long_number(json) { BIG } else { 0 }
    }
}

fn connection(info: &realtime_pubsub::ConnectionInfo) -> serde_json::Value {
    json!({"id": info.id, "appId": info.app_id, "remoteAddress": info.remote_address})
}

/// An error as JavaScript's classes are made of.
pub(crate) fn fault(error: &Error) -> serde_json::Value {
    json!({"number": error.number(), "message": error.message(), "topic": error.topic()})
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing a string into a Vec has no way to fail.
    let _ = serde_json::to_writer(out, text);
}

/// What each byte is worth as a digit of lower-case hexadecimal; `NO_DIGIT` for all others.
const DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};
const NO_DIGIT: u8 = 0x80;

/// The ids that clients make, 16 bytes in lower-case hexadecimal, as four words; other ids go as text.
fn pack(id: &str) -> Option<[u32; 4]> {
    let digits: &[u8; 32] = id.as_bytes().try_into().ok()?;
    let (mut words, mut seen) = ([0_u32; 4], 0);
    for (word, digits) in words.iter_mut().zip(digits.chunks_exact(8)) {
        for digit in digits {
            let value = DIGITS[usize::from(*digit)];
            seen |= value;
            *word = *word << 4 | u32::from(value);
        }
    }
    (seen < NO_DIGIT).then_some(words)
}

/// Whether there may be an integer beyond 2^53: a run of 16 digits, even if it is in a string.
fn has_long_number(json: &str) -> bool {
    let mut run = 0;
    json.bytes().any(|byte| {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        run >= 16
    })
}
