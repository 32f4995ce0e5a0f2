internal import RealtimePubSubGenerated

/// Those who are called when something comes.
final class Listeners: Sendable {
    typealias Call = @Sendable (any Sendable) async throws -> Void

    private struct Listener {
        let name: String
        let once: Bool
        let call: Call
    }

    private struct Delivery {
        let listeners: [UInt64]
        let event: ClientEvent
    }

    private let listeners = Guarded<[UInt64: Listener]>([:])
    private let core: CoreClient

    init(_ core: CoreClient) { self.core = core }

    func add(_ name: String, once: Bool, _ call: @escaping Call) throws -> UInt64 {
        // Under the lock, so that its first event can't be seen before it.
        try listeners.with { listeners in
            let id = try mapped { try core.listen(name: name, once: once) }
            listeners[id] = Listener(name: name, once: once, call: call)
            return id
        }
    }

    func remove(_ id: UInt64) -> Bool {
        // Let go of without the lock: what it holds may use this client when it goes.
        let gone = listeners.with { $0.removeValue(forKey: id) }
        withExtendedLifetime(gone) {}
        return core.off(listener: id)
    }

    func clear() {
        let gone = listeners.with { listeners in
            defer { listeners = [:] }
            return listeners
        }
        withExtendedLifetime(gone) {}
    }

    /// Takes what there is, batch by batch, until there is none. The component sees to it that this runs only once.
    func deliver(_ client: RealtimeClient) async {
        while true {
            let batch = core.take(max: RealtimeClient.batch)
            // Settled waits first: a listener may depend on one.
            let deliveries: [Delivery]? = batch.withUnsafeBytes { bytes in
                var reader = Reader(batch, bytes)
                return reader.u8() == 0 ? nil : read(&reader, client)
            }
            guard let deliveries else { return }
            for delivery in deliveries {
                for id in delivery.listeners {
                    await call(id, delivery.event)
                }
            }
        }
    }

    private func read(_ reader: inout Reader, _ client: RealtimeClient) -> [Delivery] {
        var deliveries: [Delivery] = []
        while reader.hasMore {
            let kind = reader.u8()
            if kind == 4 {
                let ids = (0..<reader.size()).map { _ in reader.u64() }
                deliveries.append(Delivery(listeners: ids, event: reader.event(client)))
            } else {
                client.waits.settle(kind, &reader, client)
            }
        }
        return deliveries
    }

    private func call(_ id: UInt64, _ event: ClientEvent) async {
        let found = listeners.with { listeners in
            let listener = listeners[id]
            if listener?.once == true { listeners[id] = nil }
            return listener
        }
        guard let listener = found else { return }
        do {
            try await listener.call(event.value)
        } catch {
            // Telling the listener that threw of it would go on for ever.
            if case .error = event { return }
            core.report(kind: .internal, detail: "a listener of \"\(listener.name)\" threw: \(error)")
        }
    }
}
