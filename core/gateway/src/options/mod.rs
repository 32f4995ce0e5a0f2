//! How a gateway is to run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::error::GatewayError;
use crate::key::KeySet;

mod nats;

pub use nats::NatsOptions;

/// How a gateway is to run. The default is a gateway for tests and development: a free port of 127.0.0.1, one app
/// named `local`, fresh keys, acks on.
///
/// ```
/// use realtime_pubsub_gateway::{AppOptions, GatewayOptions, KeySet};
///
/// let options = GatewayOptions::default()
///     .listen(([127, 0, 0, 1], 8080).into())
///     .app(AppOptions::new("chat").client_keys(KeySet::secret("s3cret")));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayOptions {
    /// Where to listen. Port 0 takes a free one. Default: `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// The apps to serve. None given: one app named `local` with fresh keys.
    pub apps: Vec<AppOptions>,
    /// What is allowed, and how much of it.
    pub limits: Limits,
    /// Whether to take any token or none, with all permissions. Only on a loopback address, and not from web pages of
    /// other hosts. Default: no.
    pub insecure: bool,
    /// Serve `wss://` and `https://` with this certificate. Default: plain.
    pub tls: Option<TlsOptions>,
    /// How long [`crate::Gateway::stop`] waits for clients to take what is queued and to close, once all were asked
    /// to. Default: 5 s.
    pub drain: Duration,
    /// Be one with other gateways, through NATS. Needs the crate's feature `nats`. Default: alone.
    pub nats: Option<NatsOptions>,
    /// Over how long [`crate::Gateway::stop`] spreads asking the clients to go (close 1001), so that they don't all
    /// come back at once elsewhere. Until its turn comes a connection works as ever. With few connections it takes
    /// less, 10 ms for each. Default: 0, all at once.
    pub drain_window: Duration,
    /// Serve a page for operators at `/console`, and the calls that it makes at `/api/console`. They need an admin
    /// token with the permission `realtime:admin:read:console`, which lets its bearer read all messages of the app.
    /// Default: no.
    pub console: bool,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        GatewayOptions {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            apps: Vec::new(),
            limits: Limits::default(),
            insecure: false,
            tls: None,
            drain: Duration::from_secs(5),
            nats: None,
            drain_window: Duration::ZERO,
            console: false,
        }
    }
}

impl GatewayOptions {
    /// Listens there.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Serves this app too.
    #[must_use]
    pub fn app(mut self, app: AppOptions) -> Self {
        self.apps.push(app);
        self
    }

    /// With these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes any token or none, with all permissions; on a loopback address only.
    #[must_use]
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Serves TLS.
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Spreads the closing of connections over this long when it stops.
    #[must_use]
    pub fn drain_window(mut self, window: Duration) -> Self {
        self.drain_window = window;
        self
    }

    /// Serves the console.
    #[must_use]
    pub fn console(mut self, console: bool) -> Self {
        self.console = console;
        self
    }

    /// Whether a gateway can be started with these options, as far as can be known without listening.
    ///
    /// # Errors
    /// As [`crate::Gateway::start`] would fail.
    pub fn check(&self) -> Result<(), GatewayError> {
        crate::check::options(self)?;
        #[cfg(feature = "nats")]
        if let Some(nats) = &self.nats {
            crate::cluster::check(nats).map_err(GatewayError::InvalidOptions)?;
        }
        self.tls.as_ref().map(crate::tls::acceptor).transpose().map(drop)
    }

    /// Waits this long for clients when it stops.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Is one with other gateways, through NATS.
    #[must_use]
    pub fn nats(mut self, nats: NatsOptions) -> Self {
        self.nats = Some(nats);
        self
    }
}

/// One app: a namespace of topics and connections with keys of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppOptions {
    /// The app's id, as in `/apps/{id}`: 1 to 128 characters of `A-Z a-z 0-9 . _ ~ -`.
    pub id: String,
    /// What client tokens are checked with. Default: a fresh secret.
    pub client_keys: KeySet,
    /// What admin (REST) tokens are checked with. Default: a fresh secret.
    pub admin_keys: KeySet,
    /// Whether publishes and sends are acknowledged. Default: yes.
    pub acks: bool,
}

impl AppOptions {
    /// An app with fresh keys, acks on.
    pub fn new(id: impl Into<String>) -> Self {
        AppOptions { id: id.into(), client_keys: KeySet::generate(), admin_keys: KeySet::generate(), acks: true }
    }

