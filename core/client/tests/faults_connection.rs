//! Faults of the published clients, part two: connecting, losing the connection, and leaving. Each test is named after
//! its row.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use realtime_pubsub::{Client, ControlEvent, ErrorKind, Event, Offline, State};
use realtime_pubsub_gateway::{ConnectFault, Target};
use support::{World, connected, eager, events, listen};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const BRIEF: Duration = Duration::from_millis(60);

#[tokio::test]
async fn fault_04_waits_end_as_soon_as_the_connection_does() {
    let world = World::new().await;
    let client = world.client("alice").await;
    world.gateway.faults().acks(realtime_pubsub_gateway::AckFault::Drop);
    let waiter = client.publish("x", 1).await.unwrap();
    let (ack, reply) = (waiter.wait_for_ack().timeout(Duration::MAX), waiter.wait_for_reply().timeout(Duration::MAX));
    client.flush().await.unwrap();
    world.gateway.faults().reset(Target::All);
    assert_eq!(ack.await.unwrap_err().kind(), ErrorKind::ConnectionLost);
    assert_eq!(reply.await.unwrap_err().kind(), ErrorKind::ConnectionLost);

    client.connect().await.unwrap();
    let waiter = client.publish("x", 1).await.unwrap();
    let ack = waiter.wait_for_ack().timeout(Duration::MAX);
    let (event, close) = (client.wait_for("never.**").timeout(Duration::MAX), client.wait_for("close"));
    client.disconnect().await;
    assert_eq!(ack.await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(event.await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(matches!(close.await, Ok(Event::Close(_))), "this one is told what it waited for");
}

#[tokio::test]
async fn fault_05_accept_then_close_backs_off() {
    let world = World::new().await;
    for fault in [ConnectFault::CloseAfterWelcome(1008), ConnectFault::CloseBeforeWelcome(1008), ConnectFault::ResetTcp]
    {
        world.gateway.faults().on_connect(fault.clone());
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, url) = (Arc::clone(&asked), world.url("alice"));
        let builder = Client::builder().url_provider(move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<_, std::convert::Infallible>(url.clone()))
        });
        let client = builder.with(|options| options.backoff.min = Duration::from_millis(40)).build().unwrap();
        let error = client.connect_within(Duration::from_millis(400)).await;
        // A session that lasted no time at all may count as connected; it is no success.
        if let Err(error) = error {
            assert_eq!(error.kind(), ErrorKind::HandshakeFailed);
            client.start().unwrap();
        }
        let window = tokio::time::timeout(Duration::from_millis(600), std::future::pending::<()>());
        assert!(window.await.is_err());
        client.disconnect().await;
        // Pauses of up to 40, 80, 160, 320 ms …: on average 8 attempts fit into a second. A storm makes thousands.
        let attempts = asked.load(Ordering::Relaxed);
        assert!((2..30).contains(&attempts), "{fault:?}: {attempts} attempts");
    }
}

#[tokio::test]
async fn fault_07_and_11_of_publishes_over_many_reconnects_each_arrives_or_its_wait_fails() {
    let world = World::new().await;
    let receiver = world.client("receiver").await;
    receiver.subscribe_remote_topic("load").await.unwrap();
    let mut heard = listen(&receiver, "load.*", |message| message.payload_as::<usize>().unwrap());
    let sender = connected(world.builder("sender").with(eager)).await;
    let (mut acknowledged, mut failed) = (Vec::new(), 0);
    for round in 0..20 {
        let mut waiters = Vec::new();
        for number in round * 40..(round + 1) * 40 {
            match sender.publish("load", number).await {
                Ok(waiter) => waiters.push((number, waiter)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotConnected),
            }
            if number % 40 == 10 {
                // The first ten have arrived; their acks may still be on the way.
                let _ = sender.flush().await;
            }
            if number % 40 == 20 {
                world.gateway.faults().reset(Target::Subject("sender".into()));
            }
        }
        for (number, waiter) in waiters {
            match waiter.wait_for_ack().await {
                Ok(()) => acknowledged.push(number),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
                    failed += 1;
                }
            }
        }
        sender.connect().await.unwrap();
    }
    assert!(failed > 0 && !acknowledged.is_empty(), "{failed} failed, {} acknowledged", acknowledged.len());
    drop(sender.publish("load", usize::MAX).await.unwrap());
    let mut received = Vec::new();
    while let Some(number) = heard.recv().await
        && number != usize::MAX
    {
        received.push(number);
    }
    let lost: Vec<_> = acknowledged.iter().filter(|number| !received.contains(number)).collect();
    assert!(lost.is_empty(), "acknowledged and not received: {lost:?}");
}

