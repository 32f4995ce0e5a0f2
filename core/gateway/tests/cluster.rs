//! What only several gateways can do, over a real `nats-server`. Ignored where that may be missing: the suite `cluster`
//! (`scripts/test.sh cluster`) installs it and runs them. What it takes processes to show is in the command line's tests.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]
#![cfg(feature = "nats")]

mod support;

use std::time::Duration;

use futures_util::SinkExt;
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits, NatsOptions, TokenRequest};
use serde_json::{Value, json};
use support::nats::{cluster, know_each_other, metric, together};
use support::nats_server::{Folder, NatsServer};
use support::{Client, Message, PATIENCE, ack, call, eventually, http};
use tokio::time::timeout;

const QUICK: Duration = Duration::from_millis(500);

fn options(server: &NatsServer) -> GatewayOptions {
    // On a busy machine, times that decide nothing have to be long.
    patient(server, PATIENCE, PATIENCE)
}

fn patient(server: &NatsServer, timeout: Duration, member_timeout: Duration) -> GatewayOptions {
    let nats = NatsOptions::new(server.url()).timeout(timeout).member_timeout(member_timeout);
    together(GatewayOptions::default(), nats)
}

async fn up(gateway: &Gateway, up: bool) {
    eventually(|| metric(gateway, "realtime_nats_connected") == u64::from(up)).await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn nobody_gets_a_message_twice_and_each_sender_keeps_its_order_across_topics() {
    let server = NatsServer::start(&[]);
    let gateways = cluster(&options(&server), 3).await;
    let mut readers = Vec::new();
    for gateway in &gateways {
        let mut reader = Client::connect(gateway, "reader").await;
        for topic in 0..7 {
            reader.subscribe(&format!("t.{topic} *>/é")).await;
        }
        assert!(reader.settle().await.is_empty());
        readers.push(reader);
    }
    let mut writer = Client::connect(&gateways[0], "writer").await;
    for n in 0..700 {
        let topic = format!("t.{} *>/é", n * 5 % 7);
        let data = json!({"topic": topic, "payload": n, "id": n.to_string(), "compress": n % 3 == 0});
        writer.socket.feed(Message::text(json!({"type": "publish", "data": data}).to_string())).await.unwrap();
    }
    writer.socket.flush().await.unwrap();
    let acks: Vec<_> = (0..700).map(|n| ack(&n.to_string())).collect();
    assert_eq!(writer.settle().await, acks);
    for reader in &mut readers {
        let seen: Vec<_> = reader.settle().await.iter().map(|message| message["data"]["payload"].clone()).collect();
        assert_eq!(seen, (0..700).map(Value::from).collect::<Vec<_>>());
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_message_larger_than_nats_takes_goes_in_parts() {
    let folder = Folder::new();
    let server = NatsServer::start(&["-c", &folder.file("nats.conf", "max_payload: 5000\n")]);
    let gateways = cluster(&options(&server), 2).await;
    let mut reader = Client::connect(&gateways[1], "reader").await;
    reader.subscribe("big").await;
    reader.settle().await;
    let mut writer = Client::connect(&gateways[0], "writer").await;
    for length in [10, 4_900, 4_990, 5_000, 200_000, 1_000_000, 3] {
        writer.publish("big", json!("x".repeat(length)), "1").await;
        assert_eq!(writer.settle().await, [ack("1")]);
        let [message] = &reader.settle().await[..] else { panic!("{length}") };
        assert_eq!(message["data"]["payload"].as_str().unwrap().len(), length);
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn with_nats_away_local_traffic_lives_acks_are_refused_and_it_comes_back_by_itself() {
    let mut server = NatsServer::start(&[]);
    let gateways = cluster(&options(&server), 2).await;
    let [mut here, mut near] = [Client::connect(&gateways[0], "a").await, Client::connect(&gateways[0], "b").await];
    let mut far = Client::connect(&gateways[1], "c").await;
    for client in [&mut near, &mut far] {
        client.subscribe("t").await;
        client.settle().await;
    }
    server.kill();
    up(&gateways[0], false).await;
    up(&gateways[1], false).await;
    assert!(http(&gateways[0], "GET", "/healthz", "", "").await.1.contains("degraded"));
    here.publish("t", json!(1), "1").await;
    assert!(here.settle().await.is_empty(), "no ack");
    assert_eq!(near.settle().await.len(), 1, "local traffic goes on");
    assert_eq!(metric(&gateways[0], "realtime_acks_refused_total"), 1);
    let token = gateways[0].admin_token("root").unwrap();
    let body = json!({"topic": "t", "message": 1});
    let (status, answer) = call(&gateways[0], "POST", "/api/topics/local/publish", &token, body).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("nats_away")));
    // What is subscribed to meanwhile counts when it is back.
    far.subscribe("u").await;
    far.settle().await;
    assert_eq!(near.settle().await.len(), 1);
    server.run();
    know_each_other(&gateways).await;
    up(&gateways[0], true).await;
    up(&gateways[1], true).await;
    far.settle().await;
    for topic in ["t", "u"] {
        here.publish(topic, json!(2), "2").await;
        assert_eq!(here.settle().await, [ack("2")]);
        assert_eq!(far.settle().await.len(), 1, "{topic}");
    }
    assert!(http(&gateways[0], "GET", "/healthz", "", "").await.1.contains("connected"));
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_server_that_hangs_counts_as_away_and_holds_no_pong_back_for_long() {
    let server = NatsServer::start(&[]);
    let gateways = cluster(&patient(&server, QUICK, PATIENCE), 1).await;
    let mut client = Client::connect(&gateways[0], "a").await;
    server.freeze();
    client.publish("main", json!(1), "1").await;
    let seen = client.settle().await;
    assert!(!seen.contains(&ack("1")) && seen.len() == 1, "the message, no ack: {seen:?}");
    server.thaw();
    up(&gateways[0], true).await;
    client.publish("main", json!(1), "2").await;
    assert!(client.settle().await.contains(&ack("2")));
}

/// Publishes until it comes: between NATS servers, word of a subscription takes a moment, and an ack does not wait for it.
async fn until_it_comes(writer: &mut Client, reader: &mut Client) {
    let publish = async {
        loop {
            writer.publish("t", json!(1), "1").await;
            writer.settle().await;
        }
    };
    tokio::select! {
        message = reader.json() => assert_eq!(message["topic"], "t"),
        () = publish => {}
    }
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn gateways_at_several_servers_of_a_nats_cluster_are_one_and_go_to_another_when_theirs_ends() {
    let cluster = ["--cluster_name", "c", "--cluster", "nats://127.0.0.1:-1"];
    let mut first = NatsServer::start(&cluster);
    let route = format!("nats://127.0.0.1:{}", first.route_port);
    let second = NatsServer::start(&[&cluster[..], &["--routes", &route]].concat());
    let of = |servers: [&NatsServer; 2]| {
        let nats = NatsOptions::new(servers.map(NatsServer::url).join(","));
        together(GatewayOptions::default(), nats.timeout(PATIENCE).member_timeout(PATIENCE))
    };
    let gateways = [Gateway::start(of([&first, &second])).await, Gateway::start(of([&second, &first])).await];
    let gateways = gateways.map(Result::unwrap);
    know_each_other(&gateways).await;
    let [mut writer, mut reader] = [Client::connect(&gateways[0], "w").await, Client::connect(&gateways[1], "r").await];
    reader.subscribe("t").await;
    reader.settle().await;
    until_it_comes(&mut writer, &mut reader).await;
    first.kill();
    eventually(|| metric(&gateways[0], "realtime_nats_connects_total") == 2).await;
    until_it_comes(&mut writer, &mut reader).await;
    assert_eq!(metric(&gateways[1], "realtime_nats_connects_total"), 1, "its server lives");
    writer.settle().await;
    writer.publish("t", json!(2), "2").await;
    assert_eq!(writer.settle().await, [ack("2")]);
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn while_nats_hangs_publishers_are_made_to_wait_and_nothing_is_lost_when_it_goes_on() {
    const EACH: usize = 40;
    let server = NatsServer::start(&[]);
    let options = patient(&server, PATIENCE * 6, PATIENCE * 6).limits(Limits::default().outbound_bytes(1 << 30));
    let gateways = cluster(&options, 2).await;
    let mut reader = Client::connect(&gateways[1], "reader").await;
    reader.subscribe("t").await;
    reader.settle().await;
    let writers = [Client::connect(&gateways[0], "one").await, Client::connect(&gateways[0], "two").await];
    server.freeze();
    // With acks and without: 40 MB.
    let filler = "x".repeat(500_000);
    let publish = writers.into_iter().enumerate().map(async |(writer, mut client)| {
        for n in 0..EACH {
            let mut data = json!({"topic": "t", "payload": [writer, n, filler]});
            if writer == 0 {
                data["id"] = n.to_string().into();
            }
            client.send(json!({"type": "publish", "data": data})).await;
        }
        client
    });
    let mut publish = std::pin::pin!(futures_util::future::join_all(publish));
    assert!(timeout(QUICK * 2, &mut publish).await.is_err(), "they were never made to wait");
    let took = metric(&gateways[0], "realtime_received_bytes_total");
    // 8 MiB that wait, as much that is being written, and for each what was read at once.
    assert!(took < (16 << 20) + 2 * 1_100_000, "it has taken {took} bytes");
    server.thaw();
    let read = async {
        let mut next = [0; 2];
        while next != [EACH; 2] {
            let message = reader.json().await;
            let [writer, n, _] = &message["data"]["payload"].as_array().unwrap()[..] else { panic!("{message:.100}") };
            let next = &mut next[writer.as_u64().unwrap() as usize];
            assert_eq!(*n, *next);
            *next += 1;
        }
    };
    let (mut clients, ()) = timeout(PATIENCE * 6, async { tokio::join!(publish, read) }).await.unwrap();
    let acks = clients[0].settle().await;
    assert_eq!(acks, (0..EACH).map(|n| ack(&n.to_string())).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_gateway_starts_without_nats_and_joins_when_it_comes() {
    let mut server = NatsServer::start(&[]);
    server.kill();
    let gateway = Gateway::start(options(&server)).await.unwrap();
    let mut client = Client::connect(&gateway, "a").await;
    assert!(client.settle().await.is_empty());
    server.run();
    up(&gateway, true).await;
    client.publish("main", json!(1), "1").await;
    assert!(client.settle().await.contains(&ack("1")));
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn presence_and_the_limit_per_subject_hold_when_a_gateway_vanishes() {
    let server = NatsServer::start(&[]);
    let options = patient(&server, PATIENCE, QUICK * 4).limits(Limits::default().connections_per_subject(2));
    let gateways = cluster(&options, 2).await;
    let doomed = Doomed::start(options.clone());
    let mut watcher = Client::connect(&gateways[0], "watcher").await;
    watcher.subscribe("secure/inbound").await;
    watcher.settle().await;
    know_each_other_at(&gateways, 3).await;
    let mut alice = Client::open(&doomed.url).await;
    alice.settle().await;
    let came = watcher.json().await;
    assert_eq!(came["data"]["client"]["connectionId"], alice.id);
    assert_eq!(came["data"]["payload"]["status"], "connected");
    let second = Client::connect(&gateways[1], "doomed").await;
    assert_eq!(watcher.json().await["data"]["client"]["connectionId"], second.id);
    let third = gateways[0].url_with_token("doomed").unwrap();
    eventually(|| metric(&gateways[0], "realtime_cluster_members") == 3).await;
    assert_eq!(support::refused(&third).await, (429, "too_many_connections".into()));
    doomed.vanish();
    let went = watcher.json().await;
    assert_eq!(went["data"]["client"]["connectionId"], alice.id);
    assert_eq!(went["data"]["payload"]["status"], "disconnected");
    let third = Client::open(&third).await;
    assert_eq!(watcher.json().await["data"]["client"]["connectionId"], third.id);
    assert!(watcher.settle().await.is_empty());
}

async fn know_each_other_at(gateways: &[Gateway], count: u64) {
    eventually(|| gateways.iter().all(|gateway| metric(gateway, "realtime_cluster_members") == count)).await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_consoles_tail_shows_what_is_published_at_other_gateways_each_message_once() {
    let folder = Folder::new();
    let mut server = NatsServer::start(&["-c", &folder.file("nats.conf", "max_payload: 5000\n")]);
    let gateways = cluster(&options(&server).console(true), 2).await;
    let reads = TokenRequest::new("operator").permissions(["realtime:admin:read:console"]);
    let token = gateways[0].admin_token(reads).unwrap();
    let tail = async |topic: &str, after: u64| {
        let path = format!("/api/console/local/tail?topic={}&after={after}", topic.replace('/', "%2F"));
        let (status, news) = call(&gateways[0], "GET", &path, &token, json!(null)).await;
        assert_eq!(status, 200);
        news["messages"].as_array().unwrap().clone()
    };
    let (_, overview) = call(&gateways[0], "GET", "/api/console/local", &token, json!(null)).await;
    assert_eq!(overview["cluster"], json!({"nats": "connected", "members": 2}));
    let patterns = ["chat/*", "*", "chat/1", "big"];
    for pattern in patterns {
        assert!(tail(pattern, 0).await.is_empty());
    }
    // A subscriber at each gateway has the messages come for delivery too. Its pong says that all of this is known.
    let [mut near, mut far] = [Client::connect(&gateways[0], "n").await, Client::connect(&gateways[1], "f").await];
    for client in [&mut near, &mut far] {
        client.subscribe("chat/1").await;
        client.settle().await;
    }
    let big = "x".repeat(20_000);
    far.publish("chat/1", json!({"text": "<b>"}), "7").await;
    far.publish("big", json!(big), "8").await;
    far.publish("other", json!(0), "9").await;
    far.settle().await;
    let admin = gateways[1].admin_token("root").unwrap();
    let forged = json!({"client": {"connectionId": "c", "subject": "s"}, "payload": 1});
    let body = json!({"topic": "chat/2", "message": forged, "messageType": "rest"});
    let published = call(&gateways[1], "POST", "/api/topics/local/publish", &admin, body).await;
    assert_eq!(published, (200, json!({"delivered": 0})));
    assert_eq!(near.settle().await.len(), 1);
    let topics =
        |seen: &[Value]| seen.iter().map(|seen| seen["topic"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let seen = tail("chat/*", 0).await;
    assert_eq!(topics(&seen), ["chat/1", "chat/2"]);
    assert_eq!(
        (&seen[0]["subject"], &seen[0]["connectionId"], &seen[0]["id"], &seen[0]["payload"]),
        (&json!("f"), &json!(far.id), &json!("\"7\""), &json!(r#"{"text":"<b>"}"#))
    );
    // A message that came by REST has no sender, whatever is in it.
    assert_eq!((&seen[1]["subject"], &seen[1]["messageType"]), (&json!(null), &json!("rest")));
    assert_eq!(serde_json::from_str::<Value>(seen[1]["payload"].as_str().unwrap()).unwrap(), forged);
    let all = topics(&tail("*", 0).await);
    assert_eq!(
        all.iter().filter(|topic| *topic != "secure/inbound").collect::<Vec<_>>(),
        ["chat/1", "big", "other", "chat/2"]
    );
    assert_eq!(topics(&tail("chat/1", 0).await), ["chat/1"]);
    let [in_parts] = &tail("big", 0).await[..] else { panic!("not once") };
    assert_eq!(in_parts["payloadBytes"], 20_002);
    // They go on when NATS comes back.
    server.kill();
    up(&gateways[0], false).await;
    server.run();
    for gateway in &gateways {
        up(gateway, true).await;
    }
    near.settle().await;
    far.publish("chat/1", json!(2), "10").await;
    far.settle().await;
    near.settle().await;
    assert_eq!(topics(&tail("chat/*", 2).await), ["chat/1"]);
}

/// A gateway that can end without a word, as when its process is killed: its runtime is dropped.
struct Doomed {
    runtime: Option<tokio::runtime::Runtime>,
    gateway: Option<Gateway>,
    url: String,
}

impl Doomed {
    fn start(options: GatewayOptions) -> Doomed {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let gateway = runtime.handle().clone();
        let gateway = std::thread::scope(|scope| {
            scope.spawn(|| gateway.block_on(Gateway::start(options)).unwrap()).join().unwrap()
        });
        let url = gateway.url_with_token("doomed").unwrap();
        Doomed { runtime: Some(runtime), gateway: Some(gateway), url }
    }

    fn vanish(mut self) {
        self.runtime.take().unwrap().shutdown_background();
        self.gateway.take();
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
