//! How whoever runs a client's callbacks is told that there is something to do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[cfg(unix)]
use realtime_pubsub_bindings::wake::WakeFd;

/// Set from a wake until it is cleared.
pub(crate) struct Signal {
    set: Mutex<bool>,
    changed: Condvar,
    #[cfg(unix)]
    fd: Option<WakeFd>,
}

impl Signal {
    /// `with_fd`: also a descriptor for event loops.
    #[cfg(unix)]
    pub(crate) fn new(with_fd: bool) -> std::io::Result<Self> {
        let fd = with_fd.then(WakeFd::new).transpose()?;
        Ok(Signal { set: Mutex::new(false), changed: Condvar::new(), fd })
    }

    /// There is no descriptor on this system.
    #[cfg(not(unix))]
    pub(crate) fn new(_: bool) -> std::io::Result<Self> {
        Ok(Signal { set: Mutex::new(false), changed: Condvar::new() })
    }

    #[cfg(unix)]
    pub(crate) fn fd(&self) -> Option<i32> {
        self.fd.as_ref().map(WakeFd::fd)
    }

    #[cfg(not(unix))]
    pub(crate) fn fd(&self) -> Option<i32> {
        None
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake(&self) {
        *self.lock() = true;
        self.changed.notify_one();
        #[cfg(unix)]
        if let Some(fd) = &self.fd {
            fd.wake();
        }
    }

    /// Before looking for what there is to do: what comes after wakes again.
    pub(crate) fn clear(&self) {
        *self.lock() = false;
        #[cfg(unix)]
        if let Some(fd) = &self.fd {
            fd.clear();
        }
    }

    /// Waits until it is set. Says whether it is: not, when the time is up.
    pub(crate) fn wait(&self, until: Option<Instant>) -> bool {
        let set = self.lock();
        match until {
            None => *self.changed.wait_while(set, |set| !*set).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                *self.changed.wait_timeout_while(set, left, |set| !*set).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}
