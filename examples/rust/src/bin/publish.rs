//! Publishes each line of standard input to a topic, and exits when all are acknowledged.
//!
//! `cargo run -p realtime-pubsub-examples --bin publish URL [TOPIC]`

use realtime_pubsub::Client;
use tokio::io::{AsyncBufReadExt, BufReader};

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let topic = std::env::args().nth(2).unwrap_or_else(|| "chat".into());
    // At least once: a publish that is not acknowledged is written again after a reconnect.
    let client = Client::builder().url_provider(place.url_provider("publish")).retry(true).build()?;
    client.connect().await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut published = Vec::new();
    while let Some(line) = lines.next_line().await? {
        published.push(client.publish(&topic, line).message_type("line").await?);
    }
    for waiter in &published {
        waiter.wait_for_ack().await?;
    }
    println!("{} lines acknowledged", published.len());
    client.disconnect().await;
    Ok(())
}
