//! Publishing, listening, waiting: two clients and a gateway on loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use realtime_pubsub::{ErrorKind, Event};
use serde_json::json;
use support::{World, listen};

#[tokio::test]
async fn a_message_is_published_acknowledged_received_and_replied_to() {
    let world = World::new().await;
    let (answerer, asker) = (world.client("bob").await, world.client("alice").await);
    answerer.subscribe_remote_topic("chat").await.unwrap();
    let mut heard = listen(&answerer, "chat.text-message", |message| {
        drop(message.reply("Got it!").enqueue().unwrap());
        (message.payload_as::<String>().unwrap(), message.sender().unwrap().subject.into_owned(), message.compression())
    });
    let waiter = asker.publish("chat", "Hello, World!").message_type("text-message").await.unwrap();
    waiter.wait_for_ack().await.unwrap();
    let reply = waiter.wait_for_reply().await.unwrap();
    assert_eq!((reply.id(), reply.status(), reply.data().as_str()), (waiter.id(), "ok", r#""Got it!""#));
    assert_eq!(heard.recv().await.unwrap(), ("Hello, World!".to_owned(), "alice".to_owned(), false));
}

/// Fault 1: an ack or reply that comes before the user waits is lost.
#[tokio::test]
async fn fault_01_answers_that_come_before_the_wait_are_kept() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("echo").await.unwrap();
    client.on("echo.*", |message| drop(message.reply(json!({"n": 1})).enqueue())).unwrap();
    let waiter = client.publish("echo", 1).await.unwrap();
    // The second message's reply comes after the first one's on the same connection.
    client.publish("echo", 2).request().await.unwrap();
    assert_eq!(waiter.acknowledged(), Some(Ok(())));
    waiter.wait_for_ack().timeout(Duration::ZERO).await.unwrap();
    waiter.wait_for_reply().timeout(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn session_started_is_there_at_once_in_a_running_session() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let Event::SessionStarted(info) = client.wait_for("session.started").timeout(Duration::ZERO).await.unwrap() else {
        panic!()
    };
    assert_eq!(info, client.connection().unwrap());
    assert_eq!(client.connect().await.unwrap(), info);
}

#[tokio::test]
async fn a_stream_gives_messages_in_order() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("numbers").await.unwrap();
    let mut numbers = client.messages("numbers.**").unwrap();
    for number in 0..1000 {
        drop(client.publish("numbers", number).compress(number % 2 == 0).await.unwrap());
    }
    for number in 0..1000 {
        let message = numbers.next().await.unwrap();
        assert_eq!((message.payload_as::<i32>().unwrap(), message.compression()), (number, number % 2 == 0));
    }
}

#[tokio::test]
async fn waits_time_out_and_say_why() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let waiter = client.publish("nobody", ()).await.unwrap();
    let error = waiter.wait_for_reply().timeout(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains(waiter.id()), "{error}");
    drop(waiter);
    assert_eq!((client.stats().receipts, client.stats().waits), (0, 0));
}
