//! Prints the messages of a topic, until Ctrl-C.
//!
//! `cargo run -p realtime-pubsub-examples --bin subscribe [URL [TOPIC]]`; without a URL it starts a gateway of its own

use futures_util::StreamExt;
use realtime_pubsub::Client;

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let topic = std::env::args().nth(2).unwrap_or_else(|| "chat".into());
    let client = Client::builder().url_provider(place.url_provider("subscribe")).build()?;
    let mut messages = client.messages(&format!("{topic}.*"))?;
    client.connect().await?;
    client.subscribe_remote_topic(&topic).await?;
    eprintln!("subscribed to {topic}; publish with: publish '{}'", place.url("publish")?);
    loop {
        tokio::select! {
            Some(message) = messages.next() => println!("{} {}", message.message_type(), message.payload().as_str()),
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.disconnect().await;
    Ok(())
}
