internal import RealtimePubSubGenerated

/// For this package's own tests and benchmarks.
package enum Diagnostics {
    /// How many clients there are, closed ones included while something of them is still in use.
    package static var liveClients: UInt64 { RealtimePubSubGenerated.liveClients() }

    /// The core's table of errors: name and number of each.
    package static var errorKinds: [(name: String, number: Int32)] {
        RealtimePubSubGenerated.errorKinds().map { ($0.name, $0.number) }
    }

    /// The least that an asynchronous crossing costs: it is done before anybody waits.
    package static func emptyCrossing() async { await RealtimePubSubGenerated.emptyCrossing() }

    /// What an asynchronous crossing costs whose outcome comes from another thread.
    package static func answeredCrossing() async throws { try await RealtimePubSubGenerated.answeredCrossing() }
}
