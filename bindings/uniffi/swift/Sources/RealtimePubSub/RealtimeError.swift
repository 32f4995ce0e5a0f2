internal import RealtimePubSubGenerated

/// Anything that fails here: a kind and its number for programs, a message for people that says what happened, to what,
/// and what to do.
///
/// Cancellation is not among them: a cancelled task's waits end with `CancellationError`, as everywhere in Swift.
public struct RealtimeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong. The numbers and names are the same in every language.
    public enum Kind: Int32, Sendable, CaseIterable {
        /// An argument makes no sense: a bad URL, an empty topic, a bad pattern, a payload that can't be JSON.
        case invalidArgument = -1
        /// A handle is stale. It takes a bug to see this one.
        case invalidHandle = -2
        /// There is no session, and the client does not queue while offline.
        case notConnected = -3
        /// What was waited for did not come in time.
        case timeout = -4
        /// The client was disconnected or closed by its user.
        case closed = -5
        /// The connection died before the answer came.
        case connectionLost = -6
        /// A queue is full.
        case queueFull = -7
        /// A message is larger than the limit.
        case messageTooLarge = -8
        /// The gateway does not let this token do that.
        case forbidden = -9
        /// The connection could not be made.
        case handshakeFailed = -10
        /// The URL provider failed.
        case urlProviderFailed = -11
        /// The gateway sent what the protocol does not allow.
        case protocolViolation = -12
        /// The wait was cancelled.
        case cancelled = -13
        /// This call, made here, would wait for itself.
        case wouldDeadlock = -14
        /// A bug, or an error that was caught, such as one that a listener threw.
        case `internal` = -15
        /// The message came over REST and has no sender to reply to.
        case notReplyable = -16
    }

    /// What went wrong.
    public let kind: Kind
    /// What happened, to what, and what to do.
    public let message: String
    /// The topic that is forbidden, for `forbidden`.
    public let topic: String?

    /// The kind's number, the same in every language.
    public var number: Int32 { kind.rawValue }

    public var description: String { "\(kind) (\(number)): \(message)" }

    init(_ kind: Kind, _ message: String, topic: String? = nil) {
        self.kind = kind
        self.message = message
        self.topic = topic
    }

    init(_ error: CoreError) {
        switch error {
        case let .Failed(_, number, detail, topic):
            self.init(Kind(rawValue: number) ?? .internal, detail, topic: topic)
        }
    }
}

/// Runs a call of the generated code with its errors made ours.
func mapped<T>(_ call: () throws -> T) throws -> T {
    do {
        return try call()
    } catch let error as CoreError {
        throw RealtimeError(error)
    }
}

/// Runs an asynchronous call of the generated code. Cancelling the task ends the call in Rust.
func crossing<T: Sendable>(_ call: @Sendable (Cancellation) async throws -> T) async throws -> T {
    let cancellation = Cancellation()
    return try await withTaskCancellationHandler {
        do {
            return try await call(cancellation)
        } catch let error as CoreError {
            let error = RealtimeError(error)
            throw error.kind == .cancelled ? CancellationError() : error
        }
    } onCancel: {
        cancellation.cancel()
    }
}
