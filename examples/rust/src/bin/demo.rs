//! The main job on one machine: a gateway in this process, and clients that talk through it over real WebSockets.
//!
//! `make demo`. Exits with 0 only if everything that is printed has happened.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use realtime_pubsub::{Client, ControlEvent, Event};
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Target};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[tokio::main]
async fn main() -> ExitCode {
    let started = Instant::now();
    match demo().await {
        Ok(()) => {
            println!("\nAll of this happened, in {:.0?}.", started.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::start(GatewayOptions::default()).await?;
    step("gateway", &format!("listening at {}", gateway.url()));

    let watcher = Client::new(gateway.url_with_token("watcher")?)?;
    let (told, mut presence) = unbounded_channel();
    watcher.on("secure/inbound.presence", move |message| {
        if let Some(presence) = message.data_as_presence() {
            let _ = told.send(presence);
        }
    })?;
    watcher.connect().await?;
    watcher.subscribe_remote_topic("secure/inbound").await?;

    let answerer = Client::new(gateway.url_with_token("answerer")?)?;
    answerer.on("chat.text-message", |message| {
        if let Err(error) = message.reply(json!({"heard": message.payload_as::<String>().ok()})).enqueue() {
            eprintln!("no reply: {error}");
        }
    })?;
    let (all_of_chat, mut wildcard) = unbounded_channel();
    answerer.on("chat.*", move |message| drop(all_of_chat.send(message)))?;
    let (lost, mut losses) = unbounded_channel();
    answerer.on_event(ControlEvent::Close, move |event| drop(lost.send(event)))?;
    let info = answerer.connect().await?;
    answerer.subscribe_remote_topic("chat").await?;
    step("answerer", &format!("connected as {} and listens to chat", info.id));
    let came = soon(&mut presence).await?;
    step("watcher", &format!("presence: {} {}", came.subject, came.status));

    let asker = Client::new(gateway.url_with_token("asker")?)?;
    asker.connect().await?;
    let sent = Instant::now();
    let waiter = asker.publish("chat", "Hello, World!").message_type("text-message").await?;
    waiter.wait_for_ack().await?;
    step("asker", &format!("published \"Hello, World!\"; acknowledged after {:.0?}", sent.elapsed()));
    let reply = waiter.wait_for_reply().await?;
    step("asker", &format!("reply, status {}: {}", reply.status(), reply.data().as_str()));
    let message = soon(&mut wildcard).await?;
    step("answerer", &format!("chat.* matched {}.{}", message.topic(), message.message_type()));

    gateway.kick(Target::Subject("answerer".into()), 1012, "the gateway restarts");
    let Event::Close(close) = soon(&mut losses).await? else { return Err("another event than close".into()) };
    step("answerer", &format!("connection closed: {} {}", close.code, close.reason));
    let again = answerer.connect().await?;
    step("answerer", &format!("reconnected as {}, subscribed again by itself", again.id));
    let reply = asker.publish("chat", "Still there?").message_type("text-message").request().await?;
    step("asker", &format!("reply, status {}: {}", reply.status(), reply.data().as_str()));
    if again.id == info.id || soon(&mut wildcard).await?.payload_as::<String>()? != "Still there?" {
        return Err("the message after the reconnect did not arrive".into());
    }

    for client in [&asker, &answerer, &watcher] {
        client.disconnect().await;
    }
    gateway.stop().await;
    step("gateway", "stopped");
    Ok(())
}

/// What a listener has heard, or will soon.
async fn soon<T>(heard: &mut UnboundedReceiver<T>) -> Result<T, Box<dyn Error>> {
    let next = tokio::time::timeout(Duration::from_secs(5), heard.recv()).await;
    next.ok().flatten().ok_or_else(|| "a listener was not called".into())
}

fn step(who: &str, what: &str) {
    println!("{who:>9}  {what}");
}
