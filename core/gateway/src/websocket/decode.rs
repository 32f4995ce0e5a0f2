//! Reading client frames, in the buffer they were read into.

use std::borrow::Cow;

/// What a client's frame amounts to.
#[derive(Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// A whole message. Text and binary are the same to a gateway.
    Message(&'a str),
    Ping(&'a [u8]),
    Pong,
    /// The client closes, with this code if it gave one.
    Close(Option<u16>),
}

/// What the next bytes hold.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<'a> {
    /// Nothing whole yet: the frame at their start needs this many bytes in all, as far as can be seen.
    Incomplete(usize),
    /// A frame that is no event of its own, such as a message's fragment, took this many bytes.
    Consumed(usize),
    /// A frame that took this many bytes.
    Event(usize, Event<'a>),
}

/// Why a connection must be closed, in the words of the close frame.
#[derive(Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) code: u16,
    pub(crate) reason: Cow<'static, str>,
    /// How many bytes to leave unread until the next frame begins; `None` where that can't be known any more.
    pub(crate) skip: Option<u64>,
}

impl Violation {
    fn protocol(reason: &'static str) -> Self {
        Violation { code: 1002, reason: Cow::Borrowed(reason), skip: None }
    }
}

/// What must be remembered from one frame to the next: a message that comes in fragments.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_message: usize,
    fragments: Vec<u8>,
    state: Fragments,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fragments {
    None,
    Open,
    /// The whole message was handed out, and is to be forgotten.
    Done,
}

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A fragmented message's buffer up to this size is kept for the next.
const KEPT_FRAGMENTS: usize = 4096;

impl Decoder {
    /// Refuses messages of more than `max_message` bytes.
    pub(crate) fn new(max_message: usize) -> Self {
        Decoder { max_message, fragments: Vec::new(), state: Fragments::None }
    }

    /// Reads the frame that `input` begins with, unmasking it in place. The bytes it took must not be given again.
    pub(crate) fn step<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Step<'a>, Violation> {
        if self.state == Fragments::Done {
            self.state = Fragments::None;
            self.fragments.clear();
            self.fragments.shrink_to(KEPT_FRAGMENTS);
        }
        let &[first, second, ..] = &*input else { return Ok(Step::Incomplete(2)) };
        if first & 0x70 != 0 {
            return Err(Violation::protocol("reserved bits are set"));
        }
        if second & 0x80 == 0 {
            return Err(Violation::protocol("a client's frame must be masked"));
        }
        let (head, length) = match second & 0x7F {
            126 => match input.get(2..4) {
                Some(&[a, b]) => (4, u64::from(u16::from_be_bytes([a, b]))),
                _ => return Ok(Step::Incomplete(4)),
            },
            127 => match input.get(2..10).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) {
                Some(bytes) => (10, u64::from_be_bytes(bytes)),
                None => return Ok(Step::Incomplete(10)),
            },
            short => (2, u64::from(short)),
        };
        let (last, opcode) = (first & 0x80 != 0, first & 0x0F);
        if opcode & 0x8 != 0 && (!last || length > 125) {
            return Err(Violation::protocol("a control frame is fragmented or too long"));
        }
        let length = match usize::try_from(length) {
            Ok(length) if length <= self.max_message.max(125) => length,
            _ => return Err(self.too_big(length, length.saturating_add(head as u64 + 4))),
        };
        let end = head + 4 + length;
        if input.len() < end {
            return Ok(Step::Incomplete(end));
        }
        let (mask, payload) = input[head..end].split_at_mut(4);
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        unmask(payload, mask);
        let payload = &*payload;
        let event = match opcode {
            TEXT | BINARY if self.state == Fragments::Open => {
                return Err(Violation::protocol("a message begins within another"));
            }
            CONTINUATION if self.state != Fragments::Open => {
                return Err(Violation::protocol("a continuation of nothing"));
            }
            TEXT | BINARY if last => {
                if payload.len() > self.max_message {
                    return Err(self.too_big(payload.len() as u64, end as u64));
                }
                Event::Message(utf8(payload)?)
            }
            TEXT | BINARY | CONTINUATION => {
                self.state = Fragments::Open;
                let total = self.fragments.len() + payload.len();
                if total > self.max_message {
                    return Err(self.too_big(total as u64, end as u64));
                }
                self.fragments.extend_from_slice(payload);
                if !last {
                    return Ok(Step::Consumed(end));
                }
                self.state = Fragments::Done;
                Event::Message(utf8(&self.fragments)?)
            }
            PING => Event::Ping(payload),
            PONG => Event::Pong,
            CLOSE => Event::Close(close_code(payload)?),
            _ => return Err(Violation::protocol("unknown opcode")),
        };
        Ok(Step::Event(end, event))
    }

    fn too_big(&self, size: u64, skip: u64) -> Violation {
        let reason = format!("message too big: {size} bytes, the limit is {}", self.max_message);
        Violation { code: 1009, reason: reason.into(), skip: Some(skip) }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Violation> {
    std::str::from_utf8(bytes).map_err(|_| Violation {
        code: 1007,
        reason: Cow::Borrowed("a message must be UTF-8"),
        skip: None,
    })
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::protocol("a close frame of one byte")),
        [a, b, reason @ ..] => {
            utf8(reason)?;
            match u16::from_be_bytes([*a, *b]) {
                code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
                _ => Err(Violation::protocol("a close code that must not be sent")),
            }
        }
    }
}

