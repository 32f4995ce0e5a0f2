//! Clients that send anything at all: they may lose their own connection, and nothing else happens.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits};
use support::{Client, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;

/// A frame with any head and a payload that is right for it, or nothing of the kind.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let topic =
        prop_oneof![Just("main".to_owned()), Just("priv/acks".into()), Just("secure/x".into()), any::<String>()];
    let json = (prop_oneof!["publish", "message", "subscribe", "unsubscribe", "[a-z]{0,9}"], topic, any::<i64>())
        .prop_map(|(kind, topic, n)| {
            serde_json::json!({"type": kind, "data": {"topic": topic, "id": n, "payload": [n], "compress": n % 2 == 0}})
                .to_string()
                .into_bytes()
        });
    let payload = prop_oneof![4 => json, 1 => prop::collection::vec(any::<u8>(), 0..300), 1 => Just(Vec::new())];
    let first = prop_oneof![6 => Just(0x81), 1 => Just(0x82), 1 => Just(0x89), 1 => Just(0x01), 1 => Just(0x80), 1 => any::<u8>()];
    let framed = (first, any::<[u8; 4]>(), payload).prop_map(|(first, mask, payload)| {
        let mut frame = vec![first, 0x80 | 126];
        frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    });
    prop_oneof![12 => framed, 1 => prop::collection::vec(any::<u8>(), 0..50)]
}

async fn attack(gateway: &Gateway, frames: &[Vec<u8>], rest: &mut Client) {
    let mut client = Client::connect(gateway, "mallory").await;
    let MaybeTlsStream::Plain(tcp) = client.socket.get_mut() else { unreachable!() };
    // The gateway may close before everything is written.
    let _ = tcp.write_all(&frames.concat()).await;
    let _ = tcp.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("the connection was left open");
    rest.settle().await;
}

#[test]
fn whatever_a_client_sends_the_gateway_and_its_other_clients_live() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options =
        GatewayOptions::default().limits(Limits::default().subscriptions_per_connection(5).message_bytes(250));
    let gateway = runtime.block_on(support::start(options));
    let rest = RefCell::new(runtime.block_on(Client::connect(&gateway, "rest")));
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let attacks = prop::collection::vec(any_frame(), 0..12);
    let outcome = runner.run(&attacks, |frames| {
        runtime.block_on(attack(&gateway, &frames, &mut rest.borrow_mut()));
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(support::eventually(|| support::connected(&gateway) == 1));
}

#[test]
fn whatever_asks_over_http_gets_an_answer_or_an_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gateway = runtime.block_on(support::local());
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let word = prop_oneof!["GET", "POST", "DELETE", "[A-Z]{0,5}"];
    let path = prop_oneof!["/apps/local", "/api/topics/local/publish", "/api/connections/[a-z]{0,5}/x", "[ -~]{0,30}"];
    let requests = (word, path, prop::collection::vec("[A-Za-z-]{0,12}: ?[ -~]{0,20}", 0..5), any::<Vec<u8>>());
    let outcome = runner.run(&requests, |(method, path, headers, body)| {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n").into_bytes();
        headers.iter().for_each(|header| request.extend_from_slice(format!("{header}\r\n").as_bytes()));
        request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(&body);
        runtime.block_on(async {
            let mut tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
            let _ = tcp.write_all(&request).await;
            let _ = tcp.shutdown().await;
            let mut answer = Vec::new();
            let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("no end");
        });
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(async { Client::connect(&gateway, "alice").await.settle().await });
}

#[tokio::test]
async fn a_topic_is_its_name_whatever_characters_it_has() {
    let gateway = support::local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    let names = [
        "",
        " ",
        "\0",
        "*",
        "**",
        "a*",
        ".",
        "..",
        "../../etc/passwd",
        "__proto__",
        "a\nb",
        "\r\n\r\n",
        "\"",
        "\\",
        "priv/",
        "priv/*",
        "priv/acks/",
        "PRIV/acks",
        "secure",
        "Secure/x",
        "main ",
        "\u{202e}drow",
        "\u{1f600}",
        "\u{e9}",
        "e\u{301}",
        "<script>",
    ];
    for name in names {
        client.subscribe(name).await;
    }
    client.settle().await;
    for name in names {
        client.send(serde_json::json!({"type": "publish", "data": {"topic": name, "payload": name}})).await;
        let seen = client.settle().await;
        // Once, under that name: no other of these is taken for it.
        assert_eq!(seen.len(), 1, "{name:?}: {seen:?}");
        assert_eq!((&seen[0]["topic"], &seen[0]["data"]["payload"]), (&name.into(), &name.into()));
    }
}

#[tokio::test]
async fn acks_can_t_be_forged_however_their_topic_is_spelled() {
    let gateway = support::local().await;
    let mut alice = Client::connect(&gateway, "alice").await;
    let mut mallory = Client::connect(&gateway, "mallory").await;
    let data = r#"{"topic":"priv\u002facks","messageType":"ack","payload":1,"id":"1"}"#;
    for data in [data, &data.replace("\\u002f", "\\/"), &data.replace("\\u002f", "/")] {
        mallory.raw(format!(r#"{{"type":"publish","data":{data}}}"#)).await;
        assert!(mallory.settle().await.is_empty(), "neither delivered nor acknowledged: {data}");
    }
    assert!(alice.settle().await.is_empty());
}

#[tokio::test]
async fn json_of_any_depth_is_no_danger() {
    let gateway = support::local().await;
    let mut rest = Client::connect(&gateway, "rest").await;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(150_000), close.repeat(150_000));
    for payload in [deep("[", "]"), deep(r#"{"a":"#, "}"), "[".repeat(900_000), r#"{"a":"#.repeat(150_000)] {
        for frame in [
            format!(r#"{{"type":"publish","data":{{"topic":"main","payload":{payload}}}}}"#),
            format!(r#"{{"type":"publish","extra":{payload},"data":{{"topic":"t"}}}}"#),
            payload,
        ] {
            let mut client = Client::connect(&gateway, "mallory").await;
            client.raw(frame).await;
            client.socket.close(None).await.unwrap();
            client.socket_closed().await;
            rest.settle().await;
        }
    }
}
