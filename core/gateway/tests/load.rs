//! Many clients at once, on several threads: nothing is lost, doubled, stuck or left behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashMap;

use futures_util::{SinkExt, StreamExt};
use realtime_pubsub_gateway::{GatewayOptions, Limits, Target};
use serde_json::{Value, json};
use support::{Client, Message, PATIENCE, eventually, http, local, start};
use tokio::time::timeout;

const PUBLISHERS: usize = 8;
const SUBSCRIBERS: usize = 8;
const EACH: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_subscriber_gets_every_message_of_every_publisher_in_its_order() {
    let gateway = local().await;
    let mut readers = Vec::new();
    for n in 0..SUBSCRIBERS {
        let mut client = Client::connect(&gateway, format!("reader {n}").as_str()).await;
        client.subscribe("load").await;
        client.settle().await;
        readers.push(tokio::spawn(async move {
            let mut next: HashMap<String, u64> = HashMap::new();
            for _ in 0..PUBLISHERS * EACH {
                let message = client.json().await;
                let sender = message["data"]["client"]["connectionId"].as_str().unwrap().to_owned();
                let expected = next.entry(sender).or_default();
                assert_eq!(message["data"]["payload"]["n"], *expected);
                *expected += 1;
            }
            assert!(client.settle().await.is_empty());
        }));
    }
    let mut writers = Vec::new();
    for n in 0..PUBLISHERS {
        let client = Client::connect(&gateway, format!("writer {n}").as_str()).await;
        writers.push(tokio::spawn(async move {
            let (mut sink, mut stream) = client.socket.split();
            // Every other message is large enough to be shared rather than copied.
            let publish = async {
                for n in 0..EACH {
                    let filler = "x".repeat(if n % 2 == 0 { 0 } else { 600 });
                    let data = json!({"topic": "load", "payload": {"n": n, "filler": filler}, "id": n.to_string()});
                    sink.feed(Message::text(json!({"type": "publish", "data": data}).to_string())).await.unwrap();
                }
                sink.flush().await.unwrap();
            };
            let acks = async {
                for n in 0..EACH {
                    let frame = stream.next().await.unwrap().unwrap();
                    let ack: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
                    assert_eq!(ack, support::ack(&n.to_string()));
                }
            };
            tokio::join!(publish, acks);
        }));
    }
    for task in writers.into_iter().chain(readers) {
        timeout(PATIENCE * 6, task).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_come_and_go_leave_nothing_behind() {
    let limits = Limits::default().connections_per_subject(1000);
    let gateway = start(GatewayOptions::default().limits(limits)).await;
    let mut tasks = Vec::new();
    for worker in 0..16 {
        let url = gateway.url_with_token("same").unwrap();
        tasks.push(tokio::spawn(async move {
            for round in 0..20 {
                let mut client = Client::open(&url).await;
                client.subscribe("shared").await;
                client.subscribe("secure/inbound").await;
                client.subscribe(&format!("own {worker} {round}")).await;
                client.publish("shared", json!(round), "1").await;
                if round % 2 == 0 {
                    client.socket.close(None).await.unwrap();
                }
            }
        }));
    }
    for _ in 0..50 {
        gateway.faults().reset(Target::Subject("nobody".into()));
        gateway.connections();
        tokio::task::yield_now().await;
    }
    for task in tasks {
        timeout(PATIENCE * 3, task).await.unwrap().unwrap();
    }
    eventually(|| support::connected(&gateway) == 0).await;
    let (_, metrics) = http(&gateway, "GET", "/metrics", "", "").await;
    for line in [
        "realtime_connections{app=\"local\"} 0",
        "realtime_subscriptions{app=\"local\"} 0",
        "realtime_connections_opened_total{app=\"local\"} 320",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_under_load_ends_every_connection_in_time() {
    // On a busy machine, clients may well be slower than their number can publish.
    let limits = Limits::default().outbound_bytes(1 << 30).close(PATIENCE);
    let gateway = start(GatewayOptions::default().limits(limits).drain(PATIENCE)).await;
    let mut tasks = Vec::new();
    for n in 0..20 {
        let mut client = Client::connect_here(&gateway, format!("client {n}").as_str()).await;
        tasks.push(tokio::spawn(async move {
            client.subscribe("storm").await;
            let (mut sink, mut stream) = client.socket.split();
            let publish = async {
                let frame = json!({"type": "publish", "data": {"topic": "storm", "payload": n, "id": "1"}}).to_string();
                while sink.send(Message::text(frame.clone())).await.is_ok() {}
            };
            let read = async {
                let mut code = None;
                while let Some(Ok(frame)) = stream.next().await {
                    if let Message::Close(close) = frame {
                        code = close.map(|close| u16::from(close.code));
                    }
                }
                code
            };
            tokio::join!(publish, read).1
        }));
    }
    timeout(PATIENCE * 2, gateway.stop()).await.unwrap();
    for task in tasks {
        let code = timeout(PATIENCE, task).await.unwrap().unwrap();
        assert_eq!(code, Some(1001));
    }
    assert!(support::connected(&gateway) == 0);
}
