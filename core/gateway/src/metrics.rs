//! What the gateway counts, in Prometheus' text format at `/metrics`.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter as PrometheusCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub(crate) type Counter = PrometheusCounter<u64, AtomicU64>;

/// Why something was refused or ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Reason {
    reason: &'static str,
}

/// An HTTP status.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Status {
    status: u16,
}

macro_rules! metrics {
    ($($name:ident: $kind:ty, $help:literal;)*) => {
        /// The counters, shared by all connections: in hot paths they are added to once a batch.
        pub(crate) struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub(crate) $name: $kind,)*
        }

        impl Metrics {
            pub(crate) fn new() -> Self {
                let mut registry = Registry::with_prefix("realtime");
                $(let $name = <$kind>::default();
                registry.register(stringify!($name), $help, $name.clone());)*
                Metrics { registry, $($name,)* }
            }
        }
    };
}

metrics! {
    connections: Gauge, "Connections that are open";
    connections_opened: Counter, "Connections that were welcomed";
    connections_refused: Family<Reason, Counter>, "Handshakes refused, by the error's code";
    subscriptions: Gauge, "Subscriptions, those to main included";
    messages_received: Counter, "Publishes and sends received";
    received_bytes: Counter, "Bytes of the frames received";
    messages_delivered: Counter, "Messages queued for a receiver, once for each";
    delivered_bytes: Counter, "Bytes of the messages queued for receivers";
    acks: Counter, "Acknowledgements sent";
    publishes_refused: Counter, "Publishes refused for want of permission";
    frames_ignored: Counter, "Frames ignored: of an unknown type, or with a field missing";
    slow_consumers: Counter, "Connections closed because they took less than was queued for them";
    closes: Family<Reason, Counter>, "Connections that the gateway closed, by what for";
    http_requests: Family<Status, Counter>, "HTTP requests answered, by status; upgrades are 101";
}

impl Metrics {
    pub(crate) fn refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn closed(&self, code: u16) {
        let reason = match code {
            1000 | 1005 => "client",
            1001 => "going_away",
            1002 => "protocol_error",
            1007 => "invalid_data",
            1008 => "policy",
            1009 => "too_big",
            _ => "other",
        };
        self.closes.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn answered(&self, status: u16) {
        self.http_requests.get_or_create(&Status { status }).inc();
    }

    /// All of it, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string has no way to fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
