//! The benchmark: this project beside bare tokio-tungstenite that does the same, in turns.
//!
//! Clients run in this process on one thread (ours has one more, for listeners); what they talk to runs in a process of
//! its own, on one thread. Each measurement is taken of both sides in every round, and the medians of the rounds count.

mod bare;
mod cases;
mod fanout;
pub(crate) mod load;
mod memory;
mod ours;
mod report;
mod server;
pub(crate) mod soak;

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::timeout;

pub(crate) use cases::Case;
pub(crate) use report::{Report, Row};
pub(crate) use server::{PeerArguments, serve};

use cases::Side;
use server::{Peer, Server};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Outcome<T> = Result<T, BoxError>;

/// Longer than any measurement takes, so that one that hangs is told and does not hang the benchmark.
const PATIENCE: Duration = Duration::from_secs(180);

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// By what the messages and connections of a measurement are multiplied.
    pub(crate) effort: f64,
}

/// How long one thing took, done many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    p50: Duration,
    p99: Duration,
}

impl Latency {
    /// Of at least one time.
    fn of(mut took: Vec<Duration>) -> Latency {
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        Latency { p50: at(50), p99: at(99) }
    }
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The servers that are running, started when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Servers(HashMap<Peer, Server>);

impl Servers {
    fn get(&mut self, peer: Peer) -> Outcome<&Server> {
        use std::collections::hash_map::Entry;
        Ok(match self.0.entry(peer) {
            Entry::Occupied(running) => running.into_mut(),
            Entry::Vacant(place) => place.insert(Server::start(peer)?),
        })
    }
}

/// Measures, in a `LocalSet`.
pub(crate) async fn run(cases: &[Case], plan: Plan) -> Outcome<Report> {
    let (mut servers, mut rows) = (Servers::default(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let progress = |what: &str| say_progress(&format!("[{}/{}] {}: {what}", number + 1, cases.len(), case.title()));
        if case.warms_up() {
            progress("warming up");
            for side in [Side::Ours, Side::Bare] {
                measured(*case, side, plan.effort / 10.0, &mut servers).await?;
            }
        }
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            progress(&format!("round {} of {}", round + 1, plan.rounds));
            // Neither side is always the first.
            let order = if round % 2 == 0 { [Side::Ours, Side::Bare] } else { [Side::Bare, Side::Ours] };
            for side in order {
                let figures = measured(*case, side, plan.effort, &mut servers).await?;
                if side == Side::Ours { &mut ours } else { &mut bare }.push(figures);
            }
        }
        rows.extend(case.figures().iter().enumerate().map(|(index, figure)| {
            let of = |rounds: &[Vec<Option<f64>>]| {
                rounds.iter().map(|figures| figures.get(index).copied().flatten()).collect()
            };
            Row::of(*case, *figure, of(&ours), of(&bare))
        }));
    }
    say_progress("");
    Ok(Report { plan, rows })
}

async fn measured(case: Case, side: Side, effort: f64, servers: &mut Servers) -> Outcome<Vec<Option<f64>>> {
    timeout(PATIENCE, case.measure(side, effort, servers))
        .await
        .map_err(|_| format!("took longer than {PATIENCE:?}"))
        .and_then(|figures| figures.map_err(|error| error.to_string()))
        .map_err(|error| format!("{} ({side:?}): {error}", case.title()).into())
}

/// Says on a terminal how far it is, in place of what it said before.
fn say_progress(text: &str) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K{text}");
        let _ = err.flush();
    }
}
