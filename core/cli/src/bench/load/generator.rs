//! All clients of a load, in one thread and with as little work for each delivery as can be, so that the servers are
//! what is measured.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::Outcome;
use super::client::{Client, Opening, PATIENCE};
use super::latencies::Latencies;
use super::ledger::Stamp;
use super::target::{Entrance, Target};
use super::topology::Topology;
use super::wire::{Incoming, Wire};

/// Connections that publish.
const PUBLISHERS: usize = 16;
/// Handshakes at a time.
const TOGETHER: usize = 64;
/// Bytes read at once.
const READ: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 1024;

/// Has a load end before its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Halt(Arc<AtomicBool>);

impl Halt {
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Outcome<()> {
        if self.0.load(Ordering::Relaxed) { Err("ended early".into()) } else { Ok(()) }
    }
}

/// The clients of a load.
pub(super) struct Generator<'a> {
    topology: &'a Topology,
    topics: Vec<Vec<usize>>,
    wire: Wire,
    entrances: Vec<Entrance>,
    halt: Halt,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    /// The subscribers, then the publishers. One that was killed is `None` until it is back.
    clients: Vec<Option<Client>>,
    unconfirmed: usize,
    /// Publishers with something to send.
    writing: [bool; PUBLISHERS],
    /// Which topic is next.
    next: usize,
    tally: Tally,
}

/// What was sent and what has come.
struct Tally {
    begin: Instant,
    /// Messages of each topic.
    published: Vec<u64>,
    /// Deliveries that were asked for, if no subscriber was lost.
    expected: u64,
    delivered: u64,
    bytes: u64,
    /// Microseconds from when a message was due until each delivery, while they are measured.
    latencies: Option<Latencies>,
}

impl Tally {
    fn micros(&self, at: Instant) -> u64 {
        at.duration_since(self.begin).as_micros() as u64
    }
}

/// Deliveries of a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    pub(super) deliveries: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

