//! Faults of the published clients, part three: listeners and waits. Each test is named after its row.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use realtime_pubsub::{Client, ControlEvent, ErrorKind, Event};
use realtime_pubsub_gateway::Target;
use support::{World, connected, events, listen};

#[tokio::test]
async fn fault_08_publishing_from_a_listener_while_the_connection_drops_is_an_error_and_no_more() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let (told, mut outcome) = tokio::sync::mpsc::unbounded_channel();
    let publisher = client.clone();
    client.on_event(ControlEvent::Close, move |_| drop(told.send(publisher.publish("x", 1).enqueue()))).unwrap();
    world.gateway.faults().reset(Target::All);
    if let Err(error) = outcome.recv().await.unwrap() {
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    }
    client.connect().await.unwrap();
}

#[tokio::test]
async fn fault_13_a_listener_may_wait_and_may_be_slow() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| {
        options.ping_after = Duration::from_millis(50);
        options.pong_timeout = Duration::from_millis(50);
    }))
    .await;
    let answerer = world.client("bob").await;
    for client in [&client, &answerer] {
        client.subscribe_remote_topic("work").await.unwrap();
    }
    answerer.on("work.ask", |message| drop(message.reply("answer").enqueue())).unwrap();
    let asker = client.clone();
    let mut answers = listen(&client, "work.start", move |_| {
        let waiter = asker.publish("work", 1).message_type("ask").enqueue().unwrap();
        waiter.wait_for_ack().block().unwrap();
        waiter.wait_for_reply().block().unwrap().data_as::<String>().unwrap()
    });
    let (go_on, wait) = mpsc::channel::<()>();
    let mut slow = listen(&client, "work.slow", move |_| wait.recv().is_ok());
    drop(client.publish("work", 1).message_type("start").await.unwrap());
    assert_eq!(answers.recv().await.unwrap(), "answer");

    // While this listener hangs, acks and pings come and go.
    drop(client.publish("work", 1).message_type("slow").await.unwrap());
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_millis(300) {
        client.publish("elsewhere", 1).await.unwrap().wait_for_ack().await.unwrap();
    }
    go_on.send(()).unwrap();
    assert!(slow.recv().await.unwrap());
    assert_eq!(client.stats().sessions, 1);
}

#[tokio::test]
async fn fault_17_once_is_once() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("t").await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, publisher) = (Arc::clone(&calls), client.clone());
    client
        .once("t.*", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            // Again, from within.
            publisher.publish("t", 1).enqueue().unwrap().wait_for_ack().block().unwrap();
        })
        .unwrap();
    let mut all = listen(&client, "t.*", |_| ());
    for _ in 0..100 {
        drop(client.publish("t", 1).enqueue().unwrap());
    }
    for _ in 0..101 {
        all.recv().await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn fault_18_listeners_run_in_the_order_of_registration_and_arrival() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("t").await.unwrap();
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    for (listener, pattern) in ["t.*", "t.x", "**", "*.x", "t.x"].into_iter().enumerate() {
        let sender = sender.clone();
        client
            .on(pattern, move |message| {
                let number = message.payload_as::<usize>().unwrap();
                sender.send((number, listener)).unwrap();
                assert!(listener != 1, "this one panics each time");
            })
            .unwrap();
    }
    let mut errors = events(&client, ControlEvent::Error);
    for number in 0..50 {
        drop(client.publish("t", number).message_type("x").await.unwrap());
    }
    for number in 0..50 {
        for listener in 0..5 {
            assert_eq!(calls.recv().await.unwrap(), (number, listener));
        }
    }
    let Some(Event::Error(error)) = errors.recv().await else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("this one panics each time"), "{error}");
}

