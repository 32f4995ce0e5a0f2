//! What the runner is told, as JSON text: payloads as they came.

use realtime_pubsub::{ConnectionInfo, Error, Event, IncomingMessage, RawJson, ResponseMessage, Stats};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{Failure, Outcome};

fn raw(json: RawJson<'_>) -> &RawValue {
    serde_json::from_str(json.as_str()).unwrap_or(RawValue::NULL)
}

/// `told`, with the payload or data in its place: `Value` would round large numbers.
fn with(told: &Value, name: &str, json: RawJson<'_>) -> String {
    let told = told.to_string();
    format!("{},\"{name}\":{}}}", told.strip_suffix('}').unwrap_or(&told), raw(json))
}

pub(crate) fn connection(info: &ConnectionInfo) -> String {
    json!({ "id": info.id, "app_id": info.app_id, "remote_address": info.remote_address }).to_string()
}

fn error(error: &Error) -> Value {
    json!({ "number": error.number(), "name": error.kind().name(), "message": error.message(), "topic": error.topic() })
}

pub(crate) fn outcome(outcome: Outcome) -> String {
    match outcome {
        Ok(told) => format!("{{\"ok\":{told}}}"),
        Err(Failure::Error(failed)) => json!({ "error": error(&failed) }).to_string(),
        Err(Failure::Cannot(why)) => json!({ "cannot": why }).to_string(),
        Err(Failure::Wrong(text) | Failure::Throw(text)) => {
            json!({ "error": { "number": 1, "message": text } }).to_string()
        }
    }
}

fn message(message: &IncomingMessage) -> String {
    let sender = message.sender().map(|sender| {
        let permissions: Vec<&str> = sender.permissions.iter().map(AsRef::as_ref).collect();
        json!({ "connection_id": &*sender.connection_id, "subject": &*sender.subject, "permissions": permissions })
    });
    let presence = message.data_as_presence().map(|presence| {
        json!({ "status": presence.status, "connection_id": presence.connection_id, "subject": presence.subject,
            "permissions": presence.permissions })
    });
    let told = json!({
        "id": message.id(), "sender": sender, "presence": presence, "topic": message.topic(),
        "message_type": message.message_type(), "compression": message.compression(), "kind": "message"
    });
    with(&told, "payload", message.payload())
}

pub(crate) fn reply(reply: &ResponseMessage) -> String {
    with(&json!({ "id": reply.id(), "status": reply.status() }), "data", reply.data())
}

pub(crate) fn event(event: &Event) -> String {
    let told = match event {
        Event::Message(received) => return message(received),
        Event::SessionStarted(info) => json!({ "kind": "session.started", "id": info.id, "app_id": info.app_id,
            "remote_address": info.remote_address }),
        Event::Error(failed) => {
            let mut told = error(failed);
            told["kind"] = "error".into();
            told
        }
        Event::Close(close) => json!({ "kind": "close", "code": close.code, "reason": close.reason,
            "will_reconnect": close.will_reconnect }),
        Event::State(change) => json!({ "kind": "state", "from": change.from.name(), "to": change.to.name(),
            "reason": change.reason }),
        Event::Lagged(lagged) => json!({ "kind": "lagged", "dropped": lagged.dropped }),
        _ => json!({ "kind": "unknown" }),
    };
    told.to_string()
}

pub(crate) fn stats(stats: &Stats) -> String {
    json!({
        "sessions": stats.sessions, "failed_attempts": stats.failed_attempts, "messages_sent": stats.messages_sent,
        "messages_received": stats.messages_received, "acks": stats.acks, "replies": stats.replies,
        "unmatched": stats.unmatched, "dropped": stats.dropped, "duplicates": stats.duplicates,
        "unreadable": stats.unreadable, "lost": stats.lost, "outbox_messages": stats.outbox_messages,
        "inbox_len": stats.inbox_len, "receipts": stats.receipts, "waits": stats.waits
    })
    .to_string()
}
