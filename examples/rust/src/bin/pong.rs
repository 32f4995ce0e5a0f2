//! Answers each ping. See `ping`.
//!
//! `cargo run -p realtime-pubsub-examples --bin pong [URL]`; without a URL it starts a gateway of its own

use realtime_pubsub::Client;

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let client = Client::builder().url_provider(place.url_provider("pong")).build()?;
    client.on("ping.ping", |message| {
        if let Err(error) = message.reply_raw(message.payload()).enqueue() {
            eprintln!("no pong: {error}");
        }
    })?;
    client.connect().await?;
    client.subscribe_remote_topic("ping").await?;
    println!("answering; ask with: ping '{}'", place.url("ping")?);
    tokio::signal::ctrl_c().await?;
    client.disconnect().await;
    Ok(())
}
