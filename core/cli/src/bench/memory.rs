//! Memory of what does nothing.

use futures_util::{SinkExt, StreamExt};
use realtime_pubsub::Client;
use tokio_tungstenite::tungstenite::Message;

use super::server::{Peer, Server, spawn};
use super::{Outcome, bare, fanout};

/// Bytes of memory that a process uses, where the system says so.
pub(crate) fn of_process(id: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

fn own() -> f64 {
    of_process("self").map_or(f64::NAN, |bytes| bytes as f64)
}

/// Bytes for each client, in a process that has nothing else.
pub(crate) fn of_clients(ours: bool, url: &str, count: usize) -> Outcome<Option<f64>> {
    let peer = if ours { Peer::IdleClients } else { Peer::IdleBareClients };
    let (mut child, line) = spawn(peer, Some(url), count)?;
    child.wait()?;
    let bytes: f64 = line.parse()?;
    Ok(bytes.is_finite().then_some(bytes))
}

/// Bytes that each of so many connections costs a server.
pub(crate) async fn of_connections(server: &Server, count: usize) -> Outcome<Option<f64>> {
    let first = (count / 10).max(5);
    let mut held = Vec::with_capacity(first + count);
    for _ in 0..first {
        held.push(server.raw().await?);
    }
    fanout::barrier(&mut held).await?;
    let before = server.memory();
    for _ in 0..count {
        held.push(server.raw().await?);
    }
    // All are alive, and have been heard.
    fanout::barrier(&mut held).await?;
    let each = |before: u64, after: u64| (after as f64 - before as f64) / count as f64;
    Ok(before.zip(server.memory()).map(|(before, after)| each(before, after)))
}

/// Bytes for each of so many clients that are connected from here.
pub(crate) async fn idle_clients(url: &str, count: usize) -> Outcome<f64> {
    let mut held = Vec::new();
    let mut before = 0.0;
    for number in 0..count + count / 10 {
        if number == count / 10 {
            before = own();
        }
        let client = Client::new(url)?;
        client.connect().await?;
        client.flush().await?;
        held.push(client);
    }
    Ok((own() - before) / count as f64)
}

/// The same with bare tokio-tungstenite.
pub(crate) async fn idle_bare_clients(url: &str, count: usize) -> Outcome<f64> {
    let mut held = Vec::new();
    let mut before = 0.0;
    for number in 0..count + count / 10 {
        if number == count / 10 {
            before = own();
        }
        let mut socket = bare::connect(url).await?;
        socket.send(Message::Ping("idle".into())).await?;
        while !socket.next().await.ok_or("the server closed")??.is_pong() {}
        held.push(socket);
    }
    Ok((own() - before) / count as f64)
}
