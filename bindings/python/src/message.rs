//! Messages as Python sees them: made cheaply by the hundred, parsed when somebody looks.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use realtime_pubsub as core;

use crate::client::Core;
use crate::decode::decode;
use crate::events;

/// A message that came from the gateway.
///
/// Its parts are attributes (`message.topic`, `message.payload`, `message.sender`) and items, named as on the wire
/// (`message["data"]["payload"]`). JSON is parsed when it is looked at, the payload once.
#[pyclass(frozen, module = "realtime_pubsub", name = "IncomingMessage")]
pub(crate) struct IncomingMessage {
    message: core::IncomingMessage,
    client: Py<Core>,
    payload: PyOnceLock<Py<PyAny>>,
}

impl IncomingMessage {
    pub(crate) fn new(message: core::IncomingMessage, client: Py<Core>) -> Self {
        IncomingMessage { message, client, payload: PyOnceLock::new() }
    }

    pub(crate) fn core(&self) -> &core::IncomingMessage {
        &self.message
    }

    /// Whether the payload is a part of the data, and not all of it as in a message published over REST.
    fn has_payload(&self) -> bool {
        self.message.payload().as_str().len() < self.message.data().as_str().len()
    }

    /// An item by its name on the wire.
    fn item<'py>(slf: &Bound<'py, Self>, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let this = slf.get();
        let py = slf.py();
        Ok(Some(match key {
            "data" => Self::data(slf)?,
            "topic" => this.topic(py).into_any(),
            "messageType" => this.message_type(py).into_any(),
            "compression" => this.compression().into_pyobject(py)?.to_owned().into_any(),
            _ => return Ok(None),
        }))
    }
}

const KEYS: [&str; 4] = ["topic", "messageType", "data", "compression"];

#[pymethods]
impl IncomingMessage {
    /// The topic it was published to.
    #[getter]
    fn topic<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.message.topic())
    }

    /// The message type, `broadcast` where the sender gave none.
    #[getter]
    fn message_type<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.message.message_type())
    }

    /// What was published: any JSON value. Lists and dicts are the same object each time.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        cached(py, &self.payload, self.message.payload().as_str())
    }

    /// All of its data: a mapping with `client`, `payload` and `id`; for a message published over REST what was
    /// published, any JSON value.
    #[getter]
    fn data<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let message = &slf.get().message;
        if message.data().as_str().starts_with('{') {
            let data = MessageData { message: slf.clone().unbind(), all: PyOnceLock::new() };
            return Ok(Bound::new(py, data)?.into_any());
        }
        decode(py, message.data().as_str())
    }

    /// The message's id; `None` for one published over REST.
    #[getter]
    fn id(&self) -> Option<String> {
        self.message.id().map(|id| id.into_owned())
    }

    /// Who sent it; `None` for one published over REST.
    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.message.sender().map(|sender| events::sender(py, &sender)).transpose()
    }

    /// Whether it came as a binary frame, as what was published with `compress=True` does.
    #[getter]
    fn compression(&self) -> bool {
        self.message.compression()
    }

    /// The frame as it came: JSON text.
    #[getter]
    fn raw(&self) -> &str {
        self.message.frame()
    }

    /// `data` as a new dict. Raises `InvalidArgumentError` where `data` is no object.
    fn data_as_map<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        decode(py, self.message.data().as_str())?
            .cast_into()
            .map_err(|_| crate::errors::invalid("the message's data is no JSON object"))
    }

    /// What a presence message says; `None` where this is none.
    fn data_as_presence<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.message.data_as_presence().map(|presence| events::presence(py, &presence)).transpose()
    }

    /// Replies to the sender. The reply is on its way when this returns; awaiting what it returns waits for room
    /// where the queue is full, and gives the `WaitFor` of the reply.
    ///
    /// Raises `NotReplyableError` for a message published over REST.
    #[pyo3(signature = (data, status = "ok", compress = false))]
    fn reply<'py>(
        slf: &Bound<'py, Self>,
        data: &Bound<'py, PyAny>,
        status: &str,
        compress: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let owner = slf.get().client.get().owner(slf.py())?;
        owner.call_method1(pyo3::intern!(slf.py(), "_reply"), (slf, data, status, compress))
    }

    /// The message as a new dict of plain values.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("topic", self.message.topic())?;
        dict.set_item("messageType", self.message.message_type())?;
        dict.set_item("data", decode(py, self.message.data().as_str())?)?;
        dict.set_item("compression", self.message.compression())?;
        Ok(dict)
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        Self::item(slf, key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))
    }

    /// The item of this name, or `default`.
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(Self::item(slf, key)?.or(default))
    }

    fn __contains__(&self, key: &str) -> bool {
        KEYS.contains(&key)
    }

    fn __len__(&self) -> usize {
        KEYS.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyTuple::new(py, KEYS)?.try_iter()?.into_any())
    }

    /// The names of its items.
    fn keys(&self) -> Vec<&'static str> {
        KEYS.to_vec()
    }

    /// Its items.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        KEYS.iter().map(|key| Self::__getitem__(slf, key)).collect()
    }

    /// The names of its items, and the items.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<(&'static str, Bound<'py, PyAny>)>> {
        KEYS.iter().map(|key| Ok((*key, Self::__getitem__(slf, key)?))).collect()
    }

    fn __repr__(&self) -> String {
        let (topic, message_type) = (self.message.topic(), self.message.message_type());
        format!("<IncomingMessage {topic}.{message_type}: {}>", shortened(self.message.data().as_str()))
    }
}

