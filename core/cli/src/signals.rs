//! Ctrl-C and SIGTERM: the first asks a command to close cleanly, the second ends the process.

use std::future::Future;

use tokio::sync::watch;

use crate::failure::{Exit, Failure};

/// Told when the process shall end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<Option<Exit>>);

impl Stop {
    /// Begins to listen for the signals.
    pub(crate) fn listen() -> Result<Stop, Failure> {
        let (told, stop) = watch::channel(None);
        let mut signals = Signals::new().map_err(|error| Failure::new(format!("can't listen for signals: {error}")))?;
        tokio::spawn(async move {
            let first = signals.next().await;
            told.send_replace(Some(first));
            let second = signals.next().await;
            std::process::exit(i32::from(second as u8));
        });
        Ok(Stop(stop))
    }

    /// Returns the exit code of the signal, once it came.
    pub(crate) async fn requested(&mut self) -> Exit {
        match self.0.wait_for(Option::is_some).await {
            Ok(exit) => (*exit).unwrap_or(Exit::Interrupted),
            // The task that listens lives as long as the runtime.
            Err(_) => std::future::pending().await,
        }
    }

    /// What the work comes to, unless a signal comes before.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            outcome = work => outcome,
            exit = self.requested() => Err(Failure::silent(exit)),
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Exit {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Exit::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}
