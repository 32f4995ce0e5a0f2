//! The client's side of the NATS protocol: lines of text, and payloads of a length that their line says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest line a server may send. An INFO that lists a large cluster is the longest.
const LINE: usize = 64 * 1024;

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum Said<'a> {
    Info(&'a str),
    Message { subject: &'a str, sid: u64, payload: &'a [u8] },
    Ping,
    Pong,
    Error(&'a str),
    Ok,
}

/// What a server said about itself.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) server_name: String,
    pub(super) max_payload: usize,
    #[serde(default)]
    pub(super) tls_required: bool,
    #[serde(default)]
    pub(super) tls_available: bool,
    /// Whether it asks for a client certificate.
    #[serde(default)]
    pub(super) tls_verify: bool,
    #[serde(default)]
    pub(super) nonce: Option<String>,
}

/// The first thing that a client says.
#[derive(Serialize)]
pub(super) struct Connect<'a> {
    pub(super) verbose: bool,
    pub(super) pedantic: bool,
    /// Off: what a gateway publishes does not come back to it.
    pub(super) echo: bool,
    pub(super) tls_required: bool,
    pub(super) name: &'a str,
    pub(super) lang: &'static str,
    pub(super) version: &'static str,
    pub(super) protocol: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pass: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sig: Option<String>,
}

/// Bytes that are not the protocol.
#[derive(Debug, PartialEq)]
pub(super) struct Garbled(&'static str);

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server does not speak NATS: {}", self.0)
    }
}

/// The first thing said in `bytes` and how many bytes it takes; `None` when it has not wholly come.
pub(super) fn parse(bytes: &[u8], most: usize) -> Result<Option<(usize, Said<'_>)>, Garbled> {
    let Some(end) = bytes.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE { Ok(None) } else { Err(Garbled("a line without an end")) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Garbled("a line ends without CR"))?;
    let line = std::str::from_utf8(line).map_err(|_| Garbled("a line is not UTF-8"))?;
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim();
    let said = match verb {
        "MSG" => {
            let mut words = rest.split_ascii_whitespace();
            let (Some(subject), Some(sid), Some(length)) = (words.next(), words.next(), words.next_back()) else {
                return Err(Garbled("MSG without subject, subscription or length"));
            };
            let sid = sid.parse().map_err(|_| Garbled("MSG of a subscription that is no number"))?;
            let length: usize = length.parse().map_err(|_| Garbled("MSG without a length"))?;
            if length > most {
                return Err(Garbled("a message is larger than the server said it may be"));
            }
            let Some(payload) = bytes.get(end + 1..end + 1 + length + 2) else { return Ok(None) };
            let payload = payload.strip_suffix(b"\r\n").ok_or(Garbled("a payload without an end"))?;
            return Ok(Some((end + length + 3, Said::Message { subject, sid, payload })));
        }
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "INFO" => Said::Info(rest),
        "-ERR" => Said::Error(rest.trim_matches('\'')),
        "+OK" => Said::Ok,
        _ => return Err(Garbled("an unknown operation")),
    };
    Ok(Some((end + 1, said)))
}

/// Appends a publish.
pub(super) fn publish(out: &mut Vec<u8>, subject: &str, parts: &[&[u8]]) {
    use std::io::Write;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // Writing to a vector has no way to fail.
    let _ = write!(out, "PUB {subject} {length}\r\n");
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
}

/// Appends a subscription.
pub(super) fn subscribe(out: &mut Vec<u8>, subject: &str, sid: u64) {
    out.extend_from_slice(format!("SUB {subject} {sid}\r\n").as_bytes());
}

/// Appends the end of a subscription.
pub(super) fn unsubscribe(out: &mut Vec<u8>, sid: u64) {
    out.extend_from_slice(format!("UNSUB {sid}\r\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everything_a_server_says_is_understood_wherever_it_is_cut() {
        let all = b"INFO {\"max_payload\":5}\r\nPING\r\n+OK\r\nMSG a.b 7 3\r\n\r\nx\r\nMSG a 7 r 0\r\n\r\n-ERR 'Bad'\r\nPONG\r\n";
        let expected = [
            Said::Info("{\"max_payload\":5}"),
            Said::Ping,
            Said::Ok,
            Said::Message { subject: "a.b", sid: 7, payload: b"\r\nx" },
            Said::Message { subject: "a", sid: 7, payload: b"" },
            Said::Error("Bad"),
            Said::Pong,
        ];
        let (mut rest, mut found) = (&all[..], 0);
        while !rest.is_empty() {
            let (length, said) = parse(rest, 100).unwrap().unwrap();
            assert_eq!(said, expected[found]);
            for cut in 0..length {
                assert_eq!(parse(&rest[..cut], 100), Ok(None));
            }
            (rest, found) = (&rest[length..], found + 1);
        }
        assert_eq!(found, expected.len());
    }

    #[test]
    fn what_is_not_nats_is_an_error_not_a_wait() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"PING\n",
            b"MSG a\r\n",
            b"MSG a x 1\r\n",
            b"MSG a 1 101\r\n",
            b"MSG a 1 1\r\nxyz",
            b"\xff\r\n",
        ] {
            assert!(parse(bytes, 100).is_err(), "{bytes:?}");
        }
        assert!(parse(&vec![b'x'; LINE], 100).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 100);
        }
    }
}
