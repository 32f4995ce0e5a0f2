import XCTest

@testable import RealtimePubSub

final class LoadTests: GatewayTestCase, @unchecked Sendable {
    private let count = 100_000

    private func publish(_ client: RealtimeClient) async throws {
        for start in stride(from: 0, to: count, by: 1000) {
            let chunk = (start..<start + 1000).map { OutgoingMessage(topic: "load", json: "\($0)", messageType: "n") }
            try await client.publishAll(chunk, timeout: .seconds(60))
        }
    }

    func testAHundredThousandMessagesInOrderToAListener() async throws {
        let receiver = try await connected("receiver")
        let (done, next, count) = (Collector<Int>(), Guarded(0), count)
        try receiver.on("load.n") { message in
            let number = next.with { next in
                defer { next += 1 }
                return next
            }
            XCTAssertEqual(message.payload, "\(number)")
            if number + 1 == count { done.add(count) }
        }
        try await receiver.subscribeRemoteTopic("load")
        try await publish(connected("sender"))
        _ = await done.next()
        print("swift: batches for 1,000 messages to a listener: \(Double(receiver.stats.batches) * 1000 / Double(count))")
    }

    func testAHundredThousandMessagesInOrderToALoopThatTakesItsTime() async throws {
        var options = ClientOptions()
        options.inboxMessages = 1000
        let receiver = try await connected("receiver", options: options)
        try await receiver.subscribeRemoteTopic("load")
        let (messages, count) = (try receiver.messages("load.n"), count)
        let loop = Task {
            var next = 0
            for await message in messages {
                XCTAssertEqual(message.payload, "\(next)")
                next += 1
                if next % 1000 == 0 { await Task.yield() }
                if next == count { break }
            }
            return next
        }
        try await publish(connected("sender"))
        let got = await loop.value
        XCTAssertEqual(got, count)
        XCTAssertEqual(receiver.stats.dropped, 0)
    }

    func testPublishesOfManyTasksAreAcknowledged() async throws {
        let client = try await connected("sender")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<64 {
                group.addTask {
                    for number in 0..<50 { try await client.publish("nobody", number).waitForAck() }
                }
            }
            try await group.waitForAll()
        }
        XCTAssertEqual(client.stats.messagesSent, 3200)
        await eventually { client.stats.receipts == 0 }
    }

    func testAClientThatIsClosedWithEverythingOpenEndsItAll() async throws {
        gateway.dropAcks()
        let client = try await connected("alice")
        let waiter = try await client.publish("nobody", 1)
        let opens: [@Sendable () async throws -> Void] = [
            { try await waiter.waitForAck(timeout: .seconds(60)) },
            { _ = try await waiter.waitForReply(timeout: .seconds(60)) },
            { _ = try await client.waitFor("never.comes", timeout: .seconds(60)) },
        ]
        var tasks = opens.map { open in Task { try await open() } }
        await eventually { client.stats.waits == UInt64(opens.count) }
        let messages = try client.messages("a.*")
        let loop = Task {
            for await _ in messages {}
        }
        try client.on("a.*") { _ in try await client.flush() }
        let serving = try await client.serve("a", "b") { _ in "c" }
        gateway.failConnects(.halfOpen)
        let late = try self.client("bob")
        tasks.append(Task { _ = try await late.connect(timeout: .seconds(60)) })
        await eventually { late.state == .connecting }
        client.close()
        late.close()
        for task in tasks { await assertFails(.closed) { try await task.value } }
        await loop.value
        serving.stop()
    }

    func testAClientThatIsDroppedWithEverythingOpenIsGone() async throws {
        let before = Diagnostics.liveClients
        weak var dropped: RealtimeClient?
        do {
            let client = try RealtimeClient(gateway.urlWithToken("alice"))
            dropped = client
            try client.on("chat.*") { [weak client] _ in try await client?.flush() }
            try await client.connect()
            try await client.subscribeRemoteTopic("chat")
            _ = try await client.serve("a", "b") { _ in "c" }
            try await client.publish("chat", 1, messageType: "x").waitForAck()
            try await client.publish("chat", 2)
            _ = try client.messages("a.b")
        }
        await eventually { dropped == nil && Diagnostics.liveClients == before }
    }

    func testTenThousandClientsLeaveNothingBehind() async throws {
        let before = Diagnostics.liveClients
        let gateway = gateway!
        for round in 0..<40 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<250 {
                    group.addTask {
                        // Every tenth connects: 1,000 connections are as many as the rest need.
                        let client = try RealtimeClient(gateway.urlWithToken("user\(round)"))
                        if number % 2 == 0 {
                            // A circle, which closing breaks.
                            try client.on("a.*") { _ in try await client.flush() }
                        }
                        if number % 10 == 0 {
                            try await client.connect()
                            try await client.publish("a", 1).waitForAck()
                        }
                        if number % 2 == 0 { client.close() }
                    }
                }
                try await group.waitForAll()
            }
        }
        await eventually { Diagnostics.liveClients <= before && gateway.connections.isEmpty }
    }
}
