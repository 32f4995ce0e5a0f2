//! Messages of one pattern in a queue of their own, for iterators.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake as WakeTask, Waker};

use futures_util::Stream as _;
use pyo3::prelude::*;
use pyo3::types::PyList;
use realtime_pubsub::{self as core, Messages};

use crate::client::Core;
use crate::message::IncomingMessage;
use crate::ops::block_on;
use crate::process::Local;
use crate::wake::Wake;

struct Signal {
    wake: Arc<Wake>,
    ready: AtomicBool,
}

impl WakeTask for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Ordering::Release);
        self.wake.notify();
    }
}

/// What a look at the queue gave.
enum Look {
    Messages(Vec<core::IncomingMessage>),
    Empty,
    Ended,
}

/// The queue of an iterator. Dropping it ends the listening.
#[pyclass(frozen, module = "realtime_pubsub._native")]
pub(crate) struct Stream {
    /// `None` once it was closed.
    messages: Local<Mutex<Option<Messages>>>,
    signal: Arc<Signal>,
    client: Py<Core>,
}

impl Stream {
    pub(crate) fn new(client: &Bound<'_, Core>, messages: Messages) -> Self {
        let signal = Arc::new(Signal { wake: Arc::clone(&client.get().wake), ready: AtomicBool::new(false) });
        Stream { messages: Local::new(Mutex::new(Some(messages))), signal, client: client.clone().unbind() }
    }

    fn look(&self, max: usize, waker: &Waker) -> PyResult<Look> {
        let mut messages = self.messages.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(messages.as_mut().map_or(Look::Ended, |messages| look(messages, max, waker)))
    }

    fn list<'py>(&self, py: Python<'py>, look: Look) -> PyResult<Option<Bound<'py, PyList>>> {
        let taken = match look {
            Look::Ended => return Ok(None),
            Look::Empty => Vec::new(),
            Look::Messages(taken) => taken,
        };
        let message = |message| Bound::new(py, IncomingMessage::new(message, self.client.clone_ref(py)));
        let messages: Vec<_> = taken.into_iter().map(message).collect::<PyResult<_>>()?;
        PyList::new(py, messages).map(Some)
    }
}

fn look(messages: &mut Messages, max: usize, waker: &Waker) -> Look {
    let mut taken = Vec::new();
    while taken.len() < max {
        match Pin::new(&mut *messages).poll_next(&mut Context::from_waker(waker)) {
            Poll::Ready(Some(message)) => taken.push(message),
            Poll::Ready(None) if taken.is_empty() => return Look::Ended,
            Poll::Pending if taken.is_empty() => return Look::Empty,
            _ => break,
        }
    }
    Look::Messages(taken)
}

#[pymethods]
impl Stream {
    /// Up to `max` messages; `None` when there will be no more. After an empty list the client is woken when there
    /// are some, and `ready` says so.
    fn take<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Option<Bound<'py, PyList>>> {
        self.signal.ready.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.signal));
        self.list(py, self.look(max, &waker)?)
    }

    /// Whether there is something to take since it was last found empty.
    #[getter]
    fn ready(&self) -> bool {
        self.signal.ready.load(Ordering::Acquire)
    }

    /// Waits on this thread for messages, and gives up to `max`; `None` when there will be no more.
    fn block<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Option<Bound<'py, PyList>>> {
        let messages = self.messages.get()?;
        let found = block_on(
            py,
            std::future::poll_fn(|context| {
                let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
                match messages.as_mut().map_or(Look::Ended, |messages| look(messages, max, context.waker())) {
                    Look::Empty => Poll::Pending,
                    found => Poll::Ready(found),
                }
            }),
        )?;
        self.list(py, found)
    }

    /// Ends the listening, and the wait of a thread.
    fn close(&self) -> PyResult<()> {
        let messages = self.messages.get()?.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(messages);
        Ok(())
    }
}
