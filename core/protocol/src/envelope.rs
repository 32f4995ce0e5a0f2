//! What a gateway sends: `{"topic":…,"messageType":…,"data":…}`.
//!
//! [`Envelope::parse`] is the client's side: it reads topic and type, and leaves `data` as text, because most messages
//! are matched by their envelope alone. [`Delivery`] and the `encode_*` functions are the gateway's.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{RawJson, write_string};
use crate::scan::{self, Malformed};

/// A frame from the gateway, borrowed from its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The message type; [`crate::TYPE_BROADCAST`] where the frame has none.
    pub message_type: Cow<'a, str>,
    /// Any JSON value; `null` where the frame has none.
    pub data: RawJson<'a>,
    fields: DataFields<'a>,
}

/// The fields of `data` that mean something, if it is an object.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct DataFields<'a> {
    client: Option<RawJson<'a>>,
    payload: Option<RawJson<'a>>,
    id: Option<RawJson<'a>>,
    data: Option<RawJson<'a>>,
}

impl<'a> DataFields<'a> {
    fn take(&mut self, key: &str, scanner: &mut scan::Scanner<'a>) -> Result<(), Malformed> {
        let value = Some(scanner.value()?);
        match key {
            "client" => self.client = value,
            "payload" => self.payload = value,
            "id" => self.id = value,
            "data" => self.data = value,
            _ => {}
        }
        Ok(())
    }

    fn message_data(&self, data: RawJson<'a>) -> MessageData<'a> {
        match self.payload {
            Some(payload) => MessageData { client: self.client, payload, id: self.id },
            None => MessageData { client: None, payload: data, id: None },
        }
    }
}

/// Why a frame from the gateway can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not an object.
    #[error("not an envelope: {0}")]
    Malformed(#[from] Malformed),
    /// There is no topic, or it is not a string.
    #[error("an envelope needs `topic`, a string")]
    NoTopic,
}

impl<'a> Envelope<'a> {
    /// Reads a frame, in one pass that checks the whole text to be JSON.
    ///
    /// # Errors
    /// When it is not a JSON object or has no topic.
    pub fn parse(text: &'a str) -> Result<Self, EnvelopeError> {
        let (mut topic, mut message_type, mut data) = (None, None, RawJson::NULL);
        let mut fields = DataFields::default();
        scan::object(text, |key, scanner| {
            match key {
                "topic" => topic = Some(scanner.value()?),
                "messageType" => message_type = Some(scanner.value()?),
                "data" => {
                    fields = DataFields::default();
                    data = scanner.value_with(|key, scanner| fields.take(key, scanner))?;
                }
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        Ok(Envelope {
            topic: topic.filter(is_string).and_then(RawJson::to_text).ok_or(EnvelopeError::NoTopic)?,
            message_type: message_type.and_then(RawJson::to_text).unwrap_or(Cow::Borrowed(crate::TYPE_BROADCAST)),
            data,
            fields,
        })
    }

    /// The parts of `data` that a message published or sent over WebSocket has. All are missing for other shapes:
    /// a message published over REST has any JSON as its data.
    pub fn message_data(&self) -> MessageData<'a> {
        self.fields.message_data(self.data)
    }

    /// Whether this frame has the topic and type of a welcome. Only the first frame of a connection may be one.
    pub fn is_welcome(&self) -> bool {
        self.topic == crate::TOPIC_MAIN && self.message_type == crate::TYPE_WELCOME
    }

    /// The id that an acknowledgement names. `None` where this is no acknowledgement, or names nothing.
    pub fn acknowledged_id(&self) -> Option<Cow<'a, str>> {
        if self.topic != crate::TOPIC_ACKS || self.message_type != crate::TYPE_ACK {
            return None;
        }
        self.fields.data.and_then(RawJson::to_text)
    }
}

fn is_string(value: &RawJson<'_>) -> bool {
    value.as_str().starts_with('"')
}

/// Reads an object, giving each field to `take`.
fn visit_object<'a>(text: &'a str, mut take: impl FnMut(&str, RawJson<'a>)) -> Result<(), Malformed> {
    scan::object(text, |key, scanner| {
        take(key, scanner.value()?);
        Ok(())
    })
}

/// One field of an object, the last of its name.
fn object_field<'a>(object: RawJson<'a>, name: &str) -> Option<RawJson<'a>> {
    let mut found = None;
    visit_object(object.as_str(), |key, value| {
        if key == name {
            found = Some(value);
        }
    })
    .ok()?;
    found
}

