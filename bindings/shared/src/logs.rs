//! What the client logs through `tracing`, handed to the host language's own logger, off the hot path.
//!
//! [`Logs::install`] makes this module the process's `tracing` subscriber, once, unless the host program has set one
//! of its own. Then each host logger [attaches](Logs::attach) a [`Sink`]: a bounded queue of records of one client or
//! of all. Somebody drains it, either a thread ([`Sink::deliver`]) or the host's own loop ([`Sink::on_ready`] and
//! [`Sink::drain`]). The code that logs never waits for the host: where the queue is full, records are dropped and
//! counted. A level that no sink wants costs one load at each place that would log it.
//!
//! ```
//! use realtime_pubsub::Client;
//! use realtime_pubsub_bindings::logs::{Level, Logs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let logs = Logs::install()?; // before the first client is made
//! let client = Client::new("ws://127.0.0.1:1/apps/x")?;
//! let sink = logs.attach(Some(client.number()), Level::Info);
//! sink.deliver(|record| println!("{} {}: {}", record.level.name(), record.target, record.message))?;
//! // … and when the client goes:
//! sink.close();
//! # Ok(())
//! # }
//! ```

mod collect;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use realtime_pubsub::{Error, ErrorKind};
use tracing_core::LevelFilter;

/// How many records a sink holds until they are drained.
pub const CAPACITY: usize = 4096;

/// How important a record is, and for filters: this level and those above it. The numbers are part of the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Nothing at all. No record has this level.
    Off = 0,
    /// A bug, or something that can't go on.
    Error = 1,
    /// Something went wrong; the client deals with it.
    Warn = 2,
    /// What happens seldom and matters.
    Info = 3,
    /// Each step of connecting and closing.
    Debug = 4,
    /// More than that.
    Trace = 5,
}

impl Level {
    /// All levels.
    pub const ALL: [Level; 6] = [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

    /// The level with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied())
    }

    /// The level of this name, in any case; `warning` is `warn` too.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("warning") {
            return Some(Level::Warn);
        }
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    fn of(level: tracing_core::Level) -> Self {
        match level {
            tracing_core::Level::ERROR => Level::Error,
            tracing_core::Level::WARN => Level::Warn,
            tracing_core::Level::INFO => Level::Info,
            tracing_core::Level::DEBUG => Level::Debug,
            _ => Level::Trace,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }
}

/// One thing that was logged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// How important it is. Never [`Level::Off`].
    pub level: Level,
    /// Where it comes from: the path of a Rust module, such as `realtime_pubsub::shared`.
    pub target: &'static str,
    /// What it says: the message, then its fields as ` name=value`.
    pub message: String,
    /// The [number](realtime_pubsub::Client::number) of the client it is about, where it is about one.
    pub client: Option<u64>,
    /// When.
    pub time: SystemTime,
}

/// The process's log forwarding, see [`Logs::install`].
#[derive(Clone, Copy, Debug)]
pub struct Logs(&'static Router);

impl Logs {
    /// Makes this module the process's `tracing` subscriber. Do this before the first client is made: a client that is
    /// older has no number in its records. Calling it again is harmless.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the host program has set a subscriber of its own, which is left alone: it gets
    /// what the client logs.
    pub fn install() -> Result<Logs, Error> {
        static INSTALLED: OnceLock<bool> = OnceLock::new();
        let router = Router::global();
        let installed = INSTALLED.get_or_init(|| collect::install(router));
        installed.then_some(Logs(router)).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "this process has a tracing subscriber already: it gets what the client logs",
            )
        })
    }

    /// Begins to collect records of this level and above: those of the client with this number, or, with `None`, of
    /// all clients and of the local gateway too.
    pub fn attach(&self, client: Option<u64>, level: Level) -> Arc<Sink> {
        let sink = Arc::new(Sink {
            client,
            level: AtomicU8::new(level as u8),
            queue: Mutex::default(),
            arrived: Condvar::new(),
            ready: OnceLock::new(),
            dropped: AtomicU64::new(0),
            router: self.0,
        });
        self.0.change(|sinks| sinks.push(Arc::clone(&sink)));
        sink
    }
}

/// Where records go. There is one in a process, and tests have their own.
#[derive(Debug)]
struct Router {
    sinks: RwLock<Vec<Arc<Sink>>>,
    /// The lowest level that any sink wants.
    level: AtomicU8,
    /// Whether `tracing` has to be told when that changes.
    is_global: bool,
}

