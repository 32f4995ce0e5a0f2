//! Measures round trips to `pong`.
//!
//! `cargo run --release -p realtime-pubsub-examples --bin ping URL [COUNT]`

use std::time::Instant;

use realtime_pubsub::Client;

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let count: usize = std::env::args().nth(2).map_or(Ok(1000), |count| count.parse())?;
    let client = Client::builder().url_provider(place.url_provider("ping")).build()?;
    client.connect().await?;
    let mut took = Vec::with_capacity(count);
    for number in 0..count {
        let start = Instant::now();
        let reply = client.publish("ping", number).message_type("ping").request().await?;
        took.push(start.elapsed());
        assert_eq!(reply.data_as::<usize>()?, number);
    }
    took.sort_unstable();
    if let (Some(p50), Some(p99)) = (took.get(count / 2), took.get(count * 99 / 100)) {
        println!("{count} round trips: p50 {p50:.0?}, p99 {p99:.0?}");
    }
    client.disconnect().await;
    Ok(())
}
