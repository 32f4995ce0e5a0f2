//! What a client can be told, with its defaults.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};

/// All options of a client. `Options::default()` is what DESIGN.md promises; change what you need.
///
/// ```
/// use realtime_pubsub::{Offline, Options};
///
/// let mut options = Options::default();
/// options.offline = Offline::queue();
/// options.retry = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How long `connect` tries before it fails with the last cause. Default 30 s.
    pub connect_timeout: Duration,
    /// How long the URL provider may take. Default 10 s.
    pub provider_timeout: Duration,
    /// How long dialling, TLS and the upgrade may take together. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long the welcome may take after the upgrade. Default 10 s.
    pub welcome_timeout: Duration,
    /// How long waits take by default. Default 5 s.
    pub wait_timeout: Duration,
    /// How long the gateway may take to confirm a subscription or a flush. Default 5 s.
    pub barrier_timeout: Duration,
    /// How long `disconnect` may take to write what is queued and close. Default 5 s.
    pub disconnect_timeout: Duration,
    /// The pause before connecting again.
    pub backoff: Backoff,
    /// Give up after this many failed attempts in a row. Default: never.
    pub max_retries: Option<u32>,
    /// Give up when the gateway closes with one of these codes. Default: none.
    pub stop_on_close_codes: Vec<u16>,
    /// Ping after this long without a frame. Default 15 s.
    pub ping_after: Duration,
    /// Take the connection for dead this long after such a ping. Default 10 s.
    pub pong_timeout: Duration,
    /// What becomes of a publish without a session. Default: it fails.
    pub offline: Offline,
    /// At least once: write an unacknowledged publish again after a reconnect, under the same id. Default off.
    pub retry: bool,
    /// How long `retry` keeps an unacknowledged publish. Default 60 s.
    pub retry_for: Duration,
    /// Drop messages that repeat one of the last so many, by topic, sender's subject and id. Default off.
    pub dedupe: Option<usize>,
    /// What happens when the inbox is full. Default: block.
    pub overflow: Overflow,
    /// How many messages the inbox holds. Default 65,536.
    pub inbox_messages: usize,
    /// How many bytes of messages the inbox holds. Default 64 MiB.
    pub inbox_bytes: usize,
    /// How many messages may wait to be written (with `retry`: to be acknowledged). Default 65,536.
    pub outbox_messages: usize,
    /// How many bytes may wait to be written (with `retry`: to be acknowledged). Default 16 MiB.
    pub outbox_bytes: usize,
    /// The largest message, each way, in bytes of its frame. Inbound, the gateway's envelope may add 64 KiB.
    /// Default 1 MiB.
    pub max_message_size: usize,
    /// Headers for the handshake, besides WebSocket's own.
    pub headers: Vec<(String, String)>,
    /// An HTTP proxy to `CONNECT` through: `http://[user:password@]host:port`.
    pub proxy: Option<String>,
    /// TLS, for `wss://` URLs.
    pub tls: TlsOptions,
    /// When a publish wakes the task that writes it.
    pub kick: Kick,
}

impl Default for Options {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Options {
            connect_timeout: Duration::from_secs(30),
            provider_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            welcome_timeout: Duration::from_secs(10),
            wait_timeout: Duration::from_secs(5),
            barrier_timeout: Duration::from_secs(5),
            disconnect_timeout: Duration::from_secs(5),
            backoff: Backoff::default(),
            max_retries: None,
            stop_on_close_codes: Vec::new(),
            ping_after: Duration::from_secs(15),
            pong_timeout: Duration::from_secs(10),
            offline: Offline::Fail,
            retry: false,
            retry_for: Duration::from_secs(60),
            dedupe: None,
            overflow: Overflow::Block,
            inbox_messages: 65_536,
            inbox_bytes: 64 * MIB,
            outbox_messages: 65_536,
            outbox_bytes: 16 * MIB,
            max_message_size: MIB,
            headers: Vec::new(),
            proxy: None,
            tls: TlsOptions::default(),
            kick: Kick::Auto,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        let positive = [
            ("inbox_messages", self.inbox_messages),
            ("inbox_bytes", self.inbox_bytes),
            ("outbox_messages", self.outbox_messages),
            ("outbox_bytes", self.outbox_bytes),
            ("max_message_size", self.max_message_size),
            ("dedupe", self.dedupe.unwrap_or(1)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::invalid(format!("option {name} is 0; it must be at least 1")));
        }
        // Frames keep positions within them as 32-bit numbers.
        if self.max_message_size > (1 << 30) {
            return Err(Error::invalid("option max_message_size is over 1 GiB"));
        }
        let longest = Duration::from_secs(365 * 24 * 60 * 60);
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("provider_timeout", self.provider_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("welcome_timeout", self.welcome_timeout),
            ("wait_timeout", self.wait_timeout),
            ("barrier_timeout", self.barrier_timeout),
            ("disconnect_timeout", self.disconnect_timeout),
            ("ping_after", self.ping_after),
            ("pong_timeout", self.pong_timeout),
            ("retry_for", self.retry_for),
            ("backoff.min", self.backoff.min),
            ("backoff.max", self.backoff.max),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, value)| value.is_zero() || *value > longest) {
            return Err(Error::invalid(format!("option {name} must be more than 0 and at most a year")));
        }
        if self.backoff.min > self.backoff.max {
            return Err(Error::invalid("option backoff.min is more than backoff.max"));
        }
        Ok(())
    }
}

