//! A soak: mixed load for long, with clients that reconnect, are terminated and are killed. Neither the gateway's memory
//! nor that of the clients may grow, and nothing may be left behind.

use std::cell::Cell;
use std::fmt;
use std::process::Child;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use realtime_pubsub::{Client, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::server::{Peer, Server, say, spawn};
use super::{Outcome, memory, say_progress};

const WORKERS: u64 = 6;
/// Messages of a session.
const MESSAGES: u64 = 60;
/// How many clients are killed, one after another, in this many lines at once.
const VICTIMS: usize = 2;
/// How long a client lives until it is killed.
const VICTIMS_LIFE: Duration = Duration::from_millis(400);
/// Between terminations of all connections by REST.
const TERMINATE: Duration = Duration::from_secs(2);
/// Times that memory is looked at.
const SAMPLES: u32 = 80;
/// What memory may grow by between the second and the last quarter: what an allocator keeps, not what leaks.
const SLACK: u64 = 6 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// What a soak came to.
#[derive(Debug, Default)]
pub(crate) struct Soaked {
    seconds: f64,
    sessions: u64,
    messages: u64,
    failed_waits: u64,
    terminations: u64,
    kills: u64,
    gateway: Growth,
    clients: Growth,
    /// What should not be there at the end.
    left: Vec<String>,
}

/// What happens meanwhile.
#[derive(Debug, Default)]
struct Tally {
    over: Cell<bool>,
    sessions: Cell<u64>,
    failed_waits: Cell<u64>,
    terminations: Cell<u64>,
    kills: Cell<u64>,
}

fn add(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// Runs a soak, in a `LocalSet`.
pub(crate) async fn run(length: Duration) -> Outcome<Soaked> {
    let server = Server::start(Peer::Gateway)?;
    let tally = Tally::default();
    let begin = Instant::now();
    // One client stays for all the time, answers requests, and is terminated again and again.
    let answerer = answerer(&server.url).await?;
    let watch = async {
        let mut samples = Vec::new();
        for number in 1..=SAMPLES {
            sleep((length * number / SAMPLES).saturating_sub(begin.elapsed())).await;
            samples.push((server.memory(), memory::of_process("self")));
            let seconds = begin.elapsed().as_secs();
            say_progress(&format!("{seconds} of {} s, {} sessions", length.as_secs(), tally.sessions.get()));
        }
        tally.over.set(true);
        Ok(samples)
    };
    let workers = try_join_all((0..WORKERS).map(|number| work(&server.url, number, &tally)));
    let victims = try_join_all((0..VICTIMS).map(|_| kill(&server.url, &tally)));
    let (samples, _, _, ()) = tokio::try_join!(watch, workers, victims, terminate(&server, &tally))?;
    say_progress("");

    let mut soaked = Soaked {
        seconds: begin.elapsed().as_secs_f64(),
        sessions: tally.sessions.get(),
        failed_waits: tally.failed_waits.get(),
        terminations: tally.terminations.get(),
        kills: tally.kills.get(),
        gateway: Growth::of(samples.iter().map(|sample| sample.0).collect()),
        clients: Growth::of(samples.iter().map(|sample| sample.1).collect()),
        ..Soaked::default()
    };
    timeout(PATIENCE, wait_for_session(&answerer)).await.map_err(|_| "the client that stays did not come back")??;
    answerer.flush().await?;
    let stats = answerer.stats();
    for (name, number) in
        [("receipts", stats.receipts), ("waits", stats.waits), ("messages in the outbox", stats.outbox_messages)]
    {
        if number > 0 {
            soaked.left.push(format!("the client that stayed still has {number} {name}"));
        }
    }
    answerer.disconnect().await;
    soaked.left.extend(left_in(&server).await?);
    soaked.messages = metric(&request(&server, "GET", "/metrics").await?, "realtime_messages_received_total");
    Ok(soaked)
}

fn options() -> Options {
    let mut options = Options::default();
    // Back soon, so that there are many reconnects.
    options.backoff.min = Duration::from_millis(50);
    options.backoff.max = Duration::from_millis(500);
    options
}

async fn answerer(url: &str) -> Outcome<Client> {
    let client = Client::builder().url(url).options(options()).build()?;
    client.on("ask.*", |message| {
        // A connection that is lost meanwhile is what this is about.
        let _ = message.reply_raw(message.payload()).enqueue();
    })?;
    client.connect().await?;
    client.subscribe_remote_topic("ask").await?;
    client.subscribe_remote_topic("secure/inbound").await?;
    Ok(client)
}

async fn wait_for_session(client: &Client) -> Outcome<()> {
    client.connect_within(PATIENCE).await?;
    Ok(())
}

/// One session after another, each ended in another way.
async fn work(url: &str, number: u64, tally: &Tally) -> Outcome<()> {
    let mut round = number;
    while !tally.over.get() {
        let mut options = options();
        options.retry = round.is_multiple_of(3);
        options.dedupe = (round.is_multiple_of(2)).then_some(100);
        let client = Client::builder().url(url).options(options).build()?;
        client.on("soak.*", |message| drop(message.payload_as::<String>()))?;
        client.connect_within(PATIENCE).await?;
        add(&tally.sessions);
        // Terminations come at any time, and fail what they meet: those failures are counted, not told.
        if session(&client, round).await.is_err() {
            add(&tally.failed_waits);
        }
        if round.is_multiple_of(2) {
            client.disconnect().await;
        }
        drop(client);
        round += WORKERS;
    }
    Ok(())
}

async fn session(client: &Client, round: u64) -> realtime_pubsub::Result<()> {
    client.subscribe_remote_topic("soak").await?;
    client.subscribe_remote_topic(&format!("own/{round}")).await?;
    let mut later = Vec::new();
    for n in 0..MESSAGES {
        let payload = "x".repeat((round * 37 + n * 101) as usize % 3000);
        let message = client.publish("soak", &payload).compress(n % 7 == 0);
        match n % 5 {
            0 => message.await?.wait_for_ack().await?,
            1 => drop(message.enqueue()?),
            2 => drop(client.publish("ask", &payload).request().await?),
            // Nobody answers: the wait is given up.
            3 => drop(client.send(&payload).await?.wait_for_reply().timeout(Duration::from_millis(1)).await),
            _ => later.push(message.await?),
        }
    }
    for acknowledged in join_all(later.iter().map(realtime_pubsub::WaitFor::wait_for_ack)).await {
        acknowledged?;
    }
    client.unsubscribe_remote_topic("soak").await
}

/// Has all connections terminated, again and again.
async fn terminate(server: &Server, tally: &Tally) -> Outcome<()> {
    while !tally.over.get() {
        sleep(TERMINATE).await;
        request(server, "DELETE", "/api/connections/bench").await?;
        add(&tally.terminations);
    }
    Ok(())
}

/// Starts clients in processes of their own and kills them in the middle of their work.
async fn kill(url: &str, tally: &Tally) -> Outcome<()> {
    struct Killed(Child);
    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    while !tally.over.get() {
        let url = url.to_owned();
        let started = tokio::task::spawn_blocking(move || spawn(Peer::SoakClient, Some(&url), 1)).await?;
        let victim = Killed(started?.0);
        sleep(VICTIMS_LIFE).await;
        drop(victim);
        add(&tally.kills);
    }
    Ok(())
}

/// A client that publishes and listens until it is killed.
pub(crate) async fn victim(url: &str) -> Outcome<()> {
    let client = Client::builder().url(url).options(options()).build()?;
    client.on("soak.*", |_| {})?;
    client.connect_within(PATIENCE).await?;
    say("ready")?;
    let payload = "x".repeat(500);
    loop {
        let published = async {
            client.subscribe_remote_topic("soak").await?;
            client.publish("soak", &payload).await?.wait_for_ack().await
        };
        if published.await.is_err() {
            client.connect_within(PATIENCE).await?;
        }
    }
}

/// Memory over time: the median bytes of the second and of the last quarter, where the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Growth(Option<(u64, u64)>);

impl Growth {
    /// Of samples at equal distances.
    pub(super) fn of(samples: Vec<Option<u64>>) -> Growth {
        let quarters = || {
            let samples: Vec<u64> = samples.into_iter().collect::<Option<_>>()?;
            let quarter = samples.len() / 4;
            let median = |part: &[u64]| {
                let mut part = part.to_vec();
                part.sort_unstable();
                part.get(part.len() / 2).copied()
            };
            Some((median(samples.get(quarter..2 * quarter)?)?, median(samples.get(3 * quarter..)?)?))
        };
        Growth(quarters())
    }

    pub(super) fn json(self) -> Option<Value> {
        self.0.map(|(second, last)| json!({"second_quarter_bytes": second, "last_quarter_bytes": last}))
    }

    /// That it grew, if it did.
    pub(super) fn verdict(self, whose: &str) -> Option<String> {
        let (second, last) = self.0?;
        let grown = last > second + second / 10 + SLACK;
        grown.then(|| format!("the {whose} memory grew from {} to {} MiB", second >> 20, last >> 20))
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        match self.0 {
            Some((second, last)) => {
                write!(f, "{:.1} MiB in the second quarter, {:.1} MiB in the last", mib(second), mib(last))
            }
            None => f.write_str("not known on this system"),
        }
    }
}

/// What a gateway still has when all its clients are gone.
async fn left_in(server: &Server) -> Outcome<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = request(server, "GET", "/metrics").await?;
        let left: Vec<String> = ["realtime_connections", "realtime_subscriptions"]
            .into_iter()
            .map(|name| (name, metric(&metrics, name)))
            .filter(|(_, number)| *number > 0)
            .map(|(name, number)| format!("the gateway still says {name} {number}"))
            .collect();
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// A metric, of all apps together.
pub(super) fn metric(text: &str, name: &str) -> u64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let number = match rest.strip_prefix('{') {
            Some(labels) => labels.split_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        number.parse::<u64>().ok()
    };
    text.lines().filter_map(value).sum()
}

/// A request with the admin token; the body of the answer.
async fn request(server: &Server, method: &str, path: &str) -> Outcome<String> {
    let mut tcp = TcpStream::connect(server.address()).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        server.address(),
        server.admin_token
    );
    tcp.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, tcp.read_to_string(&mut answer)).await??;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(format!("{method} {path}: {}", answer.lines().next().unwrap_or("no answer")).into()),
    }
}