/// The `data` of a message published or sent over WebSocket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MessageData<'a> {
    /// Who sent it, as JSON.
    pub client: Option<RawJson<'a>>,
    /// The payload; the whole of `data` where it has no such field.
    pub payload: RawJson<'a>,
    /// Its id, a string or a number.
    pub id: Option<RawJson<'a>>,
}

impl<'a> MessageData<'a> {
    /// Reads the parts of `data`, whatever its shape.
    pub fn parse(data: RawJson<'a>) -> Self {
        let mut fields = DataFields::default();
        if scan::object(data.as_str(), |key, scanner| fields.take(key, scanner)).is_err() {
            fields = DataFields::default();
        }
        fields.message_data(data)
    }

    /// Who sent it. `None` where the message came over REST.
    pub fn sender(&self) -> Option<Sender<'a>> {
        self.client.and_then(Sender::parse)
    }
}

/// Who sent a message, as the gateway says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sender<'a> {
    /// The sender's connection, where a reply goes to. Empty where it is missing.
    pub connection_id: Cow<'a, str>,
    /// The sender's token's subject. Empty where it is missing.
    pub subject: Cow<'a, str>,
    /// The sender's permissions. Entries that are no strings are left out.
    pub permissions: Vec<Cow<'a, str>>,
}

impl<'a> Sender<'a> {
    /// Reads a `client` object; wrong shapes count as missing.
    pub fn parse(client: RawJson<'a>) -> Option<Self> {
        let mut sender = Sender::default();
        visit_object(client.as_str(), |key, value| match key {
            "connectionId" => sender.connection_id = value.to_text().unwrap_or_default(),
            "subject" => sender.subject = value.to_text().unwrap_or_default(),
            "permissions" => {
                sender.permissions = value
                    .parse::<Vec<&RawValue>>()
                    .unwrap_or_default()
                    .into_iter()
                    .map(RawJson::from)
                    .filter(is_string)
                    .filter_map(RawJson::to_text)
                    .collect();
            }
            _ => {}
        })
        .ok()?;
        Some(sender)
    }

    /// The connection alone of a `client` object: all that a reply needs. Empty where it is missing.
    pub fn connection_id_of(client: RawJson<'a>) -> Cow<'a, str> {
        object_field(client, "connectionId").and_then(RawJson::to_text).unwrap_or_default()
    }
}

/// The payload of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Response<'a> {
    /// The id of the message it answers.
    pub id: Cow<'a, str>,
    /// `ok`, or what the replier chose; empty where it is missing or no string.
    pub status: Cow<'a, str>,
    /// Any JSON value; `null` where there is none.
    pub data: RawJson<'a>,
}

impl<'a> Response<'a> {
    /// Reads a reply's payload. `None` where it names no message.
    pub fn parse(payload: RawJson<'a>) -> Option<Self> {
        let (mut id, mut status, mut data) = (None, None, RawJson::NULL);
        visit_object(payload.as_str(), |key, value| match key {
            "id" => id = value.to_text(),
            "status" => status = value.to_text(),
            "data" => data = value,
            _ => {}
        })
        .ok()?;
        Some(Response { id: id?, status: status.unwrap_or_default(), data })
    }
}

/// A connection, as its welcome introduces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The connection's id, unique in the app.
    pub id: Cow<'a, str>,
    /// The app.
    pub app_id: Cow<'a, str>,
    /// The client's address as the gateway sees it.
    pub remote_address: Cow<'a, str>,
}

impl<'a> Connection<'a> {
    /// Reads a welcome's data. `None` where it names no connection.
    pub fn parse(welcome: RawJson<'a>) -> Option<Self> {
        let mut connection = Connection::default();
        visit_object(object_field(welcome, "connection")?.as_str(), |key, value| {
            let field = match key {
                "id" => &mut connection.id,
                "appId" => &mut connection.app_id,
                "remoteAddress" => &mut connection.remote_address,
                _ => return,
            };
            *field = value.to_text().unwrap_or_default();
        })
        .ok()?;
        (!connection.id.is_empty()).then_some(connection)
    }
}

/// A presence message's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence<'a> {
    /// 0 for connected, -1 for disconnected; other values may come.
    pub code: Option<i64>,
    /// `connected` or `disconnected`; empty where it is missing.
    pub status: Cow<'a, str>,
}

impl<'a> Presence<'a> {
    /// Reads a presence payload. `None` where it is no object.
    pub fn parse(payload: RawJson<'a>) -> Option<Self> {
        let (mut code, mut status) = (None, Cow::Borrowed(""));
        visit_object(payload.as_str(), |key, value| match key {
            "code" => code = value.parse().ok(),
            "status" => status = value.to_text().unwrap_or_default(),
            _ => {}
        })
        .ok()?;
        Some(Presence { code, status })
    }
}

