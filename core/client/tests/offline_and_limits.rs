//! Without a session, and at the bounds: offline queue, overflow, flush, forbidden topics.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::mpsc;
use std::time::Duration;

use futures_util::StreamExt;
use realtime_pubsub::{ControlEvent, ErrorKind, Event, Kick, Offline, Overflow, State};
use realtime_pubsub_gateway::{AckFault, AppOptions, ConnectFault, GatewayOptions, Target, TokenRequest};
use support::{World, connected, eager, events, listen};
use tokio::sync::oneshot;

fn queue(messages: usize, bytes: usize, ttl: Duration) -> Offline {
    Offline::Queue { messages, bytes, ttl }
}

#[tokio::test]
async fn the_offline_queue_is_bounded_in_messages_and_bytes() {
    let world = World::new().await;
    let client = world.builder("alice").offline(queue(2, 10_000, Duration::MAX)).build().unwrap();
    let _kept = (client.publish("x", 1).enqueue().unwrap(), client.publish("x", 2).enqueue().unwrap());
    assert_eq!(client.publish("x", 3).enqueue().unwrap_err().kind(), ErrorKind::QueueFull);
    let client = world.builder("alice").offline(queue(1000, 1000, Duration::MAX)).build().unwrap();
    let _kept = client.publish("x", "x".repeat(900)).enqueue().unwrap();
    assert_eq!(client.publish("x", "x".repeat(900)).enqueue().unwrap_err().kind(), ErrorKind::QueueFull);
}

#[tokio::test]
async fn what_waited_too_long_is_never_sent_and_its_wait_times_out() {
    let world = World::new().await;
    let receiver = world.client("receiver").await;
    receiver.subscribe_remote_topic("t").await.unwrap();
    let mut heard = listen(&receiver, "t.*", |message| message.payload_as::<i32>().unwrap());
    let client = world.builder("alice").offline(queue(10, 10_000, Duration::from_millis(5))).build().unwrap();
    let waiter = client.publish("t", 1).enqueue().unwrap();
    let error = waiter.wait_for_ack().timeout(Duration::MAX).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("was not sent"), "{error}");
    client.connect().await.unwrap();
    client.publish("t", 2).await.unwrap().wait_for_ack().await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), 2);
    assert_eq!(client.stats().lost, 1);
}

