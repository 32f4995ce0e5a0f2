import Foundation
internal import RealtimePubSubGenerated

/// Packed entries, see `pack.rs`.
struct PackedBatch: Sendable {
    let data: Data

    func read<Result>(_ use: (inout Reader) -> Result) -> Result {
        data.withUnsafeBytes { bytes in
            var reader = Reader(data, bytes)
            return use(&reader)
        }
    }
}

/// What the component asks of a client. It holds the client weakly, because the component holds this.
final class Host: ClientHost, @unchecked Sendable {
    // Set once, before anything is told.
    weak var client: RealtimeClient?

    func onSettled(packed: Data) { client?.onSettled(PackedBatch(data: packed)) }

    func onMessages() { client?.onMessages() }

    func onUrlWanted(request: UInt64) { client?.provideURL(request) }

    func onAnswerWanted(serving: UInt64, request: UInt64, message: Data) {
        client?.answer(serving, request, PackedBatch(data: message))
    }

    func onClosed() { client?.onClosed() }
}
