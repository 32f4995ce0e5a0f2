//! What the gateway is compared with: tokio-tungstenite used plainly, with its own defaults, and nothing of the
//! protocol but what the client of the benchmark needs to see.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async};

type Sinks = Rc<RefCell<Vec<SplitSink<WebSocketStream<TcpStream>, Message>>>>;

pub(crate) async fn serve(what: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("ws://{}/", listener.local_addr().unwrap());
    let sinks = Sinks::default();
    let what = what.to_owned();
    let accept = async {
        while let Ok((tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            let (sinks, what) = (sinks.clone(), what.clone());
            tokio::task::spawn_local(async move {
                let mut socket = accept_async(tcp).await.unwrap();
                socket.send(Message::text("welcome")).await.unwrap();
                match what.as_str() {
                    "bare-acks" => ack(socket).await,
                    "bare-fanout" => broadcast(socket, sinks, false).await,
                    _ => broadcast(socket, sinks, true).await,
                }
            });
        }
    };
    tokio::task::LocalSet::new().run_until(accept).await;
}

/// Answers every message with an ack of a fixed text, flushed when no more messages are there to be read.
async fn ack(mut socket: WebSocketStream<TcpStream>) {
    let ack = Utf8Bytes::from_static(
        r#"{"topic":"priv/acks","messageType":"ack","data":{"data":"00000000000000000000000000000000"}}"#,
    );
    while let Some(Ok(message)) = socket.next().await {
        let mut message = Some(message);
        while let Some(next) = message {
            if next.is_text() {
                socket.feed(Message::Text(ack.clone())).await.unwrap();
            }
            message = socket.next().now_or_never().flatten().and_then(Result::ok);
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

/// A connection that subscribes gets all that others publish; a publish is the message that is delivered.
async fn broadcast(socket: WebSocketStream<TcpStream>, sinks: Sinks, flushing: bool) {
    let (sink, mut stream) = socket.split();
    let mut sink = Some(sink);
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(text) if text.contains("subscribe") => {
                sinks.borrow_mut().extend(sink.take());
            }
            Message::Text(text) => deliver(text, &mut stream, &sinks, flushing).await,
            _ => {}
        }
    }
}

async fn deliver(text: Utf8Bytes, stream: &mut SplitStream<WebSocketStream<TcpStream>>, all: &Sinks, flushing: bool) {
    // One publisher: nobody else borrows them meanwhile.
    let mut sinks = std::mem::take(&mut *all.borrow_mut());
    let mut text = Some(text);
    while let Some(next) = text {
        for sink in &mut sinks {
            let message = Message::Text(next.clone());
            let sent = if flushing { sink.send(message).await } else { sink.feed(message).await };
            sent.unwrap();
        }
        text = match stream.next().now_or_never() {
            Some(Some(Ok(Message::Text(text)))) => Some(text),
            _ => None,
        };
    }
    if !flushing {
        for sink in &mut sinks {
            sink.flush().await.unwrap();
        }
    }
    *all.borrow_mut() = sinks;
}