#[tokio::test]
async fn fault_19_a_panicking_listener_is_reported_and_kills_nothing() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("t").await.unwrap();
    client.on("t.*", |_| panic!("boom")).unwrap();
    client.on_event(ControlEvent::Error, |_| panic!("boom in the error listener")).unwrap();
    let mut heard = listen(&client, "t.*", |_| ());
    for _ in 0..3 {
        drop(client.publish("t", 1).await.unwrap());
        heard.recv().await.unwrap();
    }
    // And an error that nobody listens to is no more than a line in the log.
    let other = world.client("bob").await;
    world.gateway.faults().send_text(Target::Subject("bob".into()), "garbage");
    other.flush().await.unwrap();
}

#[tokio::test]
async fn fault_30_session_started_is_there_for_those_who_come_late() {
    let world = World::new().await;
    let client = world.client("alice").await;
    for _ in 0..2 {
        assert!(matches!(client.wait_for("session.started").await.unwrap(), Event::SessionStarted(_)));
    }
    client.disconnect().await;
    let waiting = client.wait_for("session.started").timeout(Duration::from_millis(1)).await;
    assert_eq!(waiting.unwrap_err().kind(), ErrorKind::Timeout, "it is gone with the session");
}

#[tokio::test]
async fn fault_36_waits_that_ended_leave_nothing_behind() {
    let world = World::new().await;
    let client = world.client("alice").await;
    for round in 0..1000 {
        let waiter = client.publish("nobody", 1).await.unwrap();
        let reply = waiter.wait_for_reply().timeout(Duration::from_micros(round % 10));
        if round % 2 == 0 {
            assert_eq!(reply.await.unwrap_err().kind(), ErrorKind::Timeout);
        } else {
            tokio::select! { biased; _ = reply => {}, () = std::future::ready(()) => {} }
        }
        let event = client.wait_for("never.**").timeout(Duration::from_micros(round % 10));
        if round % 3 == 0 {
            assert_eq!(event.await.unwrap_err().kind(), ErrorKind::Timeout);
        }
    }
    let stats = client.stats();
    assert_eq!((stats.receipts, stats.waits), (0, 0));
}

#[tokio::test]
async fn a_listener_taken_off_is_not_called_and_its_closure_is_dropped() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("t").await.unwrap();
    let held = Arc::new(());
    let (kept, calls) = (Arc::clone(&held), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    let id = client
        .on("t.*", move |_| {
            let _ = &kept;
            count.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    let mut all = listen(&client, "t.*", |_| ());
    drop(client.publish("t", 1).await.unwrap());
    all.recv().await.unwrap();
    assert!(client.off_and_wait(id) && !client.off(id));
    assert_eq!(Arc::strong_count(&held), 1);
    drop(client.publish("t", 1).await.unwrap());
    all.recv().await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn control_events_and_bad_patterns_are_refused_where_messages_are_meant() {
    let client = Client::new("ws://127.0.0.1:1/apps/x").unwrap();
    for pattern in ["", "a.b*", "error", "session.started", "close"] {
        assert_eq!(client.on(pattern, |_| {}).unwrap_err().kind(), ErrorKind::InvalidArgument, "{pattern}");
        assert_eq!(client.messages(pattern).unwrap_err().kind(), ErrorKind::InvalidArgument, "{pattern}");
    }
    let error = client.wait_for("a.**b").await.unwrap_err();
    assert!(error.message().contains("stand alone"), "{error}");
}

#[test]
fn a_client_dropped_in_its_own_listener_ends_cleanly() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let client = realtime_pubsub::blocking::Client::new(world.url("alice")).unwrap();
    client.connect().unwrap();
    client.subscribe_remote_topic("t").unwrap();
    let (sender, receiver) = mpsc::channel();
    let mut own = Some(client.clone());
    client
        .on("t.*", move |_| {
            drop(own.take());
            sender.send(()).unwrap();
        })
        .unwrap();
    let waiter = client.publish("t", 1).enqueue().unwrap();
    drop(client);
    receiver.recv().unwrap();
    // The last handle went in the listener: the wait ends when the connection is closed.
    let outcome = waiter.wait_for_reply().block();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Closed);
}
