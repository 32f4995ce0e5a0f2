//! Options as UniFFI carries them. What is absent is the core's default.

use std::time::Duration;

use realtime_pubsub::{Offline, Options, Overflow};

/// What happens when the inbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum OverflowPolicy {
    /// Stop reading.
    Block,
    /// Drop the oldest message.
    DropOldest,
    /// Drop the newest message.
    DropNewest,
}

/// Bounds of the queue for what is published without a session.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct OfflineQueue {
    /// How many messages.
    #[uniffi(default = None)]
    pub messages: Option<u64>,
    /// How many bytes.
    #[uniffi(default = None)]
    pub bytes: Option<u64>,
    /// How long each may wait, in milliseconds.
    #[uniffi(default = None)]
    pub ttl_ms: Option<u64>,
}

/// A header for the handshake.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

macro_rules! options {
    (
        durations { $($duration:ident => $($duration_path:ident).+;)* }
        sizes { $($size:ident => $size_path:ident;)* }
    ) => {
        /// The options of a client, all optional.
        #[derive(Clone, Debug, Default, uniffi::Record)]
        pub struct ClientSettings {
            $(/// See `Options` of the Rust client; in milliseconds.
            #[uniffi(default = None)]
            pub $duration: Option<u64>,)*
            $(/// See `Options` of the Rust client.
            #[uniffi(default = None)]
            pub $size: Option<u64>,)*
            /// Give up after this many failed attempts in a row.
            #[uniffi(default = None)]
            pub max_retries: Option<u32>,
            /// Give up when the gateway closes with one of these.
            #[uniffi(default = [])]
            pub stop_on_close_codes: Vec<u16>,
            /// Queue what is published without a session.
            #[uniffi(default = None)]
            pub offline: Option<OfflineQueue>,
            /// Write what is unacknowledged again after a reconnect.
            #[uniffi(default = false)]
            pub retry: bool,
            /// Drop messages that repeat one of the last so many.
            #[uniffi(default = None)]
            pub dedupe: Option<u64>,
            /// What happens when the inbox is full.
            #[uniffi(default = None)]
            pub overflow: Option<OverflowPolicy>,
            /// Headers for the handshake.
            #[uniffi(default = [])]
            pub headers: Vec<Header>,
            /// An HTTP proxy.
            #[uniffi(default = None)]
            pub proxy: Option<String>,
            /// Authorities to trust, PEM.
            #[uniffi(default = None)]
            pub ca_pem: Option<String>,
            /// Trust only those.
            #[uniffi(default = false)]
            pub only_own_ca: bool,
            /// This client's certificate chain, PEM.
            #[uniffi(default = None)]
            pub client_cert_pem: Option<String>,
            /// This client's key, PEM.
            #[uniffi(default = None)]
            pub client_key_pem: Option<String>,
        }

        fn apply_numbers(settings: &ClientSettings, options: &mut Options) {
            $(if let Some(ms) = settings.$duration {
                options.$($duration_path).+ = Duration::from_millis(ms);
            })*
            $(if let Some(size) = settings.$size {
                options.$size_path = size_of(size);
            })*
        }
    };
}

options! {
    durations {
        connect_timeout_ms => connect_timeout;
        provider_timeout_ms => provider_timeout;
        handshake_timeout_ms => handshake_timeout;
        welcome_timeout_ms => welcome_timeout;
        wait_timeout_ms => wait_timeout;
        barrier_timeout_ms => barrier_timeout;
        disconnect_timeout_ms => disconnect_timeout;
        backoff_min_ms => backoff.min;
        backoff_max_ms => backoff.max;
        backoff_stable_after_ms => backoff.stable_after;
        ping_after_ms => ping_after;
        pong_timeout_ms => pong_timeout;
        retry_for_ms => retry_for;
    }
    sizes {
        inbox_messages => inbox_messages;
        inbox_bytes => inbox_bytes;
        outbox_messages => outbox_messages;
        outbox_bytes => outbox_bytes;
        max_message_size => max_message_size;
    }
}

/// On machines whose sizes are smaller than 64 bits the largest size stands for more.
fn size_of(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl ClientSettings {
    pub(crate) fn into_options(self) -> Options {
        let mut options = Options::default();
        apply_numbers(&self, &mut options);
        options.max_retries = self.max_retries;
        options.stop_on_close_codes = self.stop_on_close_codes;
        options.retry = self.retry;
        options.dedupe = self.dedupe.map(size_of);
        options.headers = self.headers.into_iter().map(|header| (header.name, header.value)).collect();
        options.proxy = self.proxy;
        options.tls.ca_pem = self.ca_pem.map(String::into_bytes);
        options.tls.only_own_ca = self.only_own_ca;
        options.tls.client_cert_pem = self.client_cert_pem.map(String::into_bytes);
        options.tls.client_key_pem = self.client_key_pem.map(String::into_bytes);
        if let Some(overflow) = self.overflow {
            options.overflow = match overflow {
                OverflowPolicy::Block => Overflow::Block,
                OverflowPolicy::DropOldest => Overflow::DropOldest,
                OverflowPolicy::DropNewest => Overflow::DropNewest,
            };
        }
        if let (Some(queue), Offline::Queue { messages, bytes, ttl }) = (self.offline, Offline::queue()) {
            options.offline = Offline::Queue {
                messages: queue.messages.map_or(messages, size_of),
                bytes: queue.bytes.map_or(bytes, size_of),
                ttl: queue.ttl_ms.map_or(ttl, Duration::from_millis),
            };
        }
        options
    }
}
