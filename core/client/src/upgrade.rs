//! The WebSocket handshake, done apart from the connection that follows it.
//!
//! tungstenite cuts messages out of its read buffer, and when that is used up takes a new one as large as the first was
//! made. For a connection that continues a handshake the first is made of what the handshake had read too much, often
//! nothing: from then on each read is as small as the next frame. So the handshake gets no byte behind the gateway's
//! answer, and the connection starts anew on the same stream with the buffer it is meant to have.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async};

const END: &[u8] = b"\r\n\r\n";

/// A stream that gives no byte behind the answer to an upgrade until the connection starts.
#[derive(Debug)]
pub(crate) struct Upgraded<S> {
    stream: S,
    /// The answer as far as it has come; `None` once it has ended, or is no upgrade.
    answer: Option<Vec<u8>>,
    /// What came with the answer's end, behind it.
    rest: Bytes,
}

/// Asks for an upgrade; the connection.
pub(crate) async fn upgrade<S>(
    request: Request,
    stream: S,
    config: WebSocketConfig,
) -> Result<WebSocketStream<Upgraded<S>>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = Upgraded { stream, answer: Some(Vec::new()), rest: Bytes::new() };
    let (handshaken, _) = client_async(request, stream).await?;
    Ok(WebSocketStream::from_raw_socket(handshaken.into_inner(), Role::Client, Some(config)).await)
}

/// Where in `read`, which follows `answer`, an answer that is an upgrade ends. Adds to `answer` what it looked at.
fn end_of(answer: &mut Vec<u8>, read: &[u8]) -> Option<usize> {
    let known = answer.len();
    answer.extend_from_slice(read);
    let from = known.saturating_sub(END.len() - 1);
    let end = from + answer[from..].windows(END.len()).position(|window| window == END)? + END.len();
    Some(end - known)
}

/// `HTTP/1.1 101 …`. Of another answer the handshake reads the body too.
fn is_upgrade(answer: &[u8]) -> bool {
    answer.get(9..12) == Some(b"101")
}

impl<S: AsyncRead + Unpin> AsyncRead for Upgraded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.rest.is_empty() {
            let count = this.rest.len().min(buffer.remaining());
            buffer.put_slice(&this.rest.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if let Some(answer) = &mut this.answer {
            let read = &buffer.filled()[before..];
            if let Some(end) = end_of(answer, read) {
                if is_upgrade(answer) {
                    this.rest = Bytes::copy_from_slice(&read[end..]);
                    buffer.set_filled(before + end);
                }
                this.answer = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Upgraded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    use super::*;

    struct Counted {
        stream: DuplexStream,
        reads: usize,
    }

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            self.reads += 1;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        }
        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }

    #[tokio::test]
    async fn the_buffer_stays_as_large_as_it_was_made_while_messages_are_kept() {
        const BUFFER: usize = 16 * 1024;
        let (gateway, stream) = tokio::io::duplex(1 << 20);
        let serving = tokio::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(gateway).await.unwrap();
            for _ in 0..2000 {
                socket.feed(Message::text("x".repeat(300))).await.unwrap();
            }
            socket.flush().await.unwrap();
            socket
        });
        let request = "ws://gateway/".into_client_request().unwrap();
        let config = WebSocketConfig::default().read_buffer_size(BUFFER);
        let mut socket = upgrade(request, Counted { stream, reads: 0 }, config).await.unwrap();
        let _gateway = serving.await.unwrap();
        let mut kept = Vec::new();
        while kept.len() < 2000 {
            kept.push(socket.next().await.unwrap().unwrap());
        }
        let reads = socket.get_ref().stream.reads;
        // Two for each filled buffer, as tungstenite reserves room for the frame that it has already.
        assert!(reads < 3 * 2000 * 304 / BUFFER, "{reads} reads");
    }

    /// What is read of `sent`, which comes in pieces of `size`: up to the first read that ends an answer, and then.
    async fn read(sent: &'static [u8], size: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut gateway, stream) = tokio::io::duplex(size);
        let mut upgraded = Upgraded { stream, answer: Some(Vec::new()), rest: Bytes::new() };
        let writing = tokio::spawn(async move { gateway.write_all(sent).await });
        let mut answer = Vec::new();
        while upgraded.answer.is_some() {
            assert!(upgraded.read_buf(&mut answer).await.unwrap() > 0);
        }
        let mut rest = Vec::new();
        upgraded.read_to_end(&mut rest).await.unwrap();
        writing.await.unwrap().unwrap();
        (answer, rest)
    }

    #[tokio::test]
    async fn nothing_behind_the_answer_is_read_before_the_connection_starts() {
        let sent = b"HTTP/1.1 101 Switching Protocols\r\nA: \r\n b\r\n\r\n\x81\x02hi\r\n\r\n\x81\x00";
        for size in 1..=sent.len() {
            let (answer, rest) = read(sent, size).await;
            assert!(answer.ends_with(b" b\r\n\r\n"), "{size}");
            assert_eq!(rest, b"\x81\x02hi\r\n\r\n\x81\x00", "{size}");
        }
    }

    #[tokio::test]
    async fn the_body_of_a_refusal_comes_with_it() {
        let sent = b"HTTP/1.1 403 Forbidden\r\n\r\nwhy";
        assert_eq!(read(sent, 64).await, (sent.to_vec(), Vec::new()));
    }
}
