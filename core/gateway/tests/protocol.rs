//! The WebSocket side of the protocol, over real sockets.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayError, GatewayOptions, Target, TlsOptions, TokenRequest};
use serde_json::{Value, json};
use support::{Client, Message, ack, local, permissions, start};

#[tokio::test]
async fn a_published_message_reaches_subscribers_and_is_acknowledged() {
    let gateway = local().await;
    let mut alice = Client::connect(&gateway, "alice").await;
    let mut bob = Client::connect(&gateway, TokenRequest::new("bob").permissions(["x"])).await;
    alice.subscribe("chat/room.1@home").await;
    assert!(alice.settle().await.is_empty());
    let mut carol =
        Client::connect(&gateway, TokenRequest::new("carol").permissions(permissions(&["write:chat/*"]))).await;
    carol.publish("chat/room.1@home", json!({"n": 1}), "m-1").await;
    assert_eq!(carol.settle().await, [ack("m-1")]);
    let expected = json!({"topic": "chat/room.1@home", "messageType": "broadcast", "data": {
        "client": {"connectionId": carol.id, "subject": "carol", "permissions": ["realtime:publisher:write:topic:chat/*"]},
        "payload": {"n": 1}, "id": "m-1",
    }});
    assert_eq!(alice.settle().await, [expected]);
    assert!(bob.settle().await.is_empty());
    drop((alice, bob, carol));
    gateway.stop().await;
}

#[tokio::test]
async fn every_ping_gets_its_own_pong_in_order_with_the_frames_before_it() {
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    use futures_util::SinkExt;
    for n in 0..5 {
        let publish = json!({"type": "publish", "data": {"topic": "t", "id": n.to_string()}}).to_string();
        client.socket.feed(Message::text(publish)).await.unwrap();
        client.socket.feed(Message::Ping(n.to_string().into_bytes().into())).await.unwrap();
    }
    client.socket.flush().await.unwrap();
    for n in 0..5 {
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(client.next().await.to_text().unwrap()).unwrap(),
            ack(&n.to_string())
        );
        assert_eq!(client.next().await, Message::Pong(n.to_string().into_bytes().into()));
    }
}

#[tokio::test]
async fn stopping_closes_every_client_with_1001() {
    let gateway = Gateway::start(GatewayOptions::default()).await.unwrap();
    let mut client = Client::connect(&gateway, "alice").await;
    let (closed, (), ()) = tokio::join!(client.closed(), gateway.stop(), gateway.ended());
    assert_eq!(closed, (1001, "going away".into()));
    assert!(tokio::net::TcpStream::connect(gateway.address()).await.is_err());
}

#[tokio::test]
async fn a_blocking_gateway_serves_without_a_runtime_of_its_callers() {
    let gateway = std::thread::spawn(|| Gateway::start_blocking(GatewayOptions::default()).unwrap()).join().unwrap();
    let mut client = Client::connect(&gateway, "alice").await;
    assert!(client.settle().await.is_empty());
    assert_eq!(gateway.kick(Target::Subject("alice".into()), 4000, "bye"), 1);
    assert_eq!(client.closed().await, (4000, "bye".into()));
    std::thread::spawn(move || gateway.stop_blocking()).join().unwrap();
}

#[tokio::test]
async fn acks_can_be_switched_off() {
    let gateway = start(GatewayOptions::default().app(AppOptions::new("quiet").acks(false))).await;
    let mut client = Client::connect(&gateway, "alice").await;
    client.publish("t", json!(1), "1").await;
    assert!(client.settle().await.is_empty());
}

#[tokio::test]
async fn the_welcome_says_who_the_client_is_and_comes_first() {
    let gateway = local().await;
    let (mut socket, response) =
        tokio_tungstenite::connect_async(gateway.url_with_token("alice").unwrap()).await.unwrap();
    assert_eq!(response.status(), 101);
    use futures_util::StreamExt;
    let frame = socket.next().await.unwrap().unwrap();
    let welcome: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
    let [connection] = &gateway.connections()[..] else { panic!() };
    assert_eq!(
        welcome,
        json!({"topic": "main", "messageType": "welcome", "data": {"connection": {
            "id": connection.id, "appId": "local", "remoteAddress": connection.remote_address.to_string(),
        }}})
    );
    assert_eq!(connection.subject, "alice");
}

