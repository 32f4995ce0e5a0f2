//! Every limit at its edge: what is allowed, and what happens one beyond.
//!
//! | limit | shown at its edge by |
//! |---|---|
//! | `message_bytes` | `a_message_of_a_mebibyte_…`, `many_times_the_message_limit_…`; `decode.rs`: whole and in fragments; a REST body: `handshakes.rs`, `a_body_may_be_as_long_as_a_message_…` |
//! | `connections` | `handshakes.rs`: `the_gateway_has_so_many_connections_…`, `a_refused_subject_takes_no_place_…` |
//! | `handshakes` | `handshakes.rs`: `one_handshake_too_many_…`, `slow_handshakes_by_the_hundred_…` |
//! | `connections_per_subject` | `a_subject_has_so_many_connections_…`; over gateways: `cluster.rs`, `presence_and_the_limit_per_subject_…` |
//! | `messages_per_second` | `a_burst_of_one_seconds_messages_…`; to the millisecond: `simulation.rs`, `a_second_has_its_messages_…` |
//! | `subscriptions_per_connection` | `a_connection_has_so_many_subscriptions_…`, `a_thousand_subscriptions_are_allowed_…` |
//! | `topic_bytes` | `topics_have_a_longest_name` |
//! | `outbound_bytes` | `what_waits_for_a_connection_…`, `a_slow_consumer_is_closed_…` |
//! | `handshake` | `a_slow_handshake_…`, `a_slow_tls_handshake_…`, `a_slow_body_…`, `bytes_that_trickle_in_…` |
//! | `idle` | `a_silent_client_is_pinged_…`, `a_peer_that_takes_nothing_…`; to the millisecond: `simulation.rs`, `silence_may_last_…` |
//! | `close` | `a_client_that_does_not_answer_a_close_…`; to the millisecond: `simulation.rs`, `a_close_frame_may_be_answered_…` |
//! | `drain`, `drain_window` | `drain.rs` |
//! | `NatsOptions::timeout` | `cluster.rs`: `a_server_that_hangs_…` |
//! | `NatsOptions::member_timeout` | the command line's `cluster.rs`: `the_connections_of_a_killed_gateway_…` |
//! | heads of requests | `handshakes.rs`: `a_head_beyond_its_room_…` |
//! | patterns of a REST call | `rest.rs`: `a_rest_unsubscribe_takes_fifty_patterns_…` |
//! | tails and overviews | `console.rs`: `a_tail_shows_…`, `an_overview_shows_…`; `tail.rs` |
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use futures_util::SinkExt;
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits, Target, TlsOptions};
use serde_json::json;
use support::{Client, Message, PATIENCE, ack, eventually, refused, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;

async fn limited(limits: Limits) -> Gateway {
    start(GatewayOptions::default().limits(limits)).await
}

/// A publish frame of exactly this many bytes.
fn publish_of(length: usize) -> String {
    let empty = r#"{"type":"publish","data":{"topic":"main","payload":""}}"#.len();
    format!(r#"{{"type":"publish","data":{{"topic":"main","payload":"{}"}}}}"#, "x".repeat(length - empty))
}

#[tokio::test]
async fn a_message_of_a_mebibyte_passes_and_one_byte_more_closes_with_1009() {
    let gateway = limited(Limits::default()).await;
    let mut client = Client::connect(&gateway, "alice").await;
    client.raw(publish_of(1 << 20)).await;
    assert!(client.json().await["data"]["payload"].as_str().is_some_and(|payload| payload.len() > 1_000_000));
    client.raw(publish_of((1 << 20) + 1)).await;
    let says = "message too big: 1048577 bytes, the limit is 1048576".to_owned();
    assert_eq!(client.closed().await, (1009, says));
}

#[tokio::test]
async fn many_times_the_message_limit_still_gets_its_close_frame() {
    let gateway = limited(Limits::default().message_bytes(1000)).await;
    let mut client = Client::connect(&gateway, "alice").await;
    client.raw(publish_of(1000)).await;
    assert_eq!(client.settle().await.len(), 1);
    client.raw(publish_of(5_000_000)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn a_subject_has_so_many_connections_and_gets_429_for_more() {
    let gateway = limited(Limits::default().connections_per_subject(2)).await;
    let first = Client::connect(&gateway, "alice").await;
    let _second = Client::connect(&gateway, "alice").await;
    let url = gateway.url_with_token("alice").unwrap();
    assert_eq!(refused(&url).await, (429, "too_many_connections".into()));
    Client::connect(&gateway, "bob").await;
    drop(first);
    // The place is free as soon as the gateway has seen the connection go.
    let again = async { while tokio_tungstenite::connect_async(&url).await.is_err() {} };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_connection_has_so_many_subscriptions_beside_those_from_the_start() {
    let gateway = limited(Limits::default().subscriptions_per_connection(3)).await;
    let mut client = Client::connect(&gateway, "alice").await;
    for topic in ["1", "2", "3", "3", "main", "priv/alice"] {
        client.subscribe(topic).await;
    }
    client.unsubscribe("1").await;
    client.subscribe("4").await;
    client.unsubscribe("main").await;
    client.subscribe("main").await;
    assert!(client.settle().await.is_empty());
    client.subscribe("5").await;
    assert_eq!(client.closed().await, (1008, "too many subscriptions".into()));
}

#[tokio::test]
async fn topics_have_a_longest_name() {
    let gateway = limited(Limits::default().topic_bytes(10)).await;
    for frame in ["subscribe", "publish"] {
        let mut client = Client::connect(&gateway, "alice").await;
        client.send(json!({"type": frame, "data": {"topic": "x".repeat(10)}})).await;
        client.settle().await;
        client.send(json!({"type": frame, "data": {"topic": "x".repeat(11)}})).await;
        assert_eq!(client.closed().await, (1008, "topic too long".into()));
    }
}

#[tokio::test]
async fn a_burst_of_one_seconds_messages_passes_and_more_closes() {
    let gateway = limited(Limits::default().messages_per_second(Some(50))).await;
    let mut client = Client::connect(&gateway, "alice").await;
    for n in 0..50 {
        client.publish("t", json!(n), "1").await;
    }
    assert_eq!(client.settle().await.len(), 50);
    let mut flood = Client::connect(&gateway, "bob").await;
    for n in 0..200 {
        let text = json!({"type": "publish", "data": {"topic": "t", "payload": n}}).to_string();
        flood.socket.feed(Message::text(text)).await.unwrap();
    }
    flood.socket.flush().await.unwrap();
    assert_eq!(flood.closed().await, (1008, "message rate exceeded".into()));
}

#[tokio::test]
async fn a_slow_consumer_is_closed_with_that_reason_and_delays_nobody() {
    let gateway = limited(Limits::default().outbound_bytes(200_000).close(PATIENCE)).await;
    let mut slow = Client::connect(&gateway, "slow").await;
    let mut good = Client::connect(&gateway, "good").await;
    slow.subscribe("flood").await;
    slow.settle().await;
    let payload = "x".repeat(100_000);
    let mut published = 0;
    while support::connected(&gateway) == 2 {
        good.publish("flood", json!(payload), "1").await;
        assert_eq!(good.settle().await, [ack("1")]);
        published += 1;
        assert!(published < 1000, "the slow consumer was never closed");
    }
    assert_eq!(slow.closed().await, (1008, "slow consumer".into()));
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_then_closed_when_it_does_not_answer() {
    let gateway = limited(Limits::default().idle(Duration::from_millis(200)).close(Duration::from_millis(100))).await;
    let mut alive = Client::connect(&gateway, "alive").await;
    let dead = Client::connect(&gateway, "dead").await;
    // Looking at the socket answers pings; `dead` is never looked at.
    let mut pings = 0;
    while support::connected(&gateway) == 2 || pings < 4 {
        assert!(matches!(alive.next().await, Message::Ping(_)));
        pings += 1;
    }
    let mut dead = dead;
    assert_eq!(dead.closed().await, (1008, "idle timeout".into()));
    assert!(alive.settle().await.is_empty());
}

#[tokio::test]
async fn a_slow_handshake_has_its_time_and_is_dropped_then() {
    let limit = Duration::from_millis(200);
    let gateway = limited(Limits::default().handshake(limit)).await;
    let healthz = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for start in
        ["", healthz, "GET /apps/local HTTP/1.1\r\nHost:", "POST /api/topics/local/publish HTTP/1.1\r\nHost: x\r\n"]
    {
        let begin = Instant::now();
        let mut tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
        tcp.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("still open");
        assert!(begin.elapsed() >= limit, "too early: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn bytes_that_trickle_in_gain_a_handshake_no_time() {
    let limit = Duration::from_millis(200);
    let gateway = limited(Limits::default().handshake(limit)).await;
    let mut tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    tcp.write_all(b"GET /apps/local HTTP/1.1\r\nX: ").await.unwrap();
    let trickle = async {
        // Each byte in time, the whole never: as slow-loris does.
        while tcp.write_all(b"x").await.is_ok() {
            let mut answer = [0];
            if timeout(Duration::from_millis(10), tcp.read(&mut answer)).await.is_ok() {
                break;
            }
        }
    };
    timeout(PATIENCE, trickle).await.expect("still open");
}

#[tokio::test]
async fn a_slow_tls_handshake_has_its_time_and_is_dropped_then() {
    let (limit, key) = (Duration::from_millis(200), rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap());
    let tls = TlsOptions::pem(key.cert.pem(), key.signing_key.serialize_pem());
    let gateway = start(GatewayOptions::default().limits(Limits::default().handshake(limit)).tls(tls)).await;
    // Nothing, and the beginning of a client's hello.
    for start in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let begin = Instant::now();
        let mut tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
        tcp.write_all(start).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("still open");
        assert!(begin.elapsed() >= limit, "too early: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn a_slow_body_has_its_time_and_is_answered_with_408_then() {
    let limit = Duration::from_millis(200);
    let gateway = limited(Limits::default().handshake(limit)).await;
    let token = gateway.admin_token("root").unwrap();
    let request = format!(
        "POST /api/topics/local/publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 10\r\n\r\n{{"
    );
    let begin = Instant::now();
    assert_eq!(support::raw_http(&gateway, &request).await.0, 408);
    assert!(begin.elapsed() >= limit, "too early: {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_close_has_its_time_and_is_dropped_then() {
    let limit = Duration::from_millis(300);
    let gateway = limited(Limits::default().close(limit)).await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    let MaybeTlsStream::Plain(tcp) = client.socket.get_mut() else { unreachable!() };
    let begin = Instant::now();
    assert_eq!(gateway.kick(Target::All, 4000, "go"), 1);
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("still open");
    assert_eq!(answer, [&[0x88, 4][..], &4000_u16.to_be_bytes(), b"go"].concat());
    assert!(begin.elapsed() >= limit, "too early: {:?}", begin.elapsed());
    // One that answers does not wait for it.
    let gateway = limited(Limits::default().close(Duration::from_secs(3600))).await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    gateway.kick(Target::All, 4000, "go");
    assert_eq!(client.closed().await, (4000, "go".into()));
}

#[tokio::test]
async fn a_client_that_asks_for_more_than_it_reads_is_made_to_wait() {
    let gateway = limited(Limits::default()).await;
    let client = Client::connect(&gateway, "alice").await;
    let (mut sink, mut stream) = futures_util::StreamExt::split(client.socket);
    const COUNT: usize = 200_000;
    let send = async {
        for n in 0..COUNT {
            let frame = format!(r#"{{"type":"publish","data":{{"topic":"t","id":"{n:0100}"}}}}"#);
            sink.feed(Message::text(frame)).await.unwrap();
        }
        sink.flush().await.unwrap();
        sink
    };
    // Nothing is read until sending got stuck; then everything is, and not an ack is missing.
    let mut send = std::pin::pin!(send);
    let stuck = timeout(Duration::from_millis(700), &mut send).await;
    assert!(stuck.is_err(), "it was never made to wait");
    let receive = async {
        for n in 0..COUNT {
            let frame = futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap();
            assert!(frame.to_text().unwrap().contains(&format!("{n:0100}")));
        }
    };
    let (_sink, ()) = timeout(PATIENCE * 30, async { tokio::join!(send, receive) }).await.unwrap();
    eventually(|| support::connected(&gateway) == 1).await;
}

#[tokio::test]
async fn what_waits_for_a_connection_may_have_its_bytes_and_not_one_more() {
    let gateway = limited(Limits::default().outbound_bytes(10_000)).await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    client.settle().await;
    let (faults, target) = (gateway.faults(), Target::Connection(client.id.clone()));
    faults.stall(target.clone());
    // With its head of four bytes the first is as long as may wait.
    assert_eq!(faults.send_text(target.clone(), "x".repeat(9_996)), 1);
    assert_eq!(faults.send_text(target.clone(), ""), 0);
    faults.unstall();
    assert_eq!(client.closed().await, (1008, "slow consumer".into()));
    assert!(gateway.metrics().contains(r#"realtime_slow_consumers_total{app="local"} 1"#));
    assert!(gateway.metrics().contains(r#"realtime_closes_total{reason="slow_consumer"} 1"#));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped_even_if_it_keeps_sending() {
    let limits = Limits::default().outbound_bytes(64 << 20);
    let gateway = limited(limits.idle(Duration::from_millis(400)).close(Duration::from_millis(100))).await;
    let silent = Client::connect_here(&gateway, "silent").await;
    let noisy = Client::connect_here(&gateway, "noisy").await;
    let (mut sink, _stream) = futures_util::StreamExt::split(noisy.socket);
    // More than the system takes on its own.
    assert_eq!(gateway.faults().send_text(Target::All, "x".repeat(48 << 20)), 2);
    let noise = async {
        while sink.send(Message::Ping("still here".into())).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let (_, ()) = timeout(PATIENCE, async { tokio::join!(noise, eventually(|| gateway.connections().is_empty())) })
        .await
        .expect("it was kept");
    assert!(gateway.metrics().contains(r#"realtime_closes_total{reason="idle_timeout"} 2"#), "{}", gateway.metrics());
    drop(silent);
}

#[tokio::test]
async fn a_thousand_subscriptions_are_allowed_and_leave_nothing_behind() {
    let gateway = limited(Limits::default()).await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    for round in 0..3 {
        for n in 0..1000 {
            client.subscribe(&format!("{round} {n}")).await;
        }
        client.settle().await;
        assert!(gateway.metrics().contains(r#"realtime_topics{app="local"} 1001"#), "{}", gateway.metrics());
        for n in 0..1000 {
            client.unsubscribe(&format!("{round} {n}")).await;
        }
    }
    for n in 0..1001 {
        client.subscribe(&n.to_string()).await;
    }
    assert_eq!(client.closed().await, (1008, "too many subscriptions".into()));
    eventually(|| gateway.metrics().contains(r#"realtime_topics{app="local"} 0"#)).await;
    assert!(gateway.metrics().contains(r#"realtime_subscriptions{app="local"} 0"#));
}
