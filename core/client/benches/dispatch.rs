//! What it costs to receive a message with few and with many listeners registered: through a real connection, because
//! that is where the matching is done. `few` and `many` should be within noise of each other.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::future::IntoFuture;
use std::sync::mpsc;

use divan::Bencher;
use realtime_pubsub::Client;
use realtime_pubsub_gateway::{Gateway, GatewayOptions};
use tokio::runtime::Runtime;

const MESSAGES: usize = 20_000;

fn main() {
    divan::main();
}

#[divan::bench(args = [(5, 5), (10_000, 1_000)], sample_count = 20)]
fn receive_with_exact_and_wildcard_listeners(bencher: Bencher<'_, '_>, (exact, wild): (usize, usize)) {
    let runtime = Runtime::new().unwrap();
    let gateway = runtime.block_on(Gateway::start(GatewayOptions::default())).unwrap();
    let _entered = runtime.enter();
    let client = Client::new(gateway.url_with_token("bench").unwrap()).unwrap();
    for number in 0..exact {
        client.on(&format!("topic{number}.type"), |_| {}).unwrap();
    }
    for number in 0..wild {
        let pattern = match number % 4 {
            0 => format!("wild{number}.*"),
            1 => format!("wild{number}.**"),
            2 => format!("*.wild{number}"),
            _ => format!("**.wild{number}.*"),
        };
        client.on(&pattern, |_| {}).unwrap();
    }
    let (heard, hear) = mpsc::channel();
    client.on("bench.last", move |_| heard.send(()).unwrap()).unwrap();
    client.on("bench.*", |_| {}).unwrap();
    runtime.block_on(client.connect()).unwrap();
    runtime.block_on(client.subscribe_remote_topic("bench")).unwrap();
    bencher.bench_local(|| {
        for _ in 1..MESSAGES {
            drop(runtime.block_on(client.publish("bench", 1).message_type("m").into_future()).unwrap());
        }
        drop(client.publish("bench", 1).message_type("last").enqueue().unwrap());
        hear.recv().unwrap();
    });
}
