//! NATS' protocol, as a client of core NATS speaks it.

use super::Incoming;
use crate::bench::Outcome;

pub(super) fn hello(out: &mut Vec<u8>, topics: &[usize]) {
    out.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\n");
    for (index, topic) in topics.iter().enumerate() {
        out.extend_from_slice(format!("SUB t.{topic:04} {}\r\n", index + 1).as_bytes());
    }
    out.extend_from_slice(b"PING\r\n");
}

pub(super) fn publish(out: &mut Vec<u8>, topic: usize, payload: &[u8]) {
    out.extend_from_slice(format!("PUB t.{topic:04} {}\r\n", payload.len()).as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// Reads what is whole; how much that was.
pub(super) fn read(bytes: &[u8], on: &mut impl FnMut(Incoming<'_>) -> Outcome<()>) -> Outcome<usize> {
    let mut at = 0;
    while let Some(end) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[at..at + end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let next = at + end + 1;
        if line.starts_with(b"MSG ") {
            let length = line.rsplit(|byte| *byte == b' ').next().and_then(|word| str::from_utf8(word).ok());
            let length: usize = length.and_then(|word| word.parse().ok()).ok_or("a message without its length")?;
            let Some(payload) = bytes.get(next..next + length + 2) else { break };
            on(Incoming::Message(&payload[..length]))?;
            at = next + length + 2;
            continue;
        }
        match line {
            b"PONG" => on(Incoming::Confirmed)?,
            b"PING" => on(Incoming::Ask(b"PONG\r\n"))?,
            _ if line.starts_with(b"INFO ") => {}
            _ => return Err(String::from_utf8_lossy(line).into()),
        }
        at = next;
    }
    Ok(at)
}
