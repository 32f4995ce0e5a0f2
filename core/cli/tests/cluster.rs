//! Gateways that are one through NATS, as processes, one of which is killed. Ignored where `nats-server` may be missing:
//! the suite `cluster` (`scripts/test.sh cluster`) installs it and runs them.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../gateway/tests/support/nats_server.rs"]
mod nats_server;
mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use nats_server::{Folder, NatsServer};
use support::{Running, run, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// `nats-member-timeout`.
const SILENCE: Duration = Duration::from_secs(2);

/// The number of acked publishes: `GATEWAY_CLUSTER_ACKS`, or 200,000.
fn acks() -> u64 {
    std::env::var("GATEWAY_CLUSTER_ACKS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

/// A gateway that is one with the others of this NATS.
struct Gateway {
    running: Running,
    address: SocketAddr,
    url: String,
}

impl Gateway {
    fn start(nats: &str, key: &str, token: &str) -> Gateway {
        let settings = ["--app", "local", "--client-key", key, "--nats", nats, "--nats-member-timeout", "2s"];
        // What is slow here is the machine.
        let patient = ["--nats-timeout", "60s", "--outbound-bytes", "1GiB", "--log-level", "off"];
        let running = start(&[&["gateway", "--json"], &settings[..], &patient].concat(), None);
        let ready = running.json();
        let (address, url) = (ready["address"].as_str().unwrap(), ready["url"].as_str().unwrap());
        Gateway { running, address: address.parse().unwrap(), url: format!("{url}?access_token={token}") }
    }

    /// A number of `/metrics`, 0 if it is not there.
    async fn metric(&self, name: &str) -> u64 {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let number = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        number.map_or(0, |number| number.parse().unwrap())
    }

    /// Waits until a metric has this value.
    async fn comes_to(&self, name: &str, value: u64) {
        let look = async {
            while self.metric(name).await != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{name} never came to {value}"));
    }
}

/// A bare client.
struct Client {
    socket: WebSocketStream<TcpStream>,
    /// The connection's.
    id: String,
}

impl Client {
    async fn open(gateway: &Gateway) -> Client {
        let tcp = TcpStream::connect(gateway.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(&gateway.url, tcp).await.unwrap();
        let welcome = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        let welcome: serde_json::Value = serde_json::from_str(welcome.to_text().unwrap()).unwrap();
        Client { socket, id: welcome["data"]["connection"]["id"].as_str().unwrap().to_owned() }
    }

    /// Subscribed when this returns.
    async fn subscribe(&mut self, topic: &str) {
        let frame = format!(r#"{{"type":"subscribe","data":{{"topic":"{topic}"}}}}"#);
        self.socket.send(Message::text(frame)).await.unwrap();
        self.settle(|_| {}).await.unwrap();
    }

    /// Shows all that comes before the pong of a ping sent now; `None` if the connection ends before.
    async fn settle(&mut self, mut see: impl FnMut(&str)) -> Option<()> {
        self.socket.send(Message::Ping("settle".into())).await.ok()?;
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("neither pong nor end")?.ok()? {
                Message::Pong(_) => return Some(()),
                Message::Text(text) => see(&text),
                _ => {}
            }
        }
    }
}

/// The number that follows this in a frame: parsing all of it would cost more than the gateways do.
fn number_after(frame: &str, key: &str) -> Option<u64> {
    let (_, rest) = frame.split_once(key)?;
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

#[test]
fn numbers_are_found_in_frames() {
    let message =
        r#"{"topic":"t","messageType":"broadcast","data":{"client":{"connectionId":"1"},"payload":23,"id":4}}"#;
    assert_eq!(number_after(message, r#""payload":"#), Some(23));
    assert_eq!(number_after(message, r#"{"data":"#), None);
    let ack = r#"{"topic":"priv/acks","messageType":"ack","data":{"data":23}}"#;
    assert_eq!(number_after(ack, r#"{"data":"#), Some(23));
}

/// Reads until told to stop, and then what is there still: which payloads came, and how often any came twice.
async fn collect(mut client: Client, stop: Arc<Notify>) -> (HashSet<u64>, u64) {
    let (mut seen, mut twice) = (HashSet::new(), 0);
    let mut see = |text: &str| {
        if let Some(n) = number_after(text, r#""payload":"#) {
            twice += u64::from(!seen.insert(n));
        }
    };
    loop {
        tokio::select! {
            frame = client.socket.next() => match frame.unwrap().unwrap() {
                Message::Text(text) => see(&text),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("the reader's connection ended: {other:?}"),
            },
            () = stop.notified() => break,
        }
    }
    client.settle(see).await.unwrap();
    (seen, twice)
}

/// What the writers share.
#[derive(Default)]
struct Progress {
    sent: AtomicU64,
    /// How many were acked in rounds that are judged.
    acked: AtomicU64,
    /// Odd from before NATS is stopped until it is wholly back: rounds of that time are not judged, see the guide.
    phase: AtomicU64,
}

/// Publishes until anybody's acks make `all` or its gateway is gone; what was acked, in the rounds that are judged.
async fn publish(mut client: Client, all: u64, progress: Arc<Progress>) -> Vec<u64> {
    let mut acked = Vec::new();
    // In rounds of a hundred; a round ends with a pong, before which its acks come, or never do.
    while progress.acked.load(Ordering::Relaxed) < all {
        let first = progress.sent.fetch_add(100, Ordering::Relaxed);
        let (begun, mut round) = (progress.phase.load(Ordering::SeqCst), Vec::new());
        let mut alive = true;
        for n in first..first + 100 {
            let frame = format!(r#"{{"type":"publish","data":{{"topic":"t","payload":{n},"id":{n}}}}}"#);
            alive = alive && client.socket.feed(Message::text(frame)).await.is_ok();
        }
        let ack = |text: &str| round.extend(number_after(text, r#"{"data":"#));
        alive = alive && client.settle(ack).await.is_some();
        if begun.is_multiple_of(2) && progress.phase.load(Ordering::SeqCst) == begun {
            progress.acked.fetch_add(round.len() as u64, Ordering::Relaxed);
            acked.append(&mut round);
        }
        if !alive {
            break;
        }
    }
    acked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nats-server"]
async fn no_acked_message_is_missed_while_a_gateway_is_killed_and_nats_is_restarted() {
    let all = acks();
    let (folder, mut server) = (Folder::new(), NatsServer::start(&[]));
    let key = folder.file("client.key", "a secret of the gateways");
    let token = run(&["token", "--key", &key, "--all", "--subject", "s"], None).with_code(0).out;
    let [one, two, doomed] = std::array::from_fn(|_| Gateway::start(&server.url(), &key, token.trim()));
    for gateway in [&one, &two, &doomed] {
        gateway.comes_to("realtime_cluster_members", 3).await;
    }

    let stop = Arc::new(Notify::new());
    let mut readers = Vec::new();
    for gateway in [&one, &two] {
        let mut reader = Client::open(gateway).await;
        reader.subscribe("t").await;
        readers.push(tokio::spawn(collect(reader, stop.clone())));
    }
    let mut probes = [Client::open(&one).await, Client::open(&two).await];
    let progress = Arc::new(Progress::default());
    let mut writers = Vec::new();
    for gateway in [&one, &two, &doomed] {
        let client = Client::open(gateway).await;
        writers.push(tokio::spawn(publish(client, all, progress.clone())));
    }
    let passed = async |part: u64| {
        let look = async {
            while progress.acked.load(Ordering::Relaxed) < part {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE * 5, look).await.expect("publishing got stuck");
    };

    passed(all / 4).await;
    doomed.running.signal("KILL");
    passed(all / 2).await;
    progress.phase.fetch_add(1, Ordering::SeqCst);
    // Behind these pongs, all that was acked before has come.
    for probe in &mut probes {
        probe.settle(|_| {}).await.unwrap();
    }
    server.stop();
    for gateway in [&one, &two] {
        gateway.comes_to("realtime_nats_connected", 0).await;
    }
    server.run();
    for gateway in [&one, &two] {
        gateway.comes_to("realtime_nats_connected", 1).await;
    }
    for probe in &mut probes {
        probe.settle(|_| {}).await.unwrap();
    }
    progress.phase.fetch_add(1, Ordering::SeqCst);

    let mut acked = HashSet::new();
    for writer in writers {
        for n in timeout(PATIENCE * 5, writer).await.unwrap().unwrap() {
            assert!(acked.insert(n), "{n} was acked more than once");
        }
    }
    stop.notify_waiters();
    println!("{} published, {} acked", progress.sent.load(Ordering::Relaxed), acked.len());
    assert!(acked.len() as u64 >= all, "of {all}, {} were acked", acked.len());
    for reader in readers {
        let (seen, twice) = timeout(PATIENCE * 3, reader).await.unwrap().unwrap();
        let missed: Vec<_> = acked.difference(&seen).take(10).collect();
        assert!(missed.is_empty(), "acked and missed: {missed:?}, of {}", acked.len());
        assert_eq!(twice, 0, "came twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nats-server"]
async fn what_a_killed_gateway_had_but_nats_had_not_was_never_acked() {
    let (folder, server) = (Folder::new(), NatsServer::start(&[]));
    let key = folder.file("client.key", "a secret of the gateways");
    let token = run(&["token", "--key", &key, "--all", "--subject", "s"], None).with_code(0).out;
    let [lives, doomed] = std::array::from_fn(|_| Gateway::start(&server.url(), &key, token.trim()));
    let (mut far, mut near) = (Client::open(&lives).await, Client::open(&doomed).await);
    far.subscribe("t").await;
    near.subscribe("t").await;
    let mut writer = Client::open(&doomed).await;
    writer.settle(|_| {}).await.unwrap();
    server.freeze();
    // More than the system takes between them, less than what the gateway makes its clients wait for.
    let filler = "x".repeat(120_000);
    for n in 0..50 {
        let data = format!(r#"{{"topic":"t","payload":{n},"id":{n},"messageType":"{filler}"}}"#);
        writer.socket.feed(Message::text(format!(r#"{{"type":"publish","data":{data}}}"#))).await.unwrap();
    }
    writer.socket.flush().await.unwrap();
    // Its own clients have them: it has handled them all.
    for n in 0..50 {
        let message = timeout(PATIENCE, near.socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(number_after(message.to_text().unwrap(), r#""payload":"#), Some(n));
    }
    doomed.running.signal("KILL");
    let mut acked = Vec::new();
    while let Some(Ok(frame)) = timeout(PATIENCE, writer.socket.next()).await.expect("it lives") {
        acked.extend(number_after(frame.to_text().unwrap_or_default(), r#"{"data":"#));
    }
    assert!(acked.is_empty(), "acked: {acked:?}");
    server.thaw();
    let mut seen = Vec::new();
    far.settle(|text| seen.extend(number_after(text, r#""payload":"#))).await.unwrap();
    println!("{} of 50 got there all the same", seen.len());
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn the_connections_of_a_killed_gateway_are_told_as_gone_when_it_has_been_silent_for_as_long_as_it_may() {
    let (folder, server) = (Folder::new(), NatsServer::start(&[]));
    let key = folder.file("client.key", "a secret of the gateways");
    let token = run(&["token", "--key", &key, "--all", "--subject", "s"], None).with_code(0).out;
    let [lives, doomed] = std::array::from_fn(|_| Gateway::start(&server.url(), &key, token.trim()));
    for gateway in [&lives, &doomed] {
        gateway.comes_to("realtime_cluster_members", 2).await;
    }
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(Client::open(&doomed).await);
    }
    let mut watcher = Client::open(&lives).await;
    watcher.subscribe("secure/inbound").await;
    let mut present: HashSet<&str> = idle.iter().map(|client| &*client.id).collect();
    doomed.running.signal("KILL");
    let killed = Instant::now();
    while !present.is_empty() {
        let frame = timeout(PATIENCE, watcher.socket.next()).await.expect("not told of all").unwrap().unwrap();
        let Message::Text(text) = frame else { continue };
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(message["data"]["payload"]["status"], "disconnected", "{message}");
        assert!(present.remove(message["data"]["client"]["connectionId"].as_str().unwrap()), "{message}");
    }
    // It gives a sign of life every fifth of the time, and is looked for as often. The rest is for a busy machine.
    let passed = killed.elapsed();
    assert!(passed > SILENCE / 2 && passed < SILENCE + SILENCE / 5 + Duration::from_secs(5), "{passed:?}");
    assert_eq!(lives.metric("realtime_cluster_members").await, 1);
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn the_log_tells_when_nats_goes_and_comes_and_a_wrong_password_ends_the_start_and_is_told_nowhere() {
    let (folder, secret) = (Folder::new(), "hunter2-never-to-be-seen");
    let mut server = NatsServer::start(&["--user", "u", "--pass", secret]);
    folder.file("client.key", "a secret of the gateways");
    folder.file("nats.password", &format!("{secret}\n"));
    let url = server.url();
    let config = |password: &str| {
        let text = format!(
            "app = \"local\"\nclient-key = \"client.key\"\nlog-format = \"json\"\nlog-level = \"trace\"\n\
             nats = [\"{}\"]\nnats-user = \"u\"\nnats-password = \"{password}\"\n",
            url
        );
        folder.file("gateway.toml", &text)
    };
    let gateway = start(&["gateway", "--json", "--config", &config("nats.password")], None);
    let mut told = vec![gateway.says_with("joined through NATS")];
    gateway.json();
    assert!(told[0].contains("\"level\":\"INFO\"") && told[0].contains(&server.port.to_string()), "{told:?}");
    server.kill();
    told.push(gateway.says_with("NATS is away"));
    assert!(told[1].contains("\"level\":\"WARN\"") && told[1].contains("acks are refused"), "{told:?}");
    server.run();
    told.push(gateway.says_with("joined through NATS"));
    gateway.signal("TERM");
    told.push(gateway.ends().with_code(0).err);
    assert!(told.iter().all(|told| !told.contains(secret)), "{told:?}");
    folder.file("wrong.password", &format!("{secret}-wrong"));
    let ended = run(&["gateway", "--json", "--config", &config("wrong.password")], None).with_code(2);
    assert!(ended.out.is_empty() && ended.err.contains("Authorization Violation"), "{ended:?}");
    assert!(!ended.err.contains(secret), "{ended:?}");
}
