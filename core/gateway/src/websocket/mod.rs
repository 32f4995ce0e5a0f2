//! The server's side of RFC 6455, without I/O: reading client frames in place, writing server frames.
//!
//! The gateway has its own framing because what it needs most is what message-level libraries hide: frames parsed
//! where they were read, one encoded frame shared by all receivers, every ping answered in its turn, and no buffer
//! held by a connection that is silent. No extension is negotiated.

mod decode;
mod encode;

pub(crate) use decode::{Decoder, Event, Step};
pub(crate) use encode::{FrameKind, begin_frame, end_frame, write_close, write_frame};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The `Sec-WebSocket-Accept` that answers a client's `Sec-WebSocket-Key`.
pub(crate) fn accept_key(key: &[u8]) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn accept_key_is_that_of_the_rfc() {
        assert_eq!(super::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
