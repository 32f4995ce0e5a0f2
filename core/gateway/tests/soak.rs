//! Memory stays flat under mixed load with clients that reconnect and clients that are killed.
//! `GATEWAY_SOAK_SECONDS` says for how long; by default a few seconds.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use realtime_pubsub_gateway::{GatewayOptions, Limits, Target};
use serde_json::json;
use support::{Client, eventually, http, start};

/// What memory may grow by after the first half: what an allocator keeps for later, not what leaks.
const SLACK: u64 = 12 << 20;

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn memory_stays_flat_under_load_with_reconnects_and_kills() {
    let seconds = std::env::var("GATEWAY_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4.0);
    let (begin, length) = (Instant::now(), Duration::from_secs_f64(seconds));
    let gateway = Arc::new(start(GatewayOptions::default().limits(Limits::default().outbound_bytes(1 << 20))).await);
    let rounds = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for worker in 0..12_u64 {
        let (gateway, rounds) = (gateway.clone(), rounds.clone());
        workers.push(tokio::spawn(async move {
            while begin.elapsed() < length {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                let subject = format!("subject {}", round % 5);
                // What the gateway's handle does, it does to its own.
                let mut client = match round % 4 {
                    1 | 2 => Client::connect_here(&gateway, &*subject).await,
                    _ => Client::connect(&gateway, &*subject).await,
                };
                for topic in ["shared", "secure/inbound", &format!("own/{worker}/{round}")] {
                    client.subscribe(topic).await;
                }
                for n in 0..40 {
                    let payload = "x".repeat((round * 37 + n * 101) as usize % 3000);
                    let frame = json!({"type": "publish", "data": {
                        "topic": if n % 2 == 0 { "shared" } else { "main" }, "payload": payload, "id": n,
                    }});
                    client.send(frame).await;
                }
                match round % 4 {
                    0 => drop(client),
                    1 => {
                        gateway.faults().reset(Target::Connection(client.id.clone()));
                        client.socket_closed().await;
                    }
                    2 => {
                        gateway.kick(Target::Connection(client.id.clone()), 4000, "kicked");
                        client.socket_closed().await;
                    }
                    _ => drop(client.socket.close(None).await),
                }
            }
        }));
    }
    let mut halfway = 0;
    while begin.elapsed() < length {
        tokio::time::sleep(length / 20).await;
        if halfway == 0 && begin.elapsed() > length / 2 {
            halfway = memory();
        }
    }
    for worker in workers {
        worker.await.unwrap();
    }
    eventually(|| support::connected(&gateway) == 0).await;
    let after = memory();
    let (_, metrics) = http(&gateway, "GET", "/metrics", "", "").await;
    assert!(metrics.contains("realtime_subscriptions{app=\"local\"} 0\n"), "{metrics}");
    let rounds = rounds.load(Ordering::Relaxed);
    println!("{rounds} connections, {} MiB halfway, {} MiB after", halfway >> 20, after >> 20);
    assert!(after < halfway + SLACK, "memory grew from {halfway} to {after} bytes");
}
