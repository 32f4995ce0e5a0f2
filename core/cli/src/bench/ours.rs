//! The Rust client, used as its documentation shows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use realtime_pubsub::{Client, WaitFor};
use tokio::sync::oneshot;

use super::{Latency, Outcome};

async fn connect(url: &str) -> Outcome<Client> {
    let client = Client::new(url)?;
    client.connect().await?;
    Ok(client)
}

pub(crate) async fn latency(url: &str, payload: &str, messages: usize) -> Outcome<Latency> {
    let client = connect(url).await?;
    let mut took = Vec::with_capacity(messages);
    for _ in 0..messages {
        let start = Instant::now();
        client.publish("bench", payload).message_type("m").enqueue()?.wait_for_ack().await?;
        took.push(start.elapsed());
    }
    client.disconnect().await;
    Ok(Latency::of(took))
}

/// Publishes with so many acks outstanding at most.
pub(crate) async fn acks(url: &str, payload: &str, messages: usize, depth: usize) -> Outcome<Duration> {
    let client = connect(url).await?;
    let mut window: VecDeque<WaitFor> = VecDeque::with_capacity(depth);
    let start = Instant::now();
    for _ in 0..messages {
        if window.len() == depth
            && let Some(oldest) = window.pop_front()
        {
            oldest.wait_for_ack().await?;
        }
        window.push_back(client.publish("bench", payload).message_type("m").enqueue()?);
    }
    for waiter in window {
        waiter.wait_for_ack().await?;
    }
    let took = start.elapsed();
    client.disconnect().await;
    Ok(took)
}

/// Publishes without waiting for acks, until the gateway has it all.
pub(crate) async fn forget(url: &str, payload: &str, messages: usize) -> Outcome<Duration> {
    let client = connect(url).await?;
    let start = Instant::now();
    for _ in 0..messages {
        drop(client.publish("bench", payload).message_type("m").await?);
    }
    client.flush().await?;
    let took = start.elapsed();
    client.disconnect().await;
    Ok(took)
}

/// One asks, the other answers.
pub(crate) async fn replies(url: &str, payload: &str, messages: usize) -> Outcome<Latency> {
    let (asker, answerer) = (connect(url).await?, connect(url).await?);
    answerer.on("bench.m", |message| {
        // An answer that can't be sent is missed by the asker, who says so.
        let _ = message.reply_raw(message.payload()).enqueue();
    })?;
    answerer.subscribe_remote_topic("bench").await?;
    let mut took = Vec::with_capacity(messages);
    for _ in 0..messages {
        let start = Instant::now();
        let reply = asker.publish("bench", payload).message_type("m").request().await?;
        took.push(start.elapsed());
        if reply.data().as_str().len() != payload.len() + 2 {
            return Err("another reply was expected".into());
        }
    }
    asker.disconnect().await;
    answerer.disconnect().await;
    Ok(Latency::of(took))
}

/// Receives a flood with a listener that looks at each payload.
pub(crate) async fn receive(url: &str, messages: usize, size: usize) -> Outcome<Duration> {
    let client = connect(url).await?;
    let (done, finished) = oneshot::channel();
    let (mut left, mut wrong, mut done) = (messages, 0_usize, Some(done));
    client.on("bench.*", move |message| {
        wrong += usize::from(message.payload().as_str().len() != size + 2);
        left -= 1;
        if left == 0
            && let Some(done) = done.take()
        {
            let _ = done.send((Instant::now(), wrong));
        }
    })?;
    let start = Instant::now();
    drop(client.publish("flood", format!("{messages} {size}")).await?);
    let (end, wrong) = finished.await?;
    if wrong > 0 {
        return Err("other messages were expected".into());
    }
    client.disconnect().await;
    Ok(end - start)
}
