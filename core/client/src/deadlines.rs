//! The time limits of all waits of a client, in one place, so that a wait needs no timer and no runtime of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::sync::Lock;

/// Something that waits and can run out of time.
pub(crate) trait Expire: Send + Sync {
    /// The wait registered under this key has run out of time.
    fn expire(&self, key: u64);
}

/// A wait's place among the deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) key: u64,
}

/// When a wait that begins now runs out of time. Far away for times too long to be added to now.
pub(crate) fn due(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 60 * 60))
}

#[derive(Default)]
struct Waits {
    by_time: BTreeMap<Deadline, Arc<dyn Expire>>,
    /// When the keeper will look next. It is left as it is when that wait ends early, so that the waits that follow,
    /// which are due later, need not wake the keeper.
    armed: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct Deadlines {
    waits: Lock<Waits>,
    last_key: AtomicU64,
    earlier: Notify,
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("len", &self.waits.lock().by_time.len()).finish()
    }
}

impl Deadlines {
    /// A key for a wait.
    pub(crate) fn key(&self) -> u64 {
        self.last_key.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn insert(&self, deadline: Deadline, wait: Arc<dyn Expire>) {
        let mut waits = self.waits.lock();
        waits.by_time.insert(deadline, wait);
        let earlier = waits.armed.is_none_or(|armed| deadline.at < armed);
        if earlier {
            waits.armed = Some(deadline.at);
        }
        drop(waits);
        if earlier {
            self.earlier.notify_one();
        }
    }

    pub(crate) fn remove(&self, deadline: Deadline) {
        let removed = self.waits.lock().by_time.remove(&deadline);
        // Dropped without the lock: it may be the last owner of something that ends other waits.
        drop(removed);
    }

    pub(crate) fn len(&self) -> usize {
        self.waits.lock().by_time.len()
    }

    /// Lets waits expire, for ever.
    pub(crate) async fn keep(&self) {
        loop {
            let now = Instant::now();
            let mut due = Vec::new();
            let next = {
                let mut waits = self.waits.lock();
                while let Some(first) = waits.by_time.first_entry()
                    && first.key().at <= now
                {
                    due.push(first.remove_entry());
                }
                waits.armed = waits.by_time.first_key_value().map(|(deadline, _)| deadline.at);
                waits.armed
            };
            for (deadline, wait) in due {
                wait.expire(deadline.key);
            }
            match next {
                None => self.earlier.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.earlier.notified() => {}
                    }
                }
            }
        }
    }
}
