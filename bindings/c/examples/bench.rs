//! The Rust half of the benchmark, and what all clients talk to; see `bindings/c/bench/run.sh` and `tests/bench`.
//!
//! `bench serve` starts a gateway and prints its URL. `bench CASE URL SECONDS` prints one figure: messages a second, or
//! for `latency` the median in microseconds.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use realtime_pubsub::blocking::Client;
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits, Target, TokenRequest};

type Outcome<T> = Result<T, Box<dyn Error>>;

const PAYLOAD: usize = 128;
/// How many messages a receiver gets when it asks for more.
const CHUNK: usize = 5000;
const FRAMES: usize = 100;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [case, url, seconds] = arguments[..] else {
        return if arguments == ["serve"] {
            serve()
        } else {
            Err("usage: bench serve | bench ack-64|ack-1024|reply-64|receive|fire|latency URL SECONDS".into())
        };
    };
    let client = Client::new(url)?;
    client.connect()?;
    let length = Duration::from_secs_f64(seconds.parse()?);
    let figure = match case.split_once('-') {
        Some(("ack", depth)) => window(&client, length, depth.parse()?, "bench", |wait| wait.wait_for_ack().block())?,
        Some(("reply", depth)) => {
            window(&client, length, depth.parse()?, "ask", |wait| wait.wait_for_reply().block().map(drop))?
        }
        _ => match case {
            "receive" => receive(&client, length)?,
            "fire" => fire(&client, length)?,
            "latency" => latency(&client, length)?,
            _ => return Err(format!("no such case: {case}").into()),
        },
    };
    println!("{figure:.1}");
    client.disconnect()?;
    Ok(())
}

/// A gateway, and a peer at it: what is published to `ask` gets a reply; who publishes to `more` gets so many messages
/// named as the payload says, or `bench.m`, that were encoded before: the receiver alone is measured.
fn serve() -> Outcome<()> {
    let gateway = Gateway::start_blocking(GatewayOptions::default().limits(Limits::default().outbound_bytes(1 << 30)))?;
    let client = Client::new(gateway.url_with_token(TokenRequest::new("peer").expires_in(DAY))?)?;
    client.on("ask.*", |message| drop(message.reply("pong").enqueue()))?;
    let (wanted, floods) = mpsc::channel();
    client.on("more.*", move |message| {
        let connection = message.sender().map(|sender| sender.connection_id.into_owned());
        let _ = wanted.send((connection, message.payload_as::<String>().unwrap_or_default()));
    })?;
    client.connect()?;
    client.subscribe_remote_topic("ask")?;
    client.subscribe_remote_topic("more")?;
    println!("{}", gateway.url_with_token(TokenRequest::new("bench").expires_in(DAY))?);
    let mut frames = HashMap::new();
    for (connection, name) in floods {
        let Some(connection) = connection else { continue };
        let (topic, kind) = name.split_once('.').unwrap_or(("bench", "m"));
        let chunk = frames.entry((topic.to_owned(), kind.to_owned())).or_insert_with(|| encoded(topic, kind));
        for _ in 0..CHUNK / FRAMES {
            gateway.faults().send_bytes(Target::Connection(connection.clone()), chunk);
        }
    }
    Ok(())
}

/// WebSocket text frames.
fn encoded(topic: &str, kind: &str) -> Vec<u8> {
    let message = format!(
        r#"{{"topic":"{topic}","messageType":"{kind}","data":{{"client":{{"connectionId":"0123456789abcdef0123456789abcdef","subject":"other","permissions":["*"]}},"payload":"{}","id":"0123456789abcdef0123456789abcdef"}}}}"#,
        "x".repeat(PAYLOAD)
    );
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(message.len() as u16).to_be_bytes());
    frame.extend_from_slice(message.as_bytes());
    frame.repeat(FRAMES)
}

/// Publishes with so many answers outstanding at most.
fn window(
    client: &Client,
    length: Duration,
    depth: usize,
    topic: &str,
    finish: impl Fn(&realtime_pubsub::WaitFor) -> realtime_pubsub::Result<()>,
) -> Outcome<f64> {
    let payload = "x".repeat(PAYLOAD);
    let mut outstanding: VecDeque<realtime_pubsub::WaitFor> = VecDeque::with_capacity(depth);
    let (start, mut count) = (Instant::now(), 0_usize);
    while !count.is_multiple_of(depth) || start.elapsed() < length {
        if outstanding.len() == depth
            && let Some(oldest) = outstanding.pop_front()
        {
            finish(&oldest)?;
        }
        outstanding.push_back(client.publish(topic, &payload).message_type("m").enqueue()?);
        count += 1;
    }
    for wait in outstanding {
        finish(&wait)?;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn receive(client: &Client, length: Duration) -> Outcome<f64> {
    let (done, finished) = mpsc::channel();
    let (mut received, mut bytes) = (0_usize, 0);
    let start = Instant::now();
    let asking = client.clone();
    client.on("bench.m", move |message| {
        received += 1;
        bytes += message.payload().as_str().len();
        if received.is_multiple_of(CHUNK) {
            if start.elapsed() < length {
                drop(asking.publish("more", "bench.m").enqueue());
            } else {
                let _ = done.send((received, bytes, start.elapsed()));
            }
        }
    })?;
    for _ in 0..3 {
        drop(client.publish("more", "bench.m").enqueue()?);
    }
    let (received, bytes, took) = finished.recv()?;
    assert_eq!(bytes, received * (PAYLOAD + 2));
    Ok(received as f64 / took.as_secs_f64())
}

/// Publishes that nobody waits for, the last one acknowledged.
fn fire(client: &Client, length: Duration) -> Outcome<f64> {
    let payload = "x".repeat(PAYLOAD);
    let (start, mut count) = (Instant::now(), 0_usize);
    while start.elapsed() < length {
        for _ in 0..200 {
            drop(client.publish("bench", &payload).message_type("m").block()?);
        }
        count += 200;
    }
    client.publish("bench", &payload).message_type("m").block()?.wait_for_ack().block()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn latency(client: &Client, length: Duration) -> Outcome<f64> {
    let payload = "x".repeat(PAYLOAD);
    let mut took = Vec::new();
    let until = Instant::now() + length;
    while Instant::now() < until {
        let start = Instant::now();
        client.publish("bench", &payload).message_type("m").enqueue()?.wait_for_ack().block()?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(took.len() / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1e6))
}
