internal import RealtimePubSubGenerated

/// A message on its way: wait for the gateway's ack, for a peer's reply, or for both.
///
/// It was registered before the message was written, so an answer is never missed, however late you ask. Waits end with
/// `timeout` when their time is up (5 s unless given), with `connectionLost` as soon as the connection dies, with `closed`
/// when the client is disconnected, and with `CancellationError`, freed at once, when their task is cancelled.
public final class WaitFor: Sendable {
    private let client: RealtimeClient
    private let number: UInt64

    init(_ client: RealtimeClient, _ number: UInt64) {
        self.client = client
        self.number = number
    }

    deinit { client.core.forget(number: number) }

    /// Waits for the gateway's ack.
    public func waitForAck(timeout: Duration? = nil) async throws {
        _ = try await wait(reply: false, timeout)
    }

    /// Waits for a peer's reply. Where several reply, each call gives the next.
    public func waitForReply(timeout: Duration? = nil) async throws -> ResponseMessage {
        guard case let .reply(reply) = try await wait(reply: true, timeout) else {
            throw RealtimeError(.internal, "a wait for a reply was settled with something else")
        }
        return reply
    }

    /// All replies, until the time is up (a plain end), the connection is lost, or the task is cancelled.
    public func replies(timeout: Duration? = nil) -> AsyncThrowingStream<ResponseMessage, any Error> {
        let due = ContinuousClock.now + (timeout ?? client.options.waitTimeout ?? .seconds(5))
        return AsyncThrowingStream {
            do {
                return try await self.waitForReply(timeout: max(.zero, due - ContinuousClock.now))
            } catch let error as RealtimeError where error.kind == .timeout {
                return nil
            }
        }
    }

    private func wait(reply: Bool, _ timeout: Duration?) async throws -> Settled {
        let (core, number) = (client.core, number)
        return try await client.waits.await(client.numbers.next()) { wait in
            try mapped {
                try core.wait(number: number, wait: wait, reply: reply, timeoutMs: timeout.waitMilliseconds)
            }
        }
    }
}

/// What a wait got.
enum Settled: Sendable {
    case ack
    case reply(ResponseMessage)
    case event(ClientEvent)
}

/// Who waits, by the number that the component settles. The time that a wait takes is the component's business.
final class Waits: Sendable {
    private let open = Guarded<[UInt64: CheckedContinuation<Settled, any Error>]>([:])
    private let core: CoreClient

    init(_ core: CoreClient) { self.core = core }

    func await(_ wait: UInt64, _ begin: @Sendable (UInt64) throws -> Void) async throws -> Settled {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // Before it begins: it may be settled within.
                open.with { $0[wait] = continuation }
                do {
                    try begin(wait)
                } catch {
                    take(wait)?.resume(throwing: error)
                }
                // The handler may have run before there was anything to cancel.
                if Task.isCancelled { cancel(wait) }
            }
        } onCancel: {
            cancel(wait)
        }
    }

    private func take(_ wait: UInt64) -> CheckedContinuation<Settled, any Error>? {
        open.with { $0.removeValue(forKey: wait) }
    }

    private func cancel(_ wait: UInt64) {
        guard let continuation = take(wait) else { return }
        core.cancelWait(wait: wait)
        continuation.resume(throwing: CancellationError())
    }

    /// Reads a settled wait of this kind, see `pack.rs`, and ends it.
    func settle(_ kind: UInt8, _ reader: inout Reader, _ client: RealtimeClient) {
        let continuation = take(reader.u64())
        // Read in any case: the next entry begins where this ends.
        switch kind {
        case 0:
            continuation?.resume(returning: .ack)
        case 1:
            let reply = ResponseMessage(client, &reader)
            continuation?.resume(returning: .reply(reply))
        case 2:
            let event = reader.event(client)
            continuation?.resume(returning: .event(event))
        default:
            let error = reader.error()
            continuation?.resume(throwing: error)
        }
    }

    func close() {
        let all = open.with { open in
            defer { open = [:] }
            return open.values
        }
        for continuation in all {
            continuation.resume(throwing: RealtimeError(.closed, "the client was closed"))
        }
    }
}
