//! Options as JavaScript gives them: milliseconds, and nothing that is not set.

use std::time::Duration;

use napi_derive::napi;
use realtime_pubsub::{Kick, Offline, Options, Overflow};

use crate::error::{Result, invalid};

/// See `ClientOptions` in `ts/options.ts`.
#[napi(object)]
#[derive(Default)]
pub struct NativeOptions {
    pub url: Option<String>,
    pub big_integers: Option<bool>,
    pub log_level: Option<String>,
    pub connect_timeout: Option<f64>,
    pub provider_timeout: Option<f64>,
    pub handshake_timeout: Option<f64>,
    pub welcome_timeout: Option<f64>,
    pub wait_timeout: Option<f64>,
    pub barrier_timeout: Option<f64>,
    pub disconnect_timeout: Option<f64>,
    pub min_reconnect_delay: Option<f64>,
    pub max_reconnect_delay: Option<f64>,
    pub stable_after: Option<f64>,
    pub max_retries: Option<f64>,
    pub stop_on_close_codes: Option<Vec<u16>>,
    pub ping_after: Option<f64>,
    pub pong_timeout: Option<f64>,
    pub offline_queue: Option<bool>,
    pub offline_messages: Option<f64>,
    pub offline_bytes: Option<f64>,
    pub offline_ttl: Option<f64>,
    pub retry: Option<bool>,
    pub retry_for: Option<f64>,
    pub dedupe: Option<f64>,
    pub overflow: Option<String>,
    pub inbox_messages: Option<f64>,
    pub inbox_bytes: Option<f64>,
    pub outbox_messages: Option<f64>,
    pub outbox_bytes: Option<f64>,
    pub max_message_size: Option<f64>,
    pub headers: Option<Vec<Vec<String>>>,
    pub proxy: Option<String>,
    pub ca: Option<String>,
    pub only_own_ca: Option<bool>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

/// A time in milliseconds. Infinity is as long as there is.
pub(crate) fn duration(milliseconds: f64) -> Option<Duration> {
    if milliseconds.is_nan() || milliseconds < 0.0 {
        return None;
    }
    let longest = Duration::from_secs(365 * 24 * 60 * 60);
    Some(Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(longest).min(longest))
}

/// A timeout that was given; a negative one was not.
pub(crate) fn timeout(milliseconds: f64) -> Option<Duration> {
    duration(milliseconds)
}

fn count(name: &str, value: f64) -> Result<usize> {
    if value.fract() != 0.0 || !(0.0..=9_007_199_254_740_992.0).contains(&value) {
        return Err(invalid(format!("option {name} must be a whole number, not {value}")));
    }
    Ok(value as usize)
}

impl NativeOptions {
    pub(crate) fn apply(&self, options: &mut Options) -> Result<()> {
        let times = [
            ("connectTimeout", self.connect_timeout, &mut options.connect_timeout),
            ("providerTimeout", self.provider_timeout, &mut options.provider_timeout),
            ("handshakeTimeout", self.handshake_timeout, &mut options.handshake_timeout),
            ("welcomeTimeout", self.welcome_timeout, &mut options.welcome_timeout),
            ("waitTimeout", self.wait_timeout, &mut options.wait_timeout),
            ("barrierTimeout", self.barrier_timeout, &mut options.barrier_timeout),
            ("disconnectTimeout", self.disconnect_timeout, &mut options.disconnect_timeout),
            ("minReconnectDelay", self.min_reconnect_delay, &mut options.backoff.min),
            ("maxReconnectDelay", self.max_reconnect_delay, &mut options.backoff.max),
            ("stableAfter", self.stable_after, &mut options.backoff.stable_after),
            ("pingAfter", self.ping_after, &mut options.ping_after),
            ("pongTimeout", self.pong_timeout, &mut options.pong_timeout),
            ("retryFor", self.retry_for, &mut options.retry_for),
        ];
        for (name, value, option) in times {
            if let Some(value) = value {
                *option = duration(value)
                    .ok_or_else(|| invalid(format!("option {name} must be milliseconds, not {value}")))?;
            }
        }
        // Who sets one bound of the pauses alone means the other to follow.
        if self.max_reconnect_delay.is_some() && self.min_reconnect_delay.is_none() {
            options.backoff.min = options.backoff.min.min(options.backoff.max);
        } else if self.min_reconnect_delay.is_some() && self.max_reconnect_delay.is_none() {
            options.backoff.max = options.backoff.max.max(options.backoff.min);
        }
        let counts = [
            ("inboxMessages", self.inbox_messages, &mut options.inbox_messages),
            ("inboxBytes", self.inbox_bytes, &mut options.inbox_bytes),
            ("outboxMessages", self.outbox_messages, &mut options.outbox_messages),
            ("outboxBytes", self.outbox_bytes, &mut options.outbox_bytes),
            ("maxMessageSize", self.max_message_size, &mut options.max_message_size),
        ];
        for (name, value, option) in counts {
            if let Some(value) = value {
                *option = count(name, value)?;
            }
        }
        options.max_retries = match self.max_retries {
            Some(retries) if retries.is_finite() => {
                Some(u32::try_from(count("maxRetries", retries)?).unwrap_or(u32::MAX))
            }
            _ => None,
        };
        options.stop_on_close_codes = self.stop_on_close_codes.clone().unwrap_or_default();
        options.offline = self.offline()?;
        options.retry = self.retry.unwrap_or(false);
        options.dedupe = self.dedupe.map(|dedupe| count("dedupe", dedupe)).transpose()?;
        options.overflow = match self.overflow.as_deref() {
            None | Some("block") => Overflow::Block,
            Some("drop-oldest") => Overflow::DropOldest,
            Some("drop-newest") => Overflow::DropNewest,
            Some(other) => {
                let known = "\"block\", \"drop-oldest\" or \"drop-newest\"";
                return Err(invalid(format!("option overflow is {known}, not {other:?}")));
            }
        };
        let headers = self.headers.iter().flatten();
        options.headers = headers
            .filter_map(|pair| match pair.as_slice() {
                [name, value] => Some((name.clone(), value.clone())),
                _ => None,
            })
            .collect();
        options.proxy.clone_from(&self.proxy);
        let pem = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        options.tls.ca_pem = pem(&self.ca);
        options.tls.only_own_ca = self.only_own_ca.unwrap_or(false);
        options.tls.client_cert_pem = pem(&self.cert);
        options.tls.client_key_pem = pem(&self.key);
        // JavaScript kicks once for all that it publishes in a turn; in a long one, writing begins before its end.
        options.kick = Kick::Manual { published: Some(32), asked: Some(24) };
        Ok(())
    }

    fn offline(&self) -> Result<Offline> {
        if !self.offline_queue.unwrap_or(false) {
            return Ok(Offline::Fail);
        }
        let Offline::Queue { mut messages, mut bytes, mut ttl } = Offline::queue() else { return Ok(Offline::Fail) };
        if let Some(value) = self.offline_messages {
            messages = if value.is_finite() { count("offline.messages", value)? } else { usize::MAX };
        }
        if let Some(value) = self.offline_bytes {
            bytes = count("offline.bytes", value)?;
        }
        if let Some(value) = self.offline_ttl {
            ttl = duration(value).ok_or_else(|| invalid("option offline.ttl must be milliseconds"))?;
        }
        Ok(Offline::Queue { messages, bytes, ttl })
    }
}