#[tokio::test]
async fn a_reply_reaches_the_sender_by_its_connection_and_by_its_subject() {
    let gateway = local().await;
    let mut asker = Client::connect(&gateway, "asker").await;
    let mut answerer = Client::connect(&gateway, "answerer").await;
    let mut other = Client::connect(&gateway, "other").await;
    let answer = json!({"id": "q", "status": "ok", "data": [1]});
    let reply = json!({"type": "publish", "data": {
        "topic": format!("priv/{}", asker.id), "messageType": "response", "payload": answer, "id": "r",
    }});
    answerer.send(reply).await;
    assert_eq!(answerer.settle().await, [ack("r")]);
    let seen = asker.settle().await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["topic"], format!("priv/{}", asker.id));
    assert_eq!((&seen[0]["messageType"], &seen[0]["data"]["payload"]), (&json!("response"), &answer));
    let mut second = Client::connect(&gateway, "asker").await;
    answerer.publish("priv/asker", json!("both"), "s").await;
    answerer.settle().await;
    for client in [&mut asker, &mut second] {
        assert_eq!(client.settle().await.len(), 1);
    }
    assert!(other.settle().await.is_empty());
}

#[tokio::test]
async fn subscribing_to_what_one_gets_anyway_does_not_double_it() {
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    let own = format!("priv/{}", client.id);
    for topic in [own.as_str(), "priv/alice", "main", "main", "twice", "twice"] {
        client.subscribe(topic).await;
    }
    for topic in [own.as_str(), "priv/alice", "main", "twice"] {
        client.publish(topic, json!(0), "1").await;
        assert_eq!(client.settle().await.len(), 2, "{topic}: a message and an ack");
    }
    client.unsubscribe("main").await;
    client.unsubscribe("twice").await;
    client.unsubscribe("never").await;
    client.unsubscribe(&own).await;
    client.publish("main", json!(0), "2").await;
    client.publish("twice", json!(0), "3").await;
    assert_eq!(client.settle().await, [ack("2"), ack("3")]);
    client.publish(&own, json!(0), "4").await;
    assert_eq!(client.settle().await.len(), 2, "replies can't be unsubscribed from");
}

#[tokio::test]
async fn others_may_listen_to_a_private_topic_as_well() {
    let gateway = local().await;
    let mut alice = Client::connect(&gateway, "alice").await;
    let mut bob = Client::connect(&gateway, "bob").await;
    bob.subscribe("priv/alice").await;
    bob.settle().await;
    alice.publish("priv/alice", json!(0), "1").await;
    assert_eq!(alice.settle().await.len(), 2);
    assert_eq!(bob.settle().await.len(), 1);
}

#[tokio::test]
async fn sent_messages_and_presence_come_on_the_inbound_topic() {
    let gateway = local().await;
    let mut backend = Client::connect(&gateway, "backend").await;
    backend.subscribe("secure/inbound").await;
    backend.settle().await;
    let mut client = Client::connect(&gateway, TokenRequest::new("alice").permissions(["p"])).await;
    client
        .send(json!({"type": "message", "data": {"payload": {"text": "hi"}, "messageType": "question", "id": 7}}))
        .await;
    assert_eq!(client.settle().await[0]["data"]["data"], 7, "a number stays a number");
    let who = json!({"connectionId": client.id, "subject": "alice", "permissions": ["p"]});
    drop(client);
    let came = backend.json().await;
    assert_eq!((&came["topic"], &came["messageType"]), (&json!("secure/inbound"), &json!("presence")));
    assert_eq!((&came["data"]["client"], &came["data"]["payload"]), (&who, &json!({"code": 0, "status": "connected"})));
    let sent = backend.json().await;
    assert_eq!(
        sent,
        json!({"topic": "secure/inbound", "messageType": "question",
        "data": {"client": who, "payload": {"text": "hi"}, "id": 7}})
    );
    let went = backend.json().await;
    assert_eq!(
        (&went["data"]["client"], &went["data"]["payload"]),
        (&who, &json!({"code": -1, "status": "disconnected"}))
    );
}

