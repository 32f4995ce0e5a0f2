//! Gateways that are one through NATS.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_pubsub_gateway::{AppOptions, Gateway, GatewayOptions, NatsOptions};

use super::eventually;

/// A line of a gateway's metrics.
pub fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.metrics();
    let value = |line: &'_ str| {
        Some(line.strip_prefix(name)?.trim_start_matches("{app=\"local\"}").strip_prefix(' ')?.to_owned())
    };
    let line = text.lines().find_map(value).unwrap_or("0".into());
    line.parse().unwrap()
}

/// Options for gateways that are one with others of the same call.
pub fn together(options: GatewayOptions, nats: NatsOptions) -> GatewayOptions {
    // Fresh keys would be others at each gateway.
    let options = if options.apps.is_empty() { options.app(AppOptions::new("local")) } else { options };
    options.nats(nats)
}

/// Starts gateways that are one, and returns when they all know each other.
pub async fn cluster(options: &GatewayOptions, count: usize) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..count {
        gateways.push(Gateway::start(options.clone()).await.unwrap());
    }
    know_each_other(&gateways).await;
    gateways
}

pub async fn know_each_other(gateways: &[Gateway]) {
    let all = gateways.len() as u64;
    eventually(|| gateways.iter().all(|gateway| metric(gateway, "realtime_cluster_members") == all)).await;
}

static SPREAD: Mutex<Option<HashMap<SocketAddr, Vec<Gateway>>>> = Mutex::new(None);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A gateway with two others beside it, see [`spread_url`].
pub async fn start_spread(options: GatewayOptions, server: &str) -> Gateway {
    let prefix = format!("test-{:x}", NEXT.fetch_add(1, Ordering::Relaxed) + 1000 * std::process::id() as usize);
    let options = together(options, NatsOptions::new(server).prefix(prefix));
    let mut gateways = cluster(&options, 3).await;
    let first = gateways.remove(0);
    SPREAD.lock().unwrap().get_or_insert_default().insert(first.address(), gateways);
    first
}

/// The URL of one of the gateway's cluster, each in turn.
pub fn spread_url(gateway: &Gateway) -> Option<String> {
    let spread = SPREAD.lock().unwrap();
    let others = spread.as_ref()?.get(&gateway.address())?;
    let all: Vec<_> = std::iter::once(gateway).chain(others).collect();
    Some(all[NEXT.fetch_add(1, Ordering::Relaxed) % all.len()].url())
}

/// The connections of the others of the gateway's cluster.
pub fn connected_beside(gateway: &Gateway) -> usize {
    let spread = SPREAD.lock().unwrap();
    let others = spread.as_ref().and_then(|spread| spread.get(&gateway.address()));
    others.map_or(0, |others| others.iter().map(|other| other.connections().len()).sum())
}
