internal import RealtimePubSubGenerated

/// What happens when the inbox is full.
public enum Overflow: Sendable {
    /// Stop reading, so that TCP pushes back to the gateway.
    case block
    /// Drop the oldest message, count it and report it as a `lagged` event.
    case dropOldest
    /// Drop the newest message, count it and report it as a `lagged` event.
    case dropNewest
}

/// What a client can be told. What is nil has the default that the Rust client has.
public struct ClientOptions: Sendable {
    /// Queue what is published without a session, within bounds.
    public struct OfflineQueue: Sendable {
        /// How many messages: 1,000.
        public var messages: UInt64?
        /// How many bytes: 1 MiB.
        public var bytes: UInt64?
        /// How long each may wait: 30 s.
        public var ttl: Duration?

        public init(messages: UInt64? = nil, bytes: UInt64? = nil, ttl: Duration? = nil) {
            self.messages = messages
            self.bytes = bytes
            self.ttl = ttl
        }
    }

    /// The pause before connecting again: a random time up to `min`, doubled with each failure up to `max`.
    public struct Backoff: Sendable {
        /// 0.5 s.
        public var min: Duration?
        /// 30 s.
        public var max: Duration?
        /// How long a session must last to count as a success: 5 s.
        public var stableAfter: Duration?

        public init(min: Duration? = nil, max: Duration? = nil, stableAfter: Duration? = nil) {
            self.min = min
            self.max = max
            self.stableAfter = stableAfter
        }
    }

    /// TLS for `wss://` URLs: the system's authorities unless told otherwise. All of it is PEM.
    public struct TLS: Sendable {
        /// Authorities to trust besides the system's.
        public var authorities: String?
        /// Trust only `authorities`.
        public var onlyOwnAuthorities = false
        /// This client's certificate chain. Needs `clientKey`.
        public var clientCertificate: String?
        /// This client's private key.
        public var clientKey: String?

        public init() {}
    }

    /// How long `connect` tries: 30 s.
    public var connectTimeout: Duration?
    /// How long the URL provider may take: 10 s.
    public var providerTimeout: Duration?
    /// How long dialling, TLS and the upgrade may take together: 10 s.
    public var handshakeTimeout: Duration?
    /// How long the welcome may take: 10 s.
    public var welcomeTimeout: Duration?
    /// How long waits take: 5 s.
    public var waitTimeout: Duration?
    /// How long the gateway may take to confirm a subscription or a flush: 5 s.
    public var barrierTimeout: Duration?
    /// How long `disconnect` may take to write what is queued: 5 s.
    public var disconnectTimeout: Duration?
    public var backoff = Backoff()
    /// Give up after this many failed attempts in a row: never.
    public var maxRetries: UInt32?
    /// Give up when the gateway closes with one of these codes: none.
    public var stopOnCloseCodes: [UInt16] = []
    /// Ping after this long without a frame: 15 s.
    public var pingAfter: Duration?
    /// Take the connection for dead this long after such a ping: 10 s.
    public var pongTimeout: Duration?
    /// Queue what is published without a session. Nil: it fails with `notConnected`.
    public var offlineQueue: OfflineQueue?
    /// At least once: write an unacknowledged publish again after a reconnect, under the same id.
    public var retry = false
    /// How long `retry` keeps an unacknowledged publish: 60 s.
    public var retryFor: Duration?
    /// Drop messages that repeat one of the last so many.
    public var dedupe: UInt64?
    public var overflow = Overflow.block
    /// How many messages the inbox holds: 65,536.
    public var inboxMessages: UInt64?
    /// How many bytes of messages the inbox holds: 64 MiB.
    public var inboxBytes: UInt64?
    /// How many messages may wait to be written: 65,536.
    public var outboxMessages: UInt64?
    /// How many bytes may wait to be written: 16 MiB.
    public var outboxBytes: UInt64?
    /// The largest message, each way: 1 MiB.
    public var maxMessageSize: UInt64?
    /// Headers for the handshake.
    public var headers: [String: String] = [:]
    /// An HTTP proxy: `http://[user:password@]host:port`.
    public var proxy: String?
    public var tls = TLS()

    public init() {}

    var settings: ClientSettings {
        ClientSettings(
            connectTimeoutMs: connectTimeout.milliseconds,
            providerTimeoutMs: providerTimeout.milliseconds,
            handshakeTimeoutMs: handshakeTimeout.milliseconds,
            welcomeTimeoutMs: welcomeTimeout.milliseconds,
            waitTimeoutMs: waitTimeout.milliseconds,
            barrierTimeoutMs: barrierTimeout.milliseconds,
            disconnectTimeoutMs: disconnectTimeout.milliseconds,
            backoffMinMs: backoff.min.milliseconds,
            backoffMaxMs: backoff.max.milliseconds,
            backoffStableAfterMs: backoff.stableAfter.milliseconds,
            pingAfterMs: pingAfter.milliseconds,
            pongTimeoutMs: pongTimeout.milliseconds,
            retryForMs: retryFor.milliseconds,
            inboxMessages: inboxMessages,
            inboxBytes: inboxBytes,
            outboxMessages: outboxMessages,
            outboxBytes: outboxBytes,
            maxMessageSize: maxMessageSize,
            maxRetries: maxRetries,
            stopOnCloseCodes: stopOnCloseCodes,
            offline: offlineQueue.map {
                RealtimePubSubGenerated.OfflineQueue(messages: $0.messages, bytes: $0.bytes, ttlMs: $0.ttl.milliseconds)
            },
            retry: retry,
            dedupe: dedupe,
            overflow: overflowPolicy,
            headers: headers.map { Header(name: $0.key, value: $0.value) },
            proxy: proxy,
            caPem: tls.authorities,
            onlyOwnCa: tls.onlyOwnAuthorities,
            clientCertPem: tls.clientCertificate,
            clientKeyPem: tls.clientKey
        )
    }

    private var overflowPolicy: OverflowPolicy {
        switch overflow {
        case .block: .block
        case .dropOldest: .dropOldest
        case .dropNewest: .dropNewest
        }
    }
}

extension Duration {
    /// Rounded up, so that a short time is not none; what is negative counts as 0, which the core judges.
    var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        // More than the core takes, and far from overflowing.
        guard seconds < 1 << 40 else { return 1 << 50 }
        return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

extension Duration? {
    var milliseconds: UInt64? { map(\.milliseconds) }

    /// As waits have it: negative is the default.
    var waitMilliseconds: Int64 { map { Int64($0.milliseconds) } ?? -1 }
}
