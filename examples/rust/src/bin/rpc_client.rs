//! Asks what `rpc_server` answers.
//!
//! `cargo run -p realtime-pubsub-examples --bin rpc_client URL`

use std::time::Duration;

use realtime_pubsub::Client;
use serde_json::json;

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let client = Client::builder().url_provider(place.url_provider("rpc-client")).build()?;
    client.connect().await?;

    let waiter = client.send(json!({"name": "John Doe"})).message_type("create-user").await?;
    waiter.wait_for_ack().await?;
    let user = waiter.wait_for_reply().timeout(Duration::from_secs(2)).await?;
    println!("create-user: {} {}", user.status(), user.data().as_str());

    let nameless = client.send(json!({})).message_type("create-user").request().await?;
    println!("create-user: {} {}", nameless.status(), nameless.data().as_str());

    let sum = client.publish("math", [1, 2, 39]).message_type("add").request().timeout(Duration::from_secs(2)).await?;
    println!("math add: {} {}", sum.status(), sum.data().as_str());
    client.disconnect().await;
    Ok(())
}
