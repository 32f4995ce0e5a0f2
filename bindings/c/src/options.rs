//! Options of a client.

use std::time::Duration;

use realtime_pubsub::{Kick, Offline, Options, Overflow};

use crate::boundary::{Result, invalid};
use crate::input::{Sized_, bytes, read_struct, rps_str};

/// Callbacks run on a thread of the client's own.
pub const RPS_DISPATCH_THREAD: i32 = 0;
/// Callbacks run in rps_poll().
pub const RPS_DISPATCH_POLL: i32 = 1;

/// Without a session a publish fails with RPS_NOT_CONNECTED.
pub const RPS_OFFLINE_FAIL: i32 = 0;
/// Without a session a publish waits for the next one.
pub const RPS_OFFLINE_QUEUE: i32 = 1;

/// When the inbox is full: stop reading, so that TCP pushes back to the gateway.
pub const RPS_OVERFLOW_BLOCK: i32 = 0;
/// When the inbox is full: drop the oldest message; see the event "lagged".
pub const RPS_OVERFLOW_DROP_OLDEST: i32 = 1;
/// When the inbox is full: drop the newest message; see the event "lagged".
pub const RPS_OVERFLOW_DROP_NEWEST: i32 = 2;

/// A header of the handshake.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_header {
    /// Its name.
    pub name: rps_str,
    /// Its value.
    pub value: rps_str,
}

/// Options of a client. Begin with RPS_OPTIONS_INIT and set what you need: 0 (NULL, empty) is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_options {
    /// sizeof(rps_options).
    pub size: usize,
    /// Where callbacks run: RPS_DISPATCH_THREAD or RPS_DISPATCH_POLL.
    pub dispatch: i32,
    /// What becomes of a publish without a session: RPS_OFFLINE_FAIL or RPS_OFFLINE_QUEUE.
    pub offline: i32,
    /// What happens when the inbox is full: RPS_OVERFLOW_BLOCK, …
    pub overflow: i32,
    /// 1: at least once. An unacknowledged publish is written again after a reconnect, under the same id.
    pub retry: i32,
    /// 1: a publish is written when rps_client_kick() is called, or 64 KiB are queued. Cheaper for bursts.
    pub manual_kick: i32,
    /// Give up after this many failed attempts in a row. 0: never.
    pub max_retries: u32,
    /// Drop messages that repeat one of the last so many, by topic, sender's subject and id. 0: off.
    pub dedupe: u32,
    /// 1: trust `ca_pem` alone, not the system's authorities.
    pub only_own_ca: i32,
    /// How long rps_connect() tries. Default 30,000.
    pub connect_timeout_ms: u64,
    /// How long the URL provider may take. Default 10,000.
    pub provider_timeout_ms: u64,
    /// How long dialling, TLS and the upgrade may take together. Default 10,000.
    pub handshake_timeout_ms: u64,
    /// How long the welcome may take. Default 10,000.
    pub welcome_timeout_ms: u64,
    /// How long waits take by default. Default 5,000.
    pub wait_timeout_ms: u64,
    /// How long the gateway may take to confirm a subscription or a flush. Default 5,000.
    pub barrier_timeout_ms: u64,
    /// How long rps_disconnect() may take to write what is queued. Default 5,000.
    pub disconnect_timeout_ms: u64,
    /// Pauses between attempts are random, up to this at first, and twice as much each time. Default 500.
    pub backoff_min_ms: u64,
    /// The longest pause. Default 30,000.
    pub backoff_max_ms: u64,
    /// A session that lasts this long ends the doubling. Default 5,000.
    pub backoff_stable_ms: u64,
    /// Ping after this long without a frame. Default 15,000.
    pub ping_after_ms: u64,
    /// Take the connection for dead this long after such a ping. Default 10,000.
    pub pong_timeout_ms: u64,
    /// How long `retry` keeps an unacknowledged publish. Default 60,000.
    pub retry_for_ms: u64,
    /// With RPS_OFFLINE_QUEUE: how many may wait. Default 1,000.
    pub offline_messages: u64,
    /// With RPS_OFFLINE_QUEUE: how many bytes may wait. Default 1 MiB.
    pub offline_bytes: u64,
    /// With RPS_OFFLINE_QUEUE: how long each may wait. Default 30,000.
    pub offline_ttl_ms: u64,
    /// How many messages the inbox holds. Default 65,536.
    pub inbox_messages: u64,
    /// How many bytes the inbox holds. Default 64 MiB.
    pub inbox_bytes: u64,
    /// How many messages may wait to be written. Default 65,536.
    pub outbox_messages: u64,
    /// How many bytes may wait to be written. Default 16 MiB.
    pub outbox_bytes: u64,
    /// The largest message, each way, in bytes. Default 1 MiB.
    pub max_message_size: u64,
    /// Give up when the gateway closes with one of these codes.
    pub stop_on_close_codes: *const u16,
    /// How many codes those are.
    pub stop_on_close_codes_len: usize,
    /// Headers of the handshake besides WebSocket's own.
    pub headers: *const rps_header,
    /// How many headers those are.
    pub headers_len: usize,
    /// An HTTP proxy: http://[user:password@]host:port.
    pub proxy: rps_str,
    /// Authorities to trust besides the system's, PEM.
    pub ca_pem: rps_str,
    /// The client's certificate chain, PEM.
    pub client_cert_pem: rps_str,
    /// The client's private key, PEM. Never shown.
    pub client_key_pem: rps_str,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_options {
    const NAME: &'static str = "rps_options";
}

