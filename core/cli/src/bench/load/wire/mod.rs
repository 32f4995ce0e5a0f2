//! What the servers speak: as much of it as a load needs, read with as little work as can be.

mod mqtt;
mod nats;
mod websocket;

use super::ledger::{MARK, PAYLOAD};
use crate::bench::Outcome;
use crate::bench::fanout::masked;

/// A language, and what carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// Realtime Pub/Sub over WebSocket.
    Realtime,
    /// NATS over WebSocket.
    Nats,
    /// MQTT over WebSocket.
    Mqtt,
    /// MQTT over TCP.
    MqttTcp,
}

/// What has come.
pub(super) enum Incoming<'a> {
    /// A message's payload.
    Message(&'a [u8]),
    /// All that [`Wire::hello`] asked for is in force.
    Confirmed,
    /// The server wants to know whether this client lives: what to answer, if it is a frame's content.
    Ask(&'static [u8]),
    /// The same, asked by a WebSocket ping.
    Ping(&'a [u8]),
}

/// A connection's bytes that are not whole yet.
#[derive(Debug, Default)]
pub(super) struct Reader {
    frames: Vec<u8>,
    stream: Vec<u8>,
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PONG: u8 = 0x8A;

impl Wire {
    /// What opens the connection, if an answer has to be waited for.
    pub(super) fn request(self, path: &str) -> Option<Vec<u8>> {
        match self {
            Wire::Realtime | Wire::Nats => Some(websocket::request(path, None)),
            Wire::Mqtt => Some(websocket::request(path, Some("mqtt"))),
            Wire::MqttTcp => None,
        }
    }

    /// Where the answer to [`Wire::request`] ends in what has come, if it has.
    pub(super) fn answered(bytes: &[u8]) -> Outcome<Option<usize>> {
        websocket::answered(bytes)
    }

    /// Logs in, subscribes, and asks for a sign that it was done.
    pub(super) fn hello(self, name: &str, topics: &[usize]) -> Vec<u8> {
        let mut content = Vec::new();
        match self {
            Wire::Realtime => {
                for topic in topics {
                    let frame = format!(r#"{{"type":"subscribe","data":{{"topic":"t/{topic:04}"}}}}"#);
                    content.extend(masked(TEXT, frame.as_bytes()));
                }
                content.extend(masked(0x89, b""));
                return content;
            }
            Wire::Nats => nats::hello(&mut content, topics),
            Wire::Mqtt | Wire::MqttTcp => mqtt::hello(&mut content, name, topics),
        }
        self.carried(&content)
    }

    /// Appends a message to a topic, that nobody acknowledges.
    pub(super) fn publish(self, out: &mut Vec<u8>, topic: usize, payload: &[u8; PAYLOAD]) {
        let mut content = Vec::with_capacity(2 * PAYLOAD);
        match self {
            Wire::Realtime => {
                content.extend_from_slice(b"{\"type\":\"publish\",\"data\":{\"topic\":\"t/");
                content.extend_from_slice(format!("{topic:04}").as_bytes());
                content.extend_from_slice(b"\",\"messageType\":\"m\",\"payload\":\"");
                content.extend_from_slice(payload);
                content.extend_from_slice(b"\"}}");
                return out.extend(masked(TEXT, &content));
            }
            Wire::Nats => nats::publish(&mut content, topic, payload),
            Wire::Mqtt | Wire::MqttTcp => mqtt::publish(&mut content, topic, payload),
        }
        out.extend(self.carried(&content));
    }

    /// The answer to [`Incoming::Ask`].
    pub(super) fn answer(self, content: &[u8]) -> Vec<u8> {
        self.carried(content)
    }

    /// The answer to [`Incoming::Ping`].
    pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
        masked(PONG, payload)
    }

    fn carried(self, content: &[u8]) -> Vec<u8> {
        if self == Wire::MqttTcp { content.to_vec() } else { masked(BINARY, content) }
    }
}

impl Reader {
    /// Reads what has come, and keeps what is not whole yet.
    pub(super) fn feed(
        &mut self,
        wire: Wire,
        bytes: &[u8],
        on: &mut impl FnMut(Incoming<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        let Reader { frames, stream } = self;
        if wire == Wire::MqttTcp {
            return whole(stream, bytes, |bytes| mqtt::read(bytes, on));
        }
        whole(frames, bytes, |bytes| {
            let mut at = 0;
            while let Some(frame) = websocket::frame(&bytes[at..]) {
                at += frame.length;
                match frame.opcode {
                    websocket::PING => on(Incoming::Ping(frame.payload))?,
                    websocket::PONG => on(Incoming::Confirmed)?,
                    websocket::CLOSE => {
                        let reason = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or_default());
                        return Err(format!("the server closed: {reason}").into());
                    }
                    _ => match wire {
                        Wire::Realtime => {
                            // The welcome has no payload of ours.
                            if let Some(payload) = payload(frame.payload) {
                                on(Incoming::Message(payload))?;
                            }
                        }
                        Wire::Nats => whole(stream, frame.payload, |bytes| nats::read(bytes, on))?,
                        Wire::Mqtt | Wire::MqttTcp => whole(stream, frame.payload, |bytes| mqtt::read(bytes, on))?,
                    },
                }
            }
            Ok(at)
        })
    }
}

/// Has `read` read what was kept and what has come, and keeps what it leaves.
fn whole(kept: &mut Vec<u8>, bytes: &[u8], read: impl FnOnce(&[u8]) -> Outcome<usize>) -> Outcome<()> {
    if kept.is_empty() {
        let taken = read(bytes)?;
        kept.extend_from_slice(&bytes[taken..]);
    } else {
        kept.extend_from_slice(bytes);
        let taken = read(kept)?;
        kept.drain(..taken);
    }
    Ok(())
}

/// The payload in a delivery. It begins at the same place in all that one server sends, or almost.
fn payload(delivery: &[u8]) -> Option<&[u8]> {
    let start = delivery.iter().position(|byte| *byte == MARK)?;
    delivery.get(start..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::ledger::Stamp;

    const STAMP: Stamp = Stamp { topic: 7, number: 8, due: 9 };

    /// A server's frame with this content.
    fn framed(first: u8, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 126];
        frame.extend((content.len() as u16).to_be_bytes());
        frame.extend(content);
        frame
    }

    /// What comes of bytes that come in pieces of this size.
    fn read(wire: Wire, bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut reader, mut seen) = (Reader::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            let fed = reader.feed(wire, piece, &mut |incoming| {
                seen.push(match incoming {
                    Incoming::Message(payload) => format!("{:?}", Stamp::of(payload)),
                    Incoming::Confirmed => "confirmed".into(),
                    Incoming::Ask(answer) => String::from_utf8_lossy(answer).into(),
                    Incoming::Ping(payload) => String::from_utf8_lossy(payload).into(),
                });
                Ok(())
            });
            if let Err(error) = fed {
                seen.push(error.to_string());
                break;
            }
        }
        seen
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let payload = STAMP.payload();
        let text = String::from_utf8_lossy(&payload);
        let message = format!("{:?}", Some(STAMP));
        let realtime = [
            framed(TEXT, br#"{"topic":"main","messageType":"welcome"}"#),
            framed(TEXT, format!(r#"{{"topic":"t/0007","data":{{"payload":"{text}","id":"x"}}}}"#).as_bytes()),
            vec![0x8A, 0, 0x89, 1, b'p', 0x88, 5, 3, 0xF0, b'b', b'y', b'e'],
        ]
        .concat();
        let mut nats = b"INFO {}\r\n".to_vec();
        nats.extend_from_slice(format!("MSG t.0007 1 128\r\n{text}\r\nPONG\r\nPING\r\n-ERR 'x'\r\n").as_bytes());
        let nats = [framed(BINARY, &nats[..40]), framed(BINARY, &nats[40..])].concat();
        let mut mqtt = vec![0x20, 2, 0, 0, 0x90, 3, 0, 1, 0];
        mqtt::publish(&mut mqtt, 7, &payload);
        mqtt.extend([0xD0, 0, 0x20, 2, 0, 5]);
        let refused = "the connection was refused";
        for piece in [1, 2, 3, 50, 1000] {
            assert_eq!(read(Wire::Realtime, &realtime, piece), [&message, "confirmed", "p", "the server closed: bye"]);
            assert_eq!(read(Wire::Nats, &nats, piece), [&message, "confirmed", "PONG\r\n", "-ERR 'x'"]);
            assert_eq!(read(Wire::MqttTcp, &mqtt, piece), [&message, "confirmed", refused]);
            assert_eq!(read(Wire::Mqtt, &framed(BINARY, &mqtt), piece), [&message, "confirmed", refused]);
        }
    }
}
