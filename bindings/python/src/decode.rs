//! JSON text as Python values. What the core hands out was checked to be JSON; where this reader finds anything out of
//! the ordinary (escapes, integers beyond 64 bits, great depth) it leaves it to the `json` module.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

/// Deeper values are read by the `json` module, which has its own limit.
const MAX_DEPTH: usize = 128;

/// The value that `json` stands for.
pub(crate) fn decode<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader { py, text: json, at: 0 };
    match reader.value(0) {
        Ok(Some(value)) if reader.rest_is_blank() => Ok(value),
        Ok(_) => by_the_json_module(py, json),
        Err(error) => Err(error),
    }
}

#[cold]
fn by_the_json_module<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "json", "loads")?.call1((json,))
}

struct Reader<'a, 'py> {
    py: Python<'py>,
    text: &'a str,
    at: usize,
}

/// `None` is for the `json` module.
type Read<'py> = PyResult<Option<Bound<'py, PyAny>>>;

impl<'py> Reader<'_, 'py> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn rest_is_blank(&mut self) -> bool {
        self.peek().is_none()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn literal(&mut self, word: &str, value: Bound<'py, PyAny>) -> Read<'py> {
        let found = self.text[self.at..].starts_with(word);
        self.at += word.len();
        Ok(found.then_some(value))
    }

    fn value(&mut self, depth: usize) -> Read<'py> {
        let py = self.py;
        match self.peek() {
            Some(b'"') => Ok(self.string().map(Bound::into_any)),
            Some(b'{') if depth < MAX_DEPTH => self.object(depth),
            Some(b'[') if depth < MAX_DEPTH => self.array(depth),
            Some(b't') => self.literal("true", PyBool::new(py, true).to_owned().into_any()),
            Some(b'f') => self.literal("false", PyBool::new(py, false).to_owned().into_any()),
            Some(b'n') => self.literal("null", py.None().into_bound(py)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Ok(None),
        }
    }

    fn string(&mut self) -> Option<Bound<'py, PyString>> {
        let from = self.at + 1;
        let rest = self.text.as_bytes().get(from..)?;
        let length = memchr::memchr2(b'"', b'\\', rest)?;
        if rest[length] == b'\\' {
            return None;
        }
        self.at = from + length + 1;
        Some(PyString::new(self.py, self.text.get(from..from + length)?))
    }

    fn number(&mut self) -> Read<'py> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let number = &rest[..end];
        self.at += end;
        let py = self.py;
        if let Ok(number) = number.parse::<i64>() {
            return Ok(Some(number.into_pyobject(py)?.into_any()));
        }
        if number.contains(['.', 'e', 'E']) {
            return Ok(number.parse().ok().map(|number| PyFloat::new(py, number).into_any()));
        }
        py.get_type::<PyInt>().call1((number,)).map(Some)
    }

    fn object(&mut self, depth: usize) -> Read<'py> {
        let object = PyDict::new(self.py);
        self.at += 1;
        if self.take(b'}') {
            return Ok(Some(object.into_any()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Ok(None);
            }
            let Some(key) = self.string() else { return Ok(None) };
            if !self.take(b':') {
                return Ok(None);
            }
            let Some(value) = self.value(depth + 1)? else { return Ok(None) };
            object.set_item(key, value)?;
            if self.take(b'}') {
                return Ok(Some(object.into_any()));
            }
            if !self.take(b',') {
                return Ok(None);
            }
        }
    }

    fn array(&mut self, depth: usize) -> Read<'py> {
        let array = PyList::empty(self.py);
        self.at += 1;
        if self.take(b']') {
            return Ok(Some(array.into_any()));
        }
        loop {
            let Some(value) = self.value(depth + 1)? else { return Ok(None) };
            array.append(value)?;
            if self.take(b']') {
                return Ok(Some(array.into_any()));
            }
            if !self.take(b',') {
                return Ok(None);
            }
        }
    }
}