#[tokio::test]
async fn fault_11_with_retry_and_dedupe_fifty_reconnects_lose_and_repeat_nothing() {
    const MESSAGES: usize = 5_000;
    let world = World::new().await;
    let receiver = connected(world.builder("receiver").dedupe(10_000)).await;
    receiver.subscribe_remote_topic("load").await.unwrap();
    let mut heard = listen(&receiver, "load.*", |message| message.payload_as::<usize>().unwrap());
    let sender = connected(
        world
            .builder("sender")
            .retry(true)
            .offline(Offline::Queue { messages: 100_000, bytes: 1 << 30, ttl: Duration::from_secs(60) })
            .with(eager),
    )
    .await;
    let mut sessions = events(&sender, ControlEvent::SessionStarted);
    let publisher = sender.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..MESSAGES {
            drop(publisher.publish("load", number).await.unwrap());
            if number % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 0..50 {
        while world.gateway.faults().reset(Target::Subject("sender".into())) == 0 {
            tokio::task::yield_now().await;
        }
        sessions.recv().await.unwrap();
    }
    publishing.await.unwrap();
    let mut received = vec![0; MESSAGES];
    for _ in 0..MESSAGES {
        received[heard.recv().await.unwrap()] += 1;
    }
    assert!(received.iter().all(|times| *times == 1));
    sender.flush().await.unwrap();
    receiver.flush().await.unwrap();
    assert!(heard.try_recv().is_err(), "nothing comes twice");
    assert!(sender.stats().sessions >= 51);
    assert_eq!(sender.stats().lost, 0);
}

#[tokio::test]
async fn fault_09_disconnecting_while_publishers_wait_for_room_ends_them() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| {
        options.outbox_messages = 4;
        options.disconnect_timeout = BRIEF;
    }))
    .await;
    world.gateway.faults().stall(Target::All);
    let publisher = client.clone();
    let blocked = tokio::spawn(async move {
        loop {
            match publisher.publish("x", "x".repeat(100_000)).await {
                Ok(waiter) => drop(waiter),
                Err(error) => return error,
            }
        }
    });
    while client.stats().outbox_messages < 4 {
        tokio::task::yield_now().await;
    }
    client.disconnect().await;
    assert_eq!(blocked.await.unwrap().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn fault_10_what_was_published_before_disconnect_arrives() {
    let world = World::new().await;
    let receiver = world.client("receiver").await;
    receiver.subscribe_remote_topic("last").await.unwrap();
    let mut heard = listen(&receiver, "last.*", |message| message.payload_as::<i32>().unwrap());
    let sender = world.client("sender").await;
    let mut closes = events(&sender, ControlEvent::Close);
    for number in 0..200 {
        drop(sender.publish("last", number).enqueue().unwrap());
    }
    sender.disconnect().await;
    for number in 0..200 {
        assert_eq!(heard.recv().await.unwrap(), number);
    }
    let Some(Event::Close(close)) = closes.recv().await else { panic!() };
    assert_eq!((close.code, close.will_reconnect), (1000, false));
}

#[tokio::test]
async fn fault_12_topics_are_subscribed_again_before_session_started() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(eager)).await;
    client.subscribe_remote_topic("kept").await.unwrap();
    client.subscribe_remote_topic("given-up").await.unwrap();
    client.unsubscribe_remote_topic("given-up").await.unwrap();
    let mut heard = listen(&client, "kept.*", |message| message.payload_as::<i32>().unwrap());
    let mut others = listen(&client, "given-up.*", |_| ());
    let mut started = events(&client, ControlEvent::SessionStarted);
    for round in 0..5 {
        world.gateway.faults().reset(Target::All);
        started.recv().await.unwrap();
        // From another connection, which knows nothing of this one's state.
        let peer = world.client("peer").await;
        peer.publish("given-up", round).await.unwrap().wait_for_ack().await.unwrap();
        peer.publish("kept", round).await.unwrap().wait_for_ack().await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), round);
        client.subscribe_remote_topic("kept").await.unwrap();
    }
    assert!(others.try_recv().is_err());
}

