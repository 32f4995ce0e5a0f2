//! What one would write by hand over tokio-tungstenite: the same frames, and nothing besides.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Socket = WebSocketStream<TcpStream>;

/// A server that greets, acknowledges what is published, and floods on demand. Returns its URL.
pub(crate) async fn serve(payload: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/apps/bench", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                serve_one(socket, payload).await;
            });
        }
    });
    url
}

async fn serve_one(mut socket: Socket, payload: usize) {
    let welcome = r#"{"topic":"main","messageType":"welcome","data":{"connection":{"id":"c1","appId":"bench","remoteAddress":"x"}}}"#;
    socket.send(welcome.into()).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            if !answer(&mut socket, message, payload).await {
                return;
            }
            next = socket.next().now_or_never().flatten().and_then(Result::ok);
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

async fn answer(socket: &mut Socket, message: Message, payload: usize) -> bool {
    let Message::Text(text) = message else { return !matches!(message, Message::Close(_)) };
    if let Some(flood) = text.strip_prefix(r#"{"type":"publish","data":{"payload":"#)
        && text.contains(r#""topic":"flood""#)
    {
        let count: usize = flood.split(',').next().unwrap().parse().unwrap();
        let body = "x".repeat(payload);
        for number in 0..count {
            let frame = format!(
                r#"{{"topic":"bench","messageType":"m","data":{{"client":{{"connectionId":"c2","subject":"s","permissions":["realtime:publisher:write:topic:*"]}},"payload":"{body}","id":"{number:032x}"}}}}"#
            );
            if socket.feed(frame.into()).await.is_err() {
                return false;
            }
        }
        return true;
    }
    let id = id_of(&text, r#""id":""#);
    let ack = format!(r#"{{"topic":"priv/acks","messageType":"ack","data":{{"data":"{id}"}}}}"#);
    socket.feed(ack.into()).await.is_ok()
}

fn id_of<'a>(text: &'a str, key: &str) -> &'a str {
    let start = text.rfind(key).unwrap() + key.len();
    &text[start..start + 32]
}

async fn connect(url: &str) -> Socket {
    let address = url.trim_start_matches("ws://").split('/').next().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let welcome = socket.next().await.unwrap().unwrap();
    assert!(welcome.to_text().unwrap().contains("welcome"));
    socket
}

fn publish(payload: &str, id: usize) -> Message {
    format!(
        r#"{{"type":"publish","data":{{"payload":"{payload}","topic":"bench","messageType":"m","id":"{id:032x}"}}}}"#
    )
    .into()
}

fn check_ack(message: &Message, id: usize) {
    assert_eq!(usize::from_str_radix(id_of(message.to_text().unwrap(), r#""data":""#), 16).unwrap(), id);
}

/// The median time from a publish to its ack.
pub(crate) fn latency(url: &str, payload: &str, messages: usize) -> Duration {
    super::runtime().block_on(async {
        let mut socket = connect(url).await;
        let mut took = Vec::with_capacity(messages);
        for id in 0..messages {
            let start = Instant::now();
            socket.send(publish(payload, id)).await.unwrap();
            check_ack(&socket.next().await.unwrap().unwrap(), id);
            took.push(start.elapsed());
        }
        socket.close(None).await.unwrap();
        took.sort_unstable();
        took[messages / 2]
    })
}

/// Publishes with so many acks outstanding at most.
pub(crate) fn acks(url: &str, payload: &str, messages: usize, depth: usize) -> Duration {
    super::runtime().block_on(async {
        let mut socket = connect(url).await;
        let (mut sent, mut acknowledged) = (0, 0);
        let start = Instant::now();
        while acknowledged < messages {
            while sent < messages && sent - acknowledged < depth {
                socket.feed(publish(payload, sent)).await.unwrap();
                sent += 1;
            }
            socket.flush().await.unwrap();
            let mut next = socket.next().await;
            while let Some(message) = next {
                check_ack(&message.unwrap(), acknowledged);
                acknowledged += 1;
                next = socket.next().now_or_never().flatten();
            }
        }
        let took = start.elapsed();
        socket.close(None).await.unwrap();
        took
    })
}

/// What a program needs of a message to act on it, by serde_json; returns the payload's length.
pub(crate) fn read_parts(text: &str) -> usize {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Frame<'a> {
        topic: &'a str,
        message_type: &'a str,
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        payload: &'a serde_json::value::RawValue,
    }
    let frame: Frame<'_> = serde_json::from_str(text).unwrap();
    if (frame.topic, frame.message_type) == ("bench", "m") { frame.data.payload.get().len() } else { 0 }
}

/// Receives a flood, doing `read` with each frame.
pub(crate) fn receive(url: &str, messages: usize, read: fn(&str) -> usize) -> Duration {
    super::runtime().block_on(async {
        let mut socket = connect(url).await;
        let start = Instant::now();
        let flood =
            format!(r#"{{"type":"publish","data":{{"payload":{messages},"topic":"flood","id":"{:032x}"}}}}"#, 0);
        socket.send(flood.into()).await.unwrap();
        for _ in 0..messages {
            let message = socket.next().await.unwrap().unwrap();
            assert!(read(message.to_text().unwrap()) >= super::PAYLOAD);
        }
        let took = start.elapsed();
        socket.close(None).await.unwrap();
        took
    })
}
