//! The options of a client, from a dict of keyword arguments.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use realtime_pubsub::{Offline, Options, Overflow};

use crate::errors::invalid;

fn duration(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds: f64 = value.extract().map_err(|_| invalid(format!("option {name} is a number of seconds")))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid(format!("option {name} can't be {seconds} seconds")))
}

fn of_type<'a, 'py, T: FromPyObject<'a, 'py>>(name: &str, value: &'a Bound<'py, PyAny>, what: &str) -> PyResult<T> {
    value.extract().map_err(|_| invalid(format!("option {name} must be {what}")))
}

fn pem(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    let bytes = value.cast::<PyBytes>().map_err(|_| invalid(format!("option {name} must be PEM: str or bytes")))?;
    Ok(bytes.as_bytes().to_vec())
}

/// Reads what is given; the rest stays as it is by default. `None` counts as not given.
pub(crate) fn read(given: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut options = Options::default();
    let mut offline = Offline::queue();
    for (name, value) in given.iter() {
        if value.is_none() {
            continue;
        }
        let name = name.cast_into::<PyString>()?;
        let name = name.to_str()?;
        match name {
            "offline" => {
                options.offline = match of_type::<&str>(name, &value, "\"fail\" or \"queue\"")? {
                    "fail" => Offline::Fail,
                    "queue" => Offline::queue(),
                    _ => return Err(invalid("option offline must be \"fail\" or \"queue\"")),
                }
            }
            "offline_messages" | "offline_bytes" | "offline_ttl" => queue_bound(&mut offline, name, &value)?,
            _ => set(&mut options, name, &value)?,
        }
    }
    if options.offline != Offline::Fail {
        options.offline = offline;
    }
    Ok(options)
}

fn queue_bound(offline: &mut Offline, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Offline::Queue { messages, bytes, ttl } = offline {
        match name {
            "offline_messages" => *messages = of_type(name, value, "a number")?,
            "offline_bytes" => *bytes = of_type(name, value, "a number")?,
            _ => *ttl = duration(name, value)?,
        }
    }
    Ok(())
}

fn set(options: &mut Options, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "connect_timeout" => options.connect_timeout = duration(name, value)?,
        "provider_timeout" => options.provider_timeout = duration(name, value)?,
        "handshake_timeout" => options.handshake_timeout = duration(name, value)?,
        "welcome_timeout" => options.welcome_timeout = duration(name, value)?,
        "wait_timeout" => options.wait_timeout = duration(name, value)?,
        "barrier_timeout" => options.barrier_timeout = duration(name, value)?,
        "disconnect_timeout" => options.disconnect_timeout = duration(name, value)?,
        "backoff_min" => options.backoff.min = duration(name, value)?,
        "backoff_max" => options.backoff.max = duration(name, value)?,
        "stable_after" => options.backoff.stable_after = duration(name, value)?,
        "max_retries" => options.max_retries = Some(of_type(name, value, "a number")?),
        "stop_on_close_codes" => options.stop_on_close_codes = of_type(name, value, "a list of close codes")?,
        "ping_after" => options.ping_after = duration(name, value)?,
        "pong_timeout" => options.pong_timeout = duration(name, value)?,
        "retry" => options.retry = of_type(name, value, "True or False")?,
        "retry_for" => options.retry_for = duration(name, value)?,
        "dedupe" => options.dedupe = Some(of_type(name, value, "the number of messages to remember")?),
        "overflow" => {
            options.overflow = match of_type::<&str>(name, value, "\"block\", \"drop_oldest\" or \"drop_newest\"")? {
                "block" => Overflow::Block,
                "drop_oldest" => Overflow::DropOldest,
                "drop_newest" => Overflow::DropNewest,
                _ => return Err(invalid("option overflow must be \"block\", \"drop_oldest\" or \"drop_newest\"")),
            }
        }
        "inbox_messages" => options.inbox_messages = of_type(name, value, "a number")?,
        "inbox_bytes" => options.inbox_bytes = of_type(name, value, "a number")?,
        "outbox_messages" => options.outbox_messages = of_type(name, value, "a number")?,
        "outbox_bytes" => options.outbox_bytes = of_type(name, value, "a number")?,
        "max_message_size" => options.max_message_size = of_type(name, value, "a number of bytes")?,
        "headers" => {
            let headers =
                value.cast::<PyDict>().map_err(|_| invalid("option headers must be a dict of names and values"))?;
            for (header, content) in headers.iter() {
                let text = "a dict of strings";
                options.headers.push((of_type(name, &header, text)?, of_type(name, &content, text)?));
            }
        }
        "proxy" => options.proxy = Some(of_type(name, value, "a URL")?),
        "ca_pem" => options.tls.ca_pem = Some(pem(name, value)?),
        "only_own_ca" => options.tls.only_own_ca = of_type(name, value, "True or False")?,
        "client_cert_pem" => options.tls.client_cert_pem = Some(pem(name, value)?),
        "client_key_pem" => options.tls.client_key_pem = Some(pem(name, value)?),
        _ => return Err(invalid(format!("there is no option {name:?}"))),
    }
    Ok(())
}
