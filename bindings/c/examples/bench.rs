//! The Rust half of the benchmark, and what both halves talk to; see `bindings/c/bench/run.sh`.
//!
//! `bench serve` starts a gateway and prints its URL. `bench CASE URL COUNT` prints one figure: messages a second, or
//! for `latency` the median in microseconds.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::mpsc;
use std::time::Instant;

use realtime_pubsub::blocking::Client;
use realtime_pubsub_gateway::{Gateway, GatewayOptions, Limits, Target};

const PAYLOAD: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let figure = match arguments[..] {
        ["serve"] => return serve(),
        ["latency", url, count] => latency(url, count.parse()?)?,
        ["receive", url, count] => receive(url, count.parse()?)?,
        [case, url, count] => acks(url, count.parse()?, case.trim_start_matches("acks").parse()?)?,
        _ => return Err("usage: bench serve | bench acks64|acks1024|receive|latency URL COUNT".into()),
    };
    println!("{figure:.1}");
    Ok(())
}

/// A gateway that floods its client, on demand, with messages that were encoded before: the client alone is measured.
fn serve() -> Result<(), Box<dyn Error>> {
    let limits = Limits::default().outbound_bytes(1 << 30);
    let gateway = Gateway::start_blocking(GatewayOptions::default().limits(limits))?;
    println!("{}", gateway.url_with_token("bench")?);
    let message = format!(
        r#"{{"topic":"bench","messageType":"m","data":{{"client":{{"connectionId":"0123456789abcdef","subject":"other","permissions":["realtime:publisher:write:topic:*"]}},"payload":"{}","id":"0123456789abcdef0123456789abcdef"}}}}"#,
        "x".repeat(PAYLOAD)
    );
    // A WebSocket text frame.
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&u16::try_from(message.len())?.to_be_bytes());
    frame.extend_from_slice(message.as_bytes());
    let chunk = frame.repeat(100);
    let client = Client::new(gateway.url_with_token("flooder")?)?;
    let (wanted, floods) = mpsc::channel();
    client.on("main.flood", move |message| {
        let _ = wanted.send(message.payload_as::<usize>());
    })?;
    client.connect()?;
    for count in floods {
        for _ in 0..count? / 100 {
            gateway.faults().send_bytes(Target::Subject("bench".into()), &chunk);
        }
    }
    Ok(())
}

fn connected(url: &str) -> Result<Client, Box<dyn Error>> {
    let client = Client::new(url)?;
    client.connect()?;
    Ok(client)
}

fn acks(url: &str, count: usize, depth: usize) -> Result<f64, Box<dyn Error>> {
    let client = connected(url)?;
    let payload = "x".repeat(PAYLOAD);
    let mut window = VecDeque::with_capacity(depth);
    let start = Instant::now();
    for _ in 0..count {
        if window.len() == depth {
            let Some(oldest): Option<realtime_pubsub::WaitFor> = window.pop_front() else { break };
            oldest.wait_for_ack().block()?;
        }
        window.push_back(client.publish("bench", &payload).message_type("m").enqueue()?);
    }
    for wait in window {
        wait.wait_for_ack().block()?;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    client.disconnect()?;
    Ok(rate)
}

fn receive(url: &str, count: usize) -> Result<f64, Box<dyn Error>> {
    let client = connected(url)?;
    let (done, finished) = mpsc::channel();
    let (mut received, mut bytes, mut start) = (0, 0, Instant::now());
    client.on("bench.*", move |message| {
        if received == 0 {
            start = Instant::now();
        }
        received += 1;
        bytes += message.payload().as_str().len();
        if received == count {
            let _ = done.send((start.elapsed(), bytes));
        }
    })?;
    drop(client.publish("main", count).message_type("flood").enqueue()?);
    let (took, bytes) = finished.recv()?;
    assert_eq!(bytes, count * (PAYLOAD + 2));
    client.disconnect()?;
    Ok(count as f64 / took.as_secs_f64())
}

fn latency(url: &str, count: usize) -> Result<f64, Box<dyn Error>> {
    let client = connected(url)?;
    let payload = "x".repeat(PAYLOAD);
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        client.publish("bench", &payload).message_type("m").enqueue()?.wait_for_ack().block()?;
        took.push(start.elapsed());
    }
    client.disconnect()?;
    took.sort_unstable();
    Ok(took[count / 2].as_secs_f64() * 1e6)
}
