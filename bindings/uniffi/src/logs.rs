//! What the client logs, for the package's logger.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use realtime_pubsub_bindings::logs::{Level, Logs, Record, Sink};

use crate::error::CoreError;

/// How important a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Nothing works.
    Error,
    /// Something is wrong.
    Warn,
    /// Worth knowing.
    Info,
    /// For developers.
    Debug,
    /// Everything.
    Trace,
}

/// One thing that was logged.
#[derive(Clone, Debug, uniffi::Record)]
pub struct LogRecord {
    /// How important it is.
    pub level: LogLevel,
    /// The part of the client it comes from.
    pub target: String,
    /// What it says.
    pub message: String,
    /// The number of the client it is about.
    pub client: Option<u64>,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
}

/// Takes records, one after the other on a thread of its own.
#[uniffi::export(with_foreign)]
pub trait LogHost: Send + Sync {
    /// Something was logged.
    fn log(&self, record: LogRecord);
}

/// Logs go to a host until this is closed or dropped.
#[derive(uniffi::Object)]
pub struct LogForwarding(Arc<Sink>);

#[uniffi::export]
impl LogForwarding {
    /// Ends it.
    pub fn stop(&self) {
        self.0.close();
    }
}

impl Drop for LogForwarding {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Hands records of this level and above to the host: those of all clients, or of the one with this number.
#[uniffi::export]
pub fn forward_logs(
    level: LogLevel,
    client: Option<u64>,
    host: Arc<dyn LogHost>,
) -> Result<Arc<LogForwarding>, CoreError> {
    let sink = Logs::install()?.attach(client, level.level());
    sink.deliver(move |record| host.log(LogRecord::of(record)))?;
    Ok(Arc::new(LogForwarding(sink)))
}

impl LogLevel {
    fn level(self) -> Level {
        match self {
            LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug => Level::Debug,
            LogLevel::Trace => Level::Trace,
        }
    }
}

impl LogRecord {
    fn of(record: Record) -> Self {
        let level = match record.level {
            Level::Off | Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        LogRecord {
            level,
            target: record.target.to_owned(),
            message: record.message,
            client: record.client,
            time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
