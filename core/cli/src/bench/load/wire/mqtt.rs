//! MQTT 3.1.1, with QoS 0.

use super::Incoming;
use crate::bench::Outcome;

/// Appends a packet. `write` writes what follows its head.
fn packet(out: &mut Vec<u8>, first: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    out.push(first);
    let mut length = body.len();
    loop {
        let more = length > 127;
        out.push((length & 127) as u8 | if more { 128 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    out.append(&mut body);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn hello(out: &mut Vec<u8>, name: &str, topics: &[usize]) {
    packet(out, 0x10, |out| {
        text(out, "MQTT");
        // Level 4, a clean session, no keep-alive.
        out.extend_from_slice(&[4, 2, 0, 0]);
        text(out, name);
    });
    if !topics.is_empty() {
        packet(out, 0x82, |out| {
            out.extend_from_slice(&[0, 1]);
            for topic in topics {
                text(out, &format!("t/{topic:04}"));
                out.push(0);
            }
        });
    }
    out.extend_from_slice(&[0xC0, 0]);
}

pub(super) fn publish(out: &mut Vec<u8>, topic: usize, payload: &[u8]) {
    packet(out, 0x30, |out| {
        text(out, &format!("t/{topic:04}"));
        out.extend_from_slice(payload);
    });
}

/// Reads what is whole; how much that was.
pub(super) fn read(bytes: &[u8], on: &mut impl FnMut(Incoming<'_>) -> Outcome<()>) -> Outcome<usize> {
    let mut at = 0;
    while let Some((first, body, length)) = next(&bytes[at..]) {
        match first >> 4 {
            // CONNACK and SUBACK: what was refused is told.
            2 if body.get(1) != Some(&0) => return Err("the connection was refused".into()),
            9 if body.iter().skip(2).any(|code| *code == 0x80) => return Err("a subscription was refused".into()),
            2 | 9 => {}
            3 => {
                let topic = body.get(..2).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
                on(Incoming::Message(body.get(2 + topic..).unwrap_or_default()))?;
            }
            13 => on(Incoming::Confirmed)?,
            other => return Err(format!("a packet of type {other} was not expected").into()),
        }
        at += length;
    }
    Ok(at)
}

/// The packet's first byte, what follows its head, and its length in all.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let mut length = 0;
    for nth in 0..4 {
        let byte = *bytes.get(1 + nth)?;
        length |= usize::from(byte & 127) << (7 * nth);
        if byte & 128 == 0 {
            let body = bytes.get(2 + nth..2 + nth + length)?;
            return Some((bytes[0], body, 2 + nth + length));
        }
    }
    None
}
