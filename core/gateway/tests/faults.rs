//! Faults, turned on and off while clients are connected. They are one gateway's own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use realtime_pubsub_gateway::{AckFault, ConnectFault, Target};
use serde_json::json;
use support::{Client, Message, PATIENCE, ack, local, refused};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn acks_are_dropped_and_come_again() {
    let gateway = local().await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    gateway.faults().acks(AckFault::Drop);
    client.publish("main", json!(1), "1").await;
    assert_eq!(client.settle().await.len(), 1, "the message, not the ack");
    gateway.faults().acks(AckFault::None);
    client.publish("t", json!(1), "2").await;
    assert_eq!(client.settle().await, [ack("2")]);
}

#[tokio::test]
async fn acks_are_late_and_in_order() {
    let gateway = local().await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    let (begin, late) = (Instant::now(), Duration::from_millis(150));
    gateway.faults().acks(AckFault::Delay(late));
    client.publish("t", json!(1), "1").await;
    client.publish("t", json!(1), "2").await;
    assert!(client.settle().await.is_empty(), "a pong does not wait for late acks");
    assert_eq!([client.json().await, client.json().await], [ack("1"), ack("2")]);
    assert!(begin.elapsed() >= late);
}

#[tokio::test]
async fn a_stalled_gateway_neither_reads_nor_writes_until_it_goes_on() {
    let gateway = local().await;
    let mut stalled = Client::connect_here(&gateway, "stalled").await;
    let mut other = Client::connect_here(&gateway, "other").await;
    gateway.faults().stall(Target::Subject("stalled".into()));
    stalled.publish("main", json!(1), "1").await;
    assert!(other.settle().await.is_empty(), "it was read");
    other.publish("main", json!(2), "2").await;
    assert_eq!(other.settle().await.len(), 2);
    assert!(timeout(Duration::from_millis(100), stalled.next()).await.is_err(), "it was written");
    gateway.faults().unstall();
    assert_eq!(stalled.settle().await.len(), 3);
    gateway.faults().stall(Target::All);
    assert!(tokio_tungstenite::connect_async(gateway.url_with_token("new").unwrap()).await.is_ok());
    assert!(timeout(Duration::from_millis(100), other.settle()).await.is_err());
    gateway.faults().clear();
    other.settle().await;
}

#[tokio::test]
async fn pings_are_swallowed() {
    let gateway = local().await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    gateway.faults().swallow_pings(true);
    assert!(timeout(Duration::from_millis(100), client.settle()).await.is_err());
    gateway.faults().swallow_pings(false);
    client.settle().await;
}

#[tokio::test]
async fn writes_come_in_pieces_with_pauses() {
    let gateway = local().await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    gateway.faults().split_writes(7, Duration::from_millis(2));
    let begin = Instant::now();
    client.publish("main", json!("x".repeat(300)), "1").await;
    assert_eq!(client.settle().await.len(), 2);
    assert!(begin.elapsed() >= Duration::from_millis(80));
    gateway.faults().whole_writes();
    client.publish("main", json!(1), "2").await;
    assert_eq!(client.settle().await.len(), 2);
}

#[tokio::test]
async fn connections_are_closed_with_any_code_or_reset() {
    let gateway = local().await;
    for code in [1000, 1012, 4999] {
        let mut client = Client::connect_here(&gateway, "alice").await;
        assert_eq!(gateway.faults().close(Target::Connection(client.id.clone()), code, "why"), 1);
        assert_eq!(client.closed().await, (code, "why".into()));
    }
    let mut client = Client::connect_here(&gateway, "alice").await;
    gateway.faults().close(Target::All, 1006, "");
    assert_ne!(
        client.socket_closed().await,
        Some(1000),
        "sent, though it must not be; clients make of it what they will"
    );
    let mut client = Client::connect_here(&gateway, "alice").await;
    gateway.faults().close(Target::All, 1005, "");
    assert_eq!(client.closed().await.0, 1005);
    let mut client = Client::connect_here(&gateway, "alice").await;
    assert_eq!(gateway.faults().reset(Target::All), 1);
    assert_eq!(client.socket_closed().await, None);
    assert_eq!(gateway.faults().close(Target::Connection("nobody".into()), 1000, ""), 0);
}

#[tokio::test]
async fn handshakes_are_refused_with_any_status() {
    let gateway = local().await;
    let url = gateway.url_with_token("alice").unwrap();
    gateway.faults().on_connect(ConnectFault::Refuse(503));
    assert_eq!(refused(&url).await.0, 503);
    assert_eq!(refused(&url).await.0, 503);
    gateway.faults().on_next_connects(1, ConnectFault::Refuse(429));
    assert_eq!(refused(&url).await.0, 429);
    Client::open(&url).await;
}

#[tokio::test]
async fn connections_are_left_half_open_closed_or_reset() {
    let gateway = local().await;
    let url = gateway.url_with_token("alice").unwrap();
    gateway.faults().on_connect(ConnectFault::HalfOpen);
    let hanging = timeout(Duration::from_millis(100), tokio_tungstenite::connect_async(&url)).await;
    assert!(hanging.is_err());
    gateway.faults().on_connect(ConnectFault::CloseTcp);
    assert_eq!(TcpStream::connect(gateway.address()).await.unwrap().read(&mut [0; 8]).await.unwrap(), 0);
    gateway.faults().on_connect(ConnectFault::ResetTcp);
    assert!(tokio_tungstenite::connect_async(&url).await.is_err());
    gateway.faults().on_connect(None);
    Client::open(&url).await;
}

#[tokio::test]
async fn the_welcome_is_left_out_or_followed_by_the_end() {
    use futures_util::StreamExt;
    let gateway = local().await;
    let url = gateway.url_with_token("alice").unwrap();
    gateway.faults().on_next_connects(1, ConnectFault::NoWelcome);
    let (mut silent, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert!(timeout(Duration::from_millis(100), silent.next()).await.is_err());
    gateway.faults().on_next_connects(1, ConnectFault::CloseAfterWelcome(4242));
    assert_eq!(Client::open(&url).await.closed().await.0, 4242);
    gateway.faults().on_next_connects(1, ConnectFault::CloseBeforeWelcome(1008));
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_close());
    timeout(PATIENCE, gateway.stop()).await.unwrap();
}

#[tokio::test]
async fn any_frame_can_be_sent_to_a_client() {
    let gateway = local().await;
    let mut client = Client::connect_here(&gateway, "alice").await;
    let faults = gateway.faults();
    assert_eq!(faults.send_text(Target::All, "not JSON"), 1);
    assert_eq!(faults.send_binary(Target::Subject("alice".into()), [0xFF, 0]), 1);
    assert_eq!(faults.send_text(Target::Connection("nobody".into()), "x"), 0);
    assert_eq!(client.next().await, Message::text("not JSON"));
    assert_eq!(client.next().await, Message::binary(vec![0xFF, 0]));
    faults.send_bytes(Target::All, b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(client.socket_closed().await, None, "no client takes that for a frame");
}
