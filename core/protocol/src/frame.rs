//! What a client sends: `publish`, `message` (a send), `subscribe` and `unsubscribe`, each a JSON text frame.
//!
//! The `encode_*` functions are the client's side, [`ClientFrame::parse`] is the gateway's.

use std::borrow::Cow;

use crate::json::{RawJson, write_string};
use crate::scan::{self, Malformed, Scanner};

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Published to a topic.
    Topic(&'a str),
    /// Sent to the application: delivered on [`crate::TOPIC_INBOUND`].
    Inbound,
}

/// What a publish or send carries besides its payload.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Where it goes.
    pub target: Target<'a>,
    /// The message type; a gateway takes [`crate::TYPE_BROADCAST`] where there is none.
    pub message_type: Option<&'a str>,
    /// The id that the ack and replies will name.
    pub id: &'a str,
    /// Whether receivers are to get it as a binary frame.
    pub compress: bool,
}

/// Writes a `publish` or `message` frame up to its payload. The payload's JSON must follow, [`put_message_type`] where
/// there is one, and [`end_message`]: each part is written as soon as it is known.
///
/// ```
/// use realtime_pubsub_protocol::frame::{Target, begin_message, end_message, put_message_type};
///
/// let mut out = Vec::new();
/// begin_message(&mut out, Target::Topic("chat"));
/// out.extend_from_slice(b"\"hi\"");
/// put_message_type(&mut out, "text");
/// end_message(&mut out, "1", false);
/// assert_eq!(out, br#"{"type":"publish","data":{"topic":"chat","payload":"hi","messageType":"text","id":"1"}}"#);
/// ```
pub fn begin_message(out: &mut Vec<u8>, target: Target<'_>) {
    match target {
        Target::Topic(topic) => {
            out.extend_from_slice(br#"{"type":"publish","data":{"topic":"#);
            write_string(out, topic);
            out.extend_from_slice(br#","payload":"#);
        }
        Target::Inbound => out.extend_from_slice(br#"{"type":"message","data":{"payload":"#),
    }
}

/// Writes the message type, behind the payload of a `publish` or `message` frame.
pub fn put_message_type(out: &mut Vec<u8>, message_type: &str) {
    out.extend_from_slice(br#","messageType":"#);
    write_string(out, message_type);
}

/// Writes what ends a `publish` or `message` frame.
pub fn end_message(out: &mut Vec<u8>, id: &str, compress: bool) {
    if compress {
        out.extend_from_slice(br#","compress":true"#);
    }
    out.extend_from_slice(br#","id":"#);
    write_string(out, id);
    out.extend_from_slice(b"}}");
}

/// Writes a whole `publish` or `message` frame.
pub fn encode_message(out: &mut Vec<u8>, head: &Head<'_>, payload: RawJson<'_>) {
    begin_message(out, head.target);
    out.extend_from_slice(payload.as_str().as_bytes());
    if let Some(message_type) = head.message_type {
        put_message_type(out, message_type);
    }
    end_message(out, head.id, head.compress);
}

/// Writes the payload of a reply up to its data, which must follow, and [`end_reply_payload`]:
/// `{"id":…,"data":…,"status":…}`, where `id` is the original message's.
pub fn begin_reply_payload(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(br#"{"id":"#);
    write_string(out, id);
    out.extend_from_slice(br#","data":"#);
}

/// Writes what ends the payload of a reply.
pub fn end_reply_payload(out: &mut Vec<u8>, status: &str) {
    out.extend_from_slice(br#","status":"#);
    write_string(out, status);
    out.push(b'}');
}

/// Writes a `subscribe` frame.
pub fn encode_subscribe(out: &mut Vec<u8>, topic: &str) {
    out.extend_from_slice(br#"{"type":"subscribe","data":{"topic":"#);
    write_string(out, topic);
    out.extend_from_slice(b"}}");
}

/// Writes an `unsubscribe` frame.
pub fn encode_unsubscribe(out: &mut Vec<u8>, topic: &str) {
    out.extend_from_slice(br#"{"type":"unsubscribe","data":{"topic":"#);
    write_string(out, topic);
    out.extend_from_slice(b"}}");
}

/// A frame from a client, borrowed from its text.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFrame<'a> {
    /// A message for a topic.
    Publish {
        /// The topic.
        topic: Cow<'a, str>,
        /// The rest of the message.
        message: OutgoingMessage<'a>,
    },
    /// A message for the application (a send).
    Message(OutgoingMessage<'a>),
    /// From now on deliver this topic's messages.
    Subscribe {
        /// The topic.
        topic: Cow<'a, str>,
    },
    /// Stop delivering this topic's messages.
    Unsubscribe {
        /// The topic.
        topic: Cow<'a, str>,
    },
}

/// What a client asks to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct OutgoingMessage<'a> {
    /// Any JSON value; `null` where the client left it out.
    pub payload: RawJson<'a>,
    /// The message type as sent, or [`crate::TYPE_BROADCAST`].
    pub message_type: Cow<'a, str>,
    /// Whether to deliver it as a binary frame.
    pub compress: bool,
    /// The client's id for it, a string or a number, as it came.
    pub id: Option<RawJson<'a>>,
}

/// Why a frame from a client can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not JSON, or not an object of the right shape.
    #[error("not a frame: {0}")]
    Malformed(#[from] Malformed),
    /// `type` is none that a gateway knows.
    #[error("unknown frame type {0:?}")]
    UnknownType(String),
    /// A field that this type of frame needs is missing or has the wrong shape.
    #[error("a {frame} frame needs `{field}`")]
    Missing {
        /// The frame's type.
        frame: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl<'a> ClientFrame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// When it is not JSON, its type is unknown, or it lacks a topic where one is needed.
    pub fn parse(text: &'a str) -> Result<Self, FrameError> {
        let mut kind = None;
        let mut data = Data::default();
        scan::object(text, |key, scanner| {
            match key {
                "type" => kind = string(scanner)?,
                "data" => {
                    data = Data::default();
                    if !scanner.at_object() {
                        scanner.value()?;
                    } else {
                        scanner.object(&mut |key: &str, scanner: &mut Scanner<'a>| data.take(key, scanner))?;
                    }
                }
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        let kind = kind.ok_or(FrameError::Missing { frame: "client's", field: "type" })?;
        let needs_topic = |frame| FrameError::Missing { frame, field: "data.topic" };
        match &*kind {
            "publish" => Ok(ClientFrame::Publish {
                topic: data.topic.take().ok_or(needs_topic("publish"))?,
                message: data.into_message(),
            }),
            "message" => Ok(ClientFrame::Message(data.into_message())),
            "subscribe" => Ok(ClientFrame::Subscribe { topic: data.topic.ok_or(needs_topic("subscribe"))? }),
            "unsubscribe" => Ok(ClientFrame::Unsubscribe { topic: data.topic.ok_or(needs_topic("unsubscribe"))? }),
            _ => Err(FrameError::UnknownType(kind.chars().take(64).collect())),
        }
    }
}

#[derive(Default)]
struct Data<'a> {
    topic: Option<Cow<'a, str>>,
    payload: Option<RawJson<'a>>,
    message_type: Option<Cow<'a, str>>,
    compress: bool,
    id: Option<RawJson<'a>>,
}

impl<'a> Data<'a> {
    fn take(&mut self, key: &str, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        match key {
            "topic" => self.topic = string(scanner)?,
            "payload" => self.payload = Some(scanner.value()?),
            "messageType" => self.message_type = string(scanner)?,
            "compress" => self.compress = scanner.value()?.as_str() == "true",
            "id" => self.id = Some(scanner.value()?),
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    }

    fn into_message(self) -> OutgoingMessage<'a> {
        OutgoingMessage {
            payload: self.payload.unwrap_or(RawJson::NULL),
            message_type: self.message_type.unwrap_or(Cow::Borrowed(crate::TYPE_BROADCAST)),
            compress: self.compress,
            id: self.id.filter(|id| id.to_text().is_some()),
        }
    }
}

/// A string; other values count as missing.
fn string<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Cow<'a, str>>, Malformed> {
    let value = scanner.value()?;
    Ok(if value.as_str().starts_with('"') { value.to_text() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_are_the_gateways() {
        let frame = ClientFrame::parse(r#"{"type":"publish","data":{"topic":"a"}}"#).unwrap();
        let ClientFrame::Publish { topic, message } = frame else { panic!("{frame:?}") };
        assert_eq!(topic, "a");
        assert_eq!(message.message_type, "broadcast");
        assert_eq!((message.payload, message.compress, message.id), (RawJson::NULL, false, None));
    }

    #[test]
    fn odd_shapes_are_tolerated_or_named() {
        let text =
            r#"{"x":[1],"data":{"id":7,"messageType":5,"compress":"yes","extra":{},"topic":"t"},"type":"publish"}"#;
        let ClientFrame::Publish { message, .. } = ClientFrame::parse(text).unwrap() else { panic!() };
        assert_eq!(message.id.unwrap().as_str(), "7");
        assert_eq!(message.message_type, "broadcast");
        assert!(!message.compress);
        for (text, says) in [
            (r#"{"type":"publish","data":{"topic":3}}"#, "needs `data.topic`"),
            (r#"{"type":"dance","data":{}}"#, "unknown frame type"),
            (r#"{"data":{}}"#, "needs `type`"),
            ("[]", "not a frame"),
            ("", "not a frame"),
        ] {
            let error = ClientFrame::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_a_client_writes_a_gateway_reads(
            topic in any::<String>(), kind in proptest::option::of(any::<String>()), id in any::<String>(),
            payload in any::<String>(), compress in any::<bool>(), inbound in any::<bool>(),
        ) {
            let target = if inbound { Target::Inbound } else { Target::Topic(&topic) };
            let payload = serde_json::to_string(&payload).unwrap();
            let mut out = Vec::new();
            let head = Head { target, message_type: kind.as_deref(), id: &id, compress };
            encode_message(&mut out, &head, RawJson::trusted(&payload));
            let text = String::from_utf8(out).unwrap();
            let message = match ClientFrame::parse(&text).unwrap() {
                ClientFrame::Publish { topic: read, message } if !inbound => { prop_assert_eq!(read, topic); message }
                ClientFrame::Message(message) if inbound => message,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(message.id.unwrap().to_text().unwrap(), id);
            prop_assert_eq!(message.compress, compress);
            prop_assert_eq!(message.payload.as_str(), payload);
            prop_assert_eq!(message.message_type, kind.unwrap_or_else(|| "broadcast".into()));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = ClientFrame::parse(&text);
        }

        #[test]
        fn subscriptions_read_back(topic in any::<String>()) {
            let mut out = Vec::new();
            encode_subscribe(&mut out, &topic);
            prop_assert_eq!(ClientFrame::parse(std::str::from_utf8(&out).unwrap()).unwrap(),
                ClientFrame::Subscribe { topic: Cow::Borrowed(&topic) });
            out.clear();
            encode_unsubscribe(&mut out, &topic);
            prop_assert_eq!(ClientFrame::parse(std::str::from_utf8(&out).unwrap()).unwrap(),
                ClientFrame::Unsubscribe { topic: Cow::Borrowed(&topic) });
        }
    }
}
