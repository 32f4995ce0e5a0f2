//! Options by their names in scenarios; times are in milliseconds.

use std::time::Duration;

use realtime_pubsub::{Offline, Options, Overflow};
use serde_json::Value;

fn pem(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| text.as_bytes().to_vec())
}

/// Sets the options that are given. The name of one that is not known.
pub(crate) fn apply(options: &mut Options, given: &Value) -> Result<(), String> {
    let mut queue = Offline::queue();
    for (name, value) in given.as_object().into_iter().flatten() {
        let number = value.as_u64().unwrap_or_default();
        let (count, time) = (number as usize, Duration::from_millis(number));
        let Offline::Queue { messages, bytes, ttl } = &mut queue else { continue };
        match name.as_str() {
            "connect_timeout" => options.connect_timeout = time,
            "provider_timeout" => options.provider_timeout = time,
            "handshake_timeout" => options.handshake_timeout = time,
            "welcome_timeout" => options.welcome_timeout = time,
            "wait_timeout" => options.wait_timeout = time,
            "barrier_timeout" => options.barrier_timeout = time,
            "disconnect_timeout" => options.disconnect_timeout = time,
            "backoff_min" => options.backoff.min = time,
            "backoff_max" => options.backoff.max = time,
            "stable_after" => options.backoff.stable_after = time,
            "max_retries" => options.max_retries = Some(number as u32),
            "stop_on_close_codes" => {
                let codes = value.as_array().into_iter().flatten().filter_map(Value::as_u64);
                options.stop_on_close_codes = codes.map(|code| code as u16).collect();
            }
            "ping_after" => options.ping_after = time,
            "pong_timeout" => options.pong_timeout = time,
            "offline" => {}
            "offline_messages" => *messages = count,
            "offline_bytes" => *bytes = count,
            "offline_ttl" => *ttl = time,
            "retry" => options.retry = value == true,
            "retry_for" => options.retry_for = time,
            "dedupe" => options.dedupe = Some(count),
            "overflow" => {
                options.overflow = match value.as_str() {
                    Some("drop_oldest") => Overflow::DropOldest,
                    Some("drop_newest") => Overflow::DropNewest,
                    _ => Overflow::Block,
                }
            }
            "inbox_messages" => options.inbox_messages = count,
            "inbox_bytes" => options.inbox_bytes = count,
            "outbox_messages" => options.outbox_messages = count,
            "outbox_bytes" => options.outbox_bytes = count,
            "max_message_size" => options.max_message_size = count,
            "ca_pem" => options.tls.ca_pem = pem(value),
            "only_own_ca" => options.tls.only_own_ca = value == true,
            "client_cert_pem" => options.tls.client_cert_pem = pem(value),
            "client_key_pem" => options.tls.client_key_pem = pem(value),
            "headers" => {
                let headers = value.as_object().into_iter().flatten();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                options.headers = headers.map(|(name, value)| (name.clone(), text(value))).collect();
            }
            other => return Err(format!("this driver does not know the option {other}")),
        }
    }
    if given["offline"] == "queue" {
        options.offline = queue;
    }
    Ok(())
}
