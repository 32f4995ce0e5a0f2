//! The console's page and calls: what they show, who may see it, and that looking changes nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, TokenRequest};
use serde_json::{Value, json};
use support::{Client, call, http, local, raw_http, start};

const READ: &str = "realtime:admin:read:console";

async fn with_console() -> Gateway {
    start(GatewayOptions::default().console(true)).await
}

fn reader(gateway: &Gateway) -> String {
    gateway.admin_token(TokenRequest::new("operator").permissions([READ])).unwrap()
}

async fn get(gateway: &Gateway, path: &str, token: &str) -> (u16, Value) {
    call(gateway, "GET", path, token, json!(null)).await
}

#[tokio::test]
async fn the_guide_tells_of_every_metric() {
    let gateway = local().await;
    let guide = include_str!("../README.md");
    let metrics = gateway.metrics();
    let names: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# HELP realtime_")).collect();
    assert!(names.len() > 15, "{metrics}");
    for name in names.iter().filter_map(|line| line.split(' ').next()) {
        let told = guide.contains(&format!("`{name}`")) || guide.contains(&format!("`{name}_total`"));
        assert!(told, "the guide's table has no `{name}`");
    }
}

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    let gateway = local().await;
    let token = reader(&gateway);
    for path in ["/console", "/console/console.js", "/api/console/local", "/api/console/local/tail"] {
        assert_eq!(get(&gateway, path, &token).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn its_page_may_load_nothing_from_elsewhere_and_run_nothing_inline() {
    let gateway = with_console().await;
    for (path, kind) in [
        ("/console", "text/html; charset=utf-8"),
        ("/console/console.js", "text/javascript; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut tcp = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        for line in [
            &format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(line), "{line}\n{head}");
        }
        let elsewhere = body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !elsewhere.contains("http://") && !elsewhere.contains("https://") && !body.contains(" style="),
            "{path}"
        );
        assert!(!body.contains("innerHTML") && !body.contains(" onclick") && !body.contains("eval("), "{path}");
    }
}

#[tokio::test]
async fn its_calls_need_an_admin_token_of_the_app_with_the_permission() {
    let options = GatewayOptions::default().console(true).app(AppOptions::new("one")).app(AppOptions::new("two"));
    let gateway = start(options).await;
    let with = |name: &str| TokenRequest::new("x").permissions([name]);
    let client = gateway.token_of("one", with(READ)).unwrap();
    let other = gateway.admin_token_of("two", with(READ)).unwrap();
    let lacking = gateway.admin_token_of("one", with("realtime:admin:manage:connections")).unwrap();
    let good = gateway.admin_token_of("one", with(READ)).unwrap();
    for path in ["/api/console/one", "/api/console/one/tail?topic=x"] {
        for (token, status) in [("", 401), (&*client, 401), (&*other, 401), (&*lacking, 403), (&*good, 200)] {
            assert_eq!(get(&gateway, path, token).await.0, status, "{path}");
        }
        assert_eq!(call(&gateway, "POST", path, &good, json!({})).await.0, 405);
        // A token in the URL, where logs would have it, is not looked at.
        let separator = if path.contains('?') { '&' } else { '?' };
        assert_eq!(get(&gateway, &format!("{path}{separator}access_token={good}"), "").await.0, 401);
    }
    assert_eq!(get(&gateway, "/api/console/three", &good).await.0, 404);
    let publish = json!({"topic": "t", "message": 1});
    assert_eq!(call(&gateway, "POST", "/api/topics/one/publish", &good, publish).await.0, 403, "it is read-only");
}