/// What a client is made with: the core's options, and whether the program polls.
pub(crate) struct Made {
    pub(crate) options: Options,
    pub(crate) polled: bool,
}

/// Reads options.
///
/// # Safety
/// `from` is NULL or points to options as large as they say, whose pointers are good.
pub(crate) unsafe fn read(from: *const rps_options) -> Result<Made> {
    // SAFETY: the caller's promise.
    let given = unsafe { read_struct(from)? };
    let mut options = Options::default();
    let polled = flag("dispatch", given.dispatch)?;
    options.retry = flag("retry", given.retry)?;
    if flag("manual_kick", given.manual_kick)? {
        options.kick = Kick::Manual { published: None, asked: None };
    }
    options.tls.only_own_ca = flag("only_own_ca", given.only_own_ca)?;
    options.overflow = match given.overflow {
        RPS_OVERFLOW_BLOCK => Overflow::Block,
        RPS_OVERFLOW_DROP_OLDEST => Overflow::DropOldest,
        RPS_OVERFLOW_DROP_NEWEST => Overflow::DropNewest,
        other => return Err(invalid(format!("options.overflow is {other}, not one of RPS_OVERFLOW_…"))),
    };
    options.offline = offline(&given)?;
    options.max_retries = (given.max_retries > 0).then_some(given.max_retries);
    options.dedupe = (given.dedupe > 0).then_some(given.dedupe as usize);
    for (option, milliseconds) in [
        (&mut options.connect_timeout, given.connect_timeout_ms),
        (&mut options.provider_timeout, given.provider_timeout_ms),
        (&mut options.handshake_timeout, given.handshake_timeout_ms),
        (&mut options.welcome_timeout, given.welcome_timeout_ms),
        (&mut options.wait_timeout, given.wait_timeout_ms),
        (&mut options.barrier_timeout, given.barrier_timeout_ms),
        (&mut options.disconnect_timeout, given.disconnect_timeout_ms),
        (&mut options.backoff.min, given.backoff_min_ms),
        (&mut options.backoff.max, given.backoff_max_ms),
        (&mut options.backoff.stable_after, given.backoff_stable_ms),
        (&mut options.ping_after, given.ping_after_ms),
        (&mut options.pong_timeout, given.pong_timeout_ms),
        (&mut options.retry_for, given.retry_for_ms),
    ] {
        if milliseconds > 0 {
            *option = Duration::from_millis(milliseconds);
        }
    }
    for (option, number) in [
        (&mut options.inbox_messages, given.inbox_messages),
        (&mut options.inbox_bytes, given.inbox_bytes),
        (&mut options.outbox_messages, given.outbox_messages),
        (&mut options.outbox_bytes, given.outbox_bytes),
        (&mut options.max_message_size, given.max_message_size),
    ] {
        if number > 0 {
            *option = count(number);
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        options.stop_on_close_codes =
            array(given.stop_on_close_codes, given.stop_on_close_codes_len, "options.stop_on_close_codes")?.to_vec();
        for header in array(given.headers, given.headers_len, "options.headers")? {
            let (name, value) = (header.name.text("a header's name")?, header.value.text("a header's value")?);
            options.headers.push((name.to_owned(), value.to_owned()));
        }
        options.proxy = given.proxy.given("options.proxy")?.map(str::to_owned);
        options.tls.ca_pem = pem(given.ca_pem, "options.ca_pem")?;
        options.tls.client_cert_pem = pem(given.client_cert_pem, "options.client_cert_pem")?;
        options.tls.client_key_pem = pem(given.client_key_pem, "options.client_key_pem")?;
    }
    Ok(Made { options, polled })
}

fn offline(given: &rps_options) -> Result<Offline> {
    if !match given.offline {
        RPS_OFFLINE_FAIL => false,
        RPS_OFFLINE_QUEUE => true,
        other => return Err(invalid(format!("options.offline is {other}, not one of RPS_OFFLINE_…"))),
    } {
        return Ok(Offline::Fail);
    }
    let mut offline = Offline::queue();
    if let Offline::Queue { messages, bytes, ttl } = &mut offline {
        if given.offline_messages > 0 {
            *messages = count(given.offline_messages);
        }
        if given.offline_bytes > 0 {
            *bytes = count(given.offline_bytes);
        }
        if given.offline_ttl_ms > 0 {
            *ttl = Duration::from_millis(given.offline_ttl_ms);
        }
    }
    Ok(offline)
}

fn flag(name: &str, value: i32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(invalid(format!("options.{name} is {value}; it may be 0 or 1"))),
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// # Safety
/// As for [`bytes`].
unsafe fn pem(from: rps_str, name: &str) -> Result<Option<Vec<u8>>> {
    // SAFETY: the caller's promise.
    let pem = unsafe { bytes(from.data, from.len, name)? };
    Ok((!pem.is_empty()).then(|| pem.to_vec()))
}

/// # Safety
/// `data` is NULL or points to `len` values that live while `'a` lasts.
pub(crate) unsafe fn array<'a, T>(data: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(invalid(format!("{name} is NULL, and its length is {len}")));
    }
    if !data.is_aligned() || len > 1 << 20 {
        return Err(invalid(format!("{name} points to no array of {len}")));
    }
    // SAFETY: not NULL, aligned, of a possible length, and the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}
