//! A message on its way, and the waits for its answers.

use std::time::Duration;

use pyo3::prelude::*;
use realtime_pubsub::{self as core, WaitFor};

use crate::client::Core;
use crate::errors::{self, OrRaise};
use crate::ops::{Op, Value};
use crate::process::Local;

/// A time limit in seconds; `None` is the client's default.
pub(crate) fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(timeout) = timeout else { return Ok(None) };
    if timeout == f64::INFINITY {
        return Ok(Some(Duration::MAX));
    }
    let duration = Duration::try_from_secs_f64(timeout.max(0.0));
    duration.map(Some).map_err(|_| errors::invalid(format!("{timeout} is no time limit: give seconds, or None")))
}

/// The message's slot for its ack and replies. Dropping it frees the slot.
#[pyclass(frozen, module = "realtime_pubsub._native")]
pub(crate) struct Receipt {
    wait_for: Local<WaitFor>,
    client: Py<Core>,
}

impl Receipt {
    pub(crate) fn new(wait_for: WaitFor, client: &Bound<'_, Core>) -> Self {
        Receipt { wait_for: Local::new(wait_for), client: client.clone().unbind() }
    }
}

#[pymethods]
impl Receipt {
    /// The message's id.
    #[getter]
    fn id(&self) -> PyResult<&str> {
        Ok(self.wait_for.get()?.id())
    }

    /// Whether the gateway has taken the message. Raises what became of it where it never will.
    #[getter]
    fn acknowledged(&self, py: Python<'_>) -> PyResult<bool> {
        match self.wait_for.get()?.acknowledged() {
            None => Ok(false),
            Some(outcome) => outcome.or_raise(py).map(|()| true),
        }
    }

    /// `Core.take` settles the wait of this token when the ack comes. Dropping the ticket cancels.
    fn notify_ack(&self, token: u64, timeout: Option<f64>) -> PyResult<Ticket> {
        Ok(Ticket::new(self.wait_for.get()?.notify_ack(token, seconds(timeout)?)))
    }

    /// `Core.take` settles the wait of this token when the next reply comes. Dropping the ticket cancels.
    fn notify_reply(&self, token: u64, timeout: Option<f64>) -> PyResult<Ticket> {
        Ok(Ticket::new(self.wait_for.get()?.notify_reply(token, seconds(timeout)?)))
    }

    /// The wait for the ack.
    fn ack(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Op> {
        let mut wait = self.wait_for.get()?.wait_for_ack();
        if let Some(timeout) = seconds(timeout)? {
            wait = wait.timeout(timeout);
        }
        Ok(Op::new(self.client.bind(py), async move { wait.await.map(|()| Value::Nothing) }))
    }

    /// The wait for the next reply.
    fn reply(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Op> {
        let mut wait = self.wait_for.get()?.wait_for_reply();
        if let Some(timeout) = seconds(timeout)? {
            wait = wait.timeout(timeout);
        }
        Ok(Op::new(self.client.bind(py), async move { wait.await.map(Value::Reply) }))
    }
}

/// A wait that was registered. It is cancelled when this is dropped.
#[pyclass(frozen, module = "realtime_pubsub._native")]
pub(crate) struct Ticket {
    _ticket: Local<core::Ticket>,
}

impl Ticket {
    pub(crate) fn new(ticket: core::Ticket) -> Self {
        Ticket { _ticket: Local::new(ticket) }
    }
}
