//! Python values as JSON text.

use std::io::Write;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple, PyType,
};

use crate::errors::invalid;
use crate::message::MessageData;

/// Values nested deeper than this are refused: most likely they contain themselves.
const MAX_DEPTH: usize = 500;

/// Writes `value` as JSON. `default` is asked for a stand-in where there is no JSON for something.
pub(crate) fn encode(value: &Bound<'_, PyAny>, default: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
    let mut encoder = Encoder { out: Vec::with_capacity(192), default };
    encoder.value(value, 0)?;
    String::from_utf8(encoder.out).map_err(|_| invalid("the payload is not UTF-8"))
}

struct Encoder<'a, 'py> {
    out: Vec<u8>,
    default: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Encoder<'_, 'py> {
    fn value(&mut self, value: &Bound<'py, PyAny>, depth: usize) -> PyResult<()> {
        if depth > MAX_DEPTH {
            return Err(invalid(format!("the payload is nested more than {MAX_DEPTH} deep, or contains itself")));
        }
        if let Ok(text) = value.cast::<PyString>() {
            self.string(text)
        } else if value.is_none() {
            self.raw("null");
            Ok(())
        } else if let Ok(flag) = value.cast::<PyBool>() {
            self.raw(if flag.is_true() { "true" } else { "false" });
            Ok(())
        } else if let Ok(number) = value.cast::<PyInt>() {
            self.integer(number)
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.dict(dict, depth)
        } else if let Ok(list) = value.cast::<PyList>() {
            self.sequence(list.iter(), depth)
        } else if let Ok(number) = value.cast::<PyFloat>() {
            self.float(number.value())
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.sequence(tuple.iter(), depth)
        } else {
            self.other(value, depth)
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &Bound<'py, PyString>) -> PyResult<()> {
        let text =
            text.to_str().map_err(|_| invalid("the payload has a string with a lone surrogate, which is not UTF-8"))?;
        let bytes = text.as_bytes();
        self.out.reserve(bytes.len() + 2);
        self.out.push(b'"');
        // Nearly always there is nothing to escape, and the compiler looks at many bytes at once.
        let special = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
        if bytes.iter().fold(0, |found, byte| found | special(byte)) == 0 {
            self.out.extend_from_slice(bytes);
            self.out.push(b'"');
            return Ok(());
        }
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
                continue;
            }
            self.out.extend_from_slice(&bytes[from..at]);
            from = at + 1;
            match byte {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                b'\r' => self.raw("\\r"),
                b'\t' => self.raw("\\t"),
                // Writing to a vector can't fail.
                control => drop(write!(self.out, "\\u{control:04x}")),
            }
        }
        self.out.extend_from_slice(&bytes[from..]);
        self.out.push(b'"');
        Ok(())
    }

    fn integer(&mut self, number: &Bound<'py, PyInt>) -> PyResult<()> {
        match number.extract::<i64>() {
            Ok(number) => self.raw(itoa::Buffer::new().format(number)),
            // Of any size, and whatever a subclass prints.
            Err(_) => {
                let digits = number.py().get_type::<PyInt>().call_method1("__repr__", (number,))?;
                self.raw(digits.cast::<PyString>()?.to_str()?);
            }
        }
        Ok(())
    }

    fn float(&mut self, number: f64) -> PyResult<()> {
        if !number.is_finite() {
            return Err(invalid(format!("{number} has no JSON: use None, or a string")));
        }
        drop(write!(self.out, "{number:?}"));
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>, depth: usize) -> PyResult<()> {
        self.out.push(b'{');
        for (index, (key, value)) in dict.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.key(&key)?;
            self.out.push(b':');
            self.value(&value, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// As the `json` module: numbers, booleans and `None` become strings.
    fn key(&mut self, key: &Bound<'py, PyAny>) -> PyResult<()> {
        if let Ok(text) = key.cast::<PyString>() {
            return self.string(text);
        }
        self.out.push(b'"');
        if key.is_none() {
            self.raw("null");
        } else if let Ok(flag) = key.cast::<PyBool>() {
            self.raw(if flag.is_true() { "true" } else { "false" });
        } else if let Ok(number) = key.cast::<PyInt>() {
            self.integer(number)?;
        } else if let Ok(number) = key.cast::<PyFloat>() {
            self.float(number.value())?;
        } else {
            let name = key.get_type().name()?;
            return Err(invalid(format!("a key of the payload is a {name}: keys of JSON objects are strings")));
        }
        self.out.push(b'"');
        Ok(())
    }

    fn sequence(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>, depth: usize) -> PyResult<()> {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(&item, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn other(&mut self, value: &Bound<'py, PyAny>, depth: usize) -> PyResult<()> {
        if let Ok(data) = value.cast::<MessageData>() {
            self.raw(data.get().json());
            return Ok(());
        }
        if value.hasattr("__dataclass_fields__")? && !value.is_instance_of::<PyType>() {
            return self.dataclass(value, depth);
        }
        if let Some(default) = self.default {
            let stand_in = default.call1((value,))?;
            return self.value(&stand_in, depth + 1);
        }
        if value.is_instance_of::<PyBytes>()
            || value.is_instance_of::<PyByteArray>()
            || value.is_instance_of::<PyMemoryView>()
        {
            return Err(invalid(
                "bytes have no JSON: use payload.decode() for text, base64.b64encode(payload).decode() for anything else",
            ));
        }
        let name = value.get_type().name()?;
        Err(invalid(format!(
            "a {name} can't be written as JSON: pass default=, a function that gives something in its place"
        )))
    }

    fn dataclass(&mut self, value: &Bound<'py, PyAny>, depth: usize) -> PyResult<()> {
        static FIELDS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let fields = FIELDS.import(value.py(), "dataclasses", "fields")?.call1((value,))?;
        self.out.push(b'{');
        for (index, field) in fields.cast::<PyTuple>()?.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let name = field.getattr("name")?.cast_into::<PyString>()?;
            self.string(&name)?;
            self.out.push(b':');
            self.value(&value.getattr(&name)?, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