impl Soaked {
    pub(crate) fn json(&self) -> Value {
        json!({
            "seconds": self.seconds,
            "sessions": self.sessions,
            "messages": self.messages,
            "failed_waits": self.failed_waits,
            "terminations": self.terminations,
            "kills": self.kills,
            "gateway_memory": self.gateway.json(),
            "client_memory": self.clients.json(),
            "left": self.left,
            "passed": self.verdict().is_ok(),
        })
    }

    /// Whether all is as it should be, and if not, why.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let mut wrong = self.left.clone();
        wrong.extend(self.gateway.verdict("gateway's"));
        wrong.extend(self.clients.verdict("clients'"));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Soaked { seconds, sessions, messages, failed_waits, terminations, kills, .. } = self;
        writeln!(
            f,
            "{seconds:.0} s: {messages} messages in {sessions} sessions; {kills} clients killed, all connections \
             terminated {terminations} times, which ended {failed_waits} sessions early"
        )?;
        write!(f, "memory of the gateway: {}\nmemory of the clients: {}", self.gateway, self.clients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_and_leftovers_are_told() {
        let steady = Soaked { gateway: Growth(Some((50 << 20, 52 << 20))), ..Soaked::default() };
        assert_eq!(steady.verdict(), Ok(()));
        let grown = Soaked { clients: Growth(Some((50 << 20, 62 << 20))), ..Soaked::default() };
        assert_eq!(grown.verdict(), Err("the clients' memory grew from 50 to 62 MiB".into()));
        let left = Soaked { left: vec!["x".into()], ..Soaked::default() };
        assert_eq!(left.verdict(), Err("x".into()));
    }

    #[test]
    fn quarters_are_compared_by_their_medians() {
        assert_eq!(Growth::of((1..=8).map(Some).collect()), Growth(Some((4, 8))));
        assert_eq!(Growth::of(vec![Some(1), None]), Growth(None));
    }
}
