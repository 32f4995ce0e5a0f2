//! WebSocket as a client has to speak it, and no more.

use crate::bench::Outcome;

/// A server's frame.
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// Its length in all.
    pub(super) length: usize,
}

pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// The frame that `bytes` begin with, if it has wholly come.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4_usize, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(head..head.checked_add(length)?)?;
    Some(Frame { opcode: bytes[0] & 0xF, payload, length: head + length })
}

/// The request that opens a WebSocket.
pub(super) fn request(path: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let subprotocol = subprotocol.map_or(String::new(), |name| format!("sec-websocket-protocol: {name}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{subprotocol}\r\n"
    )
    .into_bytes()
}

/// Where the answer to the request ends in what has come, if it has.
pub(super) fn answered(bytes: &[u8]) -> Outcome<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    match bytes.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(Some(end + 4)),
        false => Err(format!("the handshake failed: {}", String::from_utf8_lossy(&bytes[..end])).into()),
    }
}