#[tokio::test]
async fn a_gateway_without_tokens_shows_it_under_localhost_only() {
    let gateway = start(GatewayOptions::default().console(true).insecure(true)).await;
    let get = |host: &str| format!("GET /api/console/local HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw_http(&gateway, &get(&format!("localhost:{}", gateway.address().port()))).await.0, 200);
    assert_eq!(raw_http(&gateway, &get(&gateway.address().to_string())).await.0, 200);
    for elsewhere in ["rebound.example", "rebound.example:80", "localhost.rebound.example", ""] {
        assert_eq!(raw_http(&gateway, &get(elsewhere)).await.0, 403, "{elsewhere}");
    }
}

#[tokio::test]
async fn an_overview_shows_connections_topics_and_counts_of_its_app() {
    let options = GatewayOptions::default().console(true).app(AppOptions::new("one")).app(AppOptions::new("two"));
    let gateway = start(options).await;
    let admin = gateway.admin_token_of("one", TokenRequest::new("x").permissions([READ])).unwrap();
    let mut alice = Client::connect_here(&gateway, "alice").await;
    let mut bob = Client::connect_here(&gateway, "bob").await;
    let elsewhere = gateway.token_of("two", "eve").unwrap();
    let mut eve = Client::open(&format!("{}?access_token={elsewhere}", gateway.url_of("two").unwrap())).await;
    eve.subscribe("hidden").await;
    eve.settle().await;
    for client in [&mut alice, &mut bob] {
        client.subscribe("<b>chat</b>").await;
    }
    alice.subscribe("only").await;
    bob.settle().await;
    alice.publish("<b>chat</b>", json!(1), "1").await;
    alice.settle().await;
    let (_, shown) = get(&gateway, "/api/console/one", &admin).await;
    assert_eq!(shown["topics"], json!([["<b>chat</b>", 2], ["main", 2], ["only", 1]]));
    let subjects: Vec<_> = shown["connections"].as_array().unwrap().iter().map(|c| c["subject"].clone()).collect();
    assert_eq!(subjects, ["bob", "alice"], "the newest first");
    assert_eq!(shown["connections"][1]["id"], json!(alice.id));
    assert_eq!(shown["connections"][1]["subscriptions"], 3);
    let counts = &shown["counts"];
    assert_eq!(
        (&counts["connections"], &counts["messagesReceived"], &counts["acks"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&counts["messagesDelivered"], &shown["complete"]), (&json!(2), &json!(true)));
    let (_, found) = get(&gateway, "/api/console/one?find=onl", &admin).await;
    assert_eq!((&found["topics"], &found["connections"]), (&json!([["only", 1]]), &json!([])));
    let (status, _) = get(&gateway, &format!("/api/console/one?find={}", "x".repeat(1025)), &admin).await;
    assert_eq!(status, 400);
    // So many different filters in a second; the same one costs nothing.
    let mut statuses = Vec::new();
    for n in 0..30 {
        statuses.push(get(&gateway, &format!("/api/console/one?find=x{n}"), &admin).await.0);
    }
    assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn a_tail_shows_what_goes_by_also_where_nobody_is_subscribed_and_delivers_as_before() {
    let gateway = with_console().await;
    let token = reader(&gateway);
    let admin = gateway.admin_token("root").unwrap();
    let mut alice = Client::connect(&gateway, "alice").await;
    let tail = |after: u64| format!("/api/console/local/tail?topic=chat%2F*&after={after}");
    assert_eq!(get(&gateway, &tail(0), &token).await, (200, json!({"messages": [], "skipped": 0, "sequence": 0})));
    // Beside other gateways, a pong says that they know of the tail, and that what they were sent has come.
    let mut here = Client::connect_here(&gateway, "here").await;
    here.settle().await;
    alice.publish("chat/1", json!({"text": "<script>"}), "7").await;
    alice.publish("other", json!(0), "8").await;
    alice.settle().await;
    let publish = json!({"topic": "chat/2", "message": [1], "messageType": "rest"});
    assert_eq!(call(&gateway, "POST", "/api/topics/local/publish", &admin, publish).await.0, 200);
    here.settle().await;
    let (_, news) = get(&gateway, &tail(0), &token).await;
    let seen = news["messages"].as_array().unwrap();
    assert_eq!((seen.len(), &news["sequence"]), (2, &json!(2)));
    assert_eq!(
        (&seen[0]["topic"], &seen[0]["messageType"], &seen[0]["subject"], &seen[0]["connectionId"], &seen[0]["id"]),
        (&json!("chat/1"), &json!("broadcast"), &json!("alice"), &json!(alice.id), &json!("\"7\""))
    );
    assert_eq!(seen[0]["payload"], r#"{"text":"<script>"}"#);
    assert_eq!(
        (&seen[1]["subject"], &seen[1]["payload"], &seen[1]["messageType"]),
        (&json!(null), &json!("[1]"), &json!("rest"))
    );
    assert_eq!(get(&gateway, &tail(2), &token).await.1["messages"], json!([]));
    for n in 0..7 {
        assert_eq!(get(&gateway, &format!("/api/console/local/tail?topic={n}"), &token).await.0, 200);
    }
    let (status, refused) = get(&gateway, "/api/console/local/tail?topic=more", &token).await;
    assert_eq!((status, &refused["error"]["code"]), (429, &json!("too_many_tails")));
    assert_eq!(http(&gateway, "GET", &tail(0), &token, "").await.0, 200, "that others look at it costs no more");
}
