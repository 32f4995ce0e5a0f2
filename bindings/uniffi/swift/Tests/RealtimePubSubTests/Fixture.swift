import XCTest

@testable import RealtimePubSub

/// A gateway and clients of it, closed when the test ends.
class GatewayTestCase: XCTestCase, @unchecked Sendable {
    private(set) var gateway: LocalGateway!
    private let clients = Guarded<[RealtimeClient]>([])

    override func setUp() async throws { gateway = try LocalGateway() }

    override func tearDown() async throws {
        clients.with { clients in
            clients.forEach { $0.close() }
            clients = []
        }
        gateway = nil
    }

    func client(_ subject: String, permissions: [String]? = nil, options: ClientOptions = GatewayTestCase.patient) throws -> RealtimeClient {
        let client = try RealtimeClient(gateway.urlWithToken(subject, permissions: permissions), options: options)
        clients.with { $0.append(client) }
        return client
    }

    func connected(
        _ subject: String, permissions: [String]? = nil, options: ClientOptions = GatewayTestCase.patient
    ) async throws -> RealtimeClient {
        let client = try client(subject, permissions: permissions, options: options)
        try await client.connect()
        return client
    }

    /// On a machine that is busy no test is to fail because a wait that says nothing of time took long.
    static var patient: ClientOptions {
        var options = ClientOptions()
        options.waitTimeout = .seconds(30)
        options.barrierTimeout = .seconds(30)
        return options
    }

    /// Reconnects fast, so that tests need not wait.
    static var impatient: ClientOptions {
        var options = patient
        options.backoff = .init(min: .milliseconds(1), max: .milliseconds(5))
        return options
    }
}

/// What listeners collect.
struct Collector<Element: Sendable>: Sendable {
    private let stream: AsyncStream<Element>
    private let continuation: AsyncStream<Element>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func add(_ element: Element) { continuation.yield(element) }

    /// The next one. A test that waits in vain is ended by the test runner's own limit.
    func next() async -> Element {
        for await element in stream { return element }
        fatalError("the collector never ends")
    }
}

func assertFails(
    _ kind: RealtimeError.Kind, file: StaticString = #filePath, line: UInt = #line, _ block: () async throws -> Any?
) async {
    do {
        XCTFail("it gave \(String(describing: try await block())) in place of \(kind)", file: file, line: line)
    } catch let error as RealtimeError {
        XCTAssertEqual(error.kind, kind, error.message, file: file, line: line)
    } catch {
        XCTFail("another error: \(error)", file: file, line: line)
    }
}

func assertCancelled(file: StaticString = #filePath, line: UInt = #line, _ task: Task<Void, any Error>) async {
    do {
        try await task.value
        XCTFail("it was not cancelled", file: file, line: line)
    } catch {
        XCTAssertTrue(error is CancellationError, "\(error)", file: file, line: line)
    }
}

/// Gives way until it is so.
func eventually(_ condition: () -> Bool) async {
    while !condition() { await Task.yield() }
}
