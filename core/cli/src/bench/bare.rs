//! What one would write by hand over tokio-tungstenite: the same frames, and nothing besides.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use super::server::{Peer, address};
use super::{Latency, Outcome, fanout};

pub(crate) type Socket = WebSocketStream<TcpStream>;
type Sinks = Rc<RefCell<Vec<SplitSink<Socket, Message>>>>;
type Talkers = Rc<RefCell<Vec<mpsc::UnboundedSender<Message>>>>;

const WELCOME: &str =
    r#"{"topic":"main","messageType":"welcome","data":{"connection":{"id":"c1","appId":"bench","remoteAddress":"x"}}}"#;

// ---- the server

pub(crate) async fn serve(listener: TcpListener, peer: Peer) -> Outcome<()> {
    let (sinks, talkers) = (Sinks::default(), Talkers::default());
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (sinks, talkers) = (Rc::clone(&sinks), Rc::clone(&talkers));
        tokio::task::spawn_local(async move {
            let Ok(mut socket) = accept_async(tcp).await else { return };
            // A client that goes away ends its connection, and that is all there is to it.
            let _ = async {
                socket.send(Message::text(WELCOME)).await?;
                match peer {
                    Peer::BareFan => broadcast(socket, &sinks).await,
                    Peer::BareRelay => relay(socket, &talkers).await,
                    Peer::BareFlood => flood(socket).await,
                    _ => acknowledge(socket).await,
                }
            }
            .await;
        });
    }
}

