//! The gateway beside a bare tokio-tungstenite server that does the same, in the same run, each server in a process
//! of its own on one thread.
//!
//! `cargo bench -p realtime-pubsub-gateway` runs all; words after `--` choose: `acks`, `latency`, `fanout`, `idle`.
//! Rates are per second of the clock, and per second of the server's CPU time, which a busy machine does not change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bare;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;

const RECEIVERS: usize = 1000;
const FANOUT_MESSAGES: usize = 4000;
const PUBLISHES: usize = 1_500_000;
const OUTSTANDING: usize = 1024;
const IDLE: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let [serve, what] = &args[..]
        && serve == "serve"
    {
        return runtime.block_on(serve_forever(what));
    }
    let chosen = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    if chosen("acks") {
        let gateway = runtime.block_on(acks("gateway"));
        let bare = runtime.block_on(acks("bare-acks"));
        compare("publish+ack, 1,024 outstanding, 128 B", &gateway, &[("bare tokio-tungstenite", bare)]);
    }
    if chosen("latency") {
        for what in ["gateway", "bare-acks", "gateway", "bare-acks"] {
            runtime.block_on(latency(what));
        }
    }
    if chosen("fanout") {
        let gateway = runtime.block_on(fanout("gateway"));
        let batched = runtime.block_on(fanout("bare-fanout"));
        let simple = runtime.block_on(fanout("bare-fanout-flushing"));
        let others = [("bare, flushed once a batch", batched), ("bare, flushed every message", simple)];
        compare("deliveries, 1 to 1,000, 128 B", &gateway, &others);
    }
    if chosen("idle") {
        runtime.block_on(idle());
    }
}

async fn serve_forever(what: &str) {
    match what {
        "gateway" => {
            let limits = Limits::default().connections_per_subject(100_000).outbound_bytes(1 << 30);
            let gateway = Gateway::start(GatewayOptions::default().limits(limits)).await.unwrap();
            println!("{}", gateway.url_with_token("bench").unwrap());
            std::future::pending::<()>().await;
        }
        other => bare::serve(other).await,
    }
}

/// A server in a process of its own.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(what: &str) -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args(["serve", what]).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Server { child, url: url.trim().to_owned() }
    }

    async fn connect(&self) -> TcpStream {
        let address = self.url.trim_start_matches("ws://").split('/').next().unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (mut socket, _) = client_async(&self.url, tcp).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("welcome"));
        socket.into_inner()
    }

    async fn subscriber(&self, topic: &str) -> TcpStream {
        let mut tcp = self.connect().await;
        let frame = format!(r#"{{"type":"subscribe","data":{{"topic":"{topic}"}}}}"#);
        let mut bytes = masked(0x81, frame.as_bytes());
        bytes.extend(masked(0x89, b""));
        tcp.write_all(&bytes).await.unwrap();
        let mut pong = [0; 2];
        tcp.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong, [0x8A, 0]);
        tcp
    }

    /// Seconds of CPU time so far.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Bytes of memory in use.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 1, 8, 2];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

struct Rate {
    by_clock: f64,
    by_cpu: f64,
}

fn compare(what: &str, gateway: &Rate, others: &[(&str, Rate)]) {
    println!("{what}");
    println!("  {:<30} {:>12.0}/s  {:>12.0} per CPU second", "gateway", gateway.by_clock, gateway.by_cpu);
    for (name, rate) in others {
        let (clock, cpu) = (gateway.by_clock / rate.by_clock, gateway.by_cpu / rate.by_cpu);
        println!(
            "  {name:<30} {:>12.0}/s  {:>12.0} per CPU second  gateway: {clock:.2}x, by CPU {cpu:.2}x",
            rate.by_clock, rate.by_cpu
        );
    }
}

