import XCTest

@testable import RealtimePubSub

struct Order: Codable, Equatable {
    var item: String
    var count: Int64
}

final class ClientTests: GatewayTestCase, @unchecked Sendable {
    func testConnectsAndSessionStartedIsToldAndKept() async throws {
        let client = try client("alice")
        XCTAssertEqual(client.state, .idle)
        let told = Collector<ConnectionInfo>()
        try client.on(.sessionStarted) { told.add($0) }
        let info = try await client.connect()
        let first = await told.next()
        XCTAssertEqual(first, info)
        XCTAssertEqual(client.state, .connected)
        XCTAssertEqual(client.connection, info)
        XCTAssertEqual(info.appId, "local")
        let kept = try await client.waitFor(.sessionStarted, timeout: .milliseconds(1))
        XCTAssertEqual(kept, info)
        XCTAssertEqual(gateway.connections.map(\.id), [info.id])
    }

    func testPublishesAcksReplies() async throws {
        let alice = try await connected("alice")
        let bob = try await connected("bob")
        try bob.on("orders.new") { message in
            var order = try message.decode(Order.self)
            order.count += 1
            try await message.reply(order).waitForAck()
        }
        try await bob.subscribeRemoteTopic("orders")
        XCTAssertEqual(bob.subscriptions, ["orders"])
        let waiter = try await alice.publish("orders", Order(item: "ünï", count: 9_007_199_254_740_993), messageType: "new")
        try await waiter.waitForAck()
        let reply = try await waiter.waitForReply()
        XCTAssertEqual(reply.status, "ok")
        XCTAssertEqual(try reply.decode(Order.self), Order(item: "ünï", count: 9_007_199_254_740_994))
        XCTAssertEqual(try reply.dataAsMap()["count"], .integer(9_007_199_254_740_994))
        XCTAssertEqual(reply.message.messageType, "response")
        // An answer that is there already is not missed.
        try await waiter.waitForAck()
    }

    func testAMessageSaysWhatItIs() async throws {
        let client = try await connected("alice")
        let told = Collector<IncomingMessage>()
        try client.on("chat.**") { told.add($0) }
        try await client.subscribeRemoteTopic("chat")
        try await client.publish("chat", "hi", messageType: "a.b", id: "my-id", compress: true)
        let message = await told.next()
        XCTAssertEqual([message.topic, message.messageType, message.id], ["chat", "a.b", "my-id"])
        XCTAssertTrue(message.compression)
        XCTAssertEqual(message.payload, "\"hi\"")
        XCTAssertEqual(try message.decode(String.self), "hi")
        XCTAssertEqual(try message.dataAsMap()["client"]?["subject"], .string("alice"))
        XCTAssertNil(message.dataAsPresence())
        await assertFails(.invalidArgument) { try message.decode(Order.self) }
        try await client.publish("chat", JSONValue.null)
        let null = await told.next()
        XCTAssertEqual([null.payload, null.messageType], ["null", "broadcast"])
    }

    func testSendsToTheApplicationWhichMayReply() async throws {
        let app = try await connected("app")
        try app.on("secure/inbound.create-user") { try await $0.reply("created", status: "done") }
        try await app.subscribeRemoteTopic("secure/inbound")
        let user = try await connected("user")
        let waiter = try await user.send(["name": "John"], messageType: "create-user")
        try await waiter.waitForAck()
        let reply = try await waiter.waitForReply()
        XCTAssertEqual([reply.status, try reply.decode(String.self)], ["done", "created"])
    }

    func testPresence() async throws {
        let app = try await connected("app")
        try await app.subscribeRemoteTopic("secure/inbound")
        let told = Collector<PresenceMessage?>()
        try app.on("secure/inbound.presence") { told.add($0.dataAsPresence()) }
        let permissions = ["realtime:publisher:write:topic:*"]
        let user = try await connected("user", permissions: permissions)
        let id = try XCTUnwrap(user.connection?.id)
        let came = await told.next()
        XCTAssertEqual(
            came,
            PresenceMessage(status: "connected", code: 0, connectionId: id, subject: "user", permissions: permissions))
        await user.disconnect()
        let gone = await told.next()
        XCTAssertEqual(gone?.status, "disconnected")
        XCTAssertEqual(gone?.code, -1)
    }