/// A message on its way from the gateway to a subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The message type.
    pub message_type: &'a str,
    /// The sender as a JSON object, see [`encode_sender`]. `None`: published over REST, `payload` is the whole data.
    pub client: Option<RawJson<'a>>,
    /// The payload.
    pub payload: RawJson<'a>,
    /// The id; `None` only together with `client`.
    pub id: Option<RawJson<'a>>,
}

impl Delivery<'_> {
    /// Writes the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        begin_envelope(out, self.topic, self.message_type);
        match self.client {
            None => out.extend_from_slice(self.payload.as_str().as_bytes()),
            Some(client) => {
                out.extend_from_slice(br#"{"client":"#);
                out.extend_from_slice(client.as_str().as_bytes());
                out.extend_from_slice(br#","payload":"#);
                out.extend_from_slice(self.payload.as_str().as_bytes());
                if let Some(id) = self.id {
                    out.extend_from_slice(br#","id":"#);
                    out.extend_from_slice(id.as_str().as_bytes());
                }
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
}

fn begin_envelope(out: &mut Vec<u8>, topic: &str, message_type: &str) {
    out.extend_from_slice(br#"{"topic":"#);
    write_string(out, topic);
    out.extend_from_slice(br#","messageType":"#);
    write_string(out, message_type);
    out.extend_from_slice(br#","data":"#);
}

/// Writes a `client` object.
pub fn encode_sender<S: AsRef<str>>(out: &mut Vec<u8>, connection_id: &str, subject: &str, permissions: &[S]) {
    out.extend_from_slice(br#"{"connectionId":"#);
    write_string(out, connection_id);
    out.extend_from_slice(br#","subject":"#);
    write_string(out, subject);
    out.extend_from_slice(br#","permissions":["#);
    for (index, permission) in permissions.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, permission.as_ref());
    }
    out.extend_from_slice(b"]}");
}

/// Writes a welcome.
pub fn encode_welcome(out: &mut Vec<u8>, connection: &Connection<'_>) {
    begin_envelope(out, crate::TOPIC_MAIN, crate::TYPE_WELCOME);
    out.extend_from_slice(br#"{"connection":{"id":"#);
    write_string(out, &connection.id);
    out.extend_from_slice(br#","appId":"#);
    write_string(out, &connection.app_id);
    out.extend_from_slice(br#","remoteAddress":"#);
    write_string(out, &connection.remote_address);
    out.extend_from_slice(b"}}}");
}

/// Writes an acknowledgement of the message with this id.
pub fn encode_ack(out: &mut Vec<u8>, id: RawJson<'_>) {
    out.extend_from_slice(br#"{"topic":"priv/acks","messageType":"ack","data":{"data":"#);
    out.extend_from_slice(id.as_str().as_bytes());
    out.extend_from_slice(b"}}");
}

/// The payload of the presence message for a connection that came (`true`) or went.
pub const fn presence_payload(connected: bool) -> RawJson<'static> {
    RawJson::trusted(if connected {
        r#"{"code":0,"status":"connected"}"#
    } else {
        r#"{"code":-1,"status":"disconnected"}"#
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn welcome_reads_back() {
        let connection = Connection { id: "c\"1".into(), app_id: "app".into(), remote_address: "127.0.0.1:9".into() };
        let frame = text(|out| encode_welcome(out, &connection));
        let envelope = Envelope::parse(&frame).unwrap();
        assert!(envelope.is_welcome());
        assert_eq!(Connection::parse(envelope.data).unwrap(), connection);
    }

    #[test]
    fn a_welcome_without_connection_introduces_nobody() {
        for data in
            ["null", "{}", r#"{"connection":5}"#, r#"{"connection":{"id":""}}"#, r#"{"connection":{"id":null}}"#]
        {
            assert_eq!(Connection::parse(RawJson::trusted(data)), None, "{data}");
        }
    }

    #[test]
    fn acks_name_strings_and_numbers_and_nothing_else() {
        let id = |data: &str| {
            let frame = format!(r#"{{"topic":"priv/acks","messageType":"ack","data":{data}}}"#);
            Envelope::parse(&frame).unwrap().acknowledged_id().map(Cow::into_owned)
        };
        assert_eq!(id(r#"{"data":"a\nb"}"#).unwrap(), "a\nb");
        assert_eq!(id(r#"{"data":12}"#).unwrap(), "12");
        for data in ["null", "[]", "{}", r#"{"data":null}"#, r#"{"data":{}}"#, r#""x""#] {
            assert_eq!(id(data), None, "{data}");
        }
        let forged = r#"{"topic":"ack","messageType":"x","data":{"data":"x"}}"#;
        assert_eq!(Envelope::parse(forged).unwrap().acknowledged_id(), None);
    }

    #[test]
    fn rest_messages_are_all_payload() {
        for data in ["\"text\"", "null", "[1]", r#"{"client":{"connectionId":"x"}}"#] {
            let parts = MessageData::parse(RawJson::trusted(data));
            assert_eq!((parts.client, parts.payload.as_str(), parts.id), (None, data, None));
            assert_eq!(parts.sender(), None);
        }
    }

    #[test]
    fn senders_of_odd_shape_are_tolerated() {
        let sender = |client: &'static str| Sender::parse(RawJson::trusted(client));
        assert_eq!(sender("5"), None);
        assert_eq!(sender(r#"{"permissions":"x","subject":[],"connectionId":9}"#).unwrap().connection_id, "9");
        let full = sender(r#"{"connectionId":"c","subject":"s","permissions":["a",1,"b"],"x":0}"#).unwrap();
        assert_eq!(
            full,
            Sender { connection_id: "c".into(), subject: "s".into(), permissions: vec!["a".into(), "b".into()] }
        );
    }

    #[test]
    fn replies_need_an_id_alone() {
        let reply = Response::parse(RawJson::trusted(r#"{"id":"1"}"#)).unwrap();
        assert_eq!((&*reply.id, &*reply.status, reply.data), ("1", "", RawJson::NULL));
        for payload in ["null", "{}", r#"{"id":null,"status":"ok"}"#, "3"] {
            assert_eq!(Response::parse(RawJson::trusted(payload)), None, "{payload}");
        }
    }

    #[test]
    fn envelopes_of_odd_shape_are_tolerated_or_named() {
        let envelope = Envelope::parse(r#"{"topic":"a"}"#).unwrap();
        assert_eq!((&*envelope.message_type, envelope.data), ("broadcast", RawJson::NULL));
        assert_eq!(Envelope::parse(r#"{"topic":"a","messageType":3}"#).unwrap().message_type, "3");
        for text in ["", "null", "[]", "{}", r#"{"topic":1}"#, r#"{"topic":"a"} x"#, r#"{"topic":"a","data":[1,}"#] {
            assert!(Envelope::parse(text).is_err(), "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let key = prop_oneof![
                Just("id".to_owned()),
                Just("data".to_owned()),
                Just("client".to_owned()),
                Just("payload".to_owned()),
                Just("connection".to_owned()),
                Just("topic".to_owned()),
                any::<String>(),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_a_gateway_writes_a_client_reads(
            topic in any::<String>(), kind in any::<String>(), id in any::<String>(), payload in any_json(),
            connection in any::<String>(), permissions in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let client = text(|out| encode_sender(out, &connection, &topic, &permissions));
            let (payload, id) = (payload.to_string(), serde_json::to_string(&id).unwrap());
            let delivery = Delivery {
                topic: &topic, message_type: &kind, client: Some(RawJson::trusted(&client)),
                payload: RawJson::trusted(&payload), id: Some(RawJson::trusted(&id)),
            };
            let frame = text(|out| delivery.encode(out));
            let envelope = Envelope::parse(&frame).unwrap();
            prop_assert_eq!(&envelope.topic, &topic);
            prop_assert_eq!(&envelope.message_type, &kind);
            let data = envelope.message_data();
            prop_assert_eq!(data.payload.as_str(), &payload);
            prop_assert_eq!(data.id.unwrap().as_str(), &id);
            let sender = data.sender().unwrap();
            prop_assert_eq!(&*Sender::connection_id_of(data.client.unwrap()), &*connection);
            prop_assert_eq!(sender.connection_id, connection);
            prop_assert_eq!(sender.subject, topic.as_str());
            prop_assert_eq!(sender.permissions, permissions);
        }

        #[test]
        fn no_json_breaks_a_client(topic in any_json(), kind in any_json(), data in any_json()) {
            let frame = serde_json::json!({"topic": topic, "messageType": kind, "data": data}).to_string();
            if let Ok(envelope) = Envelope::parse(&frame) {
                let _ = (envelope.acknowledged_id(), envelope.message_data().sender());
                let _ = (Connection::parse(envelope.data), Response::parse(envelope.data), Presence::parse(envelope.data));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Envelope::parse(&text);
            let _ = MessageData::parse(RawJson::trusted(&text)).sender();
        }
    }
}
