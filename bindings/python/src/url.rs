//! URL providers: the core asks on its own thread, Python answers on its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::sync::oneshot;

use crate::wake::Wake;

type Answer = oneshot::Sender<Result<String, String>>;

/// What the core has asked and nobody has answered.
#[derive(Default)]
pub(crate) struct Questions {
    waiting: Mutex<VecDeque<Answer>>,
    arrived: Condvar,
}

impl Questions {
    /// Asks for a URL.
    pub(crate) async fn ask(self: Arc<Self>, wake: Arc<Wake>) -> Result<String, String> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
        self.arrived.notify_one();
        wake.notify();
        answered.await.unwrap_or_else(|_| Err("nobody answered".to_owned()))
    }

    /// The next question that the core still waits for.
    pub(crate) fn next(&self) -> Option<UrlRequest> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| waiting.pop_front()).find(|answer| !answer.is_closed()).map(UrlRequest::new)
    }

    /// Waits for a question on this thread.
    pub(crate) fn wait(&self, timeout: Duration) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |waiting: &mut VecDeque<Answer>| waiting.is_empty();
        drop(self.arrived.wait_timeout_while(waiting, timeout, empty).unwrap_or_else(PoisonError::into_inner));
    }
}

/// The core's question for a URL. Dropping it unanswered is a failure of the provider.
#[pyclass(frozen, module = "realtime_pubsub._native")]
pub(crate) struct UrlRequest(Mutex<Option<Answer>>);

impl UrlRequest {
    fn new(answer: Answer) -> Self {
        UrlRequest(Mutex::new(Some(answer)))
    }

    fn answer(&self, outcome: Result<String, String>) {
        if let Some(answer) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The core has given up waiting, if it is not there.
            let _ = answer.send(outcome);
        }
    }
}

#[pymethods]
impl UrlRequest {
    /// Answers with a URL.
    fn resolve(&self, url: String) {
        self.answer(Ok(url));
    }

    /// Answers that the provider failed.
    fn reject(&self, why: String) {
        self.answer(Err(why));
    }
}