/// The pause before each attempt to connect again: a random time up to `min`, doubled with each failure in a row up
/// to `max`, and `min` again once a session has lasted `stable_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The upper bound of the first pause. Default 0.5 s.
    pub min: Duration,
    /// The upper bound of every pause. Default 30 s.
    pub max: Duration,
    /// How long a session must last to count as a success. Default 5 s.
    pub stable_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { min: Duration::from_millis(500), max: Duration::from_secs(30), stable_after: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// The pause before the attempt after `failures` failures in a row; `random` is in `0.0..1.0`.
    pub(crate) fn pause(&self, failures: u32, random: f64) -> Duration {
        let doubled = self.min.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(random.clamp(0.0, 1.0))
    }
}

/// What becomes of a publish or send without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// It fails with `NOT_CONNECTED` at once.
    Fail,
    /// It waits for the next session, within bounds; beyond them it fails with `QUEUE_FULL`.
    Queue {
        /// How many may wait. Default 1,000.
        messages: usize,
        /// How many bytes may wait. Default 1 MiB.
        bytes: usize,
        /// How long each may wait; then it is never sent and its waits end with `TIMEOUT`. Default 30 s.
        ttl: Duration,
    },
}

impl Offline {
    /// A queue with the default bounds: 1,000 messages, 1 MiB, 30 s each.
    pub const fn queue() -> Self {
        Offline::Queue { messages: 1000, bytes: 1 << 20, ttl: Duration::from_secs(30) }
    }
}

/// What happens when the inbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Stop reading, so that TCP pushes back to the gateway.
    Block,
    /// Drop the oldest message, count it and report it as a `lagged` event.
    DropOldest,
    /// Drop the newest message, count it and report it as a `lagged` event.
    DropNewest,
}

/// When a publish wakes the task that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// At once.
    Auto,
    /// When [`Client::kick`](crate::Client::kick) is called, or 64 KiB are queued: for bindings that publish in bursts
    /// from a loop of their own, where a wake for each costs more than all the rest.
    Manual {
        /// Also once, when so many were published since the last `kick`: writing begins while a long burst goes on.
        published: Option<usize>,
        /// Also once, when replies to so many are awaited since: a peer takes its time to answer, which it had better
        /// spend while the burst goes on. Acks come so fast that splitting a burst may cost more than it gains.
        asked: Option<usize>,
    },
}

/// TLS for `wss://` URLs: rustls, with the system's roots unless told otherwise.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Certificates of authorities to trust besides the system's, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Trust only `ca_pem`.
    pub only_own_ca: bool,
    /// This client's certificate chain, PEM. Needs `client_key_pem`.
    pub client_cert_pem: Option<Vec<u8>>,
    /// This client's private key, PEM. Needs `client_cert_pem`.
    pub client_key_pem: Option<Vec<u8>>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca_pem", &self.ca_pem.as_ref().map(Vec::len))
            .field("only_own_ca", &self.only_own_ca)
            .field("client_cert_pem", &self.client_cert_pem.as_ref().map(Vec::len))
            .field("client_key_pem", &self.client_key_pem.as_ref().map(|_| "…"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_with_full_jitter() {
        let backoff = Backoff::default();
        let bounds: Vec<u128> = (1..10).map(|failures| backoff.pause(failures, 1.0).as_millis()).collect();
        assert_eq!(bounds, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(backoff.pause(u32::MAX, 0.5), Duration::from_secs(15));
        assert_eq!(backoff.pause(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn impossible_options_are_named() {
        let wrong = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert!(wrong(|options| options.inbox_messages = 0).contains("inbox_messages"));
        assert!(wrong(|options| options.dedupe = Some(0)).contains("dedupe"));
        assert!(wrong(|options| options.ping_after = Duration::ZERO).contains("ping_after"));
        assert!(wrong(|options| options.backoff.min = Duration::from_secs(60)).contains("backoff.min"));
    }

    #[test]
    fn keys_are_not_printed() {
        let tls = TlsOptions { client_key_pem: Some(b"SECRET".to_vec()), ..Default::default() };
        assert!(!format!("{tls:?}").contains("83"), "{tls:?}");
    }
}
