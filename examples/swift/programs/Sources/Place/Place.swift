import Foundation
import RealtimePubSub

/// Where an example connects to: the URL in its first argument or in `REALTIME_URL`, else a gateway of its own.
public struct Place: Sendable {
    private let given: String?
    private let own: LocalGateway?

    public init() throws {
        given = CommandLine.arguments.dropFirst().first ?? ProcessInfo.processInfo.environment["REALTIME_URL"]
        own = given == nil ? try LocalGateway() : nil
    }

    public func url(_ subject: String) throws -> String {
        if let given { return given }
        return try own?.urlWithToken(subject) ?? ""
    }

    /// The client asks for a URL at each attempt to connect: this is where a program would get itself a fresh token.
    public func client(_ subject: String, options: ClientOptions = ClientOptions()) throws -> RealtimeClient {
        try RealtimeClient(options: options) { try url(subject) }
    }

    /// The topic in the second argument.
    public var topic: String { CommandLine.arguments.dropFirst(2).first ?? "chat" }
}

/// Prints a line at once, also into a pipe.
public func say(_ line: String) {
    FileHandle.standardOutput.write(Data("\(line)\n".utf8))
}

/// Waits for Ctrl-C.
public func untilInterrupted() async {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT)
    await withCheckedContinuation { continuation in
        source.setEventHandler {
            source.cancel()
            continuation.resume()
        }
        source.resume()
    }
}
