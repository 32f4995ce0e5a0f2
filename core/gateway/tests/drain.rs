//! How a gateway stops: clients are asked to go, in their own time or spread over a window, and nothing new comes in.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use realtime_pubsub_gateway::GatewayOptions;
use serde_json::json;
use support::{Client, PATIENCE, ack, start};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn a_drain_window_spreads_the_closes_and_until_its_turn_a_client_is_served() {
    // 40 connections take at most 400 ms of any window.
    let gateway = start(GatewayOptions::default().drain_window(Duration::from_secs(3600))).await;
    let mut clients = Vec::new();
    for n in 0..40 {
        clients.push(Client::connect_here(&gateway, format!("{n}").as_str()).await);
    }
    let begin = Instant::now();
    let ends = clients.into_iter().map(async |mut client| {
        // Served until its close frame comes: each publish that got its ack came before.
        let mut acks = 0;
        loop {
            let frame = json!({"type": "publish", "data": {"topic": "t", "payload": 1, "id": "x"}}).to_string();
            let sent = futures_util::SinkExt::send(&mut client.socket, support::Message::text(frame)).await;
            match client.next().await {
                support::Message::Close(Some(close)) => {
                    assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "going away"));
                    return (begin.elapsed(), acks);
                }
                frame => {
                    let frame: serde_json::Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
                    assert_eq!(frame, ack("x"), "{sent:?}");
                }
            }
            acks += 1;
        }
    });
    let (ends, ()) = timeout(PATIENCE, async { tokio::join!(futures_util::future::join_all(ends), gateway.stop()) })
        .await
        .expect("the window is for more connections than there are");
    let mut times: Vec<Duration> = ends.iter().map(|(time, _)| *time).collect();
    times.sort();
    // The last one's turn is at 390 ms; whatever is late is never early.
    assert!(times[39] >= Duration::from_millis(380), "{times:?}");
    assert!(times[39] - times[0] >= Duration::from_millis(200), "all at once: {times:?}");
    assert!(ends.iter().any(|(_, acks)| *acks > 0));
    assert!(TcpStream::connect(gateway.address()).await.is_err(), "it still listens");
}

#[tokio::test]
async fn while_it_drains_the_gateway_takes_no_more_connections() {
    let gateway = start(GatewayOptions::default().drain_window(Duration::from_secs(3600))).await;
    let mut clients = Vec::new();
    for n in 0..30 {
        clients.push(Client::connect_here(&gateway, format!("{n}").as_str()).await);
    }
    let url = gateway.url_with_token("late").unwrap();
    let late = async {
        // Once the first is told to go, nobody is let in.
        let (first, ..) =
            futures_util::future::select_all(clients.iter_mut().map(|client| Box::pin(client.closed()))).await;
        assert_eq!(first.0, 1001);
        assert!(tokio_tungstenite::connect_async(&url).await.is_err());
        drop(clients);
    };
    timeout(PATIENCE, async { tokio::join!(late, gateway.stop()) }).await.unwrap();
}

#[tokio::test]
async fn without_a_window_all_go_at_once_and_a_client_that_stays_is_dropped_when_the_drain_is_over() {
    let gateway = start(GatewayOptions::default().drain(Duration::from_millis(200))).await;
    let mut polite = Client::connect_here(&gateway, "polite").await;
    let _stays = Client::connect_here(&gateway, "stays").await;
    let (closed, ()) = timeout(PATIENCE, async { tokio::join!(polite.closed(), gateway.stop()) }).await.unwrap();
    assert_eq!(closed, (1001, "going away".into()));
    assert!(gateway.connections().is_empty());
}
