//! The whole life of a connection in memory, without sockets and without waiting: for the fuzzer, and for a property
//! test beside it. A client does whatever its steps say while others publish; then it falls silent, and must be gone
//! in the end, whatever it did.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use realtime_pubsub_protocol::envelope::Delivery;
use realtime_pubsub_protocol::{Permissions, RawJson};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connection;
use crate::hub::{Message, Peer, random_id};
use crate::metrics::Metrics;
use crate::options::{AppOptions, Limits};
use crate::outbox::Order;
use crate::server::{App, Policy, Shared};
use crate::session::Session;
use crate::stream::Stream;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// The client sends bytes that need not be a frame.
    Bytes(Vec<u8>),
    /// The client sends a frame with this first byte.
    Frame(u8, Vec<u8>),
    /// The client sends a frame that means something: a kind of frame, a topic, an id.
    Talk(u8, u8, u8),
    /// The client reads that many bytes, if they come.
    Read(u16),
    /// Somebody publishes that many bytes to a topic.
    Publish(u8, u16),
    /// The connection is told to do something.
    Order(u8),
    /// That many milliseconds pass.
    Pass(u16),
    /// The client sends no more.
    HangUp,
}

const KINDS: [&str; 5] = ["publish", "message", "subscribe", "unsubscribe", "unheard-of"];
const TOPICS: [&str; 9] = [
    "open",
    "main",
    "secure/mine",
    "secure/other",
    "priv/acks",
    "priv/mallory",
    "priv/other",
    "secure/inbound",
    "a topic with more than 20 bytes",
];
/// Topics of which the client must never see a message.
const HIDDEN: [&str; 2] = ["secure/other", "secure/inbound"];

/// The steps that a fuzzer's bytes stand for.
pub fn steps(mut bytes: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        bytes = rest;
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at(count.min(bytes.len()));
            bytes = rest;
            taken
        };
        let mut number = || match *take(2) {
            [a, b] => u16::from_be_bytes([a, b]),
            [a] => u16::from(a),
            _ => 0,
        };
        let step = match kind % 16 {
            0 | 1 => {
                let length = usize::from(number() % 512);
                Step::Bytes(take(length).to_vec())
            }
            2..=4 => {
                let [first, length] = number().to_be_bytes();
                Step::Frame(first, take(usize::from(length)).to_vec())
            }
            5..=8 => {
                let [kind, topic] = number().to_be_bytes();
                Step::Talk(kind, topic, kind ^ topic)
            }
            9 | 10 => Step::Read(number()),
            11 | 12 => Step::Publish((number() % 256) as u8, number() % 1024),
            13 => Step::Order((number() % 256) as u8),
            14 => Step::Pass(number()),
            _ => Step::HangUp,
        };
        steps.push(step);
    }
    steps
}

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
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
    let mask = [7, 77, 177, 250];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn pick<'a>(from: &[&'a str], number: u8) -> &'a str {
    from[usize::from(number) % from.len()]
}

/// Lets it all happen.
///
/// # Panics
/// When something is not as it must be.
pub fn run(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}")).block_on(live(steps));
}

fn limits() -> Limits {
    Limits::default()
        .message_bytes(300)
        .outbound_bytes(4000)
        .subscriptions_per_connection(3)
        .topic_bytes(20)
        .messages_per_second(Some(20))
        .idle(Duration::from_secs(20))
        .close(Duration::from_secs(2))
}

/// A gateway without its sockets.
pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    app: Arc<App>,
}

impl World {
    pub(crate) fn new() -> World {
        let metrics = Metrics::new();
        let app = Arc::new(App::new(AppOptions::new("app"), &metrics, None));
        let apps = HashMap::from([(app.id.clone(), app.clone())]);
        let policy = Policy {
            limits: limits(),
            insecure: false,
            console: true,
            drain: Duration::ZERO,
            drain_window: Duration::ZERO,
        };
        World { shared: Arc::new(Shared::new(apps, policy, Arc::new(metrics), None)), app }
    }