#[tokio::test]
async fn queued_messages_outlive_a_reconnect() {
    let world = World::new().await;
    let client = connected(world.builder("alice").offline(Offline::queue()).with(eager)).await;
    let mut closes = events(&client, ControlEvent::Close);
    world.gateway.faults().on_connect(ConnectFault::Refuse(503));
    world.gateway.faults().reset(Target::All);
    closes.recv().await.unwrap();
    let waiters: Vec<_> = (0..100).map(|number| client.publish("x", number).enqueue().unwrap()).collect();
    world.gateway.faults().clear();
    for waiter in waiters {
        waiter.wait_for_ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_outbox_refuses_at_once_or_waits_for_room() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| {
        options.outbox_messages = 8;
        options.kick = Kick::Manual { published: None, asked: None };
    }))
    .await;
    let waiters: Vec<_> = (0..8).map(|number| client.publish("x", number).enqueue().unwrap()).collect();
    assert_eq!(client.publish("x", 9).enqueue().unwrap_err().kind(), ErrorKind::QueueFull);
    let patient = client.publish("x", 9).await.unwrap();
    for waiter in waiters.iter().chain([&patient]) {
        client.kick();
        waiter.wait_for_ack().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_message_is_written_by_the_thread_that_publishes_it() {
    let world = World::new().await;
    let receiver = world.client("receiver").await;
    receiver.subscribe_remote_topic("t").await.unwrap();
    let mut heard = listen(&receiver, "t.*", |message| message.payload_as::<i32>().unwrap());

    let builder = world.builder("alice").with(|options| options.kick = Kick::Manual { published: None, asked: None });
    let (made, client) = oneshot::channel();
    let (go_on, stuck) = mpsc::channel::<()>();
    // The client's own runtime, which does nothing from then on.
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        made.send(runtime.block_on(connected(builder))).unwrap();
        stuck.recv().unwrap();
    });
    let client = client.await.unwrap();
    for number in 0..10 {
        let _waiter = client.publish("t", number).enqueue().unwrap();
        client.kick();
        let arrived = tokio::time::timeout(Duration::from_secs(10), heard.recv());
        assert_eq!(arrived.await.unwrap(), Some(number));
    }
    go_on.send(()).unwrap();
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lone_messages_of_many_threads_all_arrive() {
    let world = World::new().await;
    let client =
        connected(world.builder("alice").with(|options| options.kick = Kick::Manual { published: None, asked: None }))
            .await;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::task::spawn_blocking(move || {
                for number in 0..500 {
                    let waiter = client.publish("x", number).enqueue().unwrap();
                    client.kick();
                    realtime_pubsub::block_on(waiter.wait_for_ack()).unwrap().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.await.unwrap();
    }
    assert_eq!(client.stats().acks, 2000);
}

#[tokio::test]
async fn a_long_burst_begins_to_be_written_before_it_is_kicked() {
    let world = World::new().await;
    let client = connected(
        world.builder("alice").with(|options| options.kick = Kick::Manual { published: Some(3), asked: Some(2) }),
    )
    .await;
    for round in 0..4 {
        // A new burst, behind all that wakes the connection.
        client.kick();
        client.flush().await.unwrap();
        let asks = round % 2 == 1;
        let waiters: Vec<_> =
            (0..if asks { 2 } else { 3 }).map(|number| client.publish("x", number).enqueue().unwrap()).collect();
        let tickets: Vec<_> = waiters.iter().filter(|_| asks).map(|waiter| waiter.notify_reply(0, None)).collect();
        for waiter in &waiters {
            waiter.wait_for_ack().await.unwrap();
        }
        drop(tickets);
    }
}

/// What arrives where the inbox holds four messages and the listener hangs with the first until 20 more have come; and
/// how many drops were reported and counted.
async fn overflowing(overflow: Overflow) -> (Vec<i32>, u64, u64) {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| {
        options.overflow = overflow;
        options.inbox_messages = 4;
    }))
    .await;
    client.subscribe_remote_topic("t").await.unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let (hangs, mut hanging) = tokio::sync::mpsc::unbounded_channel();
    let mut heard = listen(&client, "t.*", move |message| {
        let number = message.payload_as::<i32>().unwrap();
        if number == 0 {
            hangs.send(()).unwrap();
            wait.recv().unwrap();
        }
        number
    });
    let mut lagged = events(&client, ControlEvent::Lagged);
    let publisher = world.client("bob").await;
    drop(publisher.publish("t", 0).await.unwrap());
    hanging.recv().await.unwrap();
    for number in 1..=20 {
        publisher.publish("t", number).await.unwrap().wait_for_ack().await.unwrap();
    }
    let mut expected = 21;
    if overflow != Overflow::Block {
        client.flush().await.unwrap();
        expected = 5;
    }
    go_on.send(()).unwrap();
    let mut arrived = Vec::new();
    for _ in 0..expected {
        arrived.push(heard.recv().await.unwrap());
    }
    drop(publisher.publish("t", 99).await.unwrap());
    assert_eq!(heard.recv().await.unwrap(), 99, "nothing else was left");
    let mut reported = 0;
    while let Ok(Event::Lagged(lag)) = lagged.try_recv() {
        reported += lag.dropped;
    }
    (arrived, reported, client.stats().dropped)
}

#[tokio::test]
async fn a_blocking_inbox_loses_nothing() {
    assert_eq!(overflowing(Overflow::Block).await, ((0..=20).collect(), 0, 0));
}

#[tokio::test]
async fn a_full_inbox_drops_the_oldest_and_says_how_many() {
    assert_eq!(overflowing(Overflow::DropOldest).await, (vec![0, 17, 18, 19, 20], 16, 16));
}

#[tokio::test]
async fn a_full_inbox_drops_the_newest_and_says_how_many() {
    assert_eq!(overflowing(Overflow::DropNewest).await, (vec![0, 1, 2, 3, 4], 16, 16));
}

#[tokio::test]
async fn a_slow_stream_pushes_back_and_loses_nothing() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| options.inbox_messages = 4)).await;
    client.subscribe_remote_topic("t").await.unwrap();
    let mut messages = client.messages("t.*").unwrap();
    let publisher = world.client("bob").await;
    for number in 0..2000 {
        drop(publisher.publish("t", number).await.unwrap());
    }
    publisher.flush().await.unwrap();
    for number in 0..2000 {
        assert_eq!(messages.next().await.unwrap().payload_as::<i32>().unwrap(), number);
    }
    drop(client);
    assert!(messages.next().await.is_none(), "it ends with its client");
}

