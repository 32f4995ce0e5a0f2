//! Half of the load for long, while clients are killed and come back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::PATIENCE;
use super::cores::Cores;
use super::generator::{Generator, Halt};
use super::target::{Kind, Target};
use super::topology::Topology;
use super::{Outcome, Plan, WARM_UP};
use crate::bench::say_progress;
use crate::bench::soak::{Growth, metric};

/// Of so many clients, one is killed each second.
const KILLED: f64 = 50.0;
/// Kills a second at most, so that the clients' own work stays small.
const MOST_KILLED: f64 = 100.0;
/// How long a client that was killed stays away at most.
const AWAY: Duration = Duration::from_secs(1);
/// Times that memory is looked at.
const SAMPLES: u32 = 80;

/// What a soak under load came to.
#[derive(Debug)]
pub(crate) struct Soaked {
    connections: usize,
    topics: usize,
    seconds: f64,
    /// Deliveries a second.
    rate: f64,
    /// What it did as fast as it can, before.
    throughput: Option<f64>,
    deliveries: u64,
    kills: u64,
    p99: Option<f64>,
    servers_core: Option<f64>,
    memory: Growth,
    /// What should not be.
    wrong: Vec<String>,
}

/// Runs it.
pub(super) fn run(plan: &Plan, length: Duration, halt: &Halt) -> Outcome<Soaked> {
    let cores = Cores::choose();
    let topology = Topology::mixed((plan.connections / 2).max(1), plan.topics);
    let target = Target::start(Kind::Gateway, cores)?;
    let mut generator = Generator::connect(&topology, &target, halt)?;
    let throughput = match plan.rate {
        Some(_) => None,
        None => {
            generator.closed_loop(plan.length().mul_f64(WARM_UP))?;
            let measured = generator.closed_loop(plan.length())?;
            generator.settle()?;
            Some(measured.deliveries as f64 / measured.seconds)
        }
    };
    let rate = plan.rate.or(throughput.map(|rate| rate / 2.0)).ok_or("no rate")?;

    let mut killer = Killer::new(topology.connections);
    let (begin, cpu, delivered) = (Instant::now(), target.cpu(), generator.delivered());
    let (mut samples, mut sampled) = (Vec::new(), 0);
    generator.measure_latencies();
    generator.open_loop(rate, length, |generator| {
        killer.act(generator)?;
        if begin.elapsed() >= length * (sampled + 1) / SAMPLES {
            sampled += 1;
            samples.push(target.memory());
            let (passed, all) = (begin.elapsed().as_secs(), length.as_secs());
            say_progress(&format!("{passed} of {all} s, {} clients killed", killer.kills));
        }
        Ok(Duration::from_millis(1))
    })?;
    say_progress("");
    let seconds = begin.elapsed().as_secs_f64();
    let servers_core = target.cpu().zip(cpu).map(|(after, before)| (after - before) / seconds);
    killer.revive_all(&mut generator)?;
    generator.settle()?;
    let deliveries = generator.delivered() - delivered;
    let latencies = generator.latencies();

    let metrics = request(&target, "/metrics")?;
    let mut wrong = Vec::new();
    // A client that is killed says nothing, and the gateway has no reason to close any other.
    for name in ["realtime_closes_total", "realtime_slow_consumers_total", "realtime_connections_refused_total"] {
        let count = metric(&metrics, name);
        if count > 0 {
            wrong.push(format!("{name} is {count}"));
        }
    }
    drop(generator);
    wrong.extend(left_in(&target)?);
    Ok(Soaked {
        connections: topology.connections,
        topics: plan.topics,
        seconds,
        rate,
        throughput,
        deliveries,
        kills: killer.kills,
        p99: latencies.at(0.99),
        servers_core,
        memory: Growth::of(samples),
        wrong,
    })
}

/// Kills clients, any at any time, and has them come back.
struct Killer {
    clients: usize,
    /// Between kills, on average.
    pause: Duration,
    due: Instant,
    away: BinaryHeap<Reverse<(Instant, usize)>>,
    random: RandomState,
    drawn: u64,
    kills: u64,
}

impl Killer {
    fn new(clients: usize) -> Killer {
        let pause = Duration::from_secs_f64(1.0 / (clients as f64 / KILLED).clamp(1.0, MOST_KILLED));
        let (away, random) = (BinaryHeap::new(), RandomState::new());
        Killer { clients, pause, due: Instant::now() + pause, away, random, drawn: 0, kills: 0 }
    }

    /// From 0 to 1.
    fn random(&mut self) -> f64 {
        self.drawn += 1;
        (self.random.hash_one(self.drawn) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn act(&mut self, generator: &mut Generator<'_>) -> Outcome<()> {
        let now = Instant::now();
        if self.due <= now {
            self.due = now + self.pause.mul_f64(2.0 * self.random());
            let victim = (self.random() * self.clients as f64) as usize;
            if generator.kill(victim) {
                self.kills += 1;
                let back = now + AWAY.mul_f64(self.random());
                self.away.push(Reverse((back, victim)));
            }
        }
        while let Some(Reverse((back, index))) = self.away.peek().copied()
            && back <= now
        {
            self.away.pop();
            generator.revive(index)?;
        }
        Ok(())
    }

    fn revive_all(&mut self, generator: &mut Generator<'_>) -> Outcome<()> {
        self.away.drain().try_for_each(|Reverse((_, index))| generator.revive(index))
    }
}

/// What the gateway still has when all its clients are gone.
fn left_in(target: &Target) -> Outcome<Option<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = request(target, "/metrics")?;
        let [connections, subscriptions] =
            ["realtime_connections", "realtime_subscriptions"].map(|name| metric(&metrics, name));
        if connections == 0 && subscriptions == 0 {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Ok(Some(format!("the gateway still has {connections} connections, {subscriptions} subscriptions")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The body of what the gateway answers.
fn request(target: &Target, path: &str) -> Outcome<String> {
    let mut tcp = TcpStream::connect(target.entrances[0].address)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    tcp.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(format!("GET {path}: {}", answer.lines().next().unwrap_or("no answer")).into()),
    }
}

impl Soaked {
    pub(crate) fn json(&self) -> Value {
        json!({
            "connections": self.connections,
            "topics": self.topics,
            "seconds": self.seconds,
            "rate": self.rate,
            "closed_loop_deliveries_per_second": self.throughput,
            "deliveries": self.deliveries,
            "kills": self.kills,
            "p99_micros": self.p99,
            "servers_core": self.servers_core,
            "gateway_memory": self.memory.json(),
            "wrong": self.wrong,
            "passed": self.verdict().is_ok(),
        })
    }

    /// Whether all is as it should be, and if not, why.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let mut wrong = self.wrong.clone();
        wrong.extend(self.memory.verdict("gateway's"));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Soaked { connections, topics, seconds, rate, deliveries, kills, .. } = self;
        let core = self.servers_core.map_or("–".into(), |core| format!("{:.0}", core * 100.0));
        let p99 = self.p99.map_or("–".into(), |micros| format!("{:.1}", micros / 1000.0));
        write!(
            f,
            "{seconds:.0} s, {connections} connections, {topics} topics: {deliveries} deliveries at {rate:.0} a second, \
             with {core} % of a core, p99 {p99} ms; {kills} clients killed, all of which came back; every message to a \
             living subscriber was delivered once and in order\nmemory of the gateway: {}",
            self.memory
        )
    }
}
