//! The core's client for the two faces that are written in Python: the one for asyncio and the one for threads.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(not(unix))]
use pyo3::exceptions::PyNotImplementedError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyDict, PyList, PyTuple};
use realtime_pubsub::{Client, Delivery, Inbox, Kick, ListenerId, Publish, RawJson, Settled};

use realtime_pubsub_bindings::logs::{Level, Logs, Sink};

use crate::encode::encode;
use crate::errors::{self, OrRaise};
use crate::message::IncomingMessage;
use crate::ops::{Ended, Op, Value};
use crate::process::{self, Local};
use crate::receipt::{Receipt, Ticket, seconds};
use crate::stream::Stream;
use crate::url::{Questions, UrlRequest};
use crate::wake::Wake;

struct Running {
    client: Client,
    inbox: Arc<Inbox>,
}

/// A client of the core. What it has for Python is taken in batches, see `take`.
#[pyclass(frozen, weakref, module = "realtime_pubsub._native")]
pub(crate) struct Core {
    running: Local<Running>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) ended: Arc<Ended>,
    questions: Arc<Questions>,
    /// A weak reference to the Python object that owns this one.
    owner: PyOnceLock<Py<PyAny>>,
    /// What the client logs. `None` where the process has a subscriber of its own, which gets it.
    logs: Option<Arc<Sink>>,
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(logs) = &self.logs {
            logs.close();
        }
    }
}

impl Core {
    fn client(&self) -> PyResult<&Client> {
        Ok(&self.running.get()?.client)
    }

    /// The client that the user knows.
    pub(crate) fn owner<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let gone = || errors::closed("the client of this message is gone");
        let owner = self.owner.get(py).ok_or_else(gone)?.bind(py).call0()?;
        if owner.is_none() { Err(gone()) } else { Ok(owner) }
    }

    fn message(&self, message: Message<'_, '_>) -> PyResult<Publish> {
        let client = self.client()?;
        let json = encode(message.payload, message.default)?;
        let payload = RawJson::trusted(&json);
        let mut publish = match message.topic {
            Some(topic) => client.publish_raw(topic, payload),
            None => client.send_raw(payload),
        };
        if let Some(message_type) = message.message_type {
            publish = publish.message_type(message_type);
        }
        if let Some(id) = message.id {
            publish = publish.id(id);
        }
        Ok(publish.compress(message.compress))
    }
}

/// The arguments of a publish or send.
struct Message<'a, 'py> {
    topic: Option<&'a str>,
    payload: &'a Bound<'py, PyAny>,
    message_type: Option<&'a str>,
    compress: bool,
    id: Option<&'a str>,
    default: Option<&'a Bound<'py, PyAny>>,
}

#[pymethods]
impl Core {
    /// `url` is a URL, or `None` for a client whose provider is asked through `next_url_request`. With `manual_kick`
    /// what is published waits for `kick`.
    #[new]
    fn new(py: Python<'_>, url: Option<&str>, options: &Bound<'_, PyDict>, manual_kick: bool) -> PyResult<Self> {
        let mut options = crate::options::read(options)?;
        options.kick = if manual_kick { Kick::Manual { published: None, asked: Some(32) } } else { Kick::Auto };
        let wake = Arc::new(Wake::default());
        let questions = Arc::new(Questions::default());
        let builder = Client::builder().options(options).runtime(realtime_pubsub::runtime::handle().or_raise(py)?);
        let builder = match url {
            Some(url) => builder.url(url),
            None => {
                let (questions, wake) = (Arc::clone(&questions), Arc::clone(&wake));
                builder.url_provider(move || Arc::clone(&questions).ask(Arc::clone(&wake)))
            }
        };
        let logs = Logs::install().ok();
        let (client, inbox) = builder.build_with_inbox().or_raise(py)?;
        let logs = logs.map(|logs| logs.attach(Some(client.number()), Level::Off));
        if let Some(logs) = &logs {
            let ready = Arc::clone(&wake);
            logs.on_ready(move || ready.notify());
        }
        let ready = Arc::clone(&wake);
        inbox.on_ready(move || ready.notify());
        Ok(Core {
            running: Local::new(Running { client, inbox }),
            wake,
            ended: Arc::default(),
            questions,
            owner: PyOnceLock::new(),
            logs,
        })
    }