    /// Somebody who has joined.
    fn peer(&self, subject: &str, grants: &[&str]) -> Arc<Peer> {
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let may = Permissions::new(grants.iter().copied());
        let peer = Peer::new(self.shared.number(), random_id().into(), subject.into(), may, remote, 4000);
        let peer = Arc::new(peer);
        self.app.hub.join(&peer);
        peer
    }

    /// The client's end of a peer's socket, and the task at the other.
    fn connect(&self, peer: &Arc<Peer>) -> (DuplexStream, JoinHandle<()>) {
        // Small, so that it is full soon.
        let (socket, server) = tokio::io::duplex(600);
        let session = Session::new(self.shared.clone(), self.app.clone(), peer.clone(), Instant::now());
        (socket, tokio::spawn(Connection::new(Stream::Memory(server), b"", session, None)))
    }
}

async fn live(steps: &[Step]) {
    let world = World::new();
    let app = &world.app;
    // One more who is there throughout, and for whom all must be as ever.
    let other = world.peer("other", &[]);
    app.hub.subscribe(&other, "open", 9).unwrap_or_else(|_| panic!("not subscribed"));
    let mallory =
        world.peer("mallory", &["realtime:publisher:write:topic:*", "realtime:subscriber:read:topic:secure/mine"]);
    let (mut socket, connection) = world.connect(&mallory);
    // The tail of the console looks at everything, too.
    let _ = app.hub.tails.after("*", 0);
    let mut received = Vec::new();
    for step in steps {
        match step {
            Step::Bytes(bytes) => send(&mut socket, bytes).await,
            Step::Frame(first, payload) => send(&mut socket, &frame(*first, payload)).await,
            Step::Talk(kind, topic, id) => {
                let (kind, topic) = (pick(&KINDS, *kind), pick(&TOPICS, *topic));
                let data = serde_json::json!({"topic": topic, "payload": {"n": id}, "id": id, "compress": id % 3 == 0});
                send(&mut socket, &frame(0x81, serde_json::json!({"type": kind, "data": data}).to_string().as_bytes()))
                    .await;
            }
            Step::Read(count) => {
                let mut buffer = vec![0; usize::from(*count)];
                if let Ok(Ok(read)) = timeout(MOMENT, socket.read(&mut buffer)).await {
                    received.extend_from_slice(&buffer[..read]);
                }
            }
            Step::Publish(topic, size) => {
                let payload = format!("\"{}\"", "x".repeat(usize::from(*size)));
                app.hub.publish(
                    &Message {
                        delivery: Delivery {
                            topic: pick(&TOPICS, *topic),
                            message_type: "t",
                            client: None,
                            payload: RawJson::trusted(&payload),
                            id: None,
                        },
                        compress: size % 2 == 1,
                    },
                    None,
                );
            }
            Step::Order(0..=31) => mallory.order(Order::Reset),
            Step::Order(code @ 32..=127) => {
                mallory.order(Order::CloseNow { code: 4000 + u16::from(*code), reason: "now".into() });
            }
            Step::Order(_) => mallory.order(Order::going_away()),
            Step::Pass(milliseconds) => sleep(Duration::from_millis((*milliseconds).into())).await,
            Step::HangUp => {
                let _ = timeout(MOMENT, socket.shutdown()).await;
            }
        }
        assert!(mallory.outbox().queued() <= 4000 + (2 << 20), "it allocates without bound");
        // The other one reads.
        let mut outbox = other.outbox();
        let bytes = outbox.segments.bytes();
        outbox.segments.advance(bytes);
        assert!(!outbox.closed && outbox.order.is_none(), "somebody else was closed");
    }
    // From now on it only reads: silence and its close must end it.
    let over = Duration::from_secs(20 + 20 + 2 + 2);
    let end = timeout(over, socket.read_to_end(&mut received)).await;
    assert!(end.is_ok(), "the connection was left open");
    let ended = timeout(over, connection).await;
    assert!(matches!(ended, Ok(Ok(()))), "its task: {ended:?}");
    check(&received);
    let left: Vec<_> = app.hub.peers(|_| true).into_iter().map(|peer| peer.number).collect();
    assert_eq!(left, [other.number], "who is left");
    app.hub.measure();
    let metrics = &app.metrics;
    assert_eq!((metrics.connections.get(), metrics.subscriptions.get(), metrics.topics.get()), (1, 2, 2));
}