#[tokio::test]
async fn flush_returns_when_all_before_has_arrived() {
    let world = World::new().await;
    let client = world.client("alice").await;
    world.gateway.faults().acks(AckFault::Delay(Duration::from_secs(60)));
    let receiver = world.client("bob").await;
    receiver.subscribe_remote_topic("t").await.unwrap();
    let mut heard = listen(&receiver, "t.*", |message| message.payload_as::<i32>().unwrap());
    for number in 0..500 {
        drop(client.publish("t", number).enqueue().unwrap());
    }
    client.flush().await.unwrap();
    receiver.flush().await.unwrap();
    for number in 0..500 {
        assert_eq!(heard.recv().await.unwrap(), number);
    }
    client.disconnect().await;
    assert_eq!(client.flush().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn an_app_without_acks_times_out_with_the_reason() {
    let world = World::with(GatewayOptions::default().app(AppOptions::new("quiet").acks(false))).await;
    let client = world.client("alice").await;
    let waiter = client.publish("x", 1).await.unwrap();
    let error = waiter.wait_for_ack().timeout(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("acks switched off"), "{error}");
}

#[tokio::test]
async fn a_forbidden_topic_is_found_among_others_which_live_on() {
    let world = World::new().await;
    let token = TokenRequest::new("alice").permissions(["realtime:publisher:write:topic:*"]);
    let url = world.gateway.url_with_token(token).unwrap();
    let client = connected(realtime_pubsub::Client::builder().url(url).with(eager)).await;
    let mut errors = events(&client, ControlEvent::Error);
    client.subscribe_remote_topic("before").await.unwrap();
    // All four are written before any is confirmed.
    let (a, forbidden, b, c) = tokio::join!(
        client.subscribe_remote_topic("a"),
        client.subscribe_remote_topic("secure/x"),
        client.subscribe_remote_topic("b"),
        client.subscribe_remote_topic("c"),
    );
    for outcome in [a, b, c] {
        outcome.unwrap();
    }
    let error = forbidden.unwrap_err();
    assert_eq!((error.kind(), error.topic()), (ErrorKind::Forbidden, Some("secure/x")));
    let Some(Event::Error(error)) = errors.recv().await else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(client.subscriptions(), ["before", "a", "b", "c"]);
    client.connect().await.unwrap();
    let mut heard = listen(&client, "*.broadcast", |message| message.topic().to_owned());
    for topic in ["before", "a", "b", "c"] {
        drop(client.publish(topic, 1).await.unwrap());
        assert_eq!(heard.recv().await.unwrap(), topic);
    }
}

#[tokio::test]
async fn a_gateway_that_swallows_pings_confirms_late_and_with_a_warning() {
    let world = World::new().await;
    world.gateway.faults().swallow_pings(true);
    let client =
        connected(world.builder("alice").with(|options| options.barrier_timeout = Duration::from_millis(20))).await;
    client.subscribe_remote_topic("t").await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test]
async fn subscribing_without_a_session_fails_or_is_remembered() {
    let world = World::new().await;
    let client = world.client_without_session("alice");
    let error = client.subscribe_remote_topic("t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert_eq!(client.subscribe_remote_topic("").await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(client.subscriptions().is_empty());
    client.start().unwrap();
    client.wait_for("session.started").await.unwrap();
    client.subscribe_remote_topic("t").await.unwrap();
}

#[tokio::test]
async fn bad_input_from_the_caller_is_named_and_nothing_is_sent() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let unserializable = std::collections::HashMap::from([((1, 2), 3)]);
    for (publish, says) in [
        (client.publish("", 1), "topic is empty"),
        (client.publish("x", 1).id(""), "id is empty"),
        (client.publish("x", &unserializable), "JSON"),
        (client.send(&unserializable), "JSON"),
    ] {
        let error = publish.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(says), "{error}");
    }
    assert_eq!(client.stats().messages_sent, 0);
}

#[tokio::test]
async fn topics_given_up_and_taken_up_while_reconnecting_end_as_last_wished() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(eager)).await;
    for topic in ["dropped", "kept"] {
        client.subscribe_remote_topic(topic).await.unwrap();
    }
    let mut closes = events(&client, ControlEvent::Close);
    world.gateway.faults().on_connect(ConnectFault::Refuse(503));
    world.gateway.faults().reset(Target::All);
    closes.recv().await.unwrap();
    for topic in ["dropped", "kept"] {
        client.unsubscribe_remote_topic(topic).await.unwrap();
    }
    let again = client.subscribe_remote_topic("kept");
    world.gateway.faults().clear();
    again.await.unwrap();
    client.connect().await.unwrap();
    let mut heard = listen(&client, "*.broadcast", |message| message.topic().to_owned());
    for topic in ["dropped", "kept"] {
        client.publish(topic, 1).await.unwrap().wait_for_ack().await.unwrap();
    }
    assert_eq!(heard.recv().await.unwrap(), "kept");
}

#[test]
fn a_runtime_shut_down_under_the_client_ends_its_waits() {
    let gateway = realtime_pubsub_gateway::Gateway::start_blocking(GatewayOptions::default()).unwrap();
    gateway.faults().acks(AckFault::Drop);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = realtime_pubsub::Client::builder().url(gateway.url_with_token("alice").unwrap());
    let client = builder.runtime(runtime.handle().clone()).build().unwrap();
    realtime_pubsub::block_on(client.connect()).unwrap().unwrap();
    let waiter = client.publish("x", 1).enqueue().unwrap();
    let event = client.wait_for("never.**");
    drop(runtime);
    assert_eq!(waiter.wait_for_ack().timeout(Duration::MAX).block().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(event.timeout(Duration::MAX).block().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.wait_for("never.**").block().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.publish("x", 1).enqueue().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(realtime_pubsub::block_on(client.connect()).unwrap().unwrap_err().kind(), ErrorKind::Closed);
}
