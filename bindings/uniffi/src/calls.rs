//! Asynchronous calls that can be cancelled from outside: Swift's tasks don't drop the future they wait for, and
//! closing a client ends the calls that are going on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use realtime_pubsub::{Error, ErrorKind};

use crate::error::{CoreError, closed};
use crate::open::lock;

/// Cancels the one call that it is given to, also before that has begun.
#[derive(uniffi::Object)]
pub struct Cancellation {
    handle: AbortHandle,
    registration: Mutex<Option<AbortRegistration>>,
}

#[uniffi::export]
impl Cancellation {
    /// For one call.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        let (handle, registration) = AbortHandle::new_pair();
        Arc::new(Cancellation { handle, registration: Mutex::new(Some(registration)) })
    }

    /// The call ends with `CANCELLED`.
    pub fn cancel(&self) {
        self.handle.abort();
    }
}

/// The calls of one client.
#[derive(Default)]
pub(crate) struct Calls(Mutex<State>);

#[derive(Default)]
struct State {
    closed: bool,
    last: u64,
    running: HashMap<u64, AbortHandle>,
}

impl Calls {
    pub(crate) async fn run<T>(
        &self,
        cancellation: Option<Arc<Cancellation>>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, CoreError> {
        let given = cancellation.as_ref().and_then(|given| {
            lock(&given.registration).take().map(|registration| (given.handle.clone(), registration))
        });
        let (handle, registration) = given.unwrap_or_else(AbortHandle::new_pair);
        let number = {
            let mut state = lock(&self.0);
            if state.closed {
                return Err(closed().into());
            }
            state.last += 1;
            let number = state.last;
            state.running.insert(number, handle);
            number
        };
        let running = Running { calls: self, number };
        let outcome = Abortable::new(call, registration).await;
        drop(running);
        match outcome {
            Ok(outcome) => outcome.map_err(CoreError::from),
            Err(_) if lock(&self.0).closed => Err(closed().into()),
            Err(_) => Err(Error::new(ErrorKind::Cancelled, "the call was cancelled").into()),
        }
    }

    /// Ends all calls, now and to come, with `CLOSED`.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.0);
        state.closed = true;
        let running = std::mem::take(&mut state.running);
        drop(state);
        running.values().for_each(AbortHandle::abort);
    }
}

struct Running<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.calls.0).running.remove(&self.number);
    }
}
