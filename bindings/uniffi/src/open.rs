//! What a client has open with its package, each under a number: messages whose answers can still be asked for, waits
//! that are going on, and questions to the package.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_pubsub::{Error, Ticket, WaitFor};
use tokio::sync::oneshot;

use crate::error::closed;

/// No panic happens while one of these locks is held, and none would leave what it guards in a bad state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Tables {
    closed: bool,
    messages: HashMap<u64, Arc<WaitFor>>,
    /// `None` while a wait is being registered.
    waits: HashMap<u64, Option<Ticket>>,
}

/// Messages and waits. The numbers are the package's, and it uses none twice.
#[derive(Default)]
pub(crate) struct Open(Mutex<Tables>);

impl Open {
    /// Keeps a message until it is forgotten.
    pub(crate) fn keep(&self, number: u64, message: WaitFor) -> Result<(), Error> {
        let mut tables = lock(&self.0);
        if tables.closed {
            return Err(closed());
        }
        tables.messages.insert(number, Arc::new(message));
        Ok(())
    }

    pub(crate) fn forget(&self, number: u64) {
        // Dropped without the lock: the last user of a receipt tells the core.
        let message = lock(&self.0).messages.remove(&number);
        drop(message);
    }

    /// Begins a wait for a message's answer.
    pub(crate) fn wait(&self, number: u64, wait: u64, notify: impl FnOnce(&WaitFor) -> Ticket) -> Result<(), Error> {
        let mut tables = lock(&self.0);
        let message = tables.messages.get(&number).map(Arc::clone).ok_or_else(closed)?;
        tables.waits.insert(wait, None);
        drop(tables);
        // Without the lock, because a wait that is over already is settled from within.
        let ticket = notify(&message);
        self.began(lock(&self.0), wait, ticket);
        Ok(())
    }

    /// Begins a wait for something else.
    pub(crate) fn wait_for(&self, wait: u64, notify: impl FnOnce() -> Result<Ticket, Error>) -> Result<(), Error> {
        let mut tables = lock(&self.0);
        if tables.closed {
            return Err(closed());
        }
        tables.waits.insert(wait, None);
        drop(tables);
        match notify() {
            Ok(ticket) => {
                self.began(lock(&self.0), wait, ticket);
                Ok(())
            }
            Err(error) => {
                lock(&self.0).waits.remove(&wait);
                Err(error)
            }
        }
    }

    fn began(&self, mut tables: MutexGuard<'_, Tables>, wait: u64, ticket: Ticket) {
        let over = match tables.waits.get_mut(&wait) {
            Some(place) => {
                *place = Some(ticket);
                None
            }
            None => Some(ticket),
        };
        drop(tables);
        drop(over);
    }

    /// Ends a wait: it is settled, or nobody waits any more.
    pub(crate) fn end(&self, wait: u64) {
        let ticket = lock(&self.0).waits.remove(&wait);
        drop(ticket);
    }

    /// Lets go of everything, for good.
    pub(crate) fn close(&self) {
        let mut tables = lock(&self.0);
        tables.closed = true;
        let gone = (std::mem::take(&mut tables.messages), std::mem::take(&mut tables.waits));
        drop(tables);
        drop(gone);
    }
}

/// Questions to the package that wait for its answer.
pub(crate) struct Questions<T> {
    last: AtomicU64,
    open: Mutex<HashMap<u64, oneshot::Sender<T>>>,
}

impl<T> Default for Questions<T> {
    fn default() -> Self {
        Questions { last: AtomicU64::new(0), open: Mutex::default() }
    }
}

impl<T> Questions<T> {
    /// Asks, and waits for the answer. `None`: there will be none. Forgotten when the future is dropped.
    pub(crate) async fn ask(&self, ask: impl FnOnce(u64)) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let question = Question { number: self.last.fetch_add(1, Ordering::Relaxed) + 1, questions: self };
        lock(&self.open).insert(question.number, sender);
        ask(question.number);
        answer.await.ok()
    }

    pub(crate) fn answer(&self, number: u64, answer: T) {
        let sender = lock(&self.open).remove(&number);
        if let Some(sender) = sender {
            // Whoever asked may have given up.
            let _ = sender.send(answer);
        }
    }
}

struct Question<'a, T> {
    number: u64,
    questions: &'a Questions<T>,
}

impl<T> Drop for Question<'_, T> {
    fn drop(&mut self) {
        lock(&self.questions.open).remove(&self.number);
    }
}