impl Router {
    const fn new(is_global: bool) -> Self {
        Router { sinks: RwLock::new(Vec::new()), level: AtomicU8::new(0), is_global }
    }

    fn global() -> &'static Router {
        static GLOBAL: Router = Router::new(true);
        &GLOBAL
    }

    fn level(&self) -> u8 {
        self.level.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Sink>>)) {
        let before = self.level();
        let mut sinks = self.sinks.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut sinks);
        let level = sinks.iter().map(|sink| sink.level.load(Ordering::Relaxed)).max().unwrap_or(0);
        self.level.store(level, Ordering::Relaxed);
        drop(sinks);
        if level != before && self.is_global {
            tracing_core::callsite::rebuild_interest_cache();
        }
    }

    /// The sinks that want a record of this level and client.
    fn wanting(&self, level: Level, client: Option<u64>) -> Vec<Arc<Sink>> {
        let sinks = self.sinks.read().unwrap_or_else(PoisonError::into_inner);
        sinks.iter().filter(|sink| sink.wants(level, client)).map(Arc::clone).collect()
    }
}

#[derive(Default)]
struct Queue {
    records: VecDeque<Record>,
    closed: bool,
}

type Ready = Box<dyn Fn() + Send + Sync>;

/// Collects records, see [`Logs::attach`].
pub struct Sink {
    client: Option<u64>,
    level: AtomicU8,
    queue: Mutex<Queue>,
    arrived: Condvar,
    ready: OnceLock<Ready>,
    dropped: AtomicU64,
    router: &'static Router,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("client", &self.client).field("level", &self.level()).finish()
    }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, level: Level, client: Option<u64>) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed) && (self.client.is_none() || self.client == client)
    }

    /// The level it collects, and above.
    pub fn level(&self) -> Level {
        Level::from_number(i32::from(self.level.load(Ordering::Relaxed))).unwrap_or(Level::Off)
    }

    /// Collects records of this level and above from now on.
    pub fn set_level(&self, level: Level) {
        self.router.change(|_| self.level.store(level as u8, Ordering::Relaxed));
    }

    /// How many records were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Registers what is called when the queue turns from empty to non-empty, or closes: from any thread, also from
    /// one that does a client's input and output, with no lock held. It must not block; it should make the host call
    /// [`drain`](Self::drain). Only the first registration counts. Where there is something already, it is called now.
    pub fn on_ready(&self, wake: impl Fn() + Send + Sync + 'static) {
        if self.ready.set(Box::new(wake)).is_ok() {
            let queue = self.lock();
            let any = !queue.records.is_empty() || queue.closed;
            drop(queue);
            if any {
                self.wake();
            }
        }
    }

    fn wake(&self) {
        self.arrived.notify_all();
        if let Some(ready) = self.ready.get() {
            ready();
        }
    }

    fn push(&self, record: Record) {
        let mut queue = self.lock();
        if queue.closed {
            return;
        }
        if queue.records.len() >= CAPACITY {
            drop(queue);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = queue.records.is_empty();
        queue.records.push_back(record);
        drop(queue);
        if was_empty {
            self.wake();
        }
    }

    /// Takes all records there are, in the order they were logged.
    pub fn drain(&self) -> VecDeque<Record> {
        std::mem::take(&mut self.lock().records)
    }

    /// Waits for records and takes them. Empty when the sink was closed.
    pub fn wait(&self) -> VecDeque<Record> {
        let queue = self.lock();
        let nothing = |queue: &mut Queue| queue.records.is_empty() && !queue.closed;
        let mut queue = self.arrived.wait_while(queue, nothing).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut queue.records)
    }

    /// Starts a thread that calls `deliver` for each record until the sink is closed; what was logged before that is
    /// still delivered. A panic in it is caught and the record passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when no thread can be started.
    pub fn deliver(self: &Arc<Self>, mut deliver: impl FnMut(Record) + Send + 'static) -> Result<(), Error> {
        let sink = Arc::clone(self);
        let run = move || {
            loop {
                let records = sink.wait();
                if records.is_empty() {
                    return;
                }
                for record in records {
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| deliver(record)));
                }
            }
        };
        let thread = std::thread::Builder::new().name("realtime-logs".into()).spawn(run);
        thread.map(drop).map_err(|error| Error::new(ErrorKind::Internal, format!("no thread for logs: {error}")))
    }

    /// Ends the collecting. What is in the queue can still be drained.
    pub fn close(&self) {
        self.router.change(|sinks| sinks.retain(|sink| !std::ptr::eq(&**sink, self)));
        self.lock().closed = true;
        self.wake();
    }
}