#[tokio::test]
async fn fault_14_a_silent_server_is_given_up_in_each_phase() {
    let world = World::new().await;
    let brief = |options: &mut realtime_pubsub::Options| {
        options.provider_timeout = BRIEF;
        options.handshake_timeout = BRIEF;
        options.welcome_timeout = BRIEF;
        options.connect_timeout = BRIEF * 3;
    };
    for (fault, says) in [(ConnectFault::HalfOpen, "upgrade"), (ConnectFault::NoWelcome, "no welcome")] {
        world.gateway.faults().on_connect(fault);
        let client = world.builder("alice").with(brief).build().unwrap();
        let error = client.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HandshakeFailed);
        assert!(error.message().contains(says), "{error}");
        assert_eq!(client.state(), State::Failed);
    }
    let silent = Client::builder().url_provider(std::future::pending::<Result<String, std::io::Error>>).with(brief);
    let error = silent.build().unwrap().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UrlProviderFailed);
}

#[tokio::test]
async fn fault_15_a_failing_url_provider_is_reported_backs_off_and_recovers() {
    let world = World::new().await;
    let (healthy, url) = (Arc::new(AtomicBool::new(false)), world.url("alice"));
    let provider = Arc::clone(&healthy);
    let client = Client::builder()
        .url_provider(move || {
            let outcome = if provider.load(Ordering::Relaxed) { Ok(url.clone()) } else { Err("no token today") };
            std::future::ready(outcome)
        })
        .with(eager)
        .build()
        .unwrap();
    let (mut errors, mut started) =
        (events(&client, ControlEvent::Error), events(&client, ControlEvent::SessionStarted));
    client.start().unwrap();
    for _ in 0..3 {
        let Some(Event::Error(error)) = errors.recv().await else { panic!() };
        assert_eq!(error.kind(), ErrorKind::UrlProviderFailed);
        assert!(error.message().contains("no token today"));
    }
    healthy.store(true, Ordering::Relaxed);
    started.recv().await.unwrap();

    let panicking =
        Client::builder().url_provider(|| -> std::future::Ready<Result<String, std::io::Error>> { panic!("boom") });
    let panicking = panicking.with(|options| options.max_retries = Some(0)).build().unwrap();
    assert_eq!(panicking.connect().await.unwrap_err().kind(), ErrorKind::UrlProviderFailed);
}

#[tokio::test]
async fn fault_16_connecting_twice_is_one_connection_and_a_closed_client_connects_again() {
    let world = World::new().await;
    let client = world.builder("alice").build().unwrap();
    let (first, second, third) = tokio::join!(client.connect(), client.connect(), client.connect());
    assert_eq!(first.unwrap().id, second.unwrap().id);
    third.unwrap();
    assert_eq!(world.gateway.connections().len(), 1);
    client.disconnect().await;
    client.disconnect().await;
    assert_eq!(client.state(), State::Closed);
    assert_eq!(client.publish("x", 1).await.unwrap_err().kind(), ErrorKind::Closed);
    client.connect().await.unwrap();
    client.publish("x", 1).await.unwrap().wait_for_ack().await.unwrap();
}

#[tokio::test]
async fn fault_20_close_code_and_reason_reach_the_listener() {
    let world = World::new().await;
    let client = world.client("alice").await;
    let mut closes = events(&client, ControlEvent::Close);
    world.gateway.faults().close(Target::All, 4321, "because");
    let Some(Event::Close(close)) = closes.recv().await else { panic!() };
    assert_eq!((close.code, close.reason.as_str(), close.will_reconnect), (4321, "because", true));
}

