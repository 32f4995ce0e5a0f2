//! What the gateway counts, in Prometheus' text format at `/metrics`. The gateway's guide has the table of them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter as PrometheusCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub(crate) type Counter = PrometheusCounter<u64, AtomicU64>;

/// Whose it is.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct OfApp {
    app: String,
}

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
    (
        app { $($of_app:ident: $kind_of_app:ty, $help_of_app:literal;)* }
        gateway { $($name:ident: $kind:ty, $help:literal;)* }
    ) => {
        /// What is counted for each app. In hot paths they are added to once a batch.
        #[derive(Debug)]
        pub(crate) struct AppMetrics {
            $(#[doc = $help_of_app] pub(crate) $of_app: $kind_of_app,)*
        }

        /// What is counted.
        #[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "those of NATS stay 0"))]
        pub(crate) struct Metrics {
            registry: Registry,
            $($of_app: Family<OfApp, $kind_of_app>,)*
            $(#[doc = $help] pub(crate) $name: $kind,)*
        }

        impl Metrics {
            pub(crate) fn new() -> Self {
                let mut registry = Registry::with_prefix("realtime");
                $(let $of_app = Family::<OfApp, $kind_of_app>::default();
                registry.register(stringify!($of_app), $help_of_app, $of_app.clone());)*
                $(let $name = <$kind>::default();
                registry.register(stringify!($name), $help, $name.clone());)*
                Metrics { registry, $($of_app,)* $($name,)* }
            }

            /// Those of one app.
            pub(crate) fn of_app(&self, app: &str) -> AppMetrics {
                let label = OfApp { app: app.to_owned() };
                AppMetrics { $($of_app: self.$of_app.get_or_create(&label).clone(),)* }
            }
        }
    };
}

metrics! {
    app {
        connections: Gauge, "Connections that are open";
        connections_opened: Counter, "Connections that were welcomed";
        subscriptions: Gauge, "Subscriptions, those to main included";
        topics: Gauge, "Topics that somebody is subscribed to";
        messages_received: Counter, "Publishes and sends received";
        received_bytes: Counter, "Bytes of the frames received";
        messages_delivered: Counter, "Messages queued for a receiver, once for each";
        delivered_bytes: Counter, "Bytes of the messages queued for receivers";
        acks: Counter, "Acknowledgements sent";
        acks_refused: Counter, "Acknowledgements not sent because NATS has not taken the message";
        publishes_refused: Counter, "Publishes refused for want of permission";
        frames_ignored: Counter, "Frames ignored: of an unknown type, or with a field missing";
        slow_consumers: Counter, "Connections closed because they took less than was queued for them";
        queued_bytes: Gauge, "Bytes waiting to be written, of all connections";
        largest_queue_bytes: Gauge, "Bytes waiting to be written to the connection that has most of them";
    }
    gateway {
        connections_refused: Family<Reason, Counter>, "Handshakes refused, by the error's code";
        handshakes: Gauge, "TCP connections that are no WebSocket connections (yet): handshakes and HTTP calls";
        handshakes_dropped: Counter, "Handshakes dropped because there were more than the limit";
        closes: Family<Reason, Counter>, "Connections that were closed, by what for";
        http_requests: Family<Status, Counter>, "HTTP requests answered, by status; upgrades are 101";
        delivery_seconds: Latency, "From when a message is queued for a receiver until the system has taken it, and all behind it";
        draining: Gauge, "1 while the gateway stops";
        nats_connected: Gauge, "1 while NATS is there, 0 while it is away or not in use";
        nats_connects: Counter, "How often NATS was reached";
        nats_published: Counter, "Messages handed to NATS";
        nats_received: Counter, "Messages that came from other gateways";
        cluster_members: Gauge, "Gateways that are one through NATS, this one included; 0 for a gateway alone";
    }
}

impl Metrics {
    pub(crate) fn refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn closed(&self, code: u16, reason: &str) {
        let reason = match (code, reason) {
            (1000 | 1005, _) => "client",
            (1001, _) => "going_away",
            (1002, _) => "protocol_error",
            (1007, _) => "invalid_data",
            (1009, _) => "too_big",
            (1008, crate::outbox::SLOW_CONSUMER) => "slow_consumer",
            (1008, "idle timeout") => "idle_timeout",
            (1008, "message rate exceeded") => "message_rate",
            (1008, "too many subscriptions") => "too_many_subscriptions",
            (1008, "topic too long") => "topic_too_long",
            (1008, "terminated by an administrator") => "terminated",
            (1008, realtime_pubsub_protocol::REASON_FORBIDDEN) => "forbidden",
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

/// Upper bounds of the histogram's buckets, in microseconds.
const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// A histogram of durations without a lock: all connections add to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency(std::sync::Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Latency {
    pub(crate) fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < microseconds);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let metrics = Metrics::new();
        for microseconds in [0, 50, 51, 1_000_000, 60_000_000] {
            metrics.delivery_seconds.observe(Duration::from_micros(microseconds));
        }
        let text = metrics.text();
        for line in [
            "realtime_delivery_seconds_bucket{le=\"0.00005\"} 2",
            "realtime_delivery_seconds_bucket{le=\"0.0001\"} 3",
            "realtime_delivery_seconds_bucket{le=\"1.0\"} 4",
            "realtime_delivery_seconds_bucket{le=\"30.0\"} 4",
            "realtime_delivery_seconds_bucket{le=\"+Inf\"} 5",
            "realtime_delivery_seconds_count 5",
            "realtime_delivery_seconds_sum 61.000101",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