    /// Checks client tokens with these keys.
    #[must_use]
    pub fn client_keys(mut self, keys: KeySet) -> Self {
        self.client_keys = keys;
        self
    }

    /// Checks admin tokens with these keys.
    #[must_use]
    pub fn admin_keys(mut self, keys: KeySet) -> Self {
        self.admin_keys = keys;
        self
    }

    /// Acknowledges publishes and sends, or not.
    #[must_use]
    pub fn acks(mut self, acks: bool) -> Self {
        self.acks = acks;
        self
    }
}

/// What clients may use. Each limit's excess has one outcome, named here.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message, whole or in fragments, and of a REST body. More: close 1009, or status 413.
    /// Default: 1 MiB.
    pub message_bytes: usize,
    /// Connections in all. More: status 503 at the handshake. Default: 100,000.
    pub connections: usize,
    /// TCP connections that are not upgraded: handshakes under way, and HTTP calls. One more: the oldest of them is
    /// dropped, so that clients which dawdle keep nobody out. Each holds less than 64 KiB, and what a body takes once
    /// its token is good. Default: 2,000.
    pub handshakes: usize,
    /// Connections with the same subject in one app. More: status 429 at the handshake. Default: 100.
    pub connections_per_subject: usize,
    /// Publishes and sends a second on one connection, bursts of one second's worth allowed. More: close 1008,
    /// reason `message rate exceeded`. Default: no limit.
    pub messages_per_second: Option<u32>,
    /// Subscriptions of one connection, beside those it has from the start. More: close 1008, reason
    /// `too many subscriptions`. Default: 1,000.
    pub subscriptions_per_connection: usize,
    /// Bytes of a topic's name. Longer: close 1008, reason `topic too long`. Default: 1,024.
    pub topic_bytes: usize,
    /// Bytes waiting to be written to one connection. More: close 1008, reason `slow consumer`. Default: 8 MiB.
    pub outbound_bytes: usize,
    /// For the TLS handshake, for a request's head (also the next one's on a connection that is kept), and for its
    /// body, each. Longer: the connection is dropped; for a body, status 408. Default: 10 s.
    pub handshake: Duration,
    /// Silence from a client, after half of which it is sent a ping. Longer: close 1008, reason `idle timeout`.
    /// Default: 60 s.
    pub idle: Duration,
    /// After a close frame was sent, how long to wait for the client to take it and answer. Default: 2 s.
    pub close: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 1 << 20,
            connections: 100_000,
            handshakes: 2000,
            connections_per_subject: 100,
            messages_per_second: None,
            subscriptions_per_connection: 1000,
            topic_bytes: 1024,
            outbound_bytes: 8 << 20,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            close: Duration::from_secs(2),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty),* $(,)?) => {
        impl Limits {
            $($(#[$doc])* #[must_use] pub fn $name(mut self, value: $kind) -> Self {
                self.$name = value;
                self
            })*
        }
    };
}

setters! {
    /// Sets [`Limits::message_bytes`].
    message_bytes: usize,
    /// Sets [`Limits::connections`].
    connections: usize,
    /// Sets [`Limits::handshakes`].
    handshakes: usize,
    /// Sets [`Limits::connections_per_subject`].
    connections_per_subject: usize,
    /// Sets [`Limits::messages_per_second`].
    messages_per_second: Option<u32>,
    /// Sets [`Limits::subscriptions_per_connection`].
    subscriptions_per_connection: usize,
    /// Sets [`Limits::topic_bytes`].
    topic_bytes: usize,
    /// Sets [`Limits::outbound_bytes`].
    outbound_bytes: usize,
    /// Sets [`Limits::handshake`].
    handshake: Duration,
    /// Sets [`Limits::idle`].
    idle: Duration,
    /// Sets [`Limits::close`].
    close: Duration,
}

/// The certificate to serve TLS with.
#[derive(Clone)]
pub struct TlsOptions {
    pub(crate) certificates: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsOptions(…)")
    }
}

impl TlsOptions {
    /// A certificate chain in PEM, the server's own first, and its private key in PEM. They are read when the
    /// gateway starts.
    pub fn pem(certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        TlsOptions { certificates: certificates.into(), key: key.into() }
    }
}