#[tokio::test]
async fn fault_23_the_token_is_nowhere_to_be_seen() {
    let log = support::CapturedLog::start();
    let world = World::new().await;
    let url = world.url("alice");
    let token = url.split("access_token=").nth(1).unwrap().to_owned();
    let forged = url.replace(&token[token.len() - 8..], "AAAAAAAA");
    let mut shown = String::new();
    for url in [url.clone(), forged, format!("ws://127.0.0.1:1/?access_token={token}"), format!("ftp://h/?{token}")] {
        let builder = Client::builder().url(url).with(|options| options.connect_timeout = BRIEF);
        shown.push_str(&format!("{builder:?}"));
        match builder.build() {
            Err(error) => shown.push_str(&format!("{error} {error:?}")),
            Ok(client) => {
                let mut errors = events(&client, ControlEvent::Error);
                if let Err(error) = client.connect().await {
                    shown.push_str(&format!("{error} {error:?} {:?}", errors.recv().await));
                }
                shown.push_str(&format!("{client:?} {:?}", client.options()));
            }
        }
    }
    shown.push_str(&log.text());
    assert!(shown.contains("HTTP 401") && log.text().contains("connecting"), "{shown}");
    let secret = token.rsplit('.').next().unwrap();
    assert!(!shown.contains(&secret[..secret.len() - 8]), "{shown}");
}

#[tokio::test]
async fn fault_24_a_dead_port_fails_with_the_cause_and_publishes_do_not_vanish() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/apps/x?access_token=t", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder().url(url).with(|options| options.max_retries = Some(1)).build().unwrap();
    assert_eq!(client.publish("x", 1).await.unwrap_err().kind(), ErrorKind::NotConnected);
    let error = client.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeFailed);
    assert!(error.message().contains("refused"), "{error}");
    assert_eq!(client.state(), State::Failed);
    assert_eq!(client.publish("x", 1).await.unwrap_err().kind(), ErrorKind::NotConnected);
}

#[tokio::test]
async fn fault_25_queued_publishes_leave_after_the_sessions_subscriptions() {
    let world = World::new().await;
    let client = world.builder("alice").offline(Offline::queue()).build().unwrap();
    let mut heard = listen(&client, "own.*", |message| message.payload_as::<i32>().unwrap());
    client.subscribe_remote_topic("own").await.unwrap();
    let waiters: Vec<_> = (0..10).map(|number| client.publish("own", number).enqueue().unwrap()).collect();
    client.connect().await.unwrap();
    for (number, waiter) in (0..).zip(waiters) {
        waiter.wait_for_ack().await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), number, "published into the client's own subscription");
    }
}

#[tokio::test]
async fn fault_28_a_clean_close_by_the_server_is_told_and_reconnected() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(eager)).await;
    let (mut closes, mut started) =
        (events(&client, ControlEvent::Close), events(&client, ControlEvent::SessionStarted));
    for code in [1000, 1001] {
        world.gateway.faults().close(Target::All, code, "");
        let Some(Event::Close(close)) = closes.recv().await else { panic!() };
        assert_eq!((close.code, close.will_reconnect), (code, true));
        started.recv().await.unwrap();
    }
}

#[tokio::test]
async fn fault_29_disconnect_stops_a_retrying_connect_at_once() {
    let world = World::new().await;
    world.gateway.faults().on_connect(ConnectFault::HalfOpen);
    let client = world.client_without_session("alice");
    let connecting = tokio::spawn({
        let client = client.clone();
        async move { client.connect_within(Duration::MAX).await }
    });
    let mut states = events(&client, ControlEvent::State);
    if client.state() == State::Idle {
        states.recv().await.unwrap();
    }
    client.disconnect().await;
    assert_eq!(connecting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.state(), State::Closed);
}

