//! Messages on their way out, as the languages hand them over: all texts in one, with their lengths beside it. One text
//! crosses for a fraction of what a record of optional texts would cost.

use realtime_pubsub::{Client, Error, Publish, RawJson, Reply, Sender, WaitFor};

use crate::error::invalid;

const COMPRESS: u32 = 1;
const HAS_TYPE: u32 = 2;
const HAS_ID: u32 = 4;
const SEND: u32 = 8;
const REPLY: u32 = 16;

/// What the text of a message is made of, lengths in bytes of UTF-8: topic, type, id, and to the end the payload.
///
/// A sent message has no topic. For a reply they are: the sender as it came, the status, the id of the message, the data.
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct Head {
    /// Bits: 1 compress, 2 has a type, 4 has an id, 8 send, 16 reply.
    pub flags: u32,
    /// The topic's length.
    pub topic: u32,
    /// The type's length.
    pub message_type: u32,
    /// The id's length.
    pub id: u32,
}

pub(crate) enum Outgoing {
    Publish(Publish),
    Reply(Reply),
}

impl Outgoing {
    pub(crate) fn new(client: &Client, head: Head, text: &str) -> Result<Self, Error> {
        let mut rest = text;
        let mut part = |length: u32| {
            let (part, left) = rest.split_at_checked(length as usize)?;
            rest = left;
            Some(part)
        };
        let (Some(topic), Some(message_type), Some(id)) = (part(head.topic), part(head.message_type), part(head.id))
        else {
            return Err(invalid("the parts of the message are longer than its text"));
        };
        let payload =
            RawJson::new(rest).map_err(|error| invalid(format!("the payload is not one JSON value: {error}")))?;
        let has = |bit: u32| head.flags & bit != 0;
        if has(REPLY) {
            let sender = RawJson::new(topic).ok().and_then(Sender::parse).unwrap_or_default();
            let reply = client.reply_raw(&sender.connection_id, id, payload).compress(has(COMPRESS));
            return Ok(Outgoing::Reply(if has(HAS_TYPE) { reply.status(message_type) } else { reply }));
        }
        let mut publish = if has(SEND) { client.send_raw(payload) } else { client.publish_raw(topic, payload) };
        if has(HAS_TYPE) {
            publish = publish.message_type(message_type);
        }
        if has(HAS_ID) {
            publish = publish.id(id);
        }
        Ok(Outgoing::Publish(publish.compress(has(COMPRESS))))
    }

    pub(crate) fn enqueue(self) -> Result<WaitFor, Error> {
        match self {
            Outgoing::Publish(publish) => publish.enqueue(),
            Outgoing::Reply(reply) => reply.enqueue(),
        }
    }

    pub(crate) async fn when_room(self) -> Result<WaitFor, Error> {
        match self {
            Outgoing::Publish(publish) => publish.await,
            Outgoing::Reply(reply) => reply.await,
        }
    }
}

/// The messages of a batch: for each the four numbers of its [`Head`], the length of its text, and the text.
pub(crate) fn batch(packed: &[u8]) -> Result<Vec<(Head, &str)>, Error> {
    let broken = || invalid("the batch is not as it should be");
    let mut rest = packed;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let mut number = || {
            let (bytes, left) = rest.split_first_chunk::<4>()?;
            rest = left;
            Some(u32::from_le_bytes(*bytes))
        };
        let (Some(flags), Some(topic), Some(message_type), Some(id), Some(length)) =
            (number(), number(), number(), number(), number())
        else {
            return Err(broken());
        };
        let (text, left) = rest.split_at_checked(length as usize).ok_or_else(broken)?;
        rest = left;
        let text = str::from_utf8(text).map_err(|_| broken())?;
        messages.push((Head { flags, topic, message_type, id }, text));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_heads_and_batches_are_errors() {
        let client = Client::new("ws://127.0.0.1:1/apps/x").unwrap();
        let head = |topic| Head { flags: 0, topic, message_type: 0, id: 0 };
        assert!(Outgoing::new(&client, head(2), "ab1").is_ok());
        // Past the end, within a character, no JSON.
        for (length, text) in [(4, "ab1"), (1, "é1"), (2, "ab"), (2, "ab{"), (2, "ab1 2")] {
            assert!(Outgoing::new(&client, head(length), text).is_err(), "{text}");
        }
        assert!(batch(&[]).unwrap().is_empty());
        assert!(batch(&[1, 0, 0]).is_err());
        assert!(batch(&[0; 21]).is_err());
        let mut packed = [0; 20].to_vec();
        packed[16] = 2;
        packed.extend_from_slice(b"12");
        assert_eq!(batch(&packed).unwrap()[0].1, "12");
        packed[21] = 0xff;
        assert!(batch(&packed).is_err());
    }
}
