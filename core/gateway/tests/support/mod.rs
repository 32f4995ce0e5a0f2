//! A bare WebSocket client to test the gateway with.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_pubsub_gateway::{Gateway, GatewayOptions, TokenRequest};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
pub use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "nats")]
pub mod nats_server;

/// A gateway with these options. With `GATEWAY_TEST_NATS`, a NATS server's URL, it is one of three that are one, and
/// [`Client::connect`] spreads clients over them.
pub async fn start(options: GatewayOptions) -> Gateway {
    #[cfg(feature = "nats")]
    if let Ok(server) = std::env::var("GATEWAY_TEST_NATS") {
        return nats::start_spread(options, &server).await;
    }
    Gateway::start(options).await.unwrap()
}

pub async fn local() -> Gateway {
    start(GatewayOptions::default()).await
}

/// How many connections the gateway has, and the others that it is one with.
pub fn connected(gateway: &Gateway) -> usize {
    let here = gateway.connections().len();
    #[cfg(feature = "nats")]
    return here + nats::connected_beside(gateway);
    #[cfg(not(feature = "nats"))]
    here
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub id: String,
    pings: u64,
}

impl Client {
    /// Connects to the gateway, or to another of its cluster.
    pub async fn connect(gateway: &Gateway, request: impl Into<TokenRequest>) -> Client {
        #[cfg(feature = "nats")]
        if let Some(url) = nats::spread_url(gateway) {
            return Client::open(&format!("{url}?access_token={}", gateway.token(request).unwrap())).await;
        }
        Client::connect_here(gateway, request).await
    }

    /// Connects to this very gateway: for what its handle does to its own connections.
    pub async fn connect_here(gateway: &Gateway, request: impl Into<TokenRequest>) -> Client {
        Client::open(&gateway.url_with_token(request).unwrap()).await
    }

    pub async fn open(url: &str) -> Client {
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut client = Client { socket, id: String::new(), pings: 0 };
        let welcome = client.json().await;
        assert_eq!((&welcome["topic"], &welcome["messageType"]), (&json!("main"), &json!("welcome")));
        client.id = welcome["data"]["connection"]["id"].as_str().unwrap().to_owned();
        client
    }

    /// The next frame, whatever it is.
    pub async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.socket.next()).await.expect("no frame came").expect("closed").expect("broken")
    }

    /// The next text or binary frame as JSON.
    pub async fn json(&mut self) -> Value {
        loop {
            match self.next().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Binary(bytes) => return serde_json::from_slice(&bytes).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected JSON, got {other:?}"),
            }
        }
    }

    /// The code and reason that the gateway closes with, whatever comes before.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.next().await {
                // The answer goes out when the socket is looked at again; then the gateway ends the connection.
                while timeout(PATIENCE, self.socket.next()).await.expect("still open").is_some() {}
                return frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
            }
        }
    }

    /// The code of the close frame, or `None` if the connection broke without one that can be read.
    pub async fn socket_closed(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("still open") {
                Some(Ok(Message::Close(Some(frame)))) => return Some(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn send(&mut self, frame: Value) {
        self.raw(frame.to_string()).await;
    }

    pub async fn raw(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub async fn subscribe(&mut self, topic: &str) {
        self.send(json!({"type": "subscribe", "data": {"topic": topic}})).await;
    }

    pub async fn unsubscribe(&mut self, topic: &str) {
        self.send(json!({"type": "unsubscribe", "data": {"topic": topic}})).await;
    }

    pub async fn publish(&mut self, topic: &str, payload: Value, id: &str) {
        self.send(json!({"type": "publish", "data": {"topic": topic, "payload": payload, "id": id}})).await;
    }

    /// Everything that comes before the pong of a ping sent now: all that the gateway had for this client.
    pub async fn settle(&mut self) -> Vec<Value> {
        self.pings += 1;
        let payload = format!("settle {}", self.pings);
        self.socket.send(Message::Ping(payload.clone().into())).await.unwrap();
        let mut seen = Vec::new();
        loop {
            match self.next().await {
                Message::Pong(bytes) if bytes == payload.as_bytes() => return seen,
                Message::Text(text) => seen.push(serde_json::from_str(&text).unwrap()),
                Message::Binary(bytes) => seen.push(serde_json::from_slice(&bytes).unwrap()),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }
}

/// An ack of this id.
pub fn ack(id: &str) -> Value {
    json!({"topic": "priv/acks", "messageType": "ack", "data": {"data": id}})
}

/// Permissions from short names: `write:x`, `read:x`.
pub fn permissions(names: &[&str]) -> Vec<String> {
    let full = |name: &&str| match name.split_once(':') {
        Some(("write", topic)) => format!("realtime:publisher:write:topic:{topic}"),
        Some(("read", topic)) => format!("realtime:subscriber:read:topic:{topic}"),
        _ => (*name).to_owned(),
    };
    names.iter().map(full).collect()
}

/// The status of a refused handshake, and its error's code.
pub async fn refused(url: &str) -> (u16, String) {
    match tokio_tungstenite::connect_async(url).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            let body: Value =
                serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap_or_default();
            (response.status().as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
        }
        other => panic!("expected a refusal, got {:?}", other.map(|_| "a connection")),
    }
}

/// Makes an HTTP request over a connection of its own: the status and the body.
pub async fn http(gateway: &Gateway, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}");
    raw_http(gateway, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

pub async fn raw_http(gateway: &Gateway, request: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut tcp = TcpStream::connect(gateway.address()).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is none of our business.
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("no answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// Makes an admin call with JSON: the status, and the body as JSON.
pub async fn call(gateway: &Gateway, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
    let (status, text) = http(gateway, method, path, token, &body.to_string()).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// Waits until something holds, looking again whenever the gateway had a turn.
pub async fn eventually(mut holds: impl FnMut() -> bool) {
    let look = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, look).await.expect("it never held");
}
