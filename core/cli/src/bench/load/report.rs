//! The result of a load, as a table and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::cores::Cores;
use super::{Kind, Plan};
use crate::bench::report::{median, shown, sorted};

/// What was measured of one server in one round. `None` where the system does not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Deliveries a second in the closed loop.
    pub(super) throughput: f64,
    /// What came for each delivery, all overhead included.
    pub(super) delivery_bytes: f64,
    /// The part of a core that the server's processes used in the closed loop, and that the clients did.
    pub(super) servers_core: Option<f64>,
    pub(super) generator_core: Option<f64>,
    /// Microseconds from when a message was due to be published until a delivery, in the open loop.
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
    /// MiB of memory with all connected and subscribed, and after the load.
    pub(super) connected: Option<f64>,
    pub(super) loaded: Option<f64>,
    /// KiB for each connection, of what came on top of a server without connections.
    pub(super) each_connected: Option<f64>,
    pub(super) each_loaded: Option<f64>,
}

/// A figure of a sample.
struct Figure {
    key: &'static str,
    title: &'static str,
    /// By what it is multiplied to be shown.
    scale: f64,
    of: fn(&Sample) -> Option<f64>,
}

const fn figure(key: &'static str, title: &'static str, scale: f64, of: fn(&Sample) -> Option<f64>) -> Figure {
    Figure { key, title, scale, of }
}

const FIGURES: [Figure; 10] = [
    figure("deliveries_per_second", "deliveries /s", 1.0, |sample| Some(sample.throughput)),
    figure("servers_core", "its core %", 100.0, |sample| sample.servers_core),
    figure("generator_core", "clients' %", 100.0, |sample| sample.generator_core),
    figure("p50_micros", "p50 µs", 1.0, |sample| sample.p50),
    figure("p99_micros", "p99 µs", 1.0, |sample| sample.p99),
    figure("connected_mib", "MiB connected", 1.0, |sample| sample.connected),
    figure("loaded_mib", "MiB loaded", 1.0, |sample| sample.loaded),
    figure("connected_kib_each", "KiB each", 1.0, |sample| sample.each_connected),
    figure("loaded_kib_each", "KiB each loaded", 1.0, |sample| sample.each_loaded),
    figure("delivery_bytes", "bytes/delivery", 1.0, |sample| Some(sample.delivery_bytes)),
];

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) plan: Plan,
    pub(super) cores: Option<Cores>,
    /// Deliveries a second in the open loop.
    pub(super) rate: f64,
    /// Of one message to each topic.
    pub(super) deliveries: usize,
    /// The rounds of each server, or why it was not run.
    pub(super) servers: Vec<(Kind, Result<Vec<Sample>, String>)>,
}

/// The median of the rounds' ratios, the least and the most of them.
type Ratio = Option<(f64, f64, f64)>;

fn medians(samples: &[Sample], of: fn(&Sample) -> Option<f64>) -> Option<f64> {
    sorted(samples.iter().map(of).collect()).map(|all| median(&all))
}

impl Report {
    fn of(&self, kind: Kind) -> Option<&[Sample]> {
        let (_, samples) = self.servers.iter().find(|(other, _)| *other == kind)?;
        samples.as_deref().ok()
    }

    /// The gateway's throughput to another's, or a cluster's of gateways to the gateway's.
    fn ratio(&self, kind: Kind) -> Ratio {
        let (ours, theirs) = (self.of(Kind::Gateway)?, self.of(kind)?);
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| Some(ours.throughput / theirs.throughput)).collect();
        let all = sorted(ratios)?;
        Some((median(&all), *all.first()?, *all.last()?))
    }

    pub(crate) fn json(&self) -> Value {
        let servers: Vec<Value> = self
            .servers
            .iter()
            .map(|(kind, samples)| {
                let mut row = json!({ "server": kind.name(), "name": kind.title() });
                match samples {
                    Err(reason) => row["not_run"] = reason.as_str().into(),
                    Ok(samples) => {
                        for Figure { key, of, .. } in &FIGURES {
                            row[*key] = medians(samples, *of).into();
                        }
                        let ratio = self.ratio(*kind);
                        row["gateway_ratio"] = ratio.map(|(ratio, ..)| ratio).into();
                        row["gateway_ratio_least"] = ratio.map(|(_, least, _)| least).into();
                        row["gateway_ratio_most"] = ratio.map(|(.., most)| most).into();
                    }
                }
                row
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "debug_build": cfg!(debug_assertions),
            "connections": self.plan.connections,
            "topics": self.plan.topics,
            "deliveries_of_a_message_to_each_topic": self.deliveries,
            "payload_bytes": super::ledger::PAYLOAD,
            "rounds": self.plan.rounds,
            "effort": self.plan.effort,
            "open_loop_rate": self.rate,
            "cores": self.cores.map(|cores| json!({ "servers": cores.servers, "generator": cores.generator })),
            "servers": servers,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: &Kind| kind.title();
        let width = self.servers.iter().map(|(kind, _)| name(kind).chars().count()).max().unwrap_or_default();
        write!(f, "{:width$}", "")?;
        for Figure { title, .. } in &FIGURES {
            write!(f, "  {title:>13}")?;
        }
        writeln!(f, "  gateway's ratio")?;
        for (kind, samples) in &self.servers {
            write!(f, "{:width$}", name(kind))?;
            match samples {
                Err(reason) => writeln!(f, "  not run: {reason}")?,
                Ok(samples) => {
                    for Figure { title, scale, of, .. } in &FIGURES {
                        let figure = shown(medians(samples, *of).map(|figure| figure * scale));
                        write!(f, "  {figure:>0$}", title.chars().count().max(13))?;
                    }
                    match self.ratio(*kind).filter(|_| *kind != Kind::Gateway) {
                        Some((ratio, least, most)) => writeln!(f, "  {ratio:.2}x ({least:.2} to {most:.2})")?,
                        None => writeln!(f, "  –")?,
                    }
                }
            }
        }
        let Plan { connections, topics, rounds, .. } = self.plan;
        let cores = match self.cores {
            Some(_) => "All processes of a server share one core, the clients have another.",
            None => {
                "There are no two cores to give one to the servers and one to the clients: look at the ratios only."
            }
        };
        write!(
            f,
            "\n{connections} connections, {topics} topics; a message of {payload} B to each topic is {deliveries} \
             deliveries. Medians of {rounds} rounds taken in turns. {cores} Deliveries in a closed loop, with as many on \
             their way at most as one message to each topic makes; latencies in an open loop at {rate} deliveries a second, \
             from when a message was due. No ids, no acks; QoS 0, nothing kept, no logins. Every delivery was checked: none \
             was lost or repeated.",
            payload = super::ledger::PAYLOAD,
            deliveries = shown(Some(self.deliveries as f64)),
            rate = shown(Some(self.rate)),
        )
    }
}
