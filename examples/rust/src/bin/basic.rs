//! The seed's first program: connect, subscribe, publish, wait for the ack and for a reply.
//!
//! `cargo run -p realtime-pubsub-examples --bin basic [URL]`; without a URL it starts a gateway of its own.

use std::time::Duration;

use realtime_pubsub::{Client, ControlEvent};

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let client = Client::builder().url_provider(place.url_provider("basic")).build()?;

    client.on("chat.text-message", |message| {
        println!("received {} on {}", message.payload().as_str(), message.topic());
        if let Err(error) = message.reply("Got it!").status("ok").enqueue() {
            eprintln!("failed to reply: {error}");
        }
    })?;
    client.on_event(ControlEvent::Error, |event| eprintln!("error: {event:?}"))?;
    client.on_event(ControlEvent::Close, |event| println!("closed: {event:?}"))?;

    let info = client.connect().await?;
    println!("connected as {} from {}", info.id, info.remote_address);
    client.subscribe_remote_topic("chat").await?;

    let waiter = client.publish("chat", "Hello, World!").message_type("text-message").await?;
    waiter.wait_for_ack().timeout(Duration::from_millis(500)).await?;
    println!("acknowledged");
    let reply = waiter.wait_for_reply().timeout(Duration::from_millis(500)).await?;
    println!("reply {}: {}", reply.status(), reply.data().as_str());

    client.disconnect().await;
    Ok(())
}