    func testWildcardsOnceAndOff() async throws {
        let client = try await connected("alice")
        let told = Collector<String>()
        try client.on("chat.*") { told.add("one:\($0.payload)") }
        try client.on("**") { told.add("all:\($0.payload)") }
        try client.once("chat.*") { told.add("once:\($0.payload)") }
        let gone = try client.on("chat.*") { told.add("off:\($0.payload)") }
        XCTAssertTrue(client.off(gone))
        XCTAssertFalse(client.off(gone))
        try await client.subscribeRemoteTopic("chat")
        try await client.publish("chat", 1, messageType: "x")
        try await client.publish("chat", 2, messageType: "x.y")
        try await client.publish("chat", 3, messageType: "x")
        var all: [String] = []
        for _ in 0..<6 { all.append(await told.next()) }
        XCTAssertEqual(all, ["one:1", "all:1", "once:1", "all:2", "one:3", "all:3"])
        await assertFails(.invalidArgument) { try client.on("error") { _ in } }
        await assertFails(.invalidArgument) { try client.on("") { _ in } }
    }

    func testAListenerThatThrowsIsAnErrorEventAndTheOthersStillRun() async throws {
        struct OhNo: Error {}
        let client = try await connected("alice")
        let (told, errors) = (Collector<String>(), Collector<RealtimeError>())
        try client.on(.error) { errors.add($0) }
        try client.on(.error) { _ in throw OhNo() }
        try client.on("chat.x") { _ in throw OhNo() }
        try client.on("chat.x") { _ in told.add("after") }
        try await client.subscribeRemoteTopic("chat")
        for _ in 0..<2 {
            try await client.publish("chat", 1, messageType: "x")
            let after = await told.next()
            XCTAssertEqual(after, "after")
            let error = await errors.next()
            XCTAssertEqual(error.kind, .internal)
            XCTAssertTrue(error.message.contains("OhNo"), error.message)
        }
    }

    func testAListenerMayWaitForAcksAndRepliesAndDisconnect() async throws {
        let client = try await connected("alice")
        let done = Collector<State>()
        try client.on("chat.ask") { [weak client] message in
            guard let client else { return }
            try await client.publish("chat", 1, messageType: "other").waitForAck()
            let asked = try await client.publish("chat", 2, messageType: "echo")
            // Its own listener runs only after this one, so nobody replies.
            await assertFails(.timeout) { try await asked.waitForReply(timeout: .milliseconds(10)) }
            try await message.reply("yes").waitForAck()
            await client.disconnect()
            done.add(client.state)
        }
        try await client.subscribeRemoteTopic("chat")
        try await client.publish("chat", 0, messageType: "ask")
        let state = await done.next()
        XCTAssertEqual(state, .closed)
    }

    func testACancelledWaitIsFreedAtOnceWhateverItWaitsFor() async throws {
        gateway.dropAcks()
        let client = try await connected("alice")
        let waiter = try await client.publish("nobody", 1)
        let waits: [@Sendable () async throws -> Void] = [
            { try await waiter.waitForAck(timeout: .seconds(60)) },
            { _ = try await waiter.waitForReply(timeout: .seconds(60)) },
            { _ = try await client.waitFor("never.comes", timeout: .seconds(60)) },
            { _ = try await client.waitFor(.lagged, timeout: .seconds(60)) },
        ]
        let tasks = waits.map { wait in Task { try await wait() } }
        await eventually { client.stats.waits == UInt64(waits.count) }
        tasks.forEach { $0.cancel() }
        for task in tasks { await assertCancelled(task) }
        XCTAssertEqual(client.stats.waits, 0)

        // Cancelled before it began.
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await waiter.waitForAck(timeout: .seconds(60))
        }
        await assertCancelled(early)
        XCTAssertEqual(client.stats.waits, 0)