#[tokio::test]
async fn compressed_messages_come_as_binary_frames_in_one_order_with_the_others() {
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    for n in 0..10 {
        let data = json!({"topic": "main", "payload": n, "compress": n % 2 == 0});
        client.send(json!({"type": "publish", "data": data})).await;
    }
    for n in 0..10 {
        let frame = client.next().await;
        assert_eq!(frame.is_binary(), n % 2 == 0);
        let message: Value = serde_json::from_slice(&frame.into_data()).unwrap();
        assert_eq!(message["data"]["payload"], n);
        assert!(message["data"]["id"].as_str().is_some_and(|id| !id.is_empty()), "the gateway makes ids");
    }
    assert!(client.settle().await.is_empty(), "what has no id is not acknowledged");
}

#[tokio::test]
async fn numbers_and_odd_payloads_keep_every_digit() {
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    for payload in ["12345678901234567890.123456789", "-0", "1E400", "\"\\ud83d\\ude00\"", "[ 1 , 2 ]", "null"] {
        client.raw(format!(r#"{{"type":"publish","data":{{"topic":"main","payload":{payload}}}}}"#)).await;
        let frame = client.next().await;
        assert!(frame.to_text().unwrap().contains(&format!(r#""payload":{payload},"#)), "{payload}");
    }
}

#[tokio::test]
async fn binary_and_fragmented_frames_are_understood() {
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    let text = json!({"type": "publish", "data": {"topic": "t", "id": "1"}}).to_string();
    client.socket.send(Message::binary(text.clone())).await.unwrap();
    let (head, tail) = text.split_at(9);
    let part = |bytes: &str, opcode, last| Message::Frame(Frame::message(bytes.to_owned(), OpCode::Data(opcode), last));
    client.socket.send(part(head, Data::Text, false)).await.unwrap();
    client.socket.send(Message::Ping("between".into())).await.unwrap();
    client.socket.send(part("", Data::Continue, false)).await.unwrap();
    client.socket.send(part(tail, Data::Continue, true)).await.unwrap();
    assert_eq!(client.json().await, ack("1"));
    assert_eq!(client.next().await, Message::Pong("between".into()));
    assert_eq!(client.json().await, ack("1"));
}

#[tokio::test]
async fn frames_of_unknown_kinds_are_ignored_and_the_connection_lives() {
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    for frame in [
        json!({"type": "dance"}),
        json!({"type": 5}),
        json!({}),
        json!({"type": "publish", "data": {}}),
        json!({"type": "publish", "data": 5}),
        json!({"type": "publish", "data": {"topic": 5}}),
        json!({"type": "subscribe"}),
        json!({"type": "unsubscribe", "data": {"topic": null}}),
    ] {
        client.send(frame).await;
    }
    assert!(client.settle().await.is_empty());
}

#[tokio::test]
async fn what_is_not_json_closes_the_connection_and_harms_no_other() {
    let gateway = local().await;
    let mut other = Client::connect(&gateway, "other").await;
    for text in ["", "{", "rubbish", "[]", "null", "{}{}", r#"{"type":"publish",}"#] {
        let mut client = Client::connect(&gateway, "alice").await;
        client.raw(text.into()).await;
        assert_eq!(client.closed().await, (1007, "not a JSON frame".into()), "{text}");
    }
    assert!(other.settle().await.is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_websocket_frames_close_the_connection() {
    use tokio::io::AsyncWriteExt;
    let gateway = local().await;
    for (bytes, code) in [
        (&b"\x81\x05hello"[..], 1002),
        (&b"\xff\xff\xff\xff\xff\xff"[..], 1002),
        (&b"\x81\x82\0\0\0\0\xff\xfe"[..], 1007),
    ] {
        let mut client = Client::connect(&gateway, "alice").await;
        let tokio_tungstenite::MaybeTlsStream::Plain(tcp) = client.socket.get_mut() else { panic!() };
        tcp.write_all(bytes).await.unwrap();
        assert_eq!(client.closed().await.0, code);
    }
}

#[tokio::test]
async fn frames_sent_right_behind_the_handshake_are_not_lost() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = local().await;
    let mut tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    let token = gateway.token("alice").unwrap();
    let mut request = format!(
        "GET /apps/local?x=1&access_token={token}&y HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(b"\x89\x82\0\0\0\0hi");
    tcp.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x8a\x02hi") {
        assert_ne!(tcp.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_client_that_closes_gets_its_code_back() {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    client.socket.close(Some(CloseFrame { code: 4001.into(), reason: "done".into() })).await.unwrap();
    assert_eq!(client.closed().await.0, 4001);
    support::eventually(|| support::connected(&gateway) == 0).await;
}

#[tokio::test]
async fn the_same_is_served_over_tls() {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = TlsOptions::pem(key.cert.pem(), key.signing_key.serialize_pem());
    let gateway = start(GatewayOptions::default().tls(tls)).await;
    assert!(gateway.url().starts_with("wss://") && gateway.http_url().starts_with("https://"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect("127.0.0.1".try_into().unwrap(), tcp).await.unwrap();
    let url = gateway.url_with_token("alice").unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    use futures_util::{SinkExt, StreamExt};
    assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("welcome"));
    let payload = "x".repeat(500_000);
    let publish = json!({"type": "publish", "data": {"topic": "main", "payload": payload, "id": "1"}}).to_string();
    socket.send(Message::text(publish)).await.unwrap();
    let mut frames = [socket.next().await.unwrap().unwrap(), socket.next().await.unwrap().unwrap()];
    frames.sort_by_key(|frame| frame.len());
    assert_eq!(serde_json::from_str::<Value>(frames[0].to_text().unwrap()).unwrap(), ack("1"));
    assert!(frames[1].to_text().unwrap().contains(&payload));
    let bad = TlsOptions::pem("nothing", "nothing");
    assert!(matches!(
        Gateway::start(GatewayOptions::default().tls(bad)).await,
        Err(GatewayError::InvalidCertificate(_))
    ));
}

#[tokio::test]
async fn frames_cut_anywhere_are_understood() {
    use tokio::io::AsyncWriteExt;
    let gateway = local().await;
    let mut client = Client::connect(&gateway, "alice").await;
    let mut bytes = Vec::new();
    let lengths = [0, 100, 125, 126, 5_000, 40_000, 65_535, 65_536, 300_000, 10];
    for (id, length) in lengths.into_iter().enumerate() {
        let data = json!({"topic": "t", "id": id.to_string(), "payload": "x".repeat(length)});
        let text = json!({"type": "publish", "data": data}).to_string();
        // Masked with zeros, which is a mask like any other.
        bytes.extend_from_slice(&[0x81, 0x80 | 127]);
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(text.as_bytes());
    }
    for sizes in [&[1, 2, 9, 13, 14, 15][..], &[1000, 17_000], &[16_383, 16_384, 16_385], &[32_768], &[70_000, 3]] {
        let tokio_tungstenite::MaybeTlsStream::Plain(tcp) = client.socket.get_mut() else { panic!() };
        let (mut rest, mut sizes) = (&bytes[..], sizes.iter().cycle());
        // Byte by byte for the first frames, in larger steps when that would take too long.
        while !rest.is_empty() {
            let size = if bytes.len() - rest.len() > 6_000 { 1000 } else { 1 } * sizes.next().unwrap();
            let (now, later) = rest.split_at(size.min(rest.len()));
            tcp.write_all(now).await.unwrap();
            tokio::task::yield_now().await;
            rest = later;
        }
        for id in 0..lengths.len() {
            assert_eq!(client.json().await, ack(&id.to_string()));
        }
    }
}

#[test]
fn handles_may_go_to_any_thread() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Gateway>();
    anywhere::<realtime_pubsub_gateway::Faults>();
    fn movable<T: Send>(_: &T) {}
    movable(&Gateway::start(GatewayOptions::default()));
}
