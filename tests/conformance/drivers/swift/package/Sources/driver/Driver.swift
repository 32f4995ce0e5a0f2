// The Swift package's driver for the conformance scenarios: see `tests/conformance/README.md`.
import Foundation
import RealtimePubSub

/// A listener is to throw, a provider or an answer to fail.
struct Thrown: Error, CustomStringConvertible {
    let description: String
}

/// The scenario or this driver is wrong.
struct Wrong: Error, CustomStringConvertible {
    let description: String
}

struct Cannot: Error {
    let why: String
}

/// An operation's fields.
struct Operation: Sendable {
    let json: JSON

    var what: String { text("do") ?? "" }
    func text(_ name: String) -> String? { json.fields[name]?.string }
    func need(_ name: String) throws -> String {
        guard let text = text(name) else { throw Wrong(description: "\(what) needs \(name)") }
        return text
    }
    func raw(_ name: String) -> String { json.fields[name]?.raw ?? "null" }
    func flag(_ name: String) -> Bool { json.fields[name]?.isTrue ?? false }
    var timeout: Duration? { json.fields["timeout"]?.number.map { .milliseconds($0) } }
}

/// What listeners hold.
actor Gate {
    private var open = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func hold() async {
        if open > 0 {
            open -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func release(_ times: Int = 1) {
        for _ in 0..<times {
            if waiting.isEmpty { open += 1 } else { waiting.removeFirst().resume() }
        }
    }
}

/// A stream's messages, as a task takes them.
actor Mailbox {
    private var messages: [IncomingMessage] = []
    private var waiting: [CheckedContinuation<IncomingMessage?, Never>] = []
    private var ended = false

    func put(_ message: IncomingMessage) {
        if waiting.isEmpty { messages.append(message) } else { waiting.removeFirst().resume(returning: message) }
    }

    func end() {
        ended = true
        for waiter in waiting { waiter.resume(returning: nil) }
        waiting = []
    }

    func next() async -> IncomingMessage? {
        if !messages.isEmpty { return messages.removeFirst() }
        if ended { return nil }
        return await withCheckedContinuation { waiting.append($0) }
    }
}

/// Takes a stream's messages until it is let go.
final class Stream: Sendable {
    private let mailbox = Mailbox()
    private let task: Task<Void, Never>

    init(_ messages: Messages) {
        let mailbox = mailbox
        task = Task.detached {
            for await message in messages { await mailbox.put(message) }
            await mailbox.end()
        }
    }

    deinit { task.cancel() }

    func next() async -> IncomingMessage? { await mailbox.next() }
}

/// URLs that a provider gives, one by one, the last again and again.
actor URLs {
    private var left: [JSON]

    init(_ list: [JSON]) { left = list }

    func next() throws -> String {
        let given = left.count > 1 ? left.removeFirst() : left[0]
        if let url = given.string { return url }
        throw Thrown(description: given.fields["fails"]?.string ?? "")
    }
}

func options(_ given: JSON?) -> ClientOptions {
    let fields = given?.fields ?? [:]
    func time(_ name: String) -> Duration? { fields[name]?.number.map { .milliseconds($0) } }
    func count(_ name: String) -> UInt64? { fields[name]?.number.map { UInt64($0) } }
    var options = ClientOptions()
    options.connectTimeout = time("connect_timeout")
    options.providerTimeout = time("provider_timeout")
    options.handshakeTimeout = time("handshake_timeout")
    options.welcomeTimeout = time("welcome_timeout")
    options.waitTimeout = time("wait_timeout")
    options.barrierTimeout = time("barrier_timeout")
    options.disconnectTimeout = time("disconnect_timeout")
    options.backoff = .init(min: time("backoff_min"), max: time("backoff_max"), stableAfter: time("stable_after"))
    options.maxRetries = count("max_retries").map { UInt32($0) }
    options.stopOnCloseCodes = fields["stop_on_close_codes"]?.elements.compactMap { $0.number.map { UInt16($0) } } ?? []
    options.pingAfter = time("ping_after")
    options.pongTimeout = time("pong_timeout")
    if fields["offline"]?.string == "queue" {
        options.offlineQueue = .init(
            messages: count("offline_messages"), bytes: count("offline_bytes"), ttl: time("offline_ttl"))
    }
    options.retry = fields["retry"]?.isTrue ?? false
    options.retryFor = time("retry_for")
    options.dedupe = count("dedupe")
    switch fields["overflow"]?.string {
    case "drop_oldest": options.overflow = .dropOldest
    case "drop_newest": options.overflow = .dropNewest
    default: break
    }
    options.inboxMessages = count("inbox_messages")
    options.inboxBytes = count("inbox_bytes")
    options.outboxMessages = count("outbox_messages")
    options.outboxBytes = count("outbox_bytes")
    options.maxMessageSize = count("max_message_size")
    options.tls.authorities = fields["ca_pem"]?.string
    options.tls.onlyOwnAuthorities = fields["only_own_ca"]?.isTrue ?? false
    options.tls.clientCertificate = fields["client_cert_pem"]?.string
    options.tls.clientKey = fields["client_key_pem"]?.string
    options.headers = fields["headers"]?.fields.compactMapValues(\.string) ?? [:]
    return options
}

/// What there is, by the runner's names.
final class Driver: @unchecked Sendable {
    private let lock = NSLock()
    private var clients: [String: RealtimeClient] = [:]
    private var waits: [String: WaitFor] = [:]
    private var listeners: [String: UInt64] = [:]
    private var streams: [String: Stream] = [:]
    private var servings: [String: Serving] = [:]
    private var gates: [String: Gate] = [:]
    private var running: [String: Task<Void, Never>] = [:]

    private func with<T>(_ use: () throws -> T) rethrows -> T { try lock.withLock(use) }

    private func gate(_ name: String) -> Gate {
        with {
            if let gate = gates[name] { return gate }
            let gate = Gate()
            gates[name] = gate
            return gate
        }
    }

    func begin(_ line: String) {
        let operation = Operation(json: JSON(line))
        let number = operation.raw("n")
        let begin = { [self] in
            Task.detached { [self] in
                let outcome = (try? await outcome(operation, nil)) ?? "{}"
                say("{\"n\":\(number),\(outcome.dropFirst())")
            }
        }
        if let name = operation.text("op"), operation.what != "cancel" {
            with { running[name] = begin() }
        } else {
            _ = begin()
        }
    }

    /// What an operation gave, or how it failed. Throws what a listener is to throw.
    private func outcome(_ operation: Operation, _ message: IncomingMessage?) async throws -> String {
        do {
            return "{\"ok\":\(try await perform(operation, message) ?? "null")}"
        } catch let error as RealtimeError {
            return "{\"error\":{\(told(error))}}"
        } catch is CancellationError {
            return "{\"error\":{\"cancelled\":true}}"
        } catch let cannot as Cannot {
            return "{\"cannot\":\(quote(cannot.why))}"
        } catch let thrown as Thrown {
            throw thrown
        } catch {
            return "{\"error\":{\"number\":1,\"message\":\(quote("\(error)"))}}"
        }
    }

    private func perform(_ operation: Operation, _ message: IncomingMessage?) async throws -> String? {
        switch operation.what {
        case "release": try await gate(operation.need("gate")).release()
        case "hold": try await gate(operation.need("gate")).hold()
        case "throw": throw Thrown(description: try operation.need("text"))
        case "publish_now": throw Cannot(why: "publish suspends until there is room")
        case "use_handle": throw Cannot(why: "there are no handles")
        case "wait_for_itself": throw Cannot(why: "waits suspend")
        case "cancel":
            let name = try operation.need("op")
            with { running.removeValue(forKey: name) }?.cancel()
        case "new": try make(operation)
        case "drop": try await drop(operation.need("client"))
        default:
            let name = try operation.need("client")
            guard let client = with({ clients[name] }) else { throw Wrong(description: "no client \(name)") }
            return try await call(client, operation, message)
        }
        return nil
    }

    private func make(_ operation: Operation) throws {
        let options = options(operation.json.fields["options"])
        let client: RealtimeClient
        if let list = operation.json.fields["urls"]?.elements {
            let urls = URLs(list)
            client = try RealtimeClient(options: options) { try await urls.next() }
        } else {
            client = try RealtimeClient(operation.need("url"), options: options)
        }
        let name = try operation.need("client")
        with { clients[name] = client }
    }

    private func drop(_ name: String) async {
        guard let client = with({ clients.removeValue(forKey: name) }) else { return }
        let run = name.prefix { $0 != "." } + "."
        for gate in with({ gates.filter { $0.key.hasPrefix(run) } }).values { await gate.release(1000) }
        with {
            waits = waits.filter { !$0.key.hasPrefix(run) }
            streams = streams.filter { !$0.key.hasPrefix(run) }
            servings = servings.filter { !$0.key.hasPrefix(run) }
        }
        await client.disconnect(timeout: .milliseconds(200))
        client.close()
    }

    private func keep(_ operation: Operation, _ wait: WaitFor) -> String {
        if let name = operation.text("wait") { with { waits[name] = wait } }
        return "{\"id\":null}"
    }

    private func wait(_ operation: Operation) throws -> WaitFor {
        let name = try operation.need("wait")
        guard let wait = with({ waits[name] }) else { throw Wrong(description: "no wait \(name)") }
        return wait
    }

    private func call(_ client: RealtimeClient, _ operation: Operation, _ message: IncomingMessage?) async throws -> String? {
        let (type, id) = (operation.text("message_type"), operation.text("id"))
        let compress = operation.flag("compress")
        let payload = operation.raw("payload")
        switch operation.what {
        case "connect": return "{\(told(try await client.connect(timeout: operation.timeout)))}"
        case "start": try client.start()
        case "disconnect": await client.disconnect(timeout: operation.timeout)
        case "flush": try await client.flush()
        case "subscribe": try await client.subscribeRemoteTopic(operation.need("topic"))
        case "unsubscribe": try await client.unsubscribeRemoteTopic(operation.need("topic"))
        case "state": return quote(client.state.rawValue)
        case "connection": return client.connection.map { "{\(told($0))}" }
        case "stats": return told(client.stats)
        case "publish":
            let topic = try operation.need("topic")
            return keep(operation, try await client.publishJSON(topic, payload, messageType: type, id: id, compress: compress))
        case "send":
            return keep(operation, try await client.sendJSON(payload, messageType: type, id: id, compress: compress))
        case "burst":
            for number in 0..<(operation.json.fields["count"]?.number ?? 0) {
                try await client.publish(operation.need("topic"), number)
            }
        case "reply":
            guard let message else { throw Wrong(description: "there is no message to reply to") }
            let status = operation.text("status") ?? "ok"
            return keep(operation, try await message.replyJSON(operation.raw("data"), status: status, compress: compress))
        case "request":
            // What `request` does, for JSON text.
            let wait =
                if let topic = operation.text("topic") {
                    try await client.publishJSON(topic, payload, messageType: type)
                } else {
                    try await client.sendJSON(payload, messageType: type)
                }
            return told(try await wait.waitForReply(timeout: operation.timeout))
        case "ack": try await wait(operation).waitForAck(timeout: operation.timeout)
        case "next_reply": return told(try await wait(operation).waitForReply(timeout: operation.timeout))
        case "replies":
            var all: [String] = []
            for try await reply in try wait(operation).replies(timeout: operation.timeout) { all.append(told(reply)) }
            return "[" + all.joined(separator: ",") + "]"
        case "forget":
            let name = try operation.need("wait")
            with { _ = waits.removeValue(forKey: name) }
        case "on", "once": try listen(client, operation)
        case "off":
            let name = try operation.need("listener")
            if let listener = with({ listeners.removeValue(forKey: name) }) { client.off(listener) }
        case "wait_for": return try await waitFor(client, operation)
        case "messages":
            let stream = Stream(try client.messages(operation.need("name")))
            let name = try operation.need("stream")
            with { streams[name] = stream }
        case "next":
            let name = try operation.need("stream")
            return await with({ streams[name] })?.next().map(told)
        case "close_stream":
            let name = try operation.need("stream")
            with { _ = streams.removeValue(forKey: name) }
        case "serve":
            let answer = operation.json.fields["answer"]
            let serving = try await client.serve(operation.need("topic"), operation.need("message_type")) { message in
                if let text = answer?.fields["throw"]?.string { throw Thrown(description: text) }
                return try message.decode(JSONValue.self)
            }
            let name = try operation.need("serving")
            with { servings[name] = serving }
        case "stop_serving":
            let name = try operation.need("serving")
            with { servings.removeValue(forKey: name) }?.stop()
        default: throw Wrong(description: "this driver does not know \(operation.what)")
        }
        return nil
    }

    private func waitFor(_ client: RealtimeClient, _ operation: Operation) async throws -> String {
        let (name, timeout) = (try operation.need("name"), operation.timeout)
        switch name {
        case "session.started": return toldEvent(try await client.waitFor(.sessionStarted, timeout: timeout))
        case "error": return toldEvent(try await client.waitFor(.error, timeout: timeout))
        case "close": return toldEvent(try await client.waitFor(.close, timeout: timeout))
        case "state": return toldEvent(try await client.waitFor(.state, timeout: timeout))
        case "lagged": return toldEvent(try await client.waitFor(.lagged, timeout: timeout))
        default: return told(try await client.waitFor(name, timeout: timeout))
        }
    }

    private func listen(_ client: RealtimeClient, _ operation: Operation) throws {
        let (name, listener) = (try operation.need("name"), try operation.need("listener"))
        let then = (operation.json.fields["then"]?.elements ?? []).map { Operation(json: $0) }
        let heard: @Sendable (any Sendable) async throws -> Void = { [self] event in
            say("{\"listener\":\(quote(listener)),\"event\":\(toldEvent(event))}")
            if then.isEmpty { return }
            var did: [String] = []
            var thrown: Thrown?
            for step in then {
                do {
                    did.append(try await outcome(step, event as? IncomingMessage))
                } catch let error as Thrown {
                    thrown = error
                }
            }
            say("{\"listener\":\(quote(listener)),\"did\":[\(did.joined(separator: ","))]}")
            if let thrown { throw thrown }
        }
        let once = operation.what == "once"
        let id =
            switch name {
            case "session.started": try add(client, .sessionStarted, once, heard)
            case "error": try add(client, .error, once, heard)
            case "close": try add(client, .close, once, heard)
            case "state": try add(client, .state, once, heard)
            case "lagged": try add(client, .lagged, once, heard)
            default: try once ? client.once(name) { try await heard($0) } : client.on(name) { try await heard($0) }
            }
        with { listeners[listener] = id }
    }

    private func add<Value: Sendable>(
        _ client: RealtimeClient, _ event: ControlEvent<Value>, _ once: Bool,
        _ heard: @escaping @Sendable (any Sendable) async throws -> Void
    ) throws -> UInt64 {
        try once ? client.once(event) { try await heard($0) } : client.on(event) { try await heard($0) }
    }
}

@main
struct Main {
    static func main() async {
        say("{\"protocol\":1,\"language\":\"swift\"}")
        let driver = Driver()
        // Reading blocks, so it has a thread of its own.
        await withCheckedContinuation { (ended: CheckedContinuation<Void, Never>) in
            Thread.detachNewThread {
                while let line = readLine() { driver.begin(line) }
                ended.resume()
            }
        }
        exit(0)
    }
}
