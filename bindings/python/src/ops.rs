//! Calls that take their time: begun for an event loop, which is told of the outcome by token, or waited for on the
//! thread.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake as WakeTask, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use realtime_pubsub::{ConnectionInfo, Event, ResponseMessage, Result, WaitFor};
use tokio::task::AbortHandle;

use crate::client::Core;
use crate::errors::{self, OrRaise};
use crate::process;
use crate::receipt::Receipt;
use crate::wake::Wake;

/// What an [`Op`] ends with.
pub(crate) enum Value {
    Nothing,
    Connected(Arc<ConnectionInfo>),
    Published(WaitFor),
    Reply(ResponseMessage),
    Event(Event),
}

impl Value {
    pub(crate) fn into_python<'py>(self, client: &Bound<'py, Core>) -> PyResult<Bound<'py, PyAny>> {
        let py = client.py();
        match self {
            Value::Nothing => Ok(py.None().into_bound(py)),
            Value::Connected(info) => crate::events::connection(py, &info),
            Value::Published(wait_for) => Ok(Bound::new(py, Receipt::new(wait_for, client))?.into_any()),
            Value::Reply(reply) => {
                let reply = crate::message::ResponseMessage::new(reply, client.clone().unbind());
                Ok(Bound::new(py, reply)?.into_any())
            }
            Value::Event(event) => crate::events::event(py, event, client),
        }
    }
}

/// The calls that have ended and whose loop has not been told.
#[derive(Default)]
pub(crate) struct Ended(Mutex<Vec<(u64, Result<Value>)>>);

impl Ended {
    fn push(&self, token: u64, outcome: Result<Value>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((token, outcome));
    }

    pub(crate) fn take(&self) -> Vec<(u64, Result<Value>)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Running = Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

/// A call that takes its time. It runs once it is begun or waited for.
#[pyclass(frozen, module = "realtime_pubsub._native")]
pub(crate) struct Op {
    future: Mutex<Option<Running>>,
    running: Mutex<Option<AbortHandle>>,
    client: Py<Core>,
    ended: Arc<Ended>,
    wake: Arc<Wake>,
}

impl Op {
    pub(crate) fn new(client: &Bound<'_, Core>, future: impl Future<Output = Result<Value>> + Send + 'static) -> Self {
        let core = client.get();
        Op {
            future: Mutex::new(Some(Box::pin(future))),
            running: Mutex::default(),
            client: client.clone().unbind(),
            ended: Arc::clone(&core.ended),
            wake: Arc::clone(&core.wake),
        }
    }

    fn future(&self) -> PyResult<Running> {
        let future = self.future.lock().unwrap_or_else(PoisonError::into_inner).take();
        future.ok_or_else(|| errors::internal("this call was begun before"))
    }
}

#[pymethods]
impl Op {
    /// Begins the call; `Core.take` settles the wait of this token when it ends.
    fn start(&self, py: Python<'_>, token: u64) -> PyResult<()> {
        let future = self.future()?;
        let (ended, wake) = (Arc::clone(&self.ended), Arc::clone(&self.wake));
        let runtime = realtime_pubsub::runtime::handle().or_raise(py)?;
        let task = runtime.spawn(async move {
            let outcome = future.await;
            ended.push(token, outcome);
            wake.notify();
        });
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    /// Gives up on a call that was begun.
    fn cancel(&self) {
        if let Some(task) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }

    /// Runs the call and waits for its end on this thread.
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = self.future()?;
        let outcome = block_on(py, future)?;
        outcome.or_raise(py)?.into_python(self.client.bind(py))
    }
}

struct Unpark(Thread);

impl WakeTask for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// How often a thread that waits looks for signals, such as Ctrl-C.
pub(crate) const SIGNALS: Duration = Duration::from_millis(50);

/// Runs a future of the core on this thread, detached from Python, minding signals.
pub(crate) fn block_on<F: Future + Send>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F::Output: Send,
{
    process::check_exit(py)?;
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        let waiting = future.as_mut();
        let outcome = process::detached(py, || {
            let (mut waiting, until) = (waiting, Instant::now() + SIGNALS);
            loop {
                if let Poll::Ready(outcome) = waiting.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Some(outcome);
                }
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                std::thread::park_timeout(left);
            }
        });
        match outcome {
            Some(outcome) => return Ok(outcome),
            None => py.check_signals()?,
        }
    }
}