        let messages = try client.messages("never.*")
        let loop = Task {
            for await _ in messages {}
        }
        loop.cancel()
        await loop.value

        gateway.failConnects(.halfOpen)
        let late = try self.client("bob")
        let connecting = Task { _ = try await late.connect() }
        await eventually { late.state == .connecting }
        connecting.cancel()
        await assertCancelled(connecting)
    }

    func testWaitsTimeOutAndSaySo() async throws {
        gateway.dropAcks()
        var options = ClientOptions()
        options.waitTimeout = .milliseconds(20)
        let client = try await connected("alice", options: options)
        let waiter = try await client.publish("nobody", 1)
        await assertFails(.timeout) { try await waiter.waitForAck() }
        await assertFails(.timeout) { try await waiter.waitForReply(timeout: .milliseconds(1)) }
        await assertFails(.timeout) { try await client.waitFor("never.comes") }
        for try await reply in waiter.replies() { XCTFail("\(reply)") }
        await assertFails(.timeout) { try await client.publishAll([OutgoingMessage(topic: "nobody", json: "1")]) }
    }

    func testReconnectsAndResubscribesByItself() async throws {
        let client = try await connected("alice", options: Self.impatient)
        let before = client.connection?.id
        try await client.subscribeRemoteTopic("chat")
        let (told, states) = (Collector<Int>(), Collector<StateChange>())
        let (closes, sessions) = (Collector<CloseEvent>(), Collector<ConnectionInfo>())
        try client.on("chat.x") { told.add(try $0.decode()) }
        try client.on(.state) { states.add($0) }
        try client.on(.close) { closes.add($0) }
        try client.on(.sessionStarted) { sessions.add($0) }
        gateway.dropAcks()
        let lost = try await client.publish("chat", 0)
        try await client.flush()
        gateway.clearFaults()
        gateway.kick(code: 4321, reason: "go away")
        await assertFails(.connectionLost) { try await lost.waitForAck() }
        let close = await closes.next()
        XCTAssertEqual(close, CloseEvent(code: 4321, reason: "go away", willReconnect: true))
        let session = await sessions.next()
        XCTAssertNotEqual(session.id, before)
        let state = await states.next()
        XCTAssertEqual(state.to, .reconnecting)
        try await client.publish("chat", 7, messageType: "x").waitForAck()
        let seven = await told.next()
        XCTAssertEqual(seven, 7)
    }

    func testAForbiddenTopicIsNamedAndTheOthersLiveOn() async throws {
        let permissions = ["realtime:publisher:write:topic:*"]
        let client = try await connected("alice", permissions: permissions, options: Self.impatient)
        try await client.subscribeRemoteTopic("chat")
        do {
            try await client.subscribeRemoteTopic("secure/secret")
            XCTFail("it was allowed")
        } catch let error as RealtimeError {
            XCTAssertEqual(error.kind, .forbidden)
            XCTAssertEqual(error.topic, "secure/secret")
        }
        XCTAssertEqual(client.subscriptions, ["chat"])
        _ = try await client.waitFor(.sessionStarted)
        let messages = try client.messages("chat.x")
        try await client.publish("chat", "still here", messageType: "x")
        for await message in messages {
            XCTAssertEqual(try message.decode(String.self), "still here")
            break
        }
    }

    func testServesAndRequests() async throws {
        struct TooLarge: Error {}
        let server = try await connected("server")
        let serving = try await server.serve("math", "double") { message in
            let number = try message.decode(Int.self)
            guard number < 100 else { throw TooLarge() }
            return number * 2
        }
        let client = try await connected("client")
        let answer = try await client.request("math", 21, messageType: "double")
        XCTAssertEqual(try answer.decode(Int.self), 42)
        let refused = try await client.request("math", 100, messageType: "double")
        XCTAssertEqual([refused.status, try refused.decode(String.self)], ["error", "TooLarge()"])
        serving.stop()
        await assertFails(.timeout) {
            try await client.request("math", 1, messageType: "double", timeout: .milliseconds(20))
        }
    }

    func testSeveralReplies() async throws {
        let asker = try await connected("asker")
        for number in 0..<3 {
            let peer = try await connected("peer\(number)")
            try peer.on("who.there") { try await $0.reply(number) }
            try await peer.subscribeRemoteTopic("who")
        }
        var replies: Set<Int> = []
        let waiter = try await asker.publish("who", "?", messageType: "there")
        for try await reply in waiter.replies(timeout: .seconds(30)) {
            replies.insert(try reply.decode())
            if replies.count == 3 { break }
        }
        XCTAssertEqual(replies, [0, 1, 2])
    }

    func testTheURLProviderIsAskedAndItsFailureIsTold() async throws {
        struct NoTokenYet: Error {}
        let asked = Guarded(0)
        let gateway = gateway!
        let client = try RealtimeClient(options: Self.impatient) {
            let first = asked.with { asked in
                asked += 1
                return asked == 1
            }
            if first { throw NoTokenYet() }
            return try gateway.urlWithToken("alice")
        }
        defer { client.close() }
        let errors = Collector<RealtimeError>()
        try client.on(.error) { errors.add($0) }
        try await client.connect()
        let error = await errors.next()
        XCTAssertEqual(error.kind, .urlProviderFailed)
        XCTAssertTrue(error.message.contains("NoTokenYet"), error.message)
        XCTAssertEqual(asked.with { $0 }, 2)
    }

    func testWhatCantBeDoneIsSaid() async throws {
        let client = try client("alice")
        await assertFails(.notConnected) { try await client.publish("chat", 1) }
        await assertFails(.notConnected) { try await client.flush() }
        try await client.connect()
        await assertFails(.invalidArgument) { try await client.publishJSON("chat", "{no json") }
        await assertFails(.invalidArgument) { try await client.publish("", 1) }
        await assertFails(.messageTooLarge) { try await client.publish("chat", String(repeating: "x", count: 2_000_000)) }
        await client.disconnect()
        await assertFails(.closed) { try await client.publish("chat", 1) }
        try await client.connect()
        try await client.publish("chat", 1).waitForAck()
        client.close()
        await assertFails(.closed) { try await client.connect() }
        await assertFails(.closed) { try await client.publish("chat", 1) }
        await assertFails(.closed) { try client.on("a.b") { _ in } }
        XCTAssertEqual(client.state, .closed)
        await client.disconnect()
        await assertFails(.invalidArgument) { try RealtimeClient("http://x") }
        gateway.failConnects(.refuse(403))
        var once = Self.patient
        once.maxRetries = 0
        let bob = try self.client("bob", options: once)
        await assertFails(.handshakeFailed) { try await bob.connect() }
    }

    func testRESTMessagesCantBeRepliedTo() async throws {
        let client = try await connected("alice")
        let told = Collector<IncomingMessage>()
        try client.on("main.note") { told.add($0) }
        gateway.sendText(.all, #"{"topic":"main","messageType":"note","data":"from REST"}"#)
        let message = await told.next()
        XCTAssertEqual(try message.decode(String.self), "from REST")
        XCTAssertNil(message.sender)
        await assertFails(.notReplyable) { try await message.reply("?") }
    }

    func testLogsGoToAFunctionWithoutTokens() async throws {
        let records = Collector<RealtimeLogs.Record>()
        let forwarding = try RealtimeLogs.forward(.debug) { records.add($0) }
        let client = try await connected("alice")
        let number = client.number
        while true {
            let record = await records.next()
            XCTAssertFalse(record.message.contains("access_token"), record.message)
            if record.client == number { break }
        }
        forwarding.stop()
    }

    func testEveryKindOfTheCoresTableIsHere() {
        let table = Diagnostics.errorKinds
        XCTAssertEqual(table.map(\.number), RealtimeError.Kind.allCases.map(\.rawValue))
        let names = RealtimeError.Kind.allCases.map { kind in
            "\(kind)".reduce(into: "") { name, letter in name += letter.isUppercase ? "_\(letter)" : letter.uppercased() }
        }
        XCTAssertEqual(table.map(\.name), names)
    }
}
