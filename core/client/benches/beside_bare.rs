//! The client beside bare tokio-tungstenite doing the same, in turns, in one run.
//!
//! Each client runs on one core, and what it talks to on another: the embedded gateway, or a bare server that does
//! nothing but acknowledge, which shows the client alone. Figures are medians of the rounds; what counts is the ratio.
//!
//! `cargo bench -p realtime-pubsub --bench beside_bare [-- ROUNDS [MESSAGES [CASE]]]`, where `CASE` is a part of its name.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod bare;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use realtime_pubsub::{Client, WaitFor};
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits};
use tokio::runtime::Runtime;

const PAYLOAD: usize = 128;

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let rounds = arguments.first().copied().unwrap_or(7);
    let messages = arguments.get(1).copied().unwrap_or(200_000);

    let (gateway_url, server_url) = start_peers();
    core_affinity::set_for_current(core_affinity::CoreId { id: 0 });
    let payload = "x".repeat(PAYLOAD);

    println!("| case | peer | client | bare | ratio |\n|---|---|---:|---:|---:|");
    for (peer, url) in [("gateway", &gateway_url), ("bare server", &server_url)] {
        let latency = |took: Duration| took.as_secs_f64() * 1e6;
        compare(
            "ack latency p50, us",
            peer,
            rounds,
            latency,
            || ours_latency(url, &payload, messages / 20),
            || bare::latency(url, &payload, messages / 20),
        );
        for depth in [64, 1024] {
            let rate = |took: Duration| messages as f64 / took.as_secs_f64();
            compare(
                &format!("publish+ack, {depth} outstanding, /s"),
                peer,
                rounds,
                rate,
                || ours_acks(url, &payload, messages, depth),
                || bare::acks(url, &payload, messages, depth),
            );
        }
    }
    let rate = |took: Duration| messages as f64 / took.as_secs_f64();
    for (case, read) in [
        ("receive with a listener, /s; bare reads topic, type and payload", bare::read_parts as fn(&str) -> usize),
        ("receive with a listener, /s; bare takes frames unread", str::len),
    ] {
        compare(
            case,
            "bare server",
            rounds,
            rate,
            || ours_receive(&server_url, messages),
            || bare::receive(&server_url, messages, read),
        );
    }
}

/// Starts what the clients talk to, on the second core.
fn start_peers() -> (String, String) {
    let (told, urls) = std::sync::mpsc::channel();
    let run = move || {
        core_affinity::set_for_current(core_affinity::CoreId { id: 1 });
        runtime().block_on(async {
            let gateway = Gateway::start(GatewayOptions::default().limits(Limits::default())).await.unwrap();
            let url = gateway.url_with_token("bench").unwrap();
            told.send((url, bare::serve(PAYLOAD).await)).unwrap();
            std::future::pending::<()>().await;
        });
    };
    std::thread::Builder::new().name("peers".into()).spawn(run).unwrap();
    urls.recv().unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs both in turns and prints medians.
fn compare(
    case: &str,
    peer: &str,
    rounds: usize,
    figure: impl Fn(Duration) -> f64,
    ours: impl Fn() -> Duration,
    bare: impl Fn() -> Duration,
) {
    if std::env::args().nth(3).is_some_and(|wanted| !case.contains(&wanted) && wanted != "--bench") {
        return;
    }
    let (mut of_ours, mut of_bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (mine, theirs) = (figure(ours()), figure(bare()));
        // The first round warms up.
        if round > 0 {
            of_ours.push(mine);
            of_bare.push(theirs);
            ratios.push(mine / theirs);
        }
    }
    println!(
        "| {case} | {peer} | {:.1} | {:.1} | {:.2} |",
        median(&mut of_ours),
        median(&mut of_bare),
        median(&mut ratios)
    );
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn connected(url: &str) -> Client {
    let client = Client::new(url).unwrap();
    client.connect().await.unwrap();
    client
}

fn ours_latency(url: &str, payload: &str, messages: usize) -> Duration {
    runtime().block_on(async {
        let client = connected(url).await;
        let mut took = Vec::with_capacity(messages);
        for _ in 0..messages {
            let start = Instant::now();
            let waiter = client.publish("bench", payload).message_type("m").enqueue().unwrap();
            waiter.wait_for_ack().await.unwrap();
            took.push(start.elapsed());
        }
        client.disconnect().await;
        took.sort_unstable();
        took[messages / 2]
    })
}

fn ours_acks(url: &str, payload: &str, messages: usize, depth: usize) -> Duration {
    runtime().block_on(async {
        let client = connected(url).await;
        let mut window: VecDeque<WaitFor> = VecDeque::with_capacity(depth);
        let start = Instant::now();
        for _ in 0..messages {
            if window.len() == depth {
                window.pop_front().unwrap().wait_for_ack().await.unwrap();
            }
            window.push_back(client.publish("bench", payload).message_type("m").enqueue().unwrap());
        }
        for waiter in window {
            waiter.wait_for_ack().await.unwrap();
        }
        let took = start.elapsed();
        client.disconnect().await;
        took
    })
}

fn ours_receive(url: &str, messages: usize) -> Duration {
    runtime().block_on(async {
        let client = connected(url).await;
        let (done, finished) = tokio::sync::oneshot::channel();
        let (mut left, mut done) = (messages, Some(done));
        client
            .on("bench.*", move |message| {
                assert_eq!(message.payload().as_str().len(), PAYLOAD + 2);
                left -= 1;
                if left == 0 {
                    let _ = done.take().unwrap().send(Instant::now());
                }
            })
            .unwrap();
        let start = Instant::now();
        drop(client.publish("flood", messages).await.unwrap());
        let took = finished.await.unwrap() - start;
        client.disconnect().await;
        took
    })
}
