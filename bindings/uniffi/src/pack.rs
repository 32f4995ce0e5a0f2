//! What goes to the languages in batches: bytes that they read lazily, because a record for each message would cost
//! more than all the rest.
//!
//! Numbers are little-endian. A text is its length in bytes (u32), then its UTF-8. An entry begins with its kind:
//! 0 ack, 1 reply, 2 event, 3 error: a settled wait, then its number (u64) and what it got; 4 an event for listeners,
//! then how many (u32), their ids (u64 each), and the event. `Reader.kt` and `Reader.swift` read this.

use realtime_pubsub::{Delivery, Error, Event, IncomingMessage, PresenceMessage, RawJson, ResponseMessage, Settled};

const ACK: u8 = 0;
const REPLY: u8 = 1;
const EVENT: u8 = 2;
const ERROR: u8 = 3;
const LISTENERS: u8 = 4;

const COMPRESSED: u8 = 1;
const HAS_SENDER: u8 = 2;
const HAS_ID: u8 = 4;
const PRESENCE: u8 = 8;

pub(crate) fn delivery(out: &mut Vec<u8>, delivery: &Delivery) {
    match delivery {
        Delivery::Event { listeners, event: told } => {
            out.push(LISTENERS);
            size(out, listeners.len());
            for listener in listeners.iter() {
                out.extend_from_slice(&listener.get().to_le_bytes());
            }
            event(out, told);
        }
        Delivery::Settled { token, outcome } => {
            out.push(match outcome {
                Ok(Settled::Reply(_)) => REPLY,
                Ok(Settled::Event(_)) => EVENT,
                Ok(_) => ACK,
                Err(_) => ERROR,
            });
            out.extend_from_slice(&token.to_le_bytes());
            match outcome {
                Ok(Settled::Reply(told)) => reply(out, told),
                Ok(Settled::Event(told)) => event(out, told),
                Ok(_) => {}
                Err(told) => error(out, told),
            }
        }
        _ => {}
    }
}

pub(crate) fn reply(out: &mut Vec<u8>, reply: &ResponseMessage) {
    text(out, reply.id());
    text(out, reply.status());
    text(out, reply.data().as_str());
    message(out, reply.message());
}

fn event(out: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Message(told) => {
            out.push(0);
            message(out, told);
        }
        Event::SessionStarted(info) => {
            out.push(1);
            text(out, &info.id);
            text(out, &info.app_id);
            text(out, &info.remote_address);
        }
        Event::Error(told) => {
            out.push(2);
            error(out, told);
        }
        Event::Close(close) => {
            out.push(3);
            out.extend_from_slice(&close.code.to_le_bytes());
            out.push(u8::from(close.will_reconnect));
            text(out, &close.reason);
        }
        Event::State(change) => {
            out.push(4);
            text(out, change.from.name());
            text(out, change.to.name());
            text(out, &change.reason);
        }
        Event::Lagged(lagged) => {
            out.push(5);
            out.extend_from_slice(&lagged.dropped.to_le_bytes());
        }
        // A kind of event that the core has and this lacks: the languages pass over it.
        _ => out.push(u8::MAX),
    }
}

pub(crate) fn message(out: &mut Vec<u8>, message: &IncomingMessage) {
    let sender = message.sender_raw();
    let id = message.id();
    let presence = message.data_as_presence();
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    out.push(
        flag(message.compression(), COMPRESSED)
            | flag(sender.is_some(), HAS_SENDER)
            | flag(id.is_some(), HAS_ID)
            | flag(presence.is_some(), PRESENCE),
    );
    text(out, message.topic());
    text(out, message.message_type());
    let data = message.data();
    text(out, data.as_str());
    place(out, message.payload(), data);
    if let Some(sender) = sender {
        place(out, sender, data);
    }
    if let Some(id) = id {
        text(out, &id);
    }
    if let Some(PresenceMessage { status, code, connection_id, subject, permissions, .. }) = presence {
        text(out, &status);
        out.push(u8::from(code.is_some()));
        out.extend_from_slice(&code.unwrap_or_default().to_le_bytes());
        text(out, &connection_id);
        text(out, &subject);
        size(out, permissions.len());
        permissions.iter().for_each(|permission| text(out, permission));
    }
}

/// Where a part stands in the data: start and length; length 0 for `null` that stands nowhere.
fn place(out: &mut Vec<u8>, part: RawJson<'_>, data: RawJson<'_>) {
    let (part, data) = (part.as_str(), data.as_str());
    let start = (part.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
    let within = start.checked_add(part.len()).is_some_and(|end| end <= data.len());
    let (start, length) = if within { (start, part.len()) } else { (0, 0) };
    size(out, start);
    size(out, length);
}

fn error(out: &mut Vec<u8>, error: &Error) {
    out.extend_from_slice(&error.number().to_le_bytes());
    text(out, error.message());
    out.push(u8::from(error.topic().is_some()));
    if let Some(topic) = error.topic() {
        text(out, topic);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    size(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Frames are below 4 GiB, so sizes within them fit.
fn size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
}
