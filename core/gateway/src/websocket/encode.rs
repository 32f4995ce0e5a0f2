//! Writing server frames: never masked, never fragmented.

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl FrameKind {
    const fn first_byte(self) -> u8 {
        0x80 | match self {
            FrameKind::Text => 0x1,
            FrameKind::Binary => 0x2,
            FrameKind::Close => 0x8,
            FrameKind::Ping => 0x9,
            FrameKind::Pong => 0xA,
        }
    }
}

/// The longest head of an unmasked frame.
const MAX_HEAD: usize = 10;

/// Leaves room for a frame's head at the end of `out`; the payload follows, then [`end_frame`] with what this returns.
pub(crate) fn begin_frame(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    start
}

/// Puts the head before the payload that was written since [`begin_frame`] returned `start`.
pub(crate) fn end_frame(out: &mut Vec<u8>, start: usize, kind: FrameKind) {
    // Most payloads have a two-byte length, so that is what `begin_frame` left room for; others are moved.
    let length = out.len() - start - 4;
    match length {
        0..=125 => {
            out[start] = kind.first_byte();
            out[start + 1] = length as u8;
            out.copy_within(start + 4.., start + 2);
            out.truncate(start + 2 + length);
        }
        126..=0xFFFF => {
            out[start] = kind.first_byte();
            out[start + 1] = 126;
            out[start + 2..start + 4].copy_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            let mut head = [0; MAX_HEAD];
            let used = head_bytes(&mut head, kind, length);
            out.splice(start..start + 4, head[..used].iter().copied());
        }
    }
}

fn head_bytes(head: &mut [u8; MAX_HEAD], kind: FrameKind, length: usize) -> usize {
    head[0] = kind.first_byte();
    match length {
        0..=125 => {
            head[1] = length as u8;
            2
        }
        126..=0xFFFF => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    }
}

/// Writes a whole frame.
pub(crate) fn write_frame(out: &mut Vec<u8>, kind: FrameKind, payload: &[u8]) {
    let mut head = [0; MAX_HEAD];
    let used = head_bytes(&mut head, kind, payload.len());
    out.extend_from_slice(&head[..used]);
    out.extend_from_slice(payload);
}

/// Writes a close frame; the reason is cut to what fits. Code 1005 means a close frame without code.
pub(crate) fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    if code == 1005 {
        return write_frame(out, FrameKind::Close, &[]);
    }
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    write_frame(out, FrameKind::Close, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_written_in_place_is_the_frame_written_at_once() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let (mut whole, mut in_place) = (b"before".to_vec(), b"before".to_vec());
            write_frame(&mut whole, FrameKind::Binary, &payload);
            let start = begin_frame(&mut in_place);
            in_place.extend_from_slice(&payload);
            end_frame(&mut in_place, start, FrameKind::Binary);
            assert!(whole == in_place, "{length}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        write_close(&mut out, 1008, &"ü".repeat(100));
        assert_eq!(out.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }
}
