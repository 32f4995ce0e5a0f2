//! Requests and answers, several replies, sends; and the same on threads.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::time::Duration;

use futures_util::StreamExt;
use realtime_pubsub::{ErrorKind, Settled, blocking};
use support::{World, listen};

#[tokio::test]
async fn serve_answers_and_its_errors_become_replies() {
    let world = World::new().await;
    let (server, client) = (world.client("server").await, world.client("client").await);
    let serving = server
        .serve("math", "halve", |message| async move {
            let number: i64 = message.payload_as().map_err(|error| error.to_string())?;
            if number % 2 == 0 { Ok(number / 2) } else { Err(format!("{number} is odd")) }
        })
        .await
        .unwrap();
    let ask = |number: serde_json::Value| client.publish("math", number).message_type("halve").request();
    let reply = ask(8.into()).await.unwrap();
    assert_eq!((reply.status(), reply.data_as::<i64>().unwrap()), ("ok", 4));
    let reply = ask(7.into()).await.unwrap();
    assert_eq!((reply.status(), reply.data_as::<String>().unwrap()), ("error", "7 is odd".into()));
    assert_eq!(ask("x".into()).await.unwrap().status(), "error");
    drop(serving);
    let error = ask(8.into()).timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn many_may_reply_and_replies_gives_them_all() {
    let world = World::new().await;
    let asker = world.client("asker").await;
    let mut answerers = Vec::new();
    for number in 0..5 {
        let answerer = world.client(&format!("answerer{number}")).await;
        answerer.subscribe_remote_topic("roll-call").await.unwrap();
        answerer.on("roll-call.*", move |message| drop(message.reply(number).status("here").enqueue())).unwrap();
        answerers.push(answerer);
    }
    let waiter = asker.publish("roll-call", ()).await.unwrap();
    let replies: Vec<_> = waiter.replies().take(5).collect().await;
    let mut numbers: Vec<i32> = replies.iter().map(|reply| reply.as_ref().unwrap().data_as().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    assert!(waiter.replies().timeout(Duration::from_millis(1)).next().await.is_none(), "time up is a plain end");
    world.gateway.faults().reset(realtime_pubsub_gateway::Target::All);
    let end = waiter.replies().next().await.unwrap().unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionLost);
}

#[tokio::test]
async fn a_send_reaches_the_backend_and_its_reply_comes_back_acknowledged() {
    let world = World::new().await;
    let (backend, client) = (world.client("backend").await, world.client("client").await);
    backend.subscribe_remote_topic("secure/inbound").await.unwrap();
    let mut acknowledged = listen(&backend, "secure/inbound.create-user", |message| {
        let reply = message.reply(serde_json::json!({"id": 7})).status("created").compress(true).enqueue().unwrap();
        reply.wait_for_ack().block().is_ok()
    });
    let reply = client.send(serde_json::json!({"name": "John"})).message_type("create-user").request().await.unwrap();
    assert_eq!((reply.status(), reply.data_as_map().unwrap()["id"].as_i64()), ("created", Some(7)));
    assert!(reply.message().compression());
    assert!(acknowledged.recv().await.unwrap());
}

#[tokio::test]
async fn settled_waits_come_through_the_inbox_of_a_binding() {
    let world = World::new().await;
    let (client, inbox) = world.builder("alice").build_with_inbox().unwrap();
    client.connect().await.unwrap();
    client.subscribe_remote_topic("t").await.unwrap();
    let listener = client.listen("t.*", true).unwrap();
    let (woken, mut wakes) = tokio::sync::mpsc::unbounded_channel();
    inbox.on_ready(move || woken.send(()).unwrap_or_default());
    let event = client.notify_event("t.*", 1, None).unwrap();
    let waiter = client.publish("t", 5).await.unwrap();
    let (ack, reply) = (waiter.notify_ack(2, None), waiter.notify_reply(3, Some(Duration::from_millis(10))));
    let cancelled = waiter.notify_reply(4, None);
    drop(cancelled);
    let mut deliveries = Vec::new();
    while deliveries.len() < 4 {
        wakes.recv().await.unwrap();
        inbox.drain(16, &mut deliveries);
    }
    let mut seen = Vec::new();
    for delivery in deliveries {
        match delivery {
            realtime_pubsub::Delivery::Settled { token, outcome } => {
                let right = match token {
                    1 => matches!(outcome, Ok(Settled::Event(_))),
                    2 => matches!(outcome, Ok(Settled::Ack)),
                    3 => outcome.is_err_and(|error| error.kind() == ErrorKind::Timeout),
                    _ => false,
                };
                assert!(right, "token {token}");
                seen.push(token);
            }
            realtime_pubsub::Delivery::Event { listeners, event } => {
                assert_eq!(listeners.as_ref(), [listener]);
                assert_eq!(event.message().unwrap().payload_as::<i32>().unwrap(), 5);
            }
            _ => unreachable!(),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3]);
    drop((event, ack, reply, waiter));
    assert_eq!((client.stats().waits, client.stats().receipts), (0, 0));
    assert!(!client.off(listener), "it was for one message");
}

#[test]
fn the_blocking_face_needs_no_runtime() {
    let gateway = realtime_pubsub_gateway::Gateway::start_blocking(Default::default()).unwrap();
    let client = blocking::Client::new(gateway.url_with_token("alice").unwrap()).unwrap();
    let started = client.wait_for("session.started");
    let info = client.connect().unwrap();
    assert!(matches!(started.block().unwrap(), realtime_pubsub::Event::SessionStarted(told) if told == info));
    let serving =
        client.serve("double", "number", |message| message.payload_as::<i32>().map(|number| number * 2)).unwrap();
    let reply = client.request(client.publish("double", 21).message_type("number")).unwrap();
    assert_eq!(reply.data_as::<i32>().unwrap(), 42);
    client.off(serving);
    let mut messages = client.messages("double.*").unwrap();
    let waiter = client.publish("double", 1).block().unwrap();
    waiter.wait_for_ack().block().unwrap();
    assert_eq!(messages.block_next().unwrap().unwrap().payload_as::<i32>().unwrap(), 1);
    client.unsubscribe_remote_topic("double").unwrap();
    client.flush().unwrap();
    client.disconnect().unwrap();
    let error = client.publish("double", 1).enqueue().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn waiting_where_the_wait_would_wait_for_itself_is_refused() {
    let gateway = realtime_pubsub_gateway::Gateway::start_blocking(Default::default()).unwrap();
    let url = gateway.url_with_token("alice").unwrap();
    let (told, outcome) = std::sync::mpsc::channel();
    let builder = realtime_pubsub::Client::builder().url_provider(move || {
        // On the thread that does the client's input and output.
        let refused = realtime_pubsub::block_on(std::future::ready(()));
        let _ = told.send(refused.map_err(|error| error.kind()));
        std::future::ready(Ok::<_, std::convert::Infallible>(url.clone()))
    });
    let client = blocking::Client::build(builder).unwrap();
    client.connect().unwrap();
    assert_eq!(outcome.recv().unwrap(), Err(ErrorKind::WouldDeadlock));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_refused_on_the_callers_own_runtime_too() {
    let gateway = realtime_pubsub_gateway::Gateway::start(Default::default()).await.unwrap();
    let url = gateway.url_with_token("alice").unwrap();
    let (told, outcome) = std::sync::mpsc::channel();
    let client = realtime_pubsub::Client::builder()
        .url_provider(move || {
            let refused = realtime_pubsub::block_on(std::future::ready(()));
            let _ = told.send(refused.map_err(|error| error.kind()));
            std::future::ready(Ok::<_, std::convert::Infallible>(url.clone()))
        })
        .runtime(tokio::runtime::Handle::current())
        .build()
        .unwrap();
    client.connect().await.unwrap();
    assert_eq!(outcome.recv().unwrap(), Err(ErrorKind::WouldDeadlock));
    // Only while the client itself runs: threads of the runtime may wait in other tasks.
    tokio::task::spawn_blocking(|| realtime_pubsub::block_on(std::future::ready(()))).await.unwrap().unwrap();
}

/// Polls its future then and there when it is woken, as coroutines without a dispatcher do.
struct Inline {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        // Until nobody has woken it since it was put back; whoever holds it looks again.
        while self.woken.load(Ordering::SeqCst) {
            let Some(mut future) = self.future.lock().unwrap().take() else { return };
            self.woken.store(false, Ordering::SeqCst);
            let waker = Arc::clone(&self).into();
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                return;
            }
            *self.future.lock().unwrap() = Some(future);
        }
    }
}

#[test]
fn an_executor_that_polls_when_it_wakes_holds_nothing_up() {
    let gateway = realtime_pubsub_gateway::Gateway::start_blocking(Default::default()).unwrap();
    let client = blocking::Client::new(gateway.url_with_token("alice").unwrap()).unwrap();
    client.connect().unwrap();
    let (done, finished) = std::sync::mpsc::channel();
    let on = client.asynchronous().clone();
    let steps = async move {
        for topic in ["a", "b"] {
            on.subscribe_remote_topic(topic).await.unwrap();
        }
        let event = on.wait_for("a.*");
        let waiter = on.publish("a", 1).await.unwrap();
        waiter.wait_for_ack().await.unwrap();
        event.await.unwrap();
        let none = waiter.wait_for_reply().timeout(Duration::from_millis(5)).await;
        assert_eq!(none.unwrap_err().kind(), ErrorKind::Timeout);
        on.unsubscribe_remote_topic("a").await.unwrap();
        on.flush().await.unwrap();
        done.send(()).unwrap();
    };
    Arc::new(Inline { future: Mutex::new(Some(Box::pin(steps))), woken: AtomicBool::new(false) }).wake();
    finished.recv_timeout(Duration::from_secs(20)).unwrap();
}