    /// Says whose this is: a weak reference.
    fn set_owner(&self, py: Python<'_>, owner: Py<PyAny>) {
        let _ = self.owner.set(py, owner);
    }

    // ---- taking what there is

    /// The descriptor that becomes readable when there is something to take.
    fn fileno(&self) -> PyResult<i32> {
        #[cfg(unix)]
        return Ok(self.wake.descriptor()?);
        #[cfg(not(unix))]
        Err(PyNotImplementedError::new_err("no descriptors to watch on this system"))
    }

    /// Waits on this thread until there is something to take, at most `timeout` seconds. Says whether there is.
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        process::check_exit(py)?;
        let timeout = seconds(timeout)?;
        Ok(process::detached(py, || self.wake.wait(timeout)))
    }

    /// Wakes whoever waits for something to take.
    fn wake(&self) {
        self.wake.notify();
    }

    /// Settles the futures in `waits`, by token, whose waits have ended, and takes up to `max` messages and control
    /// events, as a list of `(listeners, events)`: the values of `listeners`, by id, and what they are to be told one
    /// by one. With `settled_only` messages and control events stay. Says how many are left, too.
    fn take<'py>(
        slf: &Bound<'py, Self>,
        listeners: &Bound<'py, PyDict>,
        waits: &Bound<'py, PyDict>,
        max: usize,
        settled_only: bool,
    ) -> PyResult<(Bound<'py, PyList>, usize)> {
        let (py, this) = (slf.py(), slf.get());
        let inbox = &this.running.get()?.inbox;
        this.wake.clear();
        for (token, outcome) in this.ended.take() {
            settle(waits, token, outcome.or_raise(py).and_then(|value| value.into_python(slf)))?;
        }
        let mut deliveries = Vec::with_capacity(max.min(inbox.len()));
        let left =
            if settled_only { inbox.drain_settled(max, &mut deliveries) } else { inbox.drain(max, &mut deliveries) };
        let mut groups: Vec<(Bound<'py, PyTuple>, Bound<'py, PyList>)> = Vec::new();
        let mut told: Option<Arc<[ListenerId]>> = None;
        for delivery in deliveries {
            match delivery {
                Delivery::Settled { token, outcome } => {
                    let value = outcome.or_raise(py).and_then(|settled| settled_value(settled).into_python(slf));
                    settle(waits, token, value)?;
                }
                Delivery::Event { listeners: ids, event } => {
                    let event = crate::events::event(py, event, slf)?;
                    match groups.last() {
                        Some((_, events)) if told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &ids)) => {
                            events.append(event)?;
                        }
                        _ => {
                            groups.push((known(listeners, &ids)?, PyList::new(py, [event])?));
                            told = Some(ids);
                        }
                    }
                }
                // A kind that the core has learned since.
                _ => {}
            }
        }
        Ok((PyList::new(py, groups)?, left))
    }

    /// Collects log records of this level (a number of Python's `logging`) and above.
    fn set_log_level(&self, level: u32) {
        if let Some(logs) = &self.logs {
            logs.set_level(match level {
                0..10 => Level::Trace,
                10..20 => Level::Debug,
                20..30 => Level::Info,
                30..40 => Level::Warn,
                40..=50 => Level::Error,
                _ => Level::Off,
            });
        }
    }

    /// Takes the log records: level, where from, text, and when in seconds since 1970.
    fn take_logs(&self) -> Vec<(u32, &'static str, String, f64)> {
        let records = self.logs.as_ref().map(|logs| logs.drain()).unwrap_or_default();
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let level = |level| match level {
            Level::Error => 40,
            Level::Warn => 30,
            Level::Info => 20,
            Level::Debug => 10,
            _ => 5,
        };
        records
            .into_iter()
            .map(|record| (level(record.level), record.target, record.message, since_1970(record.time)))
            .collect()
    }

    /// The next URL that the core waits for, if any.
    fn next_url_request(&self) -> PyResult<Option<UrlRequest>> {
        self.running.get()?;
        Ok(self.questions.next())
    }

    /// Waits a moment on this thread for `next_url_request` to have something.
    fn wait_for_url_request(&self, py: Python<'_>) -> PyResult<()> {
        process::check_exit(py)?;
        process::detached(py, || self.questions.wait(Duration::from_secs(1)));
        Ok(())
    }

    // ---- connecting

    /// Connects within so many seconds.
    fn connect(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Op> {
        let client = slf.get().client()?.clone();
        let timeout = seconds(timeout)?.unwrap_or(client.options().connect_timeout);
        Ok(Op::new(slf, async move { client.connect_within(timeout).await.map(Value::Connected) }))
    }

    /// Begins to connect, without end.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.client()?.start().or_raise(py)
    }

    /// Disconnects within so many seconds.
    fn disconnect(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Op> {
        let client = slf.get().client()?.clone();
        let timeout = seconds(timeout)?.unwrap_or(client.options().disconnect_timeout);
        Ok(Op::new(slf, async move {
            client.disconnect_within(timeout).await;
            Ok(Value::Nothing)
        }))
    }

    /// Waits until all that was published has reached the gateway.
    fn flush(slf: &Bound<'_, Self>) -> PyResult<Op> {
        let client = slf.get().client()?.clone();
        Ok(Op::new(slf, async move { client.flush().await.map(|()| Value::Nothing) }))
    }

    /// Subscribes to a topic at the gateway.
    fn subscribe(slf: &Bound<'_, Self>, topic: String) -> PyResult<Op> {
        let client = slf.get().client()?.clone();
        Ok(Op::new(slf, async move { client.subscribe_remote_topic(&topic).await.map(|()| Value::Nothing) }))
    }

    /// Ends a subscription.
    fn unsubscribe(slf: &Bound<'_, Self>, topic: String) -> PyResult<Op> {
        let client = slf.get().client()?.clone();
        Ok(Op::new(slf, async move { client.unsubscribe_remote_topic(&topic).await.map(|()| Value::Nothing) }))
    }

    // ---- sending

    /// Queues a message for a topic, or for the application where `topic` is `None`.
    #[pyo3(signature = (topic, payload, message_type, compress, message_id, default))]
    fn publish(
        slf: &Bound<'_, Self>,
        topic: Option<&str>,
        payload: &Bound<'_, PyAny>,
        message_type: Option<&str>,
        compress: bool,
        message_id: Option<&str>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let message = Message { topic, payload, message_type, compress, id: message_id, default };
        let wait_for = slf.get().message(message)?.enqueue().or_raise(slf.py())?;
        Ok(Receipt::new(wait_for, slf))
    }

    /// The same, waiting for room in the queue.
    #[pyo3(signature = (topic, payload, message_type, compress, message_id, default))]
    fn publish_when_room(
        slf: &Bound<'_, Self>,
        topic: Option<&str>,
        payload: &Bound<'_, PyAny>,
        message_type: Option<&str>,
        compress: bool,
        message_id: Option<&str>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Op> {
        let message = Message { topic, payload, message_type, compress, id: message_id, default };
        let publishing = slf.get().message(message)?.into_future();
        Ok(Op::new(slf, async move { publishing.await.map(Value::Published) }))
    }

    /// Queues a reply to a message.
    fn reply(
        slf: &Bound<'_, Self>,
        message: &IncomingMessage,
        data: &Bound<'_, PyAny>,
        status: &str,
        compress: bool,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let reply = reply(slf, message, data, status, compress, default)?;
        Ok(Receipt::new(reply.enqueue().or_raise(slf.py())?, slf))
    }

    /// The same, waiting for room in the queue.
    fn reply_when_room(
        slf: &Bound<'_, Self>,
        message: &IncomingMessage,
        data: &Bound<'_, PyAny>,
        status: &str,
        compress: bool,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Op> {
        let publishing = reply(slf, message, data, status, compress, default)?.into_future();
        Ok(Op::new(slf, async move { publishing.await.map(Value::Published) }))
    }

    /// Has what was published written.
    fn kick(&self) -> PyResult<()> {
        self.client()?.kick();
        Ok(())
    }

    // ---- listening

    /// Registers a listener, and gives it its id, under which it is in `listeners` before `take` looks it up on
    /// another thread.
    fn listen(
        &self,
        name: &str,
        once: bool,
        listener: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let client = self.client()?;
        with_critical_section(listeners, || {
            let id = client.listen(name, once).or_raise(listeners.py())?.get();
            listener.setattr(intern!(listeners.py(), "id"), id)?;
            listeners.set_item(id, listener)
        })
    }

    /// Takes a listener off. Says whether it was there.
    fn off(&self, id: u64) -> PyResult<bool> {
        Ok(self.client()?.off(ListenerId::from_raw(id)))
    }

    /// `take` settles the wait of this token when the event comes. Dropping the ticket cancels.
    fn notify_event(&self, py: Python<'_>, name: &str, token: u64, timeout: Option<f64>) -> PyResult<Ticket> {
        let ticket = self.client()?.notify_event(name, token, seconds(timeout)?).or_raise(py)?;
        Ok(Ticket::new(ticket))
    }

    /// The wait for an event. The listening begins at once.
    fn event(slf: &Bound<'_, Self>, name: &str, timeout: Option<f64>) -> PyResult<Op> {
        let mut wait = slf.get().client()?.wait_for(name);
        if let Some(timeout) = seconds(timeout)? {
            wait = wait.timeout(timeout);
        }
        Ok(Op::new(slf, async move { wait.await.map(Value::Event) }))
    }

    /// The messages of a pattern, in a queue of their own.
    fn messages(slf: &Bound<'_, Self>, pattern: &str) -> PyResult<Stream> {
        let messages = slf.get().client()?.messages(pattern).or_raise(slf.py())?;
        Ok(Stream::new(slf, messages))
    }

    // ---- looking

    /// The state's name.
    #[getter]
    fn state(&self) -> PyResult<&'static str> {
        Ok(self.client()?.state().name())
    }

    /// The present session's connection.
    #[getter]
    fn connection<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.client()?.connection().map(|info| crate::events::connection(py, &info)).transpose()
    }

    /// The topics that are subscribed in each session.
    #[getter]
    fn subscriptions(&self) -> PyResult<Vec<String>> {
        Ok(self.client()?.subscriptions())
    }

    /// The number that the client's log records carry.
    #[getter]
    fn number(&self) -> PyResult<u64> {
        Ok(self.client()?.number())
    }

    /// The counters, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.client()?.stats();
        let dict = PyDict::new(py);
        for (name, value) in [
            ("sessions", stats.sessions),
            ("failed_attempts", stats.failed_attempts),
            ("messages_sent", stats.messages_sent),
            ("bytes_sent", stats.bytes_sent),
            ("messages_received", stats.messages_received),
            ("bytes_received", stats.bytes_received),
            ("acks", stats.acks),
            ("replies", stats.replies),
            ("unmatched", stats.unmatched),
            ("dropped", stats.dropped),
            ("duplicates", stats.duplicates),
            ("unreadable", stats.unreadable),
            ("lost", stats.lost),
            ("outbox_messages", stats.outbox_messages),
            ("outbox_bytes", stats.outbox_bytes),
            ("inbox_len", stats.inbox_len),
            ("receipts", stats.receipts),
            ("waits", stats.waits),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

fn reply(
    client: &Bound<'_, Core>,
    message: &IncomingMessage,
    data: &Bound<'_, PyAny>,
    status: &str,
    compress: bool,
    default: Option<&Bound<'_, PyAny>>,
) -> PyResult<realtime_pubsub::Reply> {
    client.get().client()?;
    let json = encode(data, default)?;
    Ok(message.core().reply_raw(RawJson::trusted(&json)).status(status).compress(compress))
}

fn settled_value(settled: Settled) -> Value {
    match settled {
        Settled::Reply(reply) => Value::Reply(reply),
        Settled::Event(event) => Value::Event(event),
        _ => Value::Nothing,
    }
}

/// Sets the future of this token, unless nobody waits any more.
fn settle<'py>(waits: &Bound<'py, PyDict>, token: u64, outcome: PyResult<Bound<'py, PyAny>>) -> PyResult<()> {
    let py = waits.py();
    let token = token.into_pyobject(py)?;
    let Some(future) = waits.get_item(&token)? else { return Ok(()) };
    waits.del_item(&token)?;
    let set = match outcome {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,)),
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),)),
    };
    // It fails for a future that was cancelled a moment ago, and when its loop is closed.
    drop(set);
    Ok(())
}

/// Those of the listeners that have not been taken off.
fn known<'py>(listeners: &Bound<'py, PyDict>, ids: &[ListenerId]) -> PyResult<Bound<'py, PyTuple>> {
    let mut known = Vec::with_capacity(ids.len());
    for id in ids {
        known.extend(listeners.get_item(id.get())?);
    }
    PyTuple::new(listeners.py(), known)
}
