import Foundation
internal import RealtimePubSubGenerated

/// What the clients log, for your logger.
public enum RealtimeLogs {
    /// How important a record is.
    public enum Level: Sendable {
        case error, warn, info, debug, trace
    }

    /// One thing that was logged. Tokens never are.
    public struct Record: Sendable {
        public let level: Level
        /// The part of the client it comes from.
        public let target: String
        public let message: String
        /// The number of the client it is about.
        public let client: UInt64?
        public let time: Date
    }

    /// Ends the forwarding when it is stopped or let go.
    public final class Forwarding: Sendable {
        private let core: LogForwarding

        fileprivate init(_ core: LogForwarding) { self.core = core }

        deinit { core.stop() }

        public func stop() { core.stop() }
    }

    private final class Host: LogHost {
        private let log: @Sendable (Record) -> Void

        init(_ log: @escaping @Sendable (Record) -> Void) { self.log = log }

        func log(record: LogRecord) {
            let level: Level =
                switch record.level {
                case .error: .error
                case .warn: .warn
                case .info: .info
                case .debug: .debug
                case .trace: .trace
                }
            log(
                Record(
                    level: level, target: record.target, message: record.message, client: record.client,
                    time: Date(timeIntervalSince1970: Double(record.timeMs) / 1000)))
        }
    }

    /// Hands records of this level and above to the function, one after the other on a thread of its own, until the returned
    /// value is stopped or let go: those of one client, or of all. Do this before the first client is made.
    public static func forward(
        _ level: Level, client: RealtimeClient? = nil, _ log: @escaping @Sendable (Record) -> Void
    ) throws -> Forwarding {
        let coreLevel: LogLevel =
            switch level {
            case .error: .error
            case .warn: .warn
            case .info: .info
            case .debug: .debug
            case .trace: .trace
            }
        return Forwarding(
            try mapped { try forwardLogs(level: coreLevel, client: client?.number, host: Host(log)) })
    }
}
