//! TCP connections that are no WebSocket connections (yet), so many at most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::server::Shared;

/// Those that are under way, oldest first. Dropping one's sender has it dropped.
#[derive(Debug)]
pub(crate) struct Handshakes {
    limit: usize,
    entered: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
}

/// One's place among them, until it is dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.handshakes.entered().remove(&self.number);
    }
}

impl Handshakes {
    pub(crate) fn new(limit: usize) -> Self {
        Handshakes { limit, entered: Mutex::default() }
    }

    fn entered(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.entered().len()
    }

    /// Takes one in, at the cost of the oldest if there is no room. What is returned second ends when it is that.
    pub(crate) fn enter(shared: &Arc<Shared>) -> (Place, oneshot::Receiver<()>) {
        let (keep, lost) = oneshot::channel();
        let number = shared.number();
        let mut entered = shared.handshakes.entered();
        if entered.len() >= shared.handshakes.limit {
            entered.pop_first();
            shared.metrics.handshakes_dropped.inc();
        }
        entered.insert(number, keep);
        (Place { shared: shared.clone(), number }, lost)
    }
}
