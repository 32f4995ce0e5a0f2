//! Faults of the published clients, part one: what comes over the wire. Each test is named after its row.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use realtime_pubsub::{ControlEvent, ErrorKind, Event};
use realtime_pubsub_gateway::Target;
use serde_json::json;
use support::{World, connected, eager, events, listen};

fn frame(topic: &str, message_type: &str, data: serde_json::Value) -> String {
    json!({"topic": topic, "messageType": message_type, "data": data}).to_string()
}

#[tokio::test]
async fn fault_02_a_peer_can_forge_neither_control_events_nor_acks() {
    let world = World::new().await;
    let (victim, peer) = (world.client("victim").await, world.client("peer").await);
    for topic in ["session", "ack", "main"] {
        victim.subscribe_remote_topic(topic).await.unwrap();
    }
    let mut control = events(&victim, ControlEvent::SessionStarted);
    let mut wild = listen(&victim, "session.*", |message| message.payload_as::<i32>().unwrap());
    world.gateway.faults().acks(realtime_pubsub_gateway::AckFault::Drop);
    let waiter = victim.publish("x", 1).id("mine").await.unwrap();
    drop(peer.publish("ack", json!({"data": "mine"})).message_type("mine").await.unwrap());
    drop(peer.publish("main", json!({"connection": {"id": "forged"}})).message_type("welcome").await.unwrap());
    drop(peer.publish("session", 7).message_type("started").await.unwrap());
    assert_eq!(wild.recv().await.unwrap(), 7, "it is a message for those who listen to messages");
    assert_eq!(waiter.acknowledged(), None);
    assert_ne!(victim.connection().unwrap().id, "forged");
    victim.disconnect().await;
    assert!(control.try_recv().is_err(), "and no control event");
}

#[tokio::test]
async fn fault_03_answers_are_routed_by_topic_and_type_whatever_dots_they_have() {
    let world = World::new().await;
    let client = world.client("user.name@x.com").await;
    client.subscribe_remote_topic("a.b").await.unwrap();
    client.on("a.b.c.d", |message| drop(message.reply(message.topic()).enqueue())).unwrap();
    let reply = client.publish("a.b", ()).message_type("c.d").request().await.unwrap();
    assert_eq!(reply.data_as::<String>().unwrap(), "a.b");
    // A reply to somebody else's message, on this client's own topic, settles nothing.
    let waiter = client.publish("nobody", ()).id("mine").await.unwrap();
    let own = format!("priv/{}", client.connection().unwrap().id);
    let other = json!({"client": {"connectionId": "c"}, "payload": {"id": "other", "status": "ok"}, "id": "1"});
    let mut late = listen(&client, &format!("{own}.response"), |message| message.id().unwrap().into_owned());
    world.gateway.faults().send_text(Target::All, frame(&own, "response", other));
    assert_eq!(late.recv().await.unwrap(), "1", "an answer nobody waits for is a message");
    let forged = json!({"client": {"connectionId": "c"}, "payload": {"id": "mine", "status": "ok"}, "id": "2"});
    world.gateway.faults().send_text(Target::All, frame("elsewhere", "response", forged));
    client.flush().await.unwrap();
    let error = waiter.wait_for_reply().timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn fault_06_and_34_large_messages_arrive_up_to_the_limit() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("big").await.unwrap();
    let mut sizes = listen(&client, "big.*", |message| message.payload_as::<String>().unwrap().len());
    let envelope = r#"{"type":"publish","data":{"payload":"","topic":"big","id":"1"}}"#.len();
    for size in [7 * 1024, 64 * 1024, (1 << 20) - envelope] {
        let waiter = client.publish("big", "x".repeat(size)).id("1").await.unwrap();
        waiter.wait_for_ack().await.unwrap();
        assert_eq!(sizes.recv().await.unwrap(), size);
    }
    let error = client.publish("big", "x".repeat((1 << 20) - envelope + 1)).id("1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge);
    assert_eq!(client.stats().sessions, 1, "nothing was sent and nothing broke");
}

#[tokio::test]
async fn fault_06_a_message_beyond_the_limit_is_one_error_and_one_reconnect() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| {
        options.max_message_size = 1000;
        eager(options);
    }))
    .await;
    let (mut errors, mut closes) = (events(&client, ControlEvent::Error), events(&client, ControlEvent::Close));
    let mut started = events(&client, ControlEvent::SessionStarted);
    world.gateway.faults().send_text(Target::All, "x".repeat(1000 + 64 * 1024 + 1));
    let Some(Event::Error(error)) = errors.recv().await else { panic!() };
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge);
    assert!(error.message().contains("66537 bytes"), "{error}");
    let Some(Event::Close(close)) = closes.recv().await else { panic!() };
    assert_eq!((close.code, close.will_reconnect), (1009, true));
    started.recv().await.unwrap();
    assert_eq!(client.stats().sessions, 2);
}

#[tokio::test]
async fn fault_21_large_integers_keep_every_digit() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("numbers").await.unwrap();
    let mut heard = listen(&client, "numbers.*", |message| message.payload().as_str().to_owned());
    let huge = "[9007199254740993,-170141183460469231731687303715884105728,1.10,1e400]";
    let raw = realtime_pubsub::RawJson::new(huge).unwrap();
    drop(client.publish_raw("numbers", raw).await.unwrap());
    assert_eq!(heard.recv().await.unwrap(), huge);
}