async fn acknowledge(mut socket: Socket) -> Outcome<()> {
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            if let Message::Text(text) = message? {
                let id = id_of(&text, r#""id":""#);
                let ack = format!(r#"{{"topic":"priv/acks","messageType":"ack","data":{{"data":"{id}"}}}}"#);
                socket.feed(ack.into()).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

/// A connection that subscribes gets all that others publish; a publish is the message that is delivered.
async fn broadcast(socket: Socket, sinks: &Sinks) -> Outcome<()> {
    let (sink, mut stream) = socket.split();
    let mut sink = Some(sink);
    while let Some(message) = stream.next().await {
        match message? {
            Message::Text(text) if text.starts_with(fanout::SUBSCRIBE) => sinks.borrow_mut().extend(sink.take()),
            Message::Text(text) => deliver(text, &mut stream, sinks).await,
            _ => {}
        }
    }
    Ok(())
}

async fn deliver(text: Utf8Bytes, stream: &mut SplitStream<Socket>, all: &Sinks) {
    // One publisher: nobody else borrows them meanwhile.
    let mut sinks = std::mem::take(&mut *all.borrow_mut());
    let mut gone = Vec::new();
    let mut text = Some(text);
    while let Some(next) = text {
        for (index, sink) in sinks.iter_mut().enumerate() {
            if sink.feed(Message::Text(next.clone())).await.is_err() {
                gone.push(index);
            }
        }
        text = match stream.next().now_or_never() {
            Some(Some(Ok(Message::Text(text)))) => Some(text),
            _ => None,
        };
    }
    for (index, sink) in sinks.iter_mut().enumerate() {
        if sink.flush().await.is_err() {
            gone.push(index);
        }
    }
    // Those of an earlier round.
    gone.sort_unstable();
    gone.dedup();
    for index in gone.into_iter().rev() {
        drop(sinks.swap_remove(index));
    }
    *all.borrow_mut() = sinks;
}

async fn relay(mut socket: Socket, talkers: &Talkers) -> Outcome<()> {
    let (own, mut told) = mpsc::unbounded_channel();
    talkers.borrow_mut().push(own.clone());
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_text() => {
                    let others = talkers.borrow();
                    others.iter().filter(|other| !other.same_channel(&own)).for_each(|other| drop(other.send(message.clone())));
                }
                Some(Ok(_)) => {}
                _ => break,
            },
            Some(message) = told.recv() => socket.send(message).await?,
        }
    }
    talkers.borrow_mut().retain(|other| !other.same_channel(&own));
    Ok(())
}

/// Sends so many messages with a payload of so many bytes, as the payload of what came says: `COUNT SIZE`.
async fn flood(mut socket: Socket) -> Outcome<()> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let Some(asked) = text.split(r#""payload":""#).nth(1).and_then(|rest| rest.split('"').next()) else { continue };
        let Some((count, size)) = asked.split_once(' ') else { continue };
        let (count, body): (usize, String) = (count.parse()?, "x".repeat(size.parse()?));
        for number in 0..count {
            let frame = format!(
                r#"{{"topic":"bench","messageType":"m","data":{{"client":{{"connectionId":"c2","subject":"s","permissions":["realtime:publisher:write:topic:*"]}},"payload":"{body}","id":"{number:032x}"}}}}"#
            );
            socket.feed(frame.into()).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

fn id_of<'a>(text: &'a str, key: &str) -> &'a str {
    let start = text.rfind(key).map_or(0, |at| at + key.len());
    text.get(start..start + 32).unwrap_or_default()
}

// ---- the client

pub(crate) async fn connect(url: &str) -> Outcome<Socket> {
    let stream = TcpStream::connect(address(url)).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async(url, stream).await?;
    welcomed(&mut socket).await?;
    Ok(socket)
}

pub(crate) async fn welcomed(socket: &mut Socket) -> Outcome<()> {
    match socket.next().await {
        Some(Ok(message)) if message.to_text().is_ok_and(|text| text.contains("welcome")) => Ok(()),
        _ => Err("the server did not welcome".into()),
    }
}

fn publish(payload: &str, id: usize) -> Message {
    format!(
        r#"{{"type":"publish","data":{{"payload":"{payload}","topic":"bench","messageType":"m","id":"{id:032x}"}}}}"#
    )
    .into()
}

fn check_ack(message: &Message, id: usize) -> Outcome<()> {
    match usize::from_str_radix(id_of(message.to_text()?, r#""data":""#), 16) {
        Ok(acknowledged) if acknowledged == id => Ok(()),
        _ => Err("another ack was expected".into()),
    }
}

async fn next(socket: &mut Socket) -> Outcome<Message> {
    Ok(socket.next().await.ok_or("the server closed")??)
}

pub(crate) async fn latency(url: &str, payload: &str, messages: usize) -> Outcome<Latency> {
    let mut socket = connect(url).await?;
    let mut took = Vec::with_capacity(messages);
    for id in 0..messages {
        let start = Instant::now();
        socket.send(publish(payload, id)).await?;
        check_ack(&next(&mut socket).await?, id)?;
        took.push(start.elapsed());
    }
    socket.close(None).await?;
    Ok(Latency::of(took))
}

/// Publishes with so many acks outstanding at most.
pub(crate) async fn acks(url: &str, payload: &str, messages: usize, depth: usize) -> Outcome<Duration> {
    let mut socket = connect(url).await?;
    let (mut sent, mut acknowledged) = (0, 0);
    let start = Instant::now();
    while acknowledged < messages {
        while sent < messages && sent - acknowledged < depth {
            socket.feed(publish(payload, sent)).await?;
            sent += 1;
        }
        socket.flush().await?;
        let mut came = socket.next().await;
        while let Some(message) = came {
            check_ack(&message?, acknowledged)?;
            acknowledged += 1;
            came = socket.next().now_or_never().flatten();
        }
    }
    let took = start.elapsed();
    socket.close(None).await?;
    Ok(took)
}

/// Publishes without waiting for acks, until the pong says that all has arrived.
pub(crate) async fn forget(url: &str, payload: &str, messages: usize) -> Outcome<Duration> {
    let (mut sink, mut stream) = connect(url).await?.split();
    let start = Instant::now();
    let write = async {
        for id in 0..messages {
            sink.feed(publish(payload, id)).await?;
        }
        sink.send(Message::Ping("end".into())).await?;
        Ok::<(), super::BoxError>(())
    };
    let read = async {
        while !stream.next().await.ok_or("the server closed")??.is_pong() {}
        Ok::<(), super::BoxError>(())
    };
    tokio::try_join!(write, read)?;
    Ok(start.elapsed())
}

/// One asks, the other answers.
pub(crate) async fn replies(url: &str, payload: &str, messages: usize) -> Outcome<Latency> {
    let (mut asker, mut answerer) = (connect(url).await?, connect(url).await?);
    let answering = tokio::spawn(async move {
        while let Some(Ok(message)) = answerer.next().await {
            if message.is_text() && answerer.send(message).await.is_err() {
                break;
            }
        }
    });
    let mut took = Vec::with_capacity(messages);
    for id in 0..messages {
        let start = Instant::now();
        asker.send(publish(payload, id)).await?;
        let reply = next(&mut asker).await?;
        if usize::from_str_radix(id_of(reply.to_text()?, r#""id":""#), 16)? != id {
            return Err("another reply was expected".into());
        }
        took.push(start.elapsed());
    }
    answering.abort();
    Ok(Latency::of(took))
}

/// Receives a flood, and reads topic, type and payload of each message.
pub(crate) async fn receive(url: &str, messages: usize, size: usize) -> Outcome<Duration> {
    let mut socket = connect(url).await?;
    let start = Instant::now();
    socket.send(publish(&format!("{messages} {size}"), 0)).await?;
    for _ in 0..messages {
        let message = next(&mut socket).await?;
        let frame: realtime_pubsub_protocol::Envelope<'_> =
            realtime_pubsub_protocol::Envelope::parse(message.to_text()?)?;
        if frame.topic != "bench" || frame.message_data().payload.as_str().len() != size + 2 {
            return Err("another message was expected".into());
        }
    }
    let took = start.elapsed();
    socket.close(None).await?;
    Ok(took)
}