fn publish_frame(topic: &str, id: usize) -> String {
    let payload = "x".repeat(128);
    format!(r#"{{"type":"publish","data":{{"topic":"{topic}","id":"{id:032x}","payload":"{payload}"}}}}"#)
}

/// One client publishes, with so many acks outstanding.
async fn acks(what: &str) -> Rate {
    let server = Server::start(what);
    let tcp = server.connect().await;
    let (mut read, mut write) = tcp.into_split();
    // The client's own cost is kept small: frames are made beforehand, and acks counted by their size.
    let batch = OUTSTANDING / 4;
    let frames: Vec<u8> = (0..batch).flat_map(|id| masked(0x81, publish_frame("t", id).as_bytes())).collect();
    let ack =
        2 + br#"{"topic":"priv/acks","messageType":"ack","data":{"data":"00000000000000000000000000000000"}}"#.len();
    let (begin, cpu) = (Instant::now(), server.cpu());
    let (mut sent, mut acked_bytes, mut buffer) = (0, 0, vec![0; 256 * 1024]);
    while acked_bytes < PUBLISHES * ack {
        while sent < PUBLISHES && sent + batch <= acked_bytes / ack + OUTSTANDING {
            write.write_all(&frames).await.unwrap();
            sent += batch;
        }
        acked_bytes += read.read(&mut buffer).await.unwrap();
        if sent >= PUBLISHES && acked_bytes / ack >= PUBLISHES {
            break;
        }
    }
    let count = (acked_bytes / ack) as f64;
    Rate { by_clock: count / begin.elapsed().as_secs_f64(), by_cpu: count / (server.cpu() - cpu) }
}

/// One client publishes, and waits for each ack.
async fn latency(what: &str) {
    let server = Server::start(what);
    let mut tcp = server.connect().await;
    let frame = masked(0x81, publish_frame("t", 0).as_bytes());
    let (mut took, mut buffer) = (Vec::new(), vec![0; 4096]);
    for _ in 0..50_000 {
        let begin = Instant::now();
        tcp.write_all(&frame).await.unwrap();
        assert_ne!(tcp.read(&mut buffer).await.unwrap(), 0);
        took.push(begin.elapsed());
    }
    took.sort();
    println!("ack latency, {what}: p50 {:?}, p99 {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
}

/// One client publishes to a topic that a thousand others read.
async fn fanout(what: &str) -> Rate {
    let server = Server::start(what);
    let received = Arc::new(AtomicU64::new(0));
    let mut receivers = Vec::new();
    for _ in 0..RECEIVERS {
        receivers.push(server.subscriber("fan").await);
    }
    let readers: Vec<_> = receivers
        .into_iter()
        .map(|mut tcp| {
            let received = received.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 32 * 1024];
                while let Ok(read) = tcp.read(&mut buffer).await
                    && read > 0
                {
                    received.fetch_add(read as u64, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut publisher = server.connect().await;
    let frame = masked(0x81, publish_frame("fan", 1).as_bytes());
    // A first message shows how large a delivery is.
    publisher.write_all(&frame).await.unwrap();
    let mut size = 0;
    while size == 0 || received.load(Ordering::Relaxed) < size * RECEIVERS as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        size = received.load(Ordering::Relaxed).div_ceil(RECEIVERS as u64);
        assert!(size < 1000);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let size = received.swap(0, Ordering::Relaxed) / RECEIVERS as u64;
    println!("{what}: a delivery is {size} bytes");
    let expected = size * (FANOUT_MESSAGES * RECEIVERS) as u64;
    let (mut acks, mut write) = publisher.into_split();
    let drain = tokio::spawn(async move { while acks.read(&mut [0; 65_536]).await.is_ok_and(|read| read > 0) {} });
    let (begin, cpu) = (Instant::now(), server.cpu());
    let mut sent = 0;
    while sent < FANOUT_MESSAGES {
        // Never so far ahead that the server would have to buffer much.
        while sent as u64 * size * RECEIVERS as u64 > received.load(Ordering::Relaxed) + size * (RECEIVERS * 256) as u64
        {
            tokio::task::yield_now().await;
        }
        write.write_all(&frame.repeat(32)).await.unwrap();
        sent += 32;
    }
    while received.load(Ordering::Relaxed) < expected {
        tokio::task::yield_now().await;
    }
    let (clock, cpu) = (begin.elapsed().as_secs_f64(), server.cpu() - cpu);
    drain.abort();
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    let count = (FANOUT_MESSAGES * RECEIVERS) as f64;
    Rate { by_clock: count / clock, by_cpu: count / cpu }
}

/// Connections that only wait.
async fn idle() {
    for what in ["gateway", "bare-acks"] {
        let server = Server::start(what);
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(server.connect().await);
        }
        let before = server.memory();
        for _ in 0..IDLE - 100 {
            held.push(server.connect().await);
        }
        let each = (server.memory() - before) as f64 / (IDLE - 100) as f64;
        println!("{what}: {IDLE} idle connections, {:.1} KiB each", each / 1024.0);
        // All of them are alive.
        for tcp in &mut held {
            tcp.write_all(&masked(0x89, b"")).await.unwrap();
            let mut pong = [0; 2];
            tcp.read_exact(&mut pong).await.unwrap();
            assert_eq!(pong, [0x8A, 0]);
        }
        let each = (server.memory() - before) as f64 / (IDLE - 100) as f64;
        println!("{what}: after a ping to each, {:.1} KiB each", each / 1024.0);
    }
}