/// The `data` of a message: a read-only mapping that is parsed when somebody looks.
#[pyclass(frozen, module = "realtime_pubsub", name = "MessageData", mapping)]
pub(crate) struct MessageData {
    message: Py<IncomingMessage>,
    all: PyOnceLock<Py<PyDict>>,
}

impl MessageData {
    /// Its JSON text.
    pub(crate) fn json(&self) -> &str {
        self.message.get().message.data().as_str()
    }

    fn all<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let all = self.all.get_or_try_init(py, || {
            let all = decode(py, self.json())?.cast_into::<PyDict>()?;
            if self.message.get().has_payload() {
                all.set_item("payload", self.message.get().payload(py)?)?;
            }
            PyResult::Ok(all.unbind())
        })?;
        Ok(all.bind(py))
    }

    fn item<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let message = self.message.get();
        if key.cast::<PyString>().is_ok_and(|key| key == "payload") && message.has_payload() {
            return message.payload(py).map(Some);
        }
        self.all(py)?.get_item(key)
    }
}

#[pymethods]
impl MessageData {
    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.item(py, key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    /// The item of this name, or `default`.
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.item(py, key)?.or(default))
    }

    fn __contains__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<bool> {
        self.all(py)?.contains(key)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.all(py)?.len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.all(py)?.try_iter()?.into_any())
    }

    /// The names of its items.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.all(py)?.keys())
    }

    /// Its items.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.all(py)?.values())
    }

    /// The names of its items, and the items.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.all(py)?.items())
    }

    /// A new dict of plain values.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.all(py)?.copy()
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<bool> {
        match other.cast::<MessageData>() {
            Ok(other) => self.all(py)?.eq(other.get().all(py)?),
            Err(_) => self.all(py)?.eq(other),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.all(py)?.repr()?.to_string())
    }
}

/// A reply to a message of this client.
///
/// Its parts are attributes and items: `response.data`, `response["data"]`. It also unpacks to itself, so that
/// `response, = await waiter.wait_for_reply()` works.
#[pyclass(frozen, module = "realtime_pubsub", name = "ResponseMessage")]
pub(crate) struct ResponseMessage {
    response: core::ResponseMessage,
    client: Py<Core>,
    data: PyOnceLock<Py<PyAny>>,
}

impl ResponseMessage {
    pub(crate) fn new(response: core::ResponseMessage, client: Py<Core>) -> Self {
        ResponseMessage { response, client, data: PyOnceLock::new() }
    }
}

#[pymethods]
impl ResponseMessage {
    /// The id of the message it answers.
    #[getter]
    fn id(&self) -> &str {
        self.response.id()
    }

    /// `ok`, or what the replier chose.
    #[getter]
    fn status(&self) -> &str {
        self.response.status()
    }

    /// Whether the status is `ok`.
    #[getter]
    fn ok(&self) -> bool {
        self.response.status() == "ok"
    }

    /// What was replied: any JSON value. Lists and dicts are the same object each time.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        cached(py, &self.data, self.response.data().as_str())
    }

    /// `data` as a dict. Raises `InvalidArgumentError` where it is none.
    fn data_as_map<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.data(py)?.cast_into().map_err(|_| crate::errors::invalid("the reply's data is no JSON object"))
    }

    /// The message that carried it: who replied.
    #[getter]
    fn message(&self, py: Python<'_>) -> IncomingMessage {
        IncomingMessage::new(self.response.message().clone(), self.client.clone_ref(py))
    }

    /// The reply as a new dict of plain values.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("id", self.response.id())?;
        dict.set_item("status", self.response.status())?;
        dict.set_item("data", decode(py, self.response.data().as_str())?)?;
        Ok(dict)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        match key {
            "data" => self.data(py),
            "status" => Ok(PyString::new(py, self.status()).into_any()),
            "id" => Ok(PyString::new(py, self.id()).into_any()),
            _ => Err(PyKeyError::new_err(key.to_owned())),
        }
    }

    /// The item of this name, or `default`.
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if matches!(key, "data" | "status" | "id") { self.__getitem__(py, key).map(Some) } else { Ok(default) }
    }

    fn __contains__(&self, key: &str) -> bool {
        matches!(key, "data" | "status" | "id")
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyTuple::new(slf.py(), [slf])?.try_iter()?.into_any())
    }

    fn __repr__(&self) -> String {
        let data = shortened(self.response.data().as_str());
        format!("<ResponseMessage {} {}: {data}>", self.response.id(), self.response.status())
    }
}

/// The value that `json` stands for: where it can be changed the same one each time, or changes would be lost. For the
/// others remembering costs more than making them anew.
fn cached<'py>(py: Python<'py>, cache: &PyOnceLock<Py<PyAny>>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    if !json.starts_with(['{', '[']) {
        return decode(py, json);
    }
    let value = cache.get_or_try_init(py, || decode(py, json).map(Bound::unbind))?;
    Ok(value.bind(py).clone())
}

/// At most 200 characters of `text`.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
