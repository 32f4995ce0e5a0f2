/// A connection, as the gateway's welcome introduced it.
public struct ConnectionInfo: Sendable, Equatable {
    /// The connection's id. It changes with every session.
    public let id: String
    /// The app the connection belongs to.
    public let appId: String
    /// This client's address as the gateway sees it.
    public let remoteAddress: String
}

/// The end of a connection.
public struct CloseEvent: Sendable, Equatable {
    /// The close code of RFC 6455: the peer's, 1000 after `disconnect`, 1006 if the connection broke.
    public let code: UInt16
    /// The peer's reason, or what broke.
    public let reason: String
    /// Whether the client will connect again by itself.
    public let willReconnect: Bool
}

/// Where a client stands.
public enum State: String, Sendable, CaseIterable {
    /// Made, and never asked to connect.
    case idle
    /// Asked to connect; there has been no session since.
    case connecting
    /// In a session.
    case connected
    /// The session was lost; the next one is being made.
    case reconnecting
    /// Disconnected by its user. It can connect again.
    case closed
    /// Given up. It can connect again.
    case failed
}

/// A change of `State`.
public struct StateChange: Sendable, Equatable {
    /// The state before.
    public let from: State
    /// The state now.
    public let to: State
    /// Why.
    public let reason: String
}

/// Messages were dropped because the inbox was full.
public struct Lagged: Sendable, Equatable {
    /// How many since the last such event.
    public let dropped: UInt64
}

/// What a client tells its user besides messages: `client.on(.close) { … }`. Only the client makes these events, nothing
/// from the wire can.
public struct ControlEvent<Value: Sendable>: Sendable {
    /// The name that every language has.
    public let name: String
}

extension ControlEvent where Value == ConnectionInfo {
    /// A session has begun and the topics are subscribed.
    public static var sessionStarted: Self { Self(name: "session.started") }
}

extension ControlEvent where Value == RealtimeError {
    /// Something went wrong that no call could throw.
    public static var error: Self { Self(name: "error") }
}

extension ControlEvent where Value == CloseEvent {
    /// A connection has ended.
    public static var close: Self { Self(name: "close") }
}

extension ControlEvent where Value == StateChange {
    /// The state has changed.
    public static var state: Self { Self(name: "state") }
}

extension ControlEvent where Value == Lagged {
    /// Messages were dropped.
    public static var lagged: Self { Self(name: "lagged") }
}

let controlEventNames: Set = ["session.started", "error", "close", "state", "lagged"]
