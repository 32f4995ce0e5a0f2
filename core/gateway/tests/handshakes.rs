//! What strangers can do before they have shown a token: little, and never without a bound.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits};
use support::{Client, PATIENCE, eventually, http, local, raw_http, refused, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A number of `/metrics`, 0 if it is not there.
fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |number| number.parse().unwrap())
}

/// The head of a WebSocket handshake with more headers.
fn handshake(gateway: &Gateway, more: &str) -> String {
    let token = gateway.token("alice").unwrap();
    format!(
        "GET /apps/local?access_token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

async fn until_end(tcp: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("still open");
    answer
}

#[tokio::test]
async fn one_handshake_too_many_costs_the_oldest_and_keeps_no_client_out() {
    // They may take their time: only the limit ends them.
    let limits = Limits::default().handshakes(4).handshake(Duration::from_secs(3600));
    let gateway = start(GatewayOptions::default().limits(limits)).await;
    let mut dawdling = Vec::new();
    for n in 0..4 {
        let mut tcp = TcpStream::connect(gateway.address()).await.unwrap();
        tcp.write_all(b"GET /apps/local HTTP/1.1\r\nHost:").await.unwrap();
        dawdling.push(tcp);
        eventually(|| metric(&gateway, "realtime_handshakes") == n + 1).await;
    }
    assert_eq!(metric(&gateway, "realtime_handshakes_dropped_total"), 0, "as many as allowed");
    let mut client = Client::connect_here(&gateway, "alice").await;
    assert_eq!(until_end(&mut dawdling[0]).await, b"");
    assert_eq!(metric(&gateway, "realtime_handshakes_dropped_total"), 1);
    // The client is none of them any more, so there is room for one.
    eventually(|| metric(&gateway, "realtime_handshakes") == 3).await;
    for tcp in &mut dawdling[1..] {
        tcp.write_all(b" x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(until_end(tcp).await.starts_with(b"HTTP/1.1 426 "), "the others were left alone");
    }
    client.settle().await;
}

#[tokio::test]
async fn slow_handshakes_by_the_hundred_keep_no_client_out() {
    let limits = Limits::default().handshakes(50).handshake(Duration::from_secs(3600));
    let gateway = start(GatewayOptions::default().limits(limits)).await;
    let mut dawdling = Vec::new();
    for n in 0..300 {
        let mut tcp = TcpStream::connect(gateway.address()).await.unwrap();
        let _ = tcp.write_all(b"GET /apps/local HTTP/1.1\r\nX-Slow: a").await;
        dawdling.push(tcp);
        if n % 60 == 59 {
            Client::connect_here(&gateway, "alice").await.settle().await;
        }
    }
    eventually(|| metric(&gateway, "realtime_handshakes") <= 50).await;
    assert!(metric(&gateway, "realtime_handshakes_dropped_total") >= 250);
}

#[tokio::test]
async fn the_gateway_has_so_many_connections_and_answers_503_for_more() {
    let gateway = start(GatewayOptions::default().limits(Limits::default().connections(2))).await;
    let first = Client::connect_here(&gateway, "alice").await;
    let _second = Client::connect_here(&gateway, "bob").await;
    let url = gateway.url_with_token("carol").unwrap();
    assert_eq!(refused(&url).await, (503, "gateway_full".into()));
    assert_eq!(metric(&gateway, r#"realtime_connections_refused_total{reason="gateway_full"}"#), 1);
    drop(first);
    let again = async { while tokio_tungstenite::connect_async(&url).await.is_err() {} };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_refused_subject_takes_no_place_of_the_gateways() {
    let limits = Limits::default().connections(2).connections_per_subject(1);
    let gateway = start(GatewayOptions::default().limits(limits)).await;
    let _first = Client::connect(&gateway, "alice").await;
    let url = gateway.url_with_token("alice").unwrap();
    for _ in 0..5 {
        assert_eq!(refused(&url).await.0, 429);
    }
    Client::connect(&gateway, "bob").await;
}

#[tokio::test]
async fn a_head_beyond_its_room_is_answered_with_431_and_a_long_target_with_414() {
    let gateway = local().await;
    let head = |size: usize| {
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n", "x".repeat(size))
    };
    assert_eq!(raw_http(&gateway, &head(31 * 1024)).await.0, 200);
    assert_eq!(raw_http(&gateway, &head(64 * 1024)).await.0, 431);
    let many = |count: usize| {
        let headers: String = (0..count).map(|n| format!("X-{n}: y\r\n")).collect();
        format!("GET /healthz HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
    };
    assert_eq!(raw_http(&gateway, &many(99)).await.0, 200);
    assert_eq!(raw_http(&gateway, &many(100)).await.0, 431);
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    assert!(matches!(raw_http(&gateway, &target).await.0, 414 | 431));
    assert_eq!(http(&gateway, "GET", "/healthz", "", "").await.0, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_kept() {
    let gateway = local().await;
    let mut tcp = TcpStream::connect(gateway.address()).await.unwrap();
    tcp.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let endless = async { while tcp.write_all(b"X-Header: and so on, and so on, and so on\r\n").await.is_ok() {} };
    timeout(PATIENCE, endless).await.expect("it reads for ever");
}

#[tokio::test]
async fn a_body_is_not_read_before_its_token_is_good() {
    let gateway = local().await;
    let client_token = gateway.token("alice").unwrap();
    for token in ["nonsense", &client_token] {
        // No byte of the body is sent: the answer does not wait for it.
        let request = format!(
            "POST /api/topics/local/publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 1000000000000\r\n\r\n"
        );
        assert_eq!(raw_http(&gateway, &request).await.0, 401);
    }
}

#[tokio::test]
async fn a_body_may_be_as_long_as_a_message_however_it_comes() {
    let gateway = start(GatewayOptions::default().limits(Limits::default().message_bytes(100))).await;
    let token = gateway.admin_token("root").unwrap();
    let body = |size: usize| format!(r#"{{"topic":"t","message":"{}"}}"#, "x".repeat(size - 26));
    let path = "/api/topics/local/publish";
    assert_eq!(body(100).len(), 100);
    assert_eq!(http(&gateway, "POST", path, &token, &body(100)).await.0, 200);
    assert_eq!(http(&gateway, "POST", path, &token, &body(101)).await.0, 413);
    let chunked = |body: &str| {
        let chunks: String = body
            .as_bytes()
            .chunks(10)
            .map(|c| format!("{:x}\r\n{}\r\n", c.len(), std::str::from_utf8(c).unwrap()))
            .collect();
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        )
    };
    assert_eq!(raw_http(&gateway, &chunked(&body(100))).await.0, 200);
    assert_eq!(raw_http(&gateway, &chunked(&body(101))).await.0, 413);
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let gateway = local().await;
    let token = gateway.admin_token("root").unwrap();
    let head = format!(
        "POST /api/topics/local/publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
    );
    for framing in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        assert_eq!(raw_http(&gateway, &format!("{head}{framing}\r\n0\r\n\r\n")).await.0, 400, "{framing}");
    }
}

/// No extension is ever negotiated, so there is no compression to build a bomb with.
#[tokio::test]
async fn an_offer_of_compression_is_declined_and_a_compressed_frame_closes() {
    let gateway = local().await;
    let mut tcp = TcpStream::connect(gateway.address()).await.unwrap();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    tcp.write_all(handshake(&gateway, offer).as_bytes()).await.unwrap();
    // A frame with RSV1 set, as if the offer had been accepted.
    tcp.write_all(&[0xC1, 0x81, 0, 0, 0, 0, 0]).await.unwrap();
    tcp.shutdown().await.unwrap();
    let answer = until_end(&mut tcp).await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && !head.contains("extensions"), "{head}");
    let close = [&1002_u16.to_be_bytes()[..], b"reserved bits are set"].concat();
    assert!(answer.ends_with(&close), "{:?}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn what_comes_with_the_handshake_is_read_and_bounded_like_the_rest() {
    let gateway = start(GatewayOptions::default().limits(Limits::default().message_bytes(1000))).await;
    let mut tcp = TcpStream::connect(gateway.address()).await.unwrap();
    let mut bytes = handshake(&gateway, "").into_bytes();
    bytes.extend_from_slice(&[0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
    tcp.write_all(&bytes).await.unwrap();
    tcp.shutdown().await.unwrap();
    let answer = String::from_utf8_lossy(&until_end(&mut tcp).await).into_owned();
    assert!(answer.contains("message too big: 9223372036854775807 bytes, the limit is 1000"), "{answer}");
}
