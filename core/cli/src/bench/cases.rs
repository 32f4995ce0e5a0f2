//! What is measured.

use std::time::Duration;

use clap::ValueEnum;

use super::server::{Peer, Server};
use super::{Latency, Outcome, Servers, bare, fanout, memory, ours};

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// From a publish to its ack, one at a time
    AckLatency,
    /// Publishes acknowledged, with 1 outstanding
    #[value(name = "acks-1")]
    Acks1,
    /// Publishes acknowledged, with 64 outstanding
    #[value(name = "acks-64")]
    Acks64,
    /// Publishes acknowledged, with 1,024 outstanding
    #[value(name = "acks-1024")]
    Acks1024,
    /// From a request to its reply, through the gateway to another client and back
    Reply,
    /// Messages of 128 B received
    #[value(name = "receive-128")]
    Receive128,
    /// Messages of 1 KiB received
    #[value(name = "receive-1024")]
    Receive1024,
    /// Publishes whose acks nobody waits for, until all have arrived
    Forget,
    /// Deliveries of one topic to 100 connections
    #[value(name = "fanout-100")]
    Fanout100,
    /// Deliveries of one topic to 1,000 connections
    #[value(name = "fanout-1000")]
    Fanout1000,
    /// Memory of a connected client that does nothing
    ClientMemory,
    /// The gateway's memory for a connection that does nothing
    GatewayMemory,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Bare,
}

/// A figure that a measurement comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) more_is_better: bool,
}

const fn rate(name: &'static str) -> Figure {
    Figure { name, unit: "/s", more_is_better: true }
}

const fn time(name: &'static str) -> Figure {
    Figure { name, unit: "µs", more_is_better: false }
}

const fn bytes(name: &'static str) -> Figure {
    Figure { name, unit: "KiB", more_is_better: false }
}

/// Bytes of a payload where nothing else is said.
const PAYLOAD: usize = 128;

impl Case {
    /// Its name, as an argument.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it is, for people.
    pub(crate) fn title(self) -> &'static str {
        self.figures().first().map_or("", |figure| figure.name)
    }

    /// What [`Case::measure`] comes to, in this order.
    pub(crate) fn figures(self) -> &'static [Figure] {
        match self {
            Case::AckLatency => const { &[time("ack latency, p50"), time("ack latency, p99")] },
            Case::Acks1 => const { &[rate("publish+ack, 1 outstanding")] },
            Case::Acks64 => const { &[rate("publish+ack, 64 outstanding")] },
            Case::Acks1024 => const { &[rate("publish+ack, 1,024 outstanding")] },
            Case::Reply => const { &[time("reply round trip, p50"), time("reply round trip, p99")] },
            Case::Receive128 => const { &[rate("receive, 128 B")] },
            Case::Receive1024 => const { &[rate("receive, 1 KiB")] },
            Case::Forget => const { &[rate("fire and forget")] },
            Case::Fanout100 => const { &[rate("fan-out 1 to 100"), rate("fan-out 1 to 100, per CPU second")] },
            Case::Fanout1000 => const { &[rate("fan-out 1 to 1,000"), rate("fan-out 1 to 1,000, per CPU second")] },
            Case::ClientMemory => const { &[bytes("memory per idle client")] },
            Case::GatewayMemory => const { &[bytes("memory per idle gateway connection")] },
        }
    }

    pub(crate) fn warms_up(self) -> bool {
        !matches!(self, Case::ClientMemory | Case::GatewayMemory)
    }

    /// How many messages, deliveries or connections a measurement has.
    fn count(self, effort: f64) -> usize {
        let (full, least) = match self {
            Case::AckLatency | Case::Acks1 => (10_000, 20),
            Case::Acks64 => (100_000, 200),
            Case::Acks1024 | Case::Forget => (200_000, 2000),
            Case::Reply => (5000, 20),
            Case::Receive128 => (300_000, 200),
            Case::Receive1024 => (150_000, 200),
            Case::Fanout100 | Case::Fanout1000 => (1_500_000, 2000),
            Case::ClientMemory => (400, 20),
            Case::GatewayMemory => (2000, 20),
        };
        ((f64::from(full) * effort) as usize).max(least)
    }

    pub(crate) async fn measure(self, side: Side, effort: f64, servers: &mut Servers) -> Outcome<Vec<Option<f64>>> {
        let count = self.count(effort);
        let payload = "x".repeat(PAYLOAD);
        let per_second = |took: Duration| vec![Some(count as f64 / took.as_secs_f64())];
        let micros = |took: Latency| [took.p50, took.p99].map(|took| Some(took.as_secs_f64() * 1e6)).to_vec();
        let mine = side == Side::Ours;
        let either = |other: Peer| if mine { Peer::Gateway } else { other };
        Ok(match self {
            Case::AckLatency => {
                let url = &servers.get(either(Peer::BareAcks))?.url;
                micros(if mine {
                    ours::latency(url, &payload, count).await?
                } else {
                    bare::latency(url, &payload, count).await?
                })
            }
            Case::Acks1 | Case::Acks64 | Case::Acks1024 => {
                let depth = match self {
                    Case::Acks1 => 1,
                    Case::Acks64 => 64,
                    _ => 1024,
                };
                let url = &servers.get(either(Peer::BareAcks))?.url;
                per_second(if mine {
                    ours::acks(url, &payload, count, depth).await?
                } else {
                    bare::acks(url, &payload, count, depth).await?
                })
            }
            Case::Reply => {
                let url = &servers.get(either(Peer::BareRelay))?.url;
                micros(if mine {
                    ours::replies(url, &payload, count).await?
                } else {
                    bare::replies(url, &payload, count).await?
                })
            }
            Case::Receive128 | Case::Receive1024 => {
                let size = if self == Case::Receive128 { 128 } else { 1024 };
                // The same server for both: what is measured is the client.
                let url = &servers.get(Peer::BareFlood)?.url;
                per_second(if mine {
                    ours::receive(url, count, size).await?
                } else {
                    bare::receive(url, count, size).await?
                })
            }
            Case::Forget => {
                let url = &servers.get(either(Peer::BareAcks))?.url;
                per_second(if mine {
                    ours::forget(url, &payload, count).await?
                } else {
                    bare::forget(url, &payload, count).await?
                })
            }
            Case::Fanout100 | Case::Fanout1000 => {
                let receivers = if self == Case::Fanout100 { 100 } else { 1000 };
                // Bare delivers what the gateway delivers, byte for byte.
                let delivery = fanout::delivery(&servers.get(Peer::Gateway)?.url, &payload).await?;
                let publish = if mine { fanout::publish(&payload) } else { delivery.clone() };
                let server = servers.get(either(Peer::BareFan))?;
                let speed = fanout::measure(server, &publish, delivery.len(), receivers, count / receivers).await?;
                vec![Some(speed.by_clock), speed.by_cpu]
            }
            Case::ClientMemory => {
                let url = servers.get(either(Peer::BareAcks))?.url.clone();
                vec![memory::of_clients(mine, &url, count)?.map(kib)]
            }
            Case::GatewayMemory => {
                // Memory that was used once is kept, so each has a new server.
                let server = Server::start(either(Peer::BareAcks))?;
                vec![memory::of_connections(&server, count).await?.map(kib)]
            }
        })
    }
}

fn kib(bytes: f64) -> f64 {
    bytes / 1024.0
}
