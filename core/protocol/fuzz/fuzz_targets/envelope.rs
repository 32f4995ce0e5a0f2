//! Frames from either side: no text makes a parser panic, what is taken for JSON is JSON, and what is cut out of it too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_pubsub_protocol::envelope::{Connection, Presence};
use realtime_pubsub_protocol::frame::ClientFrame;
use realtime_pubsub_protocol::{Envelope, RawJson, Response, Sender};

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

fuzz_target!(|text: &str| {
    if let Ok(envelope) = Envelope::parse(text) {
        assert!(is_json(text));
        assert!(is_json(envelope.data.as_str()));
        let parts = envelope.message_data();
        assert_eq!(parts, realtime_pubsub_protocol::MessageData::parse(envelope.data));
        for part in [Some(parts.payload), parts.client, parts.id].into_iter().flatten() {
            assert!(is_json(part.as_str()));
        }
        let _ = (parts.sender(), envelope.acknowledged_id(), envelope.is_welcome());
    }
    if ClientFrame::parse(text).is_ok() {
        assert!(is_json(text));
    }
    let raw = RawJson::trusted(text);
    let _ = (raw.to_text(), Sender::parse(raw), Response::parse(raw), Connection::parse(raw), Presence::parse(raw));
});