#[tokio::test]
async fn fault_22_text_and_binary_frames_are_one_ordered_stream_with_the_flag_right() {
    let world = World::new().await;
    let client = world.client("alice").await;
    client.subscribe_remote_topic("mixed").await.unwrap();
    let mut heard = listen(&client, "mixed.*", |message| (message.payload_as::<i32>().unwrap(), message.compression()));
    for number in 0..300 {
        drop(client.publish("mixed", number).compress(number % 3 == 0).await.unwrap());
    }
    for number in 0..300 {
        assert_eq!(heard.recv().await.unwrap(), (number, number % 3 == 0));
    }
}

#[tokio::test]
async fn fault_26_ids_are_data_and_not_patterns_and_the_callers_own() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let star = client.publish("x", 1).id("*").await.unwrap();
    world.gateway.faults().send_text(Target::All, frame("priv/acks", "ack", json!({"data": "other"})));
    star.wait_for_ack().await.unwrap();
    let (first, second) = (client.publish("x", 1).await.unwrap(), client.publish("x", 1).await.unwrap());
    assert_ne!(first.id(), second.id());
    assert_eq!(first.id().len(), 32);
    world.gateway.faults().acks(realtime_pubsub_gateway::AckFault::Drop);
    let held = client.publish("x", 1).id("taken").await.unwrap();
    assert_eq!(client.publish("x", 1).id("taken").await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    drop(held);
    drop(client.publish("x", 1).id("taken").await.unwrap());
}

#[tokio::test]
async fn fault_27_and_33_odd_shapes_break_nothing() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let mut errors = events(&client, ControlEvent::Error);
    let mut all = client.messages("**").unwrap();
    let faults = world.gateway.faults();
    let unreadable: [&[u8]; 7] = [
        b"",
        b"not json",
        b"[1,2]",
        br#"{"topic":5}"#,
        br#"{"topic":"t","data":[1,}"#,
        br#"{"topic":"priv/acks","messageType":"ack"}"#,
        br#"{"topic":"priv/acks","messageType":"ack","data":null}"#,
    ];
    for text in unreadable {
        faults.send_text(Target::All, text);
        let Some(Event::Error(error)) = errors.recv().await else { panic!() };
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{error}");
    }
    faults.send_binary(Target::All, b"\xff\xfe");
    let Some(Event::Error(error)) = errors.recv().await else { panic!() };
    assert!(error.message().contains("UTF-8"), "{error}");

    for data in [json!(null), json!("text"), json!(7), json!([1]), json!({}), json!({"payload": null, "id": 7})] {
        faults.send_text(Target::All, frame("odd", "x", data.clone()));
        let message = all.next().await.unwrap();
        let expected = data.get("payload").unwrap_or(&data).to_string();
        assert_eq!(message.payload().as_str(), expected);
        assert_eq!(message.reply(1).enqueue().unwrap_err().kind(), ErrorKind::NotReplyable, "{data}");
    }
    for client_field in
        [json!(null), json!(3), json!({"permissions": 5}), json!({"permissions": ["a", 1], "subject": 9})]
    {
        let presence = json!({"client": client_field, "payload": {"status": 1, "code": "x"}, "id": 1});
        faults.send_text(Target::All, frame("secure/inbound", "presence", presence));
        let message = all.next().await.unwrap();
        let presence = message.data_as_presence().unwrap();
        assert_eq!((presence.code, presence.status.as_str()), (None, "1"));
    }
    assert_eq!(client.stats().sessions, 1);
}

#[tokio::test]
async fn fault_33_permissions_reach_the_listener() {
    let world = World::new().await;
    let watcher = world.client("watcher").await;
    watcher.subscribe_remote_topic("secure/inbound").await.unwrap();
    let mut seen = listen(&watcher, "secure/inbound.presence", |message| message.data_as_presence().unwrap());
    let visitor = world.client("visitor").await;
    let came = seen.recv().await.unwrap();
    assert_eq!((came.status.as_str(), came.code, came.subject.as_str()), ("connected", Some(0), "visitor"));
    assert_eq!(came.connection_id, visitor.connection().unwrap().id);
    assert!(came.permissions.contains(&"realtime:publisher:write:topic:*".to_owned()), "{came:?}");
    visitor.disconnect().await;
    let went = seen.recv().await.unwrap();
    assert_eq!((went.status.as_str(), went.code), ("disconnected", Some(-1)));
}

#[tokio::test]
async fn frames_in_pieces_are_put_together() {
    let world = World::new().await;
    world.gateway.faults().split_writes(3, Duration::ZERO);
    let client = world.client("alice").await;
    client.subscribe_remote_topic("echo").await.unwrap();
    client.on("echo.*", |message| drop(message.reply(message.payload_as::<String>().unwrap()).enqueue())).unwrap();
    let reply = client.publish("echo", "in pieces").request().await.unwrap();
    assert_eq!(reply.data().as_str(), r#""in pieces""#);
}

#[tokio::test]
async fn what_is_no_websocket_ends_the_session_and_the_next_one_works() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(eager)).await;
    let (mut closes, mut errors) = (events(&client, ControlEvent::Close), events(&client, ControlEvent::Error));
    for (garbage, code) in [(&b"\xff\x00"[..], 1002), (b"\x83\x00", 1002), (b"\x81\x02\xff\xff", 1007)] {
        let mut started = events(&client, ControlEvent::SessionStarted);
        world.gateway.faults().send_bytes(Target::All, garbage);
        let Some(Event::Error(error)) = errors.recv().await else { panic!() };
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
        let Some(Event::Close(close)) = closes.recv().await else { panic!() };
        assert_eq!(close.code, code, "{close:?}");
        started.recv().await.unwrap();
    }
    client.publish("x", 1).await.unwrap().wait_for_ack().await.unwrap();
}
