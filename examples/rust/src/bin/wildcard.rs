//! Listening with wildcards: `*` is one segment of the event's name, `**` any number.
//!
//! `cargo run -p realtime-pubsub-examples --bin wildcard [URL]`; without a URL it starts a gateway of its own.

use realtime_pubsub::Client;

#[path = "../place.rs"]
mod place;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = place::Place::from_arguments().await?;
    let client = Client::builder().url_provider(place.url_provider("wildcard")).build()?;
    for pattern in ["chat.*", "*.join", "chat.room.**", "**"] {
        client.on(pattern, move |message| {
            println!("{pattern:<14}{}.{}", message.topic(), message.message_type());
        })?;
    }
    client.connect().await?;
    for topic in ["chat", "chat.room"] {
        client.subscribe_remote_topic(topic).await?;
    }
    for (topic, message_type) in [("chat", "text-message"), ("chat", "join"), ("chat.room", "leave")] {
        println!("\npublishing {topic}.{message_type}");
        let event = format!("{topic}.{message_type}");
        let arrived = client.wait_for(&event);
        client.publish(topic, ()).message_type(message_type).await?.wait_for_ack().await?;
        arrived.await?;
    }
    client.disconnect().await;
    Ok(())
}
