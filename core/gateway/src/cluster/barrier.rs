//! What waits for the NATS server to say that it has taken all that was written before.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::hub::Peer;

/// A ping behind which everything is taken once its pong comes. Shared by all that wait for it.
#[derive(Debug, Default)]
pub(crate) struct Barrier {
    state: AtomicU8,
    waiting: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
enum Waiting {
    Peer(Arc<Peer>),
    Task(oneshot::Sender<bool>),
}

impl Barrier {
    /// Whether NATS has taken what is before it; `None` while that is open.
    pub(crate) fn taken(&self) -> Option<bool> {
        match self.state.load(Ordering::Acquire) {
            0 => None,
            state => Some(state == 1),
        }
    }

    /// Has the connection's task look again when it is known.
    pub(super) fn wake(&self, peer: &Arc<Peer>) {
        self.wait(Waiting::Peer(peer.clone()));
    }

    /// What says it when it is known.
    pub(super) fn told(&self) -> oneshot::Receiver<bool> {
        let (teller, told) = oneshot::channel();
        self.wait(Waiting::Task(teller));
        told
    }

    fn wait(&self, waiting: Waiting) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    }

    /// Makes it known. Nobody may begin to wait after that.
    pub(super) fn resolve(&self, taken: bool) {
        self.state.store(if taken { 1 } else { 2 }, Ordering::Release);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for waiting in waiting {
            match waiting {
                Waiting::Peer(peer) => peer.outbox().wake(),
                // Failing means that nobody waits any more.
                Waiting::Task(teller) => drop(teller.send(taken)),
            }
        }
    }
}
