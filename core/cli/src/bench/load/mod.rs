//! Mixed fan-out to many connections: the gateway beside other servers that do the same.
//!
//! Each server runs on one core, the clients on another. A measurement of one server: all connect and subscribe, then
//! publishers send as fast as deliveries come (closed loop, for the throughput), then at a fixed rate that is the same
//! for all servers (open loop, for the latency). A latency begins when the message was due to be sent, so a server that
//! makes its publishers wait does not look better for it. Each delivery is checked: one that is lost, repeated or out of
//! its topic's order ends the benchmark.

mod client;
mod cores;
mod generator;
mod latencies;
mod ledger;
mod report;
mod soak;
mod target;
mod topology;
mod wire;

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use self::cores::Cores;
use self::generator::{Generator, Halt};
use self::latencies::Latencies;
use self::report::Sample;
use self::target::Target;
use self::topology::Topology;
use super::server::cpu_of_process;
use super::{Outcome, say_progress};

pub(crate) use self::report::Report;
pub(crate) use self::soak::Soaked;
pub(crate) use self::target::Kind;

/// What of the measured time comes before it, for warming up.
const WARM_UP: f64 = 0.2;
/// Each of a measurement's two parts, multiplied by the effort.
const LENGTH: Duration = Duration::from_secs(3);

/// What to load, and how much.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) topics: usize,
    /// Deliveries a second in the open loop. Without: half of what the slowest of all does in the closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) rounds: usize,
    /// By what the time of a measurement is multiplied.
    pub(crate) effort: f64,
    pub(crate) servers: Vec<Kind>,
}

impl Plan {
    fn length(&self) -> Duration {
        LENGTH.mul_f64(self.effort)
    }
}

/// Measures.
pub(crate) async fn run(plan: Plan) -> Outcome<Report> {
    Work::start(move |halt| measure(&plan, halt)).result().await
}

/// Loads the gateway for long while clients are killed.
pub(crate) async fn soak(plan: Plan, length: Duration) -> Outcome<Soaked> {
    Work::start(move |halt| soak::run(&plan, length, halt)).result().await
}

/// What runs in a thread of its own. It is ended when this is dropped, and all that it started with it.
struct Work<T> {
    thread: Option<JoinHandle<()>>,
    halt: Halt,
    done: oneshot::Receiver<Outcome<T>>,
}

impl<T: Send + 'static> Work<T> {
    fn start(work: impl FnOnce(&Halt) -> Outcome<T> + Send + 'static) -> Self {
        let (halt, (tell, done)) = (Halt::default(), oneshot::channel());
        let own = halt.clone();
        let thread = std::thread::spawn(move || drop(tell.send(work(&own))));
        Work { thread: Some(thread), halt, done }
    }

    async fn result(mut self) -> Outcome<T> {
        (&mut self.done).await.map_err(|_| "the load's thread panicked")?
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.halt.now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn measure(plan: &Plan, halt: &Halt) -> Outcome<Report> {
    let (cores, topology) = (Cores::choose(), Topology::mixed(plan.connections, plan.topics));
    let mut servers: Vec<(Kind, Result<Vec<Sample>, String>)> =
        plan.servers.iter().map(|kind| (*kind, kind.missing().map_or_else(|| Ok(Vec::new()), Err))).collect();
    let sample = |kind: Kind, rate, what: &str| {
        say_progress(&format!("{}: {what}", kind.title()));
        measure_one(kind, cores, &topology, plan, rate, halt).map_err(|error| format!("{}: {error}", kind.title()))
    };
    let rate = match plan.rate {
        Some(rate) => Some(rate),
        // One round that does not count tells what all can do.
        None => {
            let mut slowest = f64::INFINITY;
            for (kind, _) in servers.iter().filter(|(_, samples)| samples.is_ok()) {
                slowest = slowest.min(sample(*kind, None, "how fast it is")?.throughput);
            }
            // Infinite if none can be run.
            Some(slowest / 2.0).filter(|rate| rate.is_finite())
        }
    };
    for round in 0..plan.rounds {
        // Nobody is always the first.
        let first = round % servers.len();
        for nth in 0..servers.len() {
            let count = servers.len();
            let (kind, samples) = &mut servers[(first + nth) % count];
            if let Ok(samples) = samples {
                samples.push(sample(*kind, rate, &format!("round {} of {}", round + 1, plan.rounds))?);
            }
        }
    }
    say_progress("");
    Ok(Report { plan: plan.clone(), cores, rate, deliveries: topology.deliveries(), servers })
}

fn measure_one(
    kind: Kind,
    cores: Option<Cores>,
    topology: &Topology,
    plan: &Plan,
    rate: Option<f64>,
    halt: &Halt,
) -> Outcome<Sample> {
    let target = Target::start(kind, cores)?;
    let before = target.memory();
    let mut generator = Generator::connect(topology, &target, halt)?;
    let connected = target.memory();
    let length = plan.length();
    generator.closed_loop(length.mul_f64(WARM_UP))?;
    let own = || cpu_of_process(std::process::id());
    let (cpu, own_cpu) = (target.cpu(), own());
    let throughput = generator.closed_loop(length)?;
    let used = |before: Option<f64>, after: Option<f64>| Some((after? - before?) / throughput.seconds);
    let (servers_core, generator_core) = (used(cpu, target.cpu()), used(own_cpu, own()));
    generator.settle()?;
    let mut latencies = Latencies::default();
    if let Some(rate) = rate {
        // All clients on one core, and nothing else to do there: it looks all the time, so that it is never late.
        let mut look = |_: &mut Generator<'_>| Ok(Duration::ZERO);
        generator.open_loop(rate, length.mul_f64(WARM_UP), &mut look)?;
        generator.settle()?;
        generator.measure_latencies();
        generator.open_loop(rate, length, &mut look)?;
        generator.settle()?;
        latencies = generator.latencies();
    }
    let loaded = target.memory();
    let each = |before: Option<u64>, after: Option<u64>| {
        Some((after? as f64 - before? as f64) / topology.connections as f64 / 1024.0)
    };
    Ok(Sample {
        throughput: throughput.deliveries as f64 / throughput.seconds,
        delivery_bytes: throughput.bytes as f64 / throughput.deliveries as f64,
        servers_core,
        generator_core,
        p50: latencies.at(0.5),
        p99: latencies.at(0.99),
        connected: connected.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        loaded: loaded.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        each_connected: each(before, connected),
        each_loaded: each(before, loaded),
    })
}
