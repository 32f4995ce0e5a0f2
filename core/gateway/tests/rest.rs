//! The REST calls, each at its edges, and the operator's pages.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, Limits, TokenRequest};
use serde_json::{Value, json};
use support::{Client, call, http, local, permissions, start};

const PUBLISH: &str = "/api/topics/local/publish";
const UNSUBSCRIBE: &str = "/api/topics/local/unsubscribe";
const CONNECTIONS: &str = "/api/connections/local";

fn admin(gateway: &Gateway, names: &[&str]) -> String {
    gateway.admin_token(TokenRequest::new("admin").permissions(permissions(names))).unwrap()
}

fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_rest_publish_delivers_the_message_raw() {
    let gateway = local().await;
    let token = admin(&gateway, &["write:news"]);
    let mut client = Client::connect(&gateway, "alice").await;
    client.subscribe("news").await;
    client.settle().await;
    for message in ["null", "12345678901234567890.10", r#"{"client":{"connectionId":"x"},"payload":1}"#, r#""ü""#] {
        let body = format!(r#"{{"topic":"news","message":{message},"messageType":"flash"}}"#);
        let (status, answer) = http(&gateway, "POST", PUBLISH, &token, &body).await;
        assert_eq!((status, answer.as_str()), (200, r#"{"delivered":1}"#));
        let frame = client.next().await;
        let expected = format!(r#"{{"topic":"news","messageType":"flash","data":{message}}}"#);
        assert_eq!(frame.to_text().unwrap(), expected);
    }
    let (status, _) =
        call(&gateway, "POST", PUBLISH, &token, json!({"topic": "news", "message": 1, "compress": true})).await;
    assert_eq!(status, 200);
    let frame = client.next().await;
    assert!(frame.is_binary());
    let text = std::str::from_utf8(frame.to_text().unwrap().as_bytes()).unwrap().to_owned();
    assert_eq!(text, r#"{"topic":"news","messageType":"broadcast","data":1}"#);
}

#[tokio::test]
async fn a_rest_publish_needs_its_permission_and_a_good_body() {
    let gateway = local().await;
    let token = admin(&gateway, &["write:news"]);
    for (body, status, says) in [
        (json!({"topic": "other", "message": 1}), 403, "forbidden"),
        (json!({"topic": "news"}), 400, "body"),
        (json!({"message": 1}), 400, "body"),
        (json!({"topic": 5, "message": 1}), 400, "body"),
        (json!([]), 400, "body"),
        (json!({"topic": "n".repeat(1025), "message": 1}), 400, "topic_too_long"),
    ] {
        let (got, answer) = call(&gateway, "POST", PUBLISH, &token, body.clone()).await;
        assert_eq!((got, code(&answer)), (status, says), "{body}");
    }
    let (status, _) = http(&gateway, "POST", PUBLISH, &token, "{not json").await;
    assert_eq!(status, 400);
    let all = gateway.admin_token("root").unwrap();
    let (status, _) = call(&gateway, "POST", PUBLISH, &all, json!({"topic": "priv/acks", "message": 1})).await;
    assert_eq!(status, 403, "acks come from the gateway alone");
}

#[tokio::test]
async fn a_rest_body_may_be_as_large_as_a_message_and_no_larger() {
    let gateway = start(GatewayOptions::default().limits(Limits::default().message_bytes(100))).await;
    let token = gateway.admin_token("root").unwrap();
    let body = |length: usize| {
        let empty = r#"{"topic":"t","message":""}"#.len();
        format!(r#"{{"topic":"t","message":"{}"}}"#, "x".repeat(length - empty))
    };
    assert_eq!(http(&gateway, "POST", PUBLISH, &token, &body(100)).await.0, 200);
    assert_eq!(http(&gateway, "POST", PUBLISH, &token, &body(101)).await.0, 413);
}

#[tokio::test]
async fn a_rest_unsubscribe_ends_what_its_patterns_name_for_one_subject() {
    let gateway = local().await;
    let token = admin(&gateway, &["realtime:admin:manage:subscribers"]);
    let mut first = Client::connect(&gateway, "alice").await;
    let mut second = Client::connect(&gateway, "alice").await;
    let mut bob = Client::connect(&gateway, "bob").await;
    for client in [&mut first, &mut second, &mut bob] {
        for topic in ["chat/1", "chat/2", "news"] {
            client.subscribe(topic).await;
        }
        client.settle().await;
    }
    let body = json!({"topicPatterns": ["chat/*", "nothing"], "subject": "alice"});
    assert_eq!(call(&gateway, "POST", UNSUBSCRIBE, &token, body).await, (200, json!({"unsubscribed": 4})));
    let publish = gateway.admin_token("root").unwrap();
    for (topic, delivered) in [("chat/1", 1), ("chat/2", 1), ("news", 3)] {
        let answer = call(&gateway, "POST", PUBLISH, &publish, json!({"topic": topic, "message": 0})).await;
        assert_eq!(answer, (200, json!({"delivered": delivered})));
    }
}

#[tokio::test]
async fn a_rest_unsubscribe_takes_fifty_patterns_and_no_more() {
    let gateway = local().await;
    let token = gateway.admin_token("root").unwrap();
    let body = |count: usize| json!({"topicPatterns": vec!["x"; count], "subject": "alice"});
    assert_eq!(call(&gateway, "POST", UNSUBSCRIBE, &token, body(50)).await.0, 200);
    let (status, answer) = call(&gateway, "POST", UNSUBSCRIBE, &token, body(51)).await;
    assert_eq!((status, code(&answer)), (400, "too_many_patterns"));
    let lacking = admin(&gateway, &["write:*", "realtime:admin:manage:connections"]);
    assert_eq!(call(&gateway, "POST", UNSUBSCRIBE, &lacking, body(1)).await.0, 403);
}

#[tokio::test]
async fn one_or_all_connections_can_be_terminated() {
    let gateway = local().await;
    let token = admin(&gateway, &["realtime:admin:manage:connections"]);
    let mut first = Client::connect(&gateway, "alice").await;
    let mut second = Client::connect(&gateway, "bob").await;
    let mut third = Client::connect(&gateway, "carol").await;
    let one = format!("{CONNECTIONS}/{}", first.id);
    assert_eq!(call(&gateway, "DELETE", &one, &token, Value::Null).await, (200, json!({"terminated": 1})));
    assert_eq!(first.closed().await, (1008, "terminated by an administrator".into()));
    let (status, answer) = call(&gateway, "DELETE", &one, &token, Value::Null).await;
    assert_eq!((status, code(&answer)), (404, "connection_not_found"));
    assert!(second.settle().await.is_empty());
    assert_eq!(call(&gateway, "DELETE", CONNECTIONS, &token, Value::Null).await, (200, json!({"terminated": 2})));
    assert_eq!(second.closed().await.0, 1008);
    assert_eq!(third.closed().await.0, 1008);
    let lacking = admin(&gateway, &["realtime:admin:manage:subscribers"]);
    assert_eq!(call(&gateway, "DELETE", CONNECTIONS, &lacking, Value::Null).await.0, 403);
}

#[tokio::test]
async fn admin_calls_take_no_token_but_their_own() {
    let options = GatewayOptions::default().app(AppOptions::new("local")).app(AppOptions::new("other"));
    let gateway = start(options).await;
    let mut client = Client::connect(&gateway, "alice").await;
    let one = format!("{CONNECTIONS}/{}", client.id);
    let calls = [
        ("POST", PUBLISH, json!({"topic": "main", "message": 1})),
        ("POST", UNSUBSCRIBE, json!({"topicPatterns": ["*"], "subject": "alice"})),
        ("DELETE", &one, Value::Null),
        ("DELETE", CONNECTIONS, Value::Null),
    ];
    for (token, says) in [
        (String::new(), "token_missing"),
        ("rubbish".into(), "token_malformed"),
        (gateway.token("alice").unwrap(), "token_signature"),
        (gateway.admin_token_of("other", "root").unwrap(), "token_signature"),
        (gateway.token_of("other", "alice").unwrap(), "token_signature"),
        (gateway.admin_token(TokenRequest::new("root").expires_at(1)).unwrap(), "token_expired"),
    ] {
        for (method, path, body) in &calls {
            let (status, answer) = call(&gateway, method, path, &token, body.clone()).await;
            assert_eq!((status, code(&answer)), (401, says), "{method} {path}");
        }
    }
    assert!(client.settle().await.is_empty(), "nothing came of any of them");
    let token = gateway.admin_token("root").unwrap();
    for (method, path, body) in &calls {
        // With a good token, what is wrong is the app or the method.
        let elsewhere = |app: &str| path.replace("/local", &format!("/{app}"));
        let (status, answer) = call(&gateway, method, &elsewhere("none"), &token, body.clone()).await;
        assert_eq!((status, code(&answer)), (404, "app_not_found"), "{path}");
        let (status, answer) = call(&gateway, method, &elsewhere("other"), &token, body.clone()).await;
        assert_eq!((status, code(&answer)), (401, "token_signature"), "{path}");
        for wrong in ["GET", "PUT", if *method == "POST" { "DELETE" } else { "POST" }] {
            let (status, answer) = call(&gateway, wrong, path, &token, body.clone()).await;
            assert_eq!((status, code(&answer)), (405, "method"), "{wrong} {path}");
        }
    }
    let (status, answer) = call(&gateway, "POST", "/api/nothing", &token, Value::Null).await;
    assert_eq!((status, code(&answer)), (404, "not_found"));
    assert!(client.settle().await.is_empty());
}

#[tokio::test]
async fn admin_calls_of_one_app_leave_the_others_alone() {
    let options = GatewayOptions::default().app(AppOptions::new("local")).app(AppOptions::new("other"));
    let gateway = start(options).await;
    let token = gateway.admin_token("root").unwrap();
    let elsewhere =
        format!("{}?access_token={}", gateway.url_of("other").unwrap(), gateway.token_of("other", "alice").unwrap());
    let mut other = Client::open(&elsewhere).await;
    other.subscribe("chat").await;
    other.settle().await;
    let publish = json!({"topic": "chat", "message": 1});
    assert_eq!(call(&gateway, "POST", PUBLISH, &token, publish.clone()).await, (200, json!({"delivered": 0})));
    let patterns = json!({"topicPatterns": ["*"], "subject": "alice"});
    assert_eq!(call(&gateway, "POST", UNSUBSCRIBE, &token, patterns).await, (200, json!({"unsubscribed": 0})));
    let one = format!("{CONNECTIONS}/{}", other.id);
    assert_eq!(call(&gateway, "DELETE", &one, &token, Value::Null).await.0, 404);
    assert_eq!(call(&gateway, "DELETE", CONNECTIONS, &token, Value::Null).await, (200, json!({"terminated": 0})));
    assert!(other.settle().await.is_empty());
    let others = gateway.admin_token_of("other", "root").unwrap();
    let published = call(&gateway, "POST", "/api/topics/other/publish", &others, publish).await;
    assert_eq!(published, (200, json!({"delivered": 1})), "it is still subscribed");
}

#[tokio::test]
async fn a_rest_unsubscribe_needs_a_good_body() {
    let gateway = local().await;
    let token = gateway.admin_token("root").unwrap();
    for body in [
        json!({"topicPatterns": ["x"]}),
        json!({"subject": "alice"}),
        json!({"topicPatterns": "x", "subject": "alice"}),
        json!({"topicPatterns": [1], "subject": "alice"}),
        json!({"topicPatterns": ["x"], "subject": 1}),
        Value::Null,
    ] {
        let (status, answer) = call(&gateway, "POST", UNSUBSCRIBE, &token, body.clone()).await;
        assert_eq!((status, code(&answer)), (400, "body"), "{body}");
    }
    let none = json!({"topicPatterns": [], "subject": "alice"});
    assert_eq!(call(&gateway, "POST", UNSUBSCRIBE, &token, none).await, (200, json!({"unsubscribed": 0})));
}

#[tokio::test]
async fn health_and_metrics_are_there_for_the_operator() {
    let gateway = Gateway::start(GatewayOptions::default()).await.unwrap();
    let mut client = Client::connect(&gateway, "alice").await;
    client.publish("main", json!(1), "1").await;
    client.settle().await;
    assert_eq!(http(&gateway, "GET", "/healthz", "", "").await, (200, r#"{"status":"ok"}"#.into()));
    let (status, text) = http(&gateway, "GET", "/metrics", "", "").await;
    assert_eq!(status, 200);
    for line in [
        r#"realtime_connections{app="local"} 1"#,
        r#"realtime_connections_opened_total{app="local"} 1"#,
        r#"realtime_subscriptions{app="local"} 1"#,
        r#"realtime_messages_received_total{app="local"} 1"#,
        r#"realtime_messages_delivered_total{app="local"} 1"#,
        r#"realtime_acks_total{app="local"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
}
