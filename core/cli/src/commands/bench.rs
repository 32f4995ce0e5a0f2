//! `bench`: measures, or loads for long.

use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::task::LocalSet;

use crate::bench::load::{self, Kind};
use crate::bench::soak::{self, Soaked};
use crate::bench::{self, BoxError, Case, PeerArguments, Plan, Report};
use crate::failure::Failure;
use crate::quantity;
use crate::signals::Stop;

/// Measure the client and the gateway beside bare tokio-tungstenite
///
/// Runs the servers as processes of their own on 127.0.0.1, takes each measurement of both sides in turns, and prints
/// the medians. What counts is the ratio, which a busy or slow machine changes least.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  realtime-pubsub bench
  realtime-pubsub bench acks-1024 fanout-1000 --rounds 9
  realtime-pubsub bench --json > before.json
  realtime-pubsub bench --soak 10m                     # exits with 1 if memory grew, or anything was left behind
  realtime-pubsub bench --load                         # beside nats-server and Mosquitto, where they are installed
  realtime-pubsub bench --load --connections 1000 --topics 100 --server gateway --rounds 1
  realtime-pubsub bench --load --soak 10m              # half of it, with clients that are killed

A row of --json has `case`, `name`, `unit`, `better` (more or less), `ours`, `bare`, `ratio` (ours to bare, the median of
the rounds), `ratio_least` and `ratio_most`; null where this system does not tell memory or CPU time.
A soak is clients of all habits, that reconnect, are terminated and are killed, and prints what memory the gateway and
the clients used in the second and in the last quarter of the time.
A load has the clients and each server on one core each, and checks every delivery. Its --json has a row for each server,
with `not_run` where it is not installed.")]
pub(crate) struct Arguments {
    /// What to measure. Default: everything
    #[arg(value_name = "CASE", conflicts_with_all = ["soak", "load"])]
    cases: Vec<Case>,
    /// How many times to measure each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Multiplies how much each measurement does: 0.1 for a quick look, 10 for calm figures
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = effort)]
    effort: f64,
    /// Instead of measuring, load a gateway for this long and watch its memory and that of the clients
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    soak: Option<Duration>,
    /// Measure mixed fan-out to many connections, beside other servers; with --soak, load the gateway with half of it
    #[arg(long)]
    load: bool,
    /// Connections of a load; its soak has half of them
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "load", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Topics of a load: of a hundred, one goes to a tenth of all connections, 9 to a hundredth, 90 to a thousandth
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "load", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    topics: u16,
    /// Deliveries a second of a load where latency is measured, and of its soak. Default: half of what the slowest of the
    /// servers can do, of a soak half of what the gateway can do
    #[arg(long, value_name = "N", requires = "load", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Which servers to load. Default: all
    #[arg(long = "server", value_name = "SERVER", requires = "load", value_delimiter = ',', conflicts_with = "soak")]
    servers: Vec<Kind>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn effort(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(effort) if (0.001..=100.0).contains(&effort) => Ok(effort),
        _ => Err("must be a number from 0.001 to 100".into()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if cfg!(debug_assertions) && arguments.soak.is_none() {
        let _ = writeln!(std::io::stderr(), "note: this is a debug build; its speed says nothing");
    }
    // Fan-out holds a thousand connections, in each process.
    crate::descriptors::raise();
    let runtime = bench::runtime().map_err(failed)?;
    let outcome = runtime.block_on(LocalSet::new().run_until(async {
        let mut stop = Stop::listen()?;
        let work = async {
            match (arguments.load, arguments.soak) {
                (true, Some(length)) => load::soak(load_plan(arguments), length).await.map(Done::LoadSoaked),
                (true, None) => load::run(load_plan(arguments)).await.map(Done::Loaded),
                (false, Some(length)) => soak::run(length).await.map(Done::Soaked),
                (false, None) => {
                    let plan = Plan { rounds: arguments.rounds.into(), effort: arguments.effort };
                    bench::run(&cases(arguments), plan).await.map(Done::Measured)
                }
            }
        };
        stop.unless(async { work.await.map_err(failed) }).await
    }));
    runtime.shutdown_background();
    let done = outcome?;
    let text = match (&done, arguments.json) {
        (Done::Measured(report), true) => report.json().to_string(),
        (Done::Measured(report), false) => report.to_string(),
        (Done::Soaked(soaked), true) => soaked.json().to_string(),
        (Done::Soaked(soaked), false) => soaked.to_string(),
        (Done::Loaded(report), true) => report.json().to_string(),
        (Done::Loaded(report), false) => report.to_string(),
        (Done::LoadSoaked(soaked), true) => soaked.json().to_string(),
        (Done::LoadSoaked(soaked), false) => soaked.to_string(),
    };
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::output(&error))?;
    match done {
        Done::Soaked(soaked) => soaked.verdict().map_err(Failure::new),
        Done::LoadSoaked(soaked) => soaked.verdict().map_err(Failure::new),
        Done::Measured(_) | Done::Loaded(_) => Ok(()),
    }
}

enum Done {
    Measured(Report),
    Soaked(Soaked),
    Loaded(load::Report),
    LoadSoaked(load::Soaked),
}

fn load_plan(arguments: &Arguments) -> load::Plan {
    let servers = match arguments.servers.is_empty() {
        true => Kind::value_variants().to_vec(),
        false => arguments.servers.clone(),
    };
    load::Plan {
        connections: arguments.connections as usize,
        topics: arguments.topics.into(),
        rate: arguments.rate.map(f64::from),
        rounds: arguments.rounds.into(),
        effort: arguments.effort,
        servers,
    }
}

/// A process that `bench` started.
pub(crate) fn run_peer(arguments: &PeerArguments) -> Result<(), Failure> {
    bench::serve(arguments).map_err(failed)
}

fn cases(arguments: &Arguments) -> Vec<Case> {
    if arguments.cases.is_empty() { Case::value_variants().to_vec() } else { arguments.cases.clone() }
}

fn failed(error: BoxError) -> Failure {
    Failure::new(format!("the benchmark failed: {error}"))
}
