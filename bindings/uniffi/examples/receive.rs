//! What the Rust client itself does in the benchmarks of the Kotlin and Swift packages, on the same runtime: see
//! `bench.sh`.

use std::sync::mpsc;
use std::time::Instant;

use realtime_pubsub::{Client, Error, RawJson, block_on, runtime};
use realtime_pubsub_gateway::{Gateway, GatewayOptions};

const MESSAGES: usize = 200_000;
const CHUNK: usize = 1000;
const AT_ONCE: usize = 64;
const ACKS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gateway = Gateway::start_blocking(GatewayOptions::default())?;
    let client = |subject| -> Result<Client, Box<dyn std::error::Error>> {
        Ok(Client::builder().url(gateway.url_with_token(subject)?).runtime(runtime::handle()?).build()?)
    };
    let (receiver, sender) = (client("receiver")?, client("sender")?);
    block_on(async {
        receiver.connect().await?;
        sender.connect().await?;
        receiver.subscribe_remote_topic("load").await
    })??;
    let (done, all) = mpsc::channel();
    let mut received = 0;
    receiver.on("load.n", move |message| {
        std::hint::black_box(message.payload().as_str().len());
        received += 1;
        if received % MESSAGES == 0 {
            let _ = done.send(());
        }
    })?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let started = Instant::now();
        block_on(send(&sender))??;
        all.recv()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!("BENCH rust   receiving, to a listener, thousand a second: {:.0}", MESSAGES as f64 / best / 1000.0);
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let started = Instant::now();
        let tasks: Vec<_> =
            (0..AT_ONCE).map(|_| Ok(runtime::handle()?.spawn(acked(sender.clone())))).collect::<Result<_, Error>>()?;
        for task in tasks {
            block_on(task)???;
        }
        best = best.min(started.elapsed().as_secs_f64() / (AT_ONCE * ACKS) as f64);
    }
    println!("BENCH rust   publish and its ack: {:.0} ns {AT_ONCE} at once", best * 1e9);
    gateway.stop_blocking();
    Ok(())
}

async fn acked(sender: Client) -> Result<(), Error> {
    let payload = "x".repeat(128);
    for _ in 0..ACKS {
        sender.publish("nobody", &payload).await?.wait_for_ack().await?;
    }
    Ok(())
}

async fn send(sender: &Client) -> Result<(), Error> {
    let payload = format!("\"{}\"", "x".repeat(128));
    for _ in 0..MESSAGES / CHUNK {
        let mut waits = Vec::with_capacity(CHUNK);
        for _ in 0..CHUNK {
            waits.push(sender.publish_raw("load", RawJson::trusted(&payload)).message_type("n").await?);
        }
        for wait in waits {
            wait.wait_for_ack().await?;
        }
    }
    Ok(())
}
