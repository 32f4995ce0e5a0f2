//! Control events and what messages say of people, as objects of the package. The classes are Python's own, see
//! `_events.py`: there are few of these objects.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyTuple};
use realtime_pubsub::{ConnectionInfo, Event, PresenceMessage, Sender};

use crate::client::Core;
use crate::errors;
use crate::message::IncomingMessage;

fn make<'py>(
    py: Python<'py>,
    class: &str,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASSES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || py.import("realtime_pubsub._events").map(Bound::unbind))?;
    classes.bind(py).getattr(class)?.call1(arguments.into_pyobject(py)?)
}

/// The object that listeners of this event are given.
pub(crate) fn event<'py>(py: Python<'py>, event: Event, client: &Bound<'py, Core>) -> PyResult<Bound<'py, PyAny>> {
    match event {
        Event::Message(message) => {
            Ok(Bound::new(py, IncomingMessage::new(message, client.clone().unbind()))?.into_any())
        }
        Event::SessionStarted(info) => connection(py, &info),
        Event::Error(error) => errors::exception(py, &error),
        Event::Close(close) => make(py, "CloseEvent", (close.code, close.reason.as_str(), close.will_reconnect)),
        Event::State(change) => make(py, "StateChange", (change.from.name(), change.to.name(), change.reason.as_str())),
        Event::Lagged(lagged) => make(py, "Lagged", (lagged.dropped,)),
        // A kind that the core has learned since.
        _ => Ok(py.None().into_bound(py)),
    }
}

pub(crate) fn connection<'py>(py: Python<'py>, info: &ConnectionInfo) -> PyResult<Bound<'py, PyAny>> {
    make(py, "ConnectionInfo", (info.id.as_str(), info.app_id.as_str(), info.remote_address.as_str()))
}

pub(crate) fn sender<'py>(py: Python<'py>, sender: &Sender<'_>) -> PyResult<Bound<'py, PyAny>> {
    let permissions = PyTuple::new(py, sender.permissions.iter().map(|name| &**name))?;
    make(py, "Sender", (&*sender.connection_id, &*sender.subject, permissions))
}

pub(crate) fn presence<'py>(py: Python<'py>, presence: &PresenceMessage) -> PyResult<Bound<'py, PyAny>> {
    let permissions = PyTuple::new(py, &presence.permissions)?;
    let (connection_id, subject) = (presence.connection_id.as_str(), presence.subject.as_str());
    make(py, "PresenceMessage", (presence.status.as_str(), connection_id, subject, permissions, presence.code))
}