impl<'a> Generator<'a> {
    /// Connects all, and returns when all subscriptions are in force.
    pub(super) fn connect(topology: &'a Topology, target: &Target, halt: &Halt) -> Outcome<Generator<'a>> {
        let count = topology.connections + PUBLISHERS;
        let mut topics = topology.subscriptions();
        topics.resize(count, Vec::new());
        let mut generator = Generator {
            topology,
            topics,
            wire: target.wire,
            entrances: target.entrances.clone(),
            halt: halt.clone(),
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            buffer: vec![0; READ],
            clients: (0..count).map(|_| None).collect(),
            unconfirmed: 0,
            writing: [false; PUBLISHERS],
            next: 0,
            tally: Tally {
                begin: Instant::now(),
                published: vec![0; topology.topics.len()],
                expected: 0,
                delivered: 0,
                bytes: 0,
                latencies: None,
            },
        };
        let all: Vec<usize> = (0..count).collect();
        for some in all.chunks(TOGETHER) {
            halt.check()?;
            let opening: Vec<_> = some.iter().map(|index| generator.begin(*index)).collect::<Outcome<_>>()?;
            for (index, opening) in some.iter().zip(opening) {
                generator.finish(*index, opening)?;
            }
        }
        generator.until("the subscriptions were not confirmed", |generator| generator.unconfirmed == 0)?;
        Ok(generator)
    }

    fn begin(&self, index: usize) -> Outcome<Opening> {
        let subscribers = self.topology.connections;
        let entrances = self.entrances.len();
        // Subscribers in halves, so that each topic has some at each; publishers in turns.
        let entrance = if index < subscribers { index * entrances / subscribers } else { index % entrances };
        Opening::begin(self.wire, &self.entrances[entrance])
    }

    fn finish(&mut self, index: usize, opening: Opening) -> Outcome<()> {
        let (mut client, early) = opening.finish(&format!("load-{index}"), &self.topics[index])?;
        let interest = match index < self.topology.connections {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        self.poll.registry().register(&mut client.stream, Token(index), interest)?;
        self.clients[index] = Some(client);
        self.unconfirmed += 1;
        self.take(index, &early)
    }

    /// Connects one again that was killed.
    pub(super) fn revive(&mut self, index: usize) -> Outcome<()> {
        let opening = self.begin(index)?;
        self.finish(index, opening)
    }

    /// Ends a subscriber's connection with a reset, if it has one: whether it had.
    pub(super) fn kill(&mut self, index: usize) -> bool {
        let client = self.clients[index].take();
        self.unconfirmed -= usize::from(client.as_ref().is_some_and(|client| !client.confirmed));
        client.is_some()
    }

    /// Reads what has come for at most this long; takes it in.
    pub(super) fn turn(&mut self, wait: Duration) -> Outcome<()> {
        self.halt.check()?;
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let outcome = events.iter().try_for_each(|event| {
            let index = event.token().0;
            if event.is_readable() {
                self.read(index)?;
            }
            match &mut self.clients[index] {
                Some(client) if event.is_writable() => client.flush(),
                _ => Ok(()),
            }
        });
        self.events = events;
        outcome
    }

    fn read(&mut self, index: usize) -> Outcome<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = loop {
            // An event may be of a connection that is gone by now.
            let Some(client) = &mut self.clients[index] else { break Ok(()) };
            match client.stream.read(&mut buffer) {
                Ok(0) => break Err(format!("the server closed connection {index}").into()),
                Ok(read) => match self.take(index, &buffer[..read]) {
                    // Less than there was room for is all there is.
                    Ok(()) if read < READ => break Ok(()),
                    Ok(()) => {}
                    failed => break failed,
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(format!("connection {index}: {error}").into()),
            }
        };
        self.buffer = buffer;
        outcome
    }

    fn take(&mut self, index: usize, bytes: &[u8]) -> Outcome<()> {
        let Some(client) = &mut self.clients[index] else { return Ok(()) };
        let tally = &mut self.tally;
        tally.bytes += bytes.len() as u64;
        let (wire, now, mut confirmed) = (self.wire, tally.micros(Instant::now()), false);
        let (reader, subscriptions, out) = client.parts();
        reader
            .feed(wire, bytes, &mut |incoming| {
                match incoming {
                    Incoming::Message(payload) => {
                        let stamp = Stamp::of(payload).ok_or("a message came that nobody published")?;
                        let subscription = subscriptions.iter_mut().find(|own| own.topic == stamp.topic);
                        subscription.ok_or("a message came that was not asked for")?.delivered(stamp.number)?;
                        tally.delivered += 1;
                        if let Some(latencies) = &mut tally.latencies {
                            latencies.add(now.saturating_sub(stamp.due));
                        }
                    }
                    Incoming::Confirmed => {
                        confirmed = true;
                        subscriptions.iter_mut().for_each(|own| own.confirmed(tally.published[own.topic]));
                    }
                    Incoming::Ask(answer) => out.extend(wire.answer(answer)),
                    Incoming::Ping(payload) => out.extend(Wire::pong(payload)),
                }
                Ok(())
            })
            .map_err(|error| format!("connection {index}: {error}"))?;
        if confirmed && !client.confirmed {
            client.confirmed = true;
            self.unconfirmed -= 1;
        }
        client.flush()
    }

    /// Publishes a message to the next topic, that was due then.
    fn publish(&mut self, due: Instant) -> Outcome<()> {
        let topic = self.next;
        self.next = (topic + 1) % self.topology.topics.len();
        let stamp = Stamp { topic, number: self.tally.published[topic], due: self.tally.micros(due) };
        self.tally.published[topic] += 1;
        self.tally.expected += self.topology.topics[topic].len() as u64;
        // A topic has one publisher, so its messages have an order.
        let publisher = topic % PUBLISHERS;
        let client = self.clients[self.topology.connections + publisher].as_mut().ok_or("a publisher is gone")?;
        self.writing[publisher] = true;
        self.wire.publish(client.out(), topic, &stamp.payload());
        Ok(())
    }

    fn flush(&mut self) -> Outcome<()> {
        for publisher in 0..PUBLISHERS {
            if std::mem::take(&mut self.writing[publisher])
                && let Some(client) = &mut self.clients[self.topology.connections + publisher]
            {
                client.flush()?;
            }
        }
        Ok(())
    }

    /// Publishes as fast as deliveries come: no more of them are on their way than one message to each topic makes.
    pub(super) fn closed_loop(&mut self, length: Duration) -> Outcome<Throughput> {
        let window = self.topology.deliveries() as u64;
        let (begin, delivered, bytes) = (Instant::now(), self.tally.delivered, self.tally.bytes);
        loop {
            let now = Instant::now();
            if now - begin >= length {
                return Ok(Throughput {
                    deliveries: self.tally.delivered - delivered,
                    bytes: self.tally.bytes - bytes,
                    seconds: (now - begin).as_secs_f64(),
                });
            }
            while self.tally.expected - self.tally.delivered + self.topology.topics[self.next].len() as u64 <= window {
                self.publish(now)?;
            }
            self.flush()?;
            self.turn(Duration::from_millis(100))?;
        }
    }

    /// Publishes so many deliveries a second, whether they come or not. `idle` says how long to wait when nothing is due,
    /// and does what else there is to do.
    pub(super) fn open_loop(
        &mut self,
        rate: f64,
        length: Duration,
        mut idle: impl FnMut(&mut Self) -> Outcome<Duration>,
    ) -> Outcome<()> {
        let each = self.topology.deliveries() as f64 / self.topology.topics.len() as f64 / rate;
        let (begin, mut sent) = (Instant::now(), 0_u64);
        while begin.elapsed() < length {
            loop {
                let due = begin + Duration::from_secs_f64(each * sent as f64);
                if due > Instant::now() {
                    break;
                }
                self.publish(due)?;
                sent += 1;
            }
            self.flush()?;
            let wait = idle(self)?;
            self.turn(wait)?;
        }
        Ok(())
    }

    /// Measures latencies from now on.
    pub(super) fn measure_latencies(&mut self) {
        self.tally.latencies = Some(Latencies::default());
    }

    /// What was measured since [`Generator::measure_latencies`].
    pub(super) fn latencies(&mut self) -> Latencies {
        self.tally.latencies.take().unwrap_or_default()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.tally.delivered
    }

    /// Returns when each subscriber has all that was published.
    pub(super) fn settle(&mut self) -> Outcome<()> {
        self.until("deliveries are missing", |generator| {
            generator.unconfirmed == 0
                && generator.clients.iter().flatten().all(|client| {
                    let published = &generator.tally.published;
                    client.subscriptions.iter().all(|own| own.complete(published[own.topic]))
                })
        })
        .map_err(|error| {
            let missing = self.tally.expected.saturating_sub(self.tally.delivered);
            format!("{error} ({} came, {missing} less than expected)", self.tally.delivered).into()
        })
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            if Instant::now() > deadline {
                return Err(format!("{what} within {PATIENCE:?}").into());
            }
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }
}
