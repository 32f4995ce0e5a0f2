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
    /// Above its column, and by what it is multiplied there; none for what the table leaves out.
    column: Option<(&'static str, f64)>,
    of: fn(&Sample) -> Option<f64>,
}

const fn column(key: &'static str, title: &'static str, scale: f64, of: fn(&Sample) -> Option<f64>) -> Figure {
    Figure { key, column: Some((title, scale)), of }
}

const fn figure(key: &'static str, of: fn(&Sample) -> Option<f64>) -> Figure {
    Figure { key, column: None, of }
}

const FIGURES: [Figure; 10] = [
    column("deliveries_per_second", "deliveries/s", 1.0, |sample| Some(sample.throughput)),
    column("p50_micros", "p50 ms", 0.001, |sample| sample.p50),
    column("p99_micros", "p99 ms", 0.001, |sample| sample.p99),
    figure("connected_mib", |sample| sample.connected),
    column("loaded_mib", "MiB", 1.0, |sample| sample.loaded),
    figure("connected_kib_each", |sample| sample.each_connected),
    column("loaded_kib_each", "KiB each", 1.0, |sample| sample.each_loaded),
    column("delivery_bytes", "B each", 1.0, |sample| Some(sample.delivery_bytes)),
    column("servers_core", "its core", 100.0, |sample| sample.servers_core),
    column("generator_core", "clients'", 100.0, |sample| sample.generator_core),
];

/// A server that uses less of its core than this in the closed loop was waiting for something else.
const BUSY: f64 = 0.9;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) plan: Plan,
    pub(super) cores: Option<Cores>,
    /// Deliveries a second in the open loop, if anything could be run.
    pub(super) rate: Option<f64>,
    /// Of one message to each topic.
    pub(super) deliveries: usize,
    /// The rounds of each server, or why it was not run.
    pub(super) servers: Vec<(Kind, Result<Vec<Sample>, String>)>,
}

/// Characters of a column.
const COLUMN: usize = 12;

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
        let width = self.servers.iter().map(|(kind, _)| kind.title().chars().count()).max().unwrap_or_default();
        let columns = || FIGURES.iter().filter_map(|figure| Some((figure, figure.column?)));
        write!(f, "{:width$}", "")?;
        for (_, (title, _)) in columns() {
            write!(f, " {title:>COLUMN$}")?;
        }
        writeln!(f, "  gateway's ratio")?;
        for (kind, samples) in &self.servers {
            write!(f, "{:width$}", kind.title())?;
            let samples = match samples {
                Ok(samples) => samples,
                Err(reason) => {
                    writeln!(f, "  not run: {reason}")?;
                    continue;
                }
            };
            for (figure, (_, scale)) in columns() {
                let figure = medians(samples, figure.of).map(|figure| figure * scale);
                write!(f, " {:>COLUMN$}", shown(figure))?;
            }
            match self.ratio(*kind).filter(|_| *kind != Kind::Gateway) {
                Some((ratio, least, most)) => writeln!(f, "  {ratio:.2}x, {least:.2} to {most:.2}")?,
                None => writeln!(f, "  –")?,
            }
        }
        writeln!(f)?;
        for (kind, samples) in &self.servers {
            if let Ok(samples) = samples
                && let Some(core) = medians(samples, |sample| sample.servers_core).filter(|core| *core < BUSY)
            {
                let title = kind.title();
                writeln!(f, "{title} used {:.0} % of its core only: something else was the limit.", core * 100.0)?;
            }
        }
        self.explain(f)
    }
}

impl Report {
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { connections, topics, rounds, .. } = self.plan;
        let plural = if rounds == 1 { "" } else { "s" };
        let cores = match self.cores {
            Some(_) => {
                "All processes of a server share one core, the clients have another; what they used of them is in %."
            }
            None => "There are no two cores, one for the servers and one for the clients: look at the ratios only.",
        };
        write!(
            f,
            "{connections} connections, {topics} topics; a message of {payload} B to each topic is {deliveries} deliveries. \
             Medians of {rounds} round{plural} taken in turns. {cores} Deliveries in a closed loop, with as many on their way \
             at most as a message to each topic makes",
            payload = super::ledger::PAYLOAD,
            deliveries = self.deliveries,
        )?;
        if let Some(rate) = self.rate {
            let rate = shown(Some(rate));
            write!(
                f,
                "; latency in an open loop at {rate} deliveries a second, from when a message was due to be sent"
            )?;
        }
        write!(
            f,
            ". Memory after the load, and what of it is for each connection. No ids, no acks; QoS 0; nothing kept; no \
             logins but the gateway's tokens. Each delivery was checked: none was lost, repeated or out of order."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(throughput: f64) -> Sample {
        let (none, delivery_bytes) = (None, 150.0);
        Sample {
            throughput,
            delivery_bytes,
            servers_core: Some(throughput / 1000.0),
            generator_core: none,
            p50: Some(1500.0),
            p99: none,
            connected: none,
            loaded: none,
            each_connected: none,
            each_loaded: none,
        }
    }

    #[test]
    fn every_server_has_its_row_also_if_it_was_not_run() {
        let plan = Plan {
            connections: 10,
            topics: 2,
            rate: None,
            rounds: 3,
            effort: 1.0,
            servers: vec![Kind::Gateway, Kind::NatsServer, Kind::Mosquitto],
        };
        let servers = vec![
            (Kind::Gateway, Ok([950.0, 900.0, 1000.0].map(sample).to_vec())),
            (Kind::NatsServer, Ok([500.0, 1000.0, 250.0].map(sample).to_vec())),
            (Kind::Mosquitto, Err("mosquitto is not installed".into())),
        ];
        let report = Report { plan, cores: None, rate: Some(125.0), deliveries: 2, servers };
        let table = report.to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert!(
            lines[1].starts_with("gateway ") && lines[1].contains(" 950.0 ") && lines[1].ends_with(" –"),
            "{table}"
        );
        assert!(lines[2].contains(" 1.5 ") && lines[2].ends_with("  1.90x, 0.90 to 4.00"), "{table}");
        assert!(lines[3].ends_with("not run: mosquitto is not installed"), "{table}");
        assert!(table.contains("nats-server, WebSocket used 50 % of its core only"), "{table}");
        assert!(!table.contains("gateway used"), "{table}");
        let json = report.json();
        assert_eq!(json["servers"][1]["gateway_ratio"], 1.9);
        assert_eq!(json["servers"][2]["not_run"], "mosquitto is not installed");
    }
}
