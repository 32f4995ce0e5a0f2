//! The core's errors as exceptions of the package. The classes are Python's own, see `_errors.py`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use realtime_pubsub::{Error, ErrorKind};

fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || {
        let classes = py.import("realtime_pubsub._errors")?.getattr("BY_NUMBER")?;
        PyResult::Ok(classes.cast_into::<PyDict>()?.unbind())
    })?;
    Ok(classes.bind(py))
}

/// The exception for an error, not raised.
pub(crate) fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let class = classes(py)?.as_any().get_item(error.number())?;
    class.call1((error.message(), error.topic()))
}

/// The exception for an error, to be raised.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).map_or_else(|error| error, PyErr::from_value)
}

fn of(kind: ErrorKind, message: impl Into<String>) -> PyErr {
    let error = Error::new(kind, message);
    // Callers are attached: they are on their way back to Python.
    Python::attach(|py| raised(py, &error))
}

pub(crate) fn invalid(message: impl Into<String>) -> PyErr {
    of(ErrorKind::InvalidArgument, message)
}

pub(crate) fn closed(message: impl Into<String>) -> PyErr {
    of(ErrorKind::Closed, message)
}

pub(crate) fn internal(message: impl Into<String>) -> PyErr {
    of(ErrorKind::Internal, message)
}

/// `Result<T, Error>` to `PyResult<T>`.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raised(py, &error))
    }
}