#[tokio::test]
async fn a_connect_that_is_dropped_ends_the_attempt_unless_others_want_it() {
    let world = World::new().await;
    world.gateway.faults().on_connect(ConnectFault::HalfOpen);
    let client = world.client_without_session("alice");
    let mut states = events(&client, ControlEvent::State);
    let mut next = async || match states.recv().await {
        Some(Event::State(change)) => (change.to, change.reason.clone()),
        other => panic!("{other:?}"),
    };
    let connecting = || {
        let client = client.clone();
        tokio::spawn(async move { client.connect_within(Duration::MAX).await })
    };
    let (first, second) = (connecting(), connecting());
    assert_eq!(next().await.0, State::Connecting);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_eq!(next().await, (State::Closed, "nobody waits for the connection any more".to_owned()));

    client.start().unwrap();
    assert_eq!(next().await.0, State::Connecting);
    let third = connecting();
    third.abort();
    assert!(third.await.unwrap_err().is_cancelled());
    world.gateway.faults().clear();
    // The attempt that was going on never ends by itself.
    client.disconnect().await;
    assert_eq!(next().await, (State::Closed, "disconnected".to_owned()));
    let (mut fourth, mut fifth) = (Box::pin(client.connect()), Box::pin(client.connect()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(fourth.as_mut().poll(&mut context).is_pending() && fifth.as_mut().poll(&mut context).is_pending());
    drop(fourth);
    fifth.await.unwrap();
    assert_eq!((next().await.0, next().await.0), (State::Connecting, State::Connected));
}

/// Notes, at the moment it is told that a wait has ended, where the client stands.
struct StateWhenWoken {
    client: Client,
    states: UnboundedSender<State>,
}

impl Wake for StateWhenWoken {
    fn wake(self: Arc<Self>) {
        let _ = self.states.send(self.client.state());
    }
}

#[tokio::test]
async fn whoever_waited_in_vain_for_a_connection_finds_the_client_failed() {
    let world = World::new().await;
    let refused = || world.gateway.faults().on_connect(ConnectFault::CloseTcp);
    let welcomed_only = || world.gateway.faults().swallow_pings(true);
    for (fault, kind) in [
        (&refused as &dyn Fn(), ErrorKind::HandshakeFailed),
        // In the midst of a session that has not started, as its topics are not subscribed.
        (&welcomed_only, ErrorKind::Timeout),
    ] {
        let client = connected(world.builder("alice").with(eager)).await;
        client.subscribe_remote_topic("t").await.unwrap();
        client.disconnect().await;
        fault();
        let (states, mut woken) = unbounded_channel();
        let waker = Waker::from(Arc::new(StateWhenWoken { client: client.clone(), states }));
        let mut connecting = Box::pin(client.connect_within(BRIEF));
        assert!(connecting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(woken.recv().await, Some(State::Failed));
        assert_eq!(connecting.await.unwrap_err().kind(), kind);
        world.gateway.faults().clear();
        client.connect().await.unwrap();
        client.disconnect().await;
    }
}

#[tokio::test]
async fn fault_35_a_silent_peer_is_found_dead_and_any_frame_counts_as_life() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| {
        options.ping_after = BRIEF;
        options.pong_timeout = BRIEF;
        eager(options);
    }))
    .await;
    client.subscribe_remote_topic("beat").await.unwrap();
    let mut closes = events(&client, ControlEvent::Close);
    world.gateway.faults().swallow_pings(true);
    let talker = world.client("talker").await;
    let started = std::time::Instant::now();
    let mut heard = listen(&client, "beat.*", |_| ());
    while started.elapsed() < BRIEF * 6 {
        talker.publish("beat", 1).await.unwrap().wait_for_ack().await.unwrap();
        heard.recv().await.unwrap();
    }
    assert!(closes.try_recv().is_err(), "no pong came, and frames did");
    let Some(Event::Close(close)) = closes.recv().await else { panic!() };
    assert_eq!(close.code, 1006);
    assert!(close.reason.contains("no frame came"), "{}", close.reason);
}

#[tokio::test]
async fn given_close_codes_stop_the_client() {
    let world = World::new().await;
    let client = connected(world.builder("alice").with(|options| options.stop_on_close_codes = vec![4001])).await;
    let mut closes = events(&client, ControlEvent::Close);
    world.gateway.faults().close(Target::All, 4001, "banned");
    let Some(Event::Close(close)) = closes.recv().await else { panic!() };
    assert_eq!((close.code, close.will_reconnect), (4001, false));
    assert_eq!(client.state(), State::Failed);
    assert_eq!(client.publish("x", 1).await.unwrap_err().kind(), ErrorKind::NotConnected);
    client.connect().await.unwrap();
}