/// How long the client waits for the gateway to take or give something. Time passes only when nobody has work to do.
const MOMENT: Duration = Duration::from_millis(1);

async fn send(socket: &mut DuplexStream, bytes: &[u8]) {
    // It may be over, or want the client to read first.
    let _ = timeout(MOMENT, socket.write_all(bytes)).await;
}

/// Whether what the client got are frames of a server, the last perhaps cut off, with nothing behind a close.
fn check(mut bytes: &[u8]) {
    while let [first, second, rest @ ..] = bytes {
        assert!(second & 0x80 == 0, "a server's frame is masked");
        let (length, rest) = match (second, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (127, _) => panic!("a longer frame than anybody sent"),
            (126, _) => return,
            (length, rest) => (usize::from(*length), rest),
        };
        if rest.len() < length {
            return;
        }
        let (payload, rest) = rest.split_at(length);
        match first {
            0x81 | 0x82 => {
                let envelope: serde_json::Value =
                    serde_json::from_slice(payload).unwrap_or_else(|error| panic!("not JSON: {error}"));
                let topic = envelope["topic"].as_str().unwrap_or_default();
                assert!(!HIDDEN.contains(&topic), "it saw {topic}");
                if topic == "priv/acks" && envelope["data"]["data"].is_null() {
                    // Published by others through the hub, which is trusted; the client itself can't.
                    assert_eq!(envelope["messageType"], "t", "a forged ack");
                }
            }
            0x88 => return assert!(rest.is_empty(), "something follows the close frame"),
            0x89 | 0x8A => assert!(length <= 125),
            other => panic!("a frame of kind {other:#x}"),
        }
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => any::<(u8, u8, u8)>().prop_map(|(kind, topic, id)| Step::Talk(kind, topic, id)),
            2 => (prop_oneof![Just(0x81_u8), Just(0x01), Just(0x80), Just(0x89), Just(0x88), any::<u8>()], prop::collection::vec(any::<u8>(), 0..400))
                .prop_map(|(first, payload)| Step::Frame(first, payload)),
            1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Bytes),
            3 => (0..2000_u16).prop_map(Step::Read),
            3 => any::<(u8, u16)>().prop_map(|(topic, size)| Step::Publish(topic, size % 1024)),
            1 => any::<u8>().prop_map(Step::Order),
            2 => (0..15_000_u16).prop_map(Step::Pass),
            1 => Just(Step::HangUp),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_client_does_its_connection_ends_and_leaves_nothing(steps in prop::collection::vec(any_step(), 0..40)) {
            run(&steps);
        }

        #[test]
        fn whatever_a_fuzzer_says_is_steps(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            run(&steps(&bytes));
        }
    }

    /// The fuzzer's find: what was queued when a client closed came behind the close frame.
    #[test]
    fn nothing_follows_a_close_frame_that_answers_the_client() {
        run(&steps(&[215, 63, 105, 215, 215, 100, 52, 136, 40]));
    }

    /// A client whose time stands still unless it waits.
    struct Client {
        socket: DuplexStream,
        peer: Arc<Peer>,
    }

    impl Client {
        async fn new(world: &World) -> Client {
            let peer = world.peer("alice", &["realtime:publisher:write:topic:*"]);
            let (socket, _) = world.connect(&peer);
            let mut client = Client { socket, peer };
            assert_eq!(client.next().await.map(|(first, _)| first), Some(0x81), "its welcome");
            client
        }

        /// The next short frame: its first byte and its payload. `None` at the end.
        async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
            let first = self.socket.read_u8().await.ok()?;
            let length = match self.socket.read_u8().await.unwrap() {
                126 => self.socket.read_u16().await.unwrap().into(),
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.socket.read_exact(&mut payload).await.unwrap();
            Some((first, payload))
        }

        async fn send(&mut self, first: u8, payload: &[u8]) {
            self.socket.write_all(&frame(first, payload)).await.unwrap();
        }

        /// The code and reason that it is closed with.
        async fn closed(&mut self) -> (u16, String) {
            let (first, payload) = self.next().await.unwrap();
            assert_eq!(first, 0x88, "{}", String::from_utf8_lossy(&payload));
            (u16::from_be_bytes([payload[0], payload[1]]), String::from_utf8_lossy(&payload[2..]).into_owned())
        }
    }

    const TICK: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn silence_may_last_as_long_as_it_may_and_no_longer() {
        let (world, begin) = (World::new(), Instant::now());
        let idle = limits().idle;
        let mut client = Client::new(&world).await;
        assert_eq!(client.next().await, Some((0x89, Vec::new())), "a ping");
        assert_eq!(begin.elapsed(), idle / 2);
        // Any sign of life will do, until the last moment.
        sleep(idle / 2 - TICK).await;
        client.send(0x8A, b"").await;
        assert_eq!(client.next().await, Some((0x89, Vec::new())));
        assert_eq!(begin.elapsed(), idle - TICK + idle / 2);
        assert_eq!(client.closed().await, (1008, "idle timeout".into()));
        assert_eq!(begin.elapsed(), idle - TICK + idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_frame_may_be_answered_as_late_as_the_limit_says_and_no_later() {
        let (world, close) = (World::new(), limits().close);
        for late in [Duration::ZERO, close - TICK, close] {
            let mut client = Client::new(&world).await;
            client.peer.order(Order::Close { code: 4000, reason: "go".into() });
            assert_eq!(client.closed().await, (4000, "go".into()));
            let begin = Instant::now();
            if late < close {
                sleep(late).await;
                client.send(0x88, &4000_u16.to_be_bytes()).await;
            }
            assert_eq!(client.next().await, None);
            assert_eq!(begin.elapsed(), late);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_has_its_messages_and_one_more_closes() {
        let publish = br#"{"type":"publish","data":{"topic":"x","id":1}}"#;
        let (world, rate) = (World::new(), limits().messages_per_second.unwrap());
        let mut client = Client::new(&world).await;
        for _ in 0..rate {
            client.send(0x81, publish).await;
            assert_eq!(client.next().await.unwrap().0, 0x81, "an ack");
        }
        // In the time of one message there is room for one.
        sleep(Duration::from_secs(1) / rate).await;
        client.send(0x81, publish).await;
        assert_eq!(client.next().await.unwrap().0, 0x81, "an ack");
        client.send(0x81, publish).await;
        assert_eq!(client.closed().await, (1008, "message rate exceeded".into()));
    }

    /// That the checks can fail.
    #[test]
    fn what_no_gateway_may_send_is_noticed() {
        let bad: [&[u8]; 4] = [
            &[0x81, 0x81, 0, 0, 0, 0, b'1'],
            &[0x88, 0, 0x89, 0],
            &[0x81, 1, b'{'],
            br#"XX{"topic":"secure/other","messageType":"t","data":1}"#,
        ];
        for (index, bytes) in bad.iter().enumerate() {
            let mut bytes = bytes.to_vec();
            if index == 3 {
                (bytes[0], bytes[1]) = (0x81, (bytes.len() - 2) as u8);
            }
            assert!(std::panic::catch_unwind(|| check(&bytes)).is_err(), "{index}");
        }
        check(&[0x81, 5, b'1']);
    }
}