/// Applies the mask, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=0xFFFF => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 250];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// Feeds `bytes` as one read would bring them; the events as text, or the close code they lead to.
    fn events(max: usize, bytes: &[u8]) -> Vec<String> {
        let (mut decoder, mut bytes, mut seen) = (Decoder::new(max), bytes.to_vec(), Vec::new());
        let mut rest = &mut bytes[..];
        loop {
            let taken = match decoder.step(rest) {
                Ok(Step::Incomplete(needs)) => {
                    assert!(needs > rest.len());
                    return seen;
                }
                Ok(Step::Consumed(taken)) => taken,
                Ok(Step::Event(taken, event)) => {
                    seen.push(format!("{event:?}"));
                    taken
                }
                Err(violation) => {
                    seen.push(violation.code.to_string());
                    return seen;
                }
            };
            rest = &mut std::mem::take(&mut rest)[taken..];
        }
    }

    #[test]
    fn messages_of_every_length_form_are_read() {
        for length in [0, 1, 7, 8, 125, 126, 65_535, 65_536] {
            let text: String = "abcdefghi".chars().cycle().take(length).collect();
            assert_eq!(events(1 << 20, &masked(0x81, text.as_bytes())), [format!("Message({text:?})")]);
        }
    }

    #[test]
    fn whatever_is_cut_off_is_waited_for() {
        let frame = masked(0x81, &[b'x'; 200]);
        for end in 0..frame.len() {
            assert!(events(1 << 20, &frame[..end]).is_empty(), "{end}");
        }
    }

    #[test]
    fn fragments_with_a_ping_between_are_one_message() {
        let mut bytes = masked(0x01, b"ab");
        bytes.extend(masked(0x89, b"p"));
        bytes.extend(masked(0x00, b"cd"));
        bytes.extend(masked(0x80, b"e"));
        bytes.extend(masked(0x82, b"next"));
        assert_eq!(events(100, &bytes), ["Ping([112])", r#"Message("abcde")"#, r#"Message("next")"#]);
    }

    #[test]
    fn the_size_limit_is_exact_for_whole_and_fragmented_messages() {
        assert_eq!(events(200, &masked(0x81, &[b'x'; 200])).len(), 1);
        assert_eq!(events(200, &masked(0x81, &[b'x'; 201])), ["1009"]);
        assert_eq!(events(3, &masked(0x81, b"four")), ["1009"]);
        let mut bytes = masked(0x01, &[b'x'; 150]);
        bytes.extend(masked(0x80, &[b'x'; 51]));
        assert_eq!(events(200, &bytes), ["1009"]);
        let mut bytes = masked(0x01, &[b'x'; 150]);
        bytes.extend(masked(0x80, &[b'x'; 50]));
        assert_eq!(events(200, &bytes).len(), 1);
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_head_and_can_be_skipped() {
        let frame = masked(0x81, &[b'x'; 300]);
        let violation = Decoder::new(200).step(&mut frame.clone()[..8]).unwrap_err();
        assert_eq!((violation.code, violation.skip), (1009, Some(frame.len() as u64)));
        assert!(violation.reason.contains("300"), "{}", violation.reason);
        let huge = [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(events(200, &huge), ["1009"]);
    }

    #[test]
    fn what_the_rfc_forbids_closes_with_its_code() {
        for (bytes, code) in [
            (vec![0x81, 0x01, b'x'], "1002"),
            (masked(0xC1, b"x"), "1002"),
            (masked(0x83, b"x"), "1002"),
            (masked(0x8B, b"x"), "1002"),
            (masked(0x80, b"x"), "1002"),
            (masked(0x09, b"x"), "1002"),
            (masked(0x89, &[b'x'; 126]), "1002"),
            (masked(0x88, &[3]), "1002"),
            (masked(0x88, &1005u16.to_be_bytes()), "1002"),
            (masked(0x81, &[0xFF, 0xFE]), "1007"),
            (masked(0x82, &[0xC3]), "1007"),
            ([masked(0x01, b"a"), masked(0x81, b"b")].concat(), "1002"),
        ] {
            assert_eq!(events(1000, &bytes), [code], "{bytes:?}");
        }
        assert_eq!(events(1000, &masked(0x88, &1000u16.to_be_bytes())), ["Close(Some(1000))"]);
        assert_eq!(events(1000, &masked(0x88, &[])), ["Close(None)"]);
    }
}
