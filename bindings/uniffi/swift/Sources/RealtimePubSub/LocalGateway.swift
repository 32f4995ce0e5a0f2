internal import RealtimePubSubGenerated

/// Which connections of a `LocalGateway` are meant.
public enum Target: Sendable {
    /// All of them.
    case all
    /// The one with this id, as its welcome said.
    case connection(String)
    /// All whose token has this subject.
    case subject(String)

    var core: GatewayTarget {
        switch self {
        case .all: .all
        case let .connection(id): .connection(id: id)
        case let .subject(subject): .subject(subject: subject)
        }
    }
}

/// What happens to new connections, see `LocalGateway.failConnects`.
public enum ConnectFault: Sendable {
    /// The TCP connection is accepted, and nothing ever comes over it.
    case halfOpen
    /// The TCP connection is accepted and closed at once.
    case closeTCP
    /// The TCP connection is accepted and reset at once.
    case resetTCP
    /// The upgrade is refused with this HTTP status.
    case refuse(UInt16)
    /// The upgrade succeeds, but nothing comes after it.
    case noWelcome
    /// A close frame with this code comes after the welcome.
    case closeAfterWelcome(UInt16)
    /// A close frame with this code comes in place of the welcome.
    case closeBeforeWelcome(UInt16)

    var core: ConnectionFault {
        switch self {
        case .halfOpen: .halfOpen
        case .closeTCP: .closeTcp
        case .resetTCP: .resetTcp
        case let .refuse(status): .refuse(status: status)
        case .noWelcome: .noWelcome
        case let .closeAfterWelcome(code): .closeAfterWelcome(code: code)
        case let .closeBeforeWelcome(code): .closeBeforeWelcome(code: code)
        }
    }
}

/// A gateway in this process, so that tests need no network: a free port of 127.0.0.1, an app named `local`, tokens to
/// mint, and faults to inject. It ends when it is let go.
///
/// ```swift
/// let gateway = try LocalGateway()
/// let client = try RealtimeClient(gateway.urlWithToken("alice"))
/// ```
public final class LocalGateway: Sendable {
    /// How the gateway is to run. What is nil is its default.
    public struct Options: Sendable {
        /// The app's id.
        public var app = "local"
        /// Whether messages are acknowledged.
        public var acks = true
        /// Take any token or none.
        public var insecure = false
        /// Where to listen.
        public var listen = "127.0.0.1:0"
        /// Bytes of one message.
        public var messageBytes: UInt64?
        /// Connections with the same subject.
        public var connectionsPerSubject: UInt64?
        /// Messages a second on one connection.
        public var messagesPerSecond: UInt32?
        /// Bytes that may wait to be written to one connection.
        public var outboundBytes: UInt64?
        /// How long `stop` waits for clients.
        public var drain: Duration?

        public init() {}
    }

    /// A connection to the gateway.
    public struct Connection: Sendable, Equatable {
        public let id: String
        public let app: String
        public let subject: String
        public let remoteAddress: String
    }

    private let core: CoreGateway

    /// Starts it.
    public init(_ options: Options = Options()) throws {
        core = try mapped {
            try CoreGateway.start(
                settings: GatewaySettings(
                    listen: options.listen, app: options.app, acks: options.acks, insecure: options.insecure,
                    messageBytes: options.messageBytes, connectionsPerSubject: options.connectionsPerSubject,
                    messagesPerSecond: options.messagesPerSecond, outboundBytes: options.outboundBytes,
                    drainMs: options.drain.milliseconds))
        }
    }

    /// The app's URL, without a token.
    public var url: String { core.url() }

    /// The URL that REST paths begin at.
    public var httpURL: String { core.httpUrl() }

    /// All that a client needs: the URL with a token for this subject, with all permissions unless given, for an hour.
    public func urlWithToken(_ subject: String, permissions: [String]? = nil, expiresIn: Duration? = nil) throws -> String {
        try mapped { try core.urlWithToken(token: token(subject, permissions, expiresIn)) }
    }

    /// A token for clients.
    public func mintToken(_ subject: String, permissions: [String]? = nil, expiresIn: Duration? = nil) throws -> String {
        try mapped { try core.token(token: token(subject, permissions, expiresIn)) }
    }

    /// A token for REST calls.
    public func mintAdminToken(_ subject: String, permissions: [String]? = nil, expiresIn: Duration? = nil) throws -> String {
        try mapped { try core.adminToken(token: token(subject, permissions, expiresIn)) }
    }

    private func token(_ subject: String, _ permissions: [String]?, _ expiresIn: Duration?) -> TokenSettings {
        TokenSettings(
            subject: subject, permissions: permissions, expiresInSeconds: expiresIn.map { UInt64(max(0, $0.components.seconds)) })
    }

    /// The connections there are.
    public var connections: [Connection] {
        core.connections().map {
            Connection(id: $0.id, app: $0.app, subject: $0.subject, remoteAddress: $0.remoteAddress)
        }
    }

    /// Closes connections after what is queued for them. How many.
    @discardableResult
    public func kick(_ target: Target = .all, code: UInt16 = 1000, reason: String = "") -> UInt64 {
        core.kick(target: target.core, code: code, reason: reason)
    }

    /// Stops: closes all connections and waits for that.
    public func stop() async { await core.stop() }

    // MARK: - Faults

    /// Acks are not sent from now on.
    public func dropAcks() { core.dropAcks() }

    /// Acks are sent this much later, or, with zero, at once again.
    public func delayAcks(_ delay: Duration) { core.delayAcks(ms: delay.milliseconds) }

    /// Stops reading from and writing to connections, which stay open.
    public func stall(_ target: Target = .all) { core.stall(target: target.core) }

    /// Ends all stalls.
    public func unstall() { core.unstall() }

    /// Answers pings no more, or again.
    public func swallowPings(_ swallow: Bool) { core.swallowPings(swallow: swallow) }

    /// Writes at most so many bytes at a time, with a pause between.
    public func splitWrites(bytes: UInt32, pause: Duration) { core.splitWrites(bytes: bytes, pauseMs: pause.milliseconds) }

    /// Has this happen to the next `count` new connections, or to all.
    public func failConnects(_ fault: ConnectFault, count: UInt32? = nil) { core.failConnects(fault: fault.core, count: count) }

    /// Resets connections, with no close frame. How many.
    @discardableResult
    public func reset(_ target: Target = .all) -> UInt64 { core.reset(target: target.core) }

    /// Sends a text frame of any content. To how many connections.
    @discardableResult
    public func sendText(_ target: Target, _ text: String) -> UInt64 { core.sendText(target: target.core, text: text) }

    /// Ends all faults.
    public func clearFaults() { core.clearFaults() }
}
