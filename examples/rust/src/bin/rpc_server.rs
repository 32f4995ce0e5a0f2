//! Answers requests on `secure/inbound` (what clients send) and on the topic `math`, until Ctrl-C.
//!
//! `cargo run -p realtime-pubsub-examples --bin rpc_server [URL]`; without a URL it starts a gateway of its own

use realtime_pubsub::Client;
use serde_json::{Value, json};

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let client = Client::builder().url_provider(place.url_provider("rpc-server")).build()?;
    client.connect().await?;
    let _users = client
        .serve("secure/inbound", "create-user", |message| async move {
            let name = message.payload_as::<Value>().map_err(|error| error.to_string())?["name"].clone();
            if name.is_string() { Ok(json!({"id": 1, "name": name})) } else { Err("a user needs a name".to_owned()) }
        })
        .await?;
    let _sums = client
        .serve("math", "add", |message| async move {
            message.payload_as::<Vec<f64>>().map(|numbers| numbers.iter().sum::<f64>())
        })
        .await?;
    println!("serving; ask with: rpc_client '{}'", place.url("rpc-client")?);
    tokio::signal::ctrl_c().await?;
    client.disconnect().await;
    Ok(())
}
