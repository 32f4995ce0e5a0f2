//! One topic to many connections. What is measured is the server, so the receivers do no more than count bytes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use super::server::Server;
use super::{Outcome, bare};

/// Messages that may be on their way to each receiver: never so many that a server would have to buffer much.
const AHEAD: usize = 256;
/// Messages written at once.
const BATCH: usize = 32;
/// CPU time is counted in hundredths of a second; less than this would be guessed.
const LEAST_CPU: f64 = 0.1;

/// Deliveries a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    pub(crate) by_clock: f64,
    /// Per second of the server's CPU time, which a busy machine does not change.
    pub(crate) by_cpu: Option<f64>,
}

/// The frame that publishes, as text.
pub(crate) fn publish(payload: &str) -> String {
    format!(
        r#"{{"type":"publish","data":{{"topic":"bench","messageType":"m","payload":"{payload}","id":"{:032x}"}}}}"#,
        1
    )
}

pub(crate) const SUBSCRIBE: &str = r#"{"type":"subscribe","data":{"topic":"bench"}}"#;

/// What the gateway delivers for such a publish, as text.
pub(crate) async fn delivery(url: &str, payload: &str) -> Outcome<String> {
    let mut socket = bare::connect(url).await?;
    socket.send(SUBSCRIBE.into()).await?;
    socket.send(publish(payload).into()).await?;
    loop {
        match socket.next().await.ok_or("the gateway closed")?? {
            Message::Text(text) if text.contains(payload) => {
                socket.close(None).await?;
                return Ok(text.to_string());
            }
            _ => {}
        }
    }
}

/// How much has come, and what to wait for.
#[derive(Debug, Default)]
struct Received {
    bytes: Cell<u64>,
    awaited: Cell<u64>,
    reached: Notify,
}

impl Received {
    fn add(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        if self.bytes.get() >= self.awaited.get() {
            self.reached.notify_one();
        }
    }

    async fn wait(&self, bytes: u64) {
        self.awaited.set(bytes);
        while self.bytes.get() < bytes {
            self.reached.notified().await;
        }
    }
}

/// Publishes so many messages to so many receivers. `delivered` is the length of a delivery's text.
pub(crate) async fn measure(
    server: &Server,
    publish: &str,
    delivered: usize,
    receivers: usize,
    messages: usize,
) -> Outcome<Speed> {
    let mut sockets = Vec::with_capacity(receivers);
    for _ in 0..receivers {
        let mut tcp = server.raw().await?;
        tcp.write_all(&masked(0x81, SUBSCRIBE.as_bytes())).await?;
        sockets.push(tcp);
    }
    barrier(&mut sockets).await?;
    let received = Rc::new(Received::default());
    // One buffer for all: what they read is not looked at.
    let buffer = Rc::new(RefCell::new(vec![0; 64 * 1024]));
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|tcp| tokio::task::spawn_local(count(tcp, Rc::clone(&buffer), Rc::clone(&received))))
        .collect();
    let (mut acks, mut publisher) = server.raw().await?.into_split();
    let drain = tokio::task::spawn_local(async move {
        let mut buffer = vec![0; 64 * 1024];
        while acks.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    });

    let each = (frame_head(delivered) + delivered) as u64 * receivers as u64;
    let frame = masked(0x81, publish.as_bytes());
    let batch = frame.repeat(BATCH);
    let (start, cpu) = (Instant::now(), server.cpu());
    let mut sent = 0;
    while sent < messages {
        let now = BATCH.min(messages - sent);
        received.wait((sent + now).saturating_sub(AHEAD) as u64 * each).await;
        publisher.write_all(&batch[..now * frame.len()]).await?;
        sent += now;
    }
    received.wait(messages as u64 * each).await;
    let took = start.elapsed().as_secs_f64();
    let cpu = server.cpu().zip(cpu).map(|(after, before)| after - before);
    drain.abort();
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    if received.bytes.get() != messages as u64 * each {
        return Err(format!("{} bytes came, not {}", received.bytes.get(), messages as u64 * each).into());
    }
    let deliveries = (messages * receivers) as f64;
    let by_cpu = cpu.filter(|cpu| *cpu >= LEAST_CPU).map(|cpu| deliveries / cpu);
    Ok(Speed { by_clock: deliveries / took, by_cpu })
}

async fn count(tcp: TcpStream, buffer: Rc<RefCell<Vec<u8>>>, received: Rc<Received>) {
    while tcp.readable().await.is_ok() {
        match tcp.try_read(&mut buffer.borrow_mut()) {
            Ok(0) => break,
            Ok(read) => received.add(read),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}

/// A ping to each, and its pong: all that was asked for has been done.
pub(crate) async fn barrier(sockets: &mut [TcpStream]) -> Outcome<()> {
    for tcp in sockets.iter_mut() {
        tcp.write_all(&masked(0x89, b"")).await?;
    }
    for tcp in sockets {
        let mut pong = [0; 2];
        tcp.read_exact(&mut pong).await?;
        if pong != [0x8A, 0] {
            return Err(format!("a pong was expected, not {pong:x?}").into());
        }
    }
    Ok(())
}

/// A client's frame.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 1, 8, 2];
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length as u8),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The length of a server's frame's head.
fn frame_head(length: usize) -> usize {
    match length {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}
