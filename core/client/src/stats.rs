//! Counters of what a client has done.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }

        /// What a client has done since it was made, and what it holds now. See [`Client::stats`](crate::Client::stats).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Messages that wait to be written, or with `retry` to be acknowledged.
            pub outbox_messages: u64,
            /// Their bytes.
            pub outbox_bytes: u64,
            /// Deliveries that wait for the listeners.
            pub inbox_len: u64,
            /// Messages whose ack or replies somebody can still ask for.
            pub receipts: u64,
            /// Waits that are going on.
            pub waits: u64,
        }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* ..Stats::default() }
            }
        }
    };
}

counters! {
    /// Sessions started.
    sessions,
    /// Attempts to connect that failed.
    failed_attempts,
    /// Messages written.
    messages_sent,
    /// Bytes of frames written.
    bytes_sent,
    /// Messages received, acks and replies included.
    messages_received,
    /// Bytes of frames received.
    bytes_received,
    /// Acks received for messages of this client.
    acks,
    /// Replies received for messages of this client.
    replies,
    /// Messages that no listener wanted.
    unmatched,
    /// Messages dropped because the inbox was full.
    dropped,
    /// Messages dropped because they repeat another, see `dedupe`.
    duplicates,
    /// Frames that could not be understood.
    unreadable,
    /// Publishes that were queued or unacknowledged when they were given up.
    lost,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, number: u64) {
        if number > 0 {
            counter.fetch_add(number, Ordering::Relaxed);
        }
    }
}
