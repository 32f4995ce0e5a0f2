internal import RealtimePubSubGenerated

/// A client of Realtime Pub/Sub.
///
/// ```swift
/// let client = try RealtimeClient { "wss://gateway.example/apps/my-app?access_token=\(try await freshToken())" }
/// try client.on("chat.*") { message in try await message.reply("Got it!") }
/// try await client.connect()
/// try await client.subscribeRemoteTopic("chat")
/// let waiter = try await client.publish("chat", "Hello, World!", messageType: "text-message")
/// try await waiter.waitForAck()
/// print(try await waiter.waitForReply().decode(String.self))
/// await client.disconnect()
/// ```
///
/// Thread-safe. What is awaited can be cancelled, and frees what it held at once. Letting go of it ends the connection in
/// the background; `disconnect` waits for that. A listener that holds its client keeps it alive until `close`, or until it
/// is taken off: let it hold the client weakly, or use the message's own `reply`.
public final class RealtimeClient: Sendable {
    static let batch: UInt32 = 256

    /// Gives the URL, asked at each attempt to connect.
    public typealias URLProvider = @Sendable () async throws -> String

    let core: CoreClient
    let options: ClientOptions
    let numbers = Numbers()
    let waits: Waits
    private let listeners: Listeners
    private let urlProvider: URLProvider?
    private let servings = Guarded<[UInt64: @Sendable (IncomingMessage) async throws -> String]>([:])

    /// A client for this URL: `ws(s)://host/apps/ID?access_token=TOKEN`.
    public convenience init(_ url: String, options: ClientOptions = ClientOptions()) throws {
        try self.init(url: url, urlProvider: nil, options: options)
    }

    /// A client that asks for the URL at each attempt to connect, because tokens expire.
    public convenience init(options: ClientOptions = ClientOptions(), urlProvider: @escaping URLProvider) throws {
        try self.init(url: nil, urlProvider: urlProvider, options: options)
    }

    private init(url: String?, urlProvider: URLProvider?, options: ClientOptions) throws {
        let host = Host()
        core = try mapped { try CoreClient(url: url, settings: options.settings, host: host) }
        self.options = options
        self.urlProvider = urlProvider
        waits = Waits(core)
        listeners = Listeners(core)
        host.client = self
    }

    deinit { core.shut() }

    // MARK: - Connecting

    /// Connects, and returns once the session has started. Keeps the client connected from then on. It tries until the
    /// timeout (30 s unless given), then fails with the last cause.
    @discardableResult
    public func connect(timeout: Duration? = nil) async throws -> ConnectionInfo {
        let core = core
        let info = try await crossing {
            try await core.connect(timeoutMs: timeout.milliseconds, cancellation: $0)
        }
        return ConnectionInfo(id: info.id, appId: info.appId, remoteAddress: info.remoteAddress)
    }

    /// Begins to connect, and goes on for as long as it takes.
    public func start() throws {
        try mapped { try core.start() }
    }

    /// Writes what is queued, closes the connection and ends all waits. The client can connect again.
    public func disconnect(timeout: Duration? = nil) async {
        // Nothing fails here; a closed client is disconnected.
        try? await core.disconnect(timeoutMs: timeout.milliseconds, cancellation: nil)
    }

    /// Closes the client for good, in the background. Its listeners are let go.
    public func close() {
        core.shut()
        listeners.clear()
    }

    /// Where the client stands.
    public var state: State {
        switch core.state() {
        case .idle: .idle
        case .connecting: .connecting
        case .connected: .connected
        case .reconnecting: .reconnecting
        case .closed: .closed
        case .failed: .failed
        }
    }

    /// The present session's connection; nil without one.
    public var connection: ConnectionInfo? {
        core.connection().map { ConnectionInfo(id: $0.id, appId: $0.appId, remoteAddress: $0.remoteAddress) }
    }

    // MARK: - Sending

    /// Publishes to a topic. Where the queue is full, it waits for room.
    @discardableResult
    public func publish(
        _ topic: String, _ payload: some Encodable, messageType: String? = nil, id: String? = nil, compress: Bool = false
    ) async throws -> WaitFor {
        try await publishJSON(topic, encodeJSON(payload), messageType: messageType, id: id, compress: compress)
    }

    /// Publishes JSON text.
    @discardableResult
    public func publishJSON(
        _ topic: String, _ payload: String, messageType: String? = nil, id: String? = nil, compress: Bool = false
    ) async throws -> WaitFor {
        try await send(Outgoing(topic: topic, messageType: messageType, id: id, payload: payload, compress: compress))
    }

    /// Sends to the application: whoever may subscribe to `secure/inbound` gets it.
    @discardableResult
    public func send(
        _ payload: some Encodable, messageType: String? = nil, id: String? = nil, compress: Bool = false
    ) async throws -> WaitFor {
        try await sendJSON(encodeJSON(payload), messageType: messageType, id: id, compress: compress)
    }

    /// Sends JSON text to the application.
    @discardableResult
    public func sendJSON(
        _ payload: String, messageType: String? = nil, id: String? = nil, compress: Bool = false
    ) async throws -> WaitFor {
        try await send(
            Outgoing(kind: Outgoing.send, topic: "", messageType: messageType, id: id, payload: payload, compress: compress))
    }

    /// Publishes and waits for the first reply.
    public func request(
        _ topic: String, _ payload: some Encodable, messageType: String? = nil, timeout: Duration? = nil
    ) async throws -> ResponseMessage {
        try await publish(topic, payload, messageType: messageType).waitForReply(timeout: timeout)
    }

    /// Publishes many messages in order, in one crossing into Rust, and waits until the gateway has taken them all, unless
    /// `waitForAcks` is false. Fails with the first failure.
    public func publishAll(_ messages: [OutgoingMessage], waitForAcks: Bool = true, timeout: Duration? = nil) async throws {
        let (core, packed) = (core, Outgoing.batch(messages))
        try await crossing {
            try await core.publishBatch(
                packed: packed, waitForAcks: waitForAcks, timeoutMs: timeout.milliseconds, cancellation: $0)
        }
    }

    /// Returns when all that was published before has reached the gateway.
    public func flush() async throws {
        let core = core
        try await crossing { try await core.flush(cancellation: $0) }
    }

    func send(_ message: Outgoing) async throws -> WaitFor {
        let (core, number, head) = (core, numbers.next(), message.head)
        do {
            try mapped {
                try core.publish(
                    number: number, flags: head.flags, topic: head.topic, messageType: head.messageType, id: head.id,
                    text: message.text)
            }
        } catch let error as RealtimeError where error.kind == .queueFull {
            try await crossing {
                try await core.publishWhenRoom(number: number, head: head, text: message.text, cancellation: $0)
            }
        }
        return WaitFor(self, number)
    }

    // MARK: - Remote topics

    /// Subscribes to a topic, now and after each reconnect; returns when the gateway has processed that.
    public func subscribeRemoteTopic(_ topic: String) async throws {
        let core = core
        try await crossing { try await core.subscribe(topic: topic, cancellation: $0) }
    }

    /// Ends a subscription.
    public func unsubscribeRemoteTopic(_ topic: String) async throws {
        let core = core
        try await crossing { try await core.unsubscribe(topic: topic, cancellation: $0) }
    }

    /// The topics that the client subscribes to in each session.
    public var subscriptions: [String] { core.subscriptions() }

    // MARK: - Listening

    /// Calls the listener for every message whose name, `<topic>.<messageType>`, matches the pattern: `*` is one segment
    /// between dots, `**` any number. Listeners of a client run one at a time, in order; they may await, publish and wait.
    /// What one throws becomes an `error` event. Returns an id for `off`.
    @discardableResult
    public func on(_ pattern: String, _ listener: @escaping @Sendable (IncomingMessage) async throws -> Void) throws -> UInt64 {
        try add(message(pattern), once: false, listener)
    }

    /// Like `on`, for the first message only.
    @discardableResult
    public func once(_ pattern: String, _ listener: @escaping @Sendable (IncomingMessage) async throws -> Void) throws -> UInt64 {
        try add(message(pattern), once: true, listener)
    }

    /// Calls the listener for every such event, in its place among the messages: `on(.close) { … }`.
    @discardableResult
    public func on<Value>(
        _ event: ControlEvent<Value>, _ listener: @escaping @Sendable (Value) async throws -> Void
    ) throws -> UInt64 {
        try add(event.name, once: false, listener)
    }

    /// Like `on`, for the first event only.
    @discardableResult
    public func once<Value>(
        _ event: ControlEvent<Value>, _ listener: @escaping @Sendable (Value) async throws -> Void
    ) throws -> UInt64 {
        try add(event.name, once: true, listener)
    }

    private func add<Value: Sendable>(
        _ name: String, once: Bool, _ listener: @escaping @Sendable (Value) async throws -> Void
    ) throws -> UInt64 {
        try listeners.add(name, once: once) { event in
            if let value = event as? Value { try await listener(value) }
        }
    }

    /// Takes a listener off. Whether it was there. A call that is running goes on.
    @discardableResult
    public func off(_ listener: UInt64) -> Bool { listeners.remove(listener) }

    /// The messages that match the pattern, from now on: `for await message in try client.messages("chat.*") { … }`.
    public func messages(_ pattern: String) throws -> Messages {
        Messages(self, try mapped { try core.messages(pattern: pattern) })
    }

    /// Waits for a message that matches the pattern.
    public func waitFor(_ pattern: String, timeout: Duration? = nil) async throws -> IncomingMessage {
        try await wait(message(pattern), timeout)
    }

    /// Waits for an event. `sessionStarted` in a running session is there at once.
    public func waitFor<Value>(_ event: ControlEvent<Value>, timeout: Duration? = nil) async throws -> Value {
        try await wait(event.name, timeout)
    }

    private func wait<Value>(_ name: String, _ timeout: Duration?) async throws -> Value {
        let core = core
        let settled = try await waits.await(numbers.next()) { wait in
            try mapped { try core.waitEvent(name: name, wait: wait, timeoutMs: timeout.waitMilliseconds) }
        }
        guard case let .event(event) = settled, let value = event.value as? Value else {
            throw RealtimeError(.internal, "a wait for an event was settled with something else")
        }
        return value
    }

    /// Answers every message of this topic and type with what the function returns, as a reply with status `ok`, or, where
    /// it throws, with the error's text and status `error`. Subscribes to the topic. Up to 64 answers are worked on at once.
    /// Ends when the returned value is stopped or let go.
    public func serve(
        _ topic: String, _ messageType: String, _ answer: @escaping @Sendable (IncomingMessage) async throws -> some Encodable
    ) async throws -> Serving {
        let (core, number) = (core, numbers.next())
        servings.with { $0[number] = { try await encodeJSON(answer($0)) } }
        let serving = Serving { [weak self] in
            self?.servings.with { $0.removeValue(forKey: number) }.map { _ in core.stopServing(serving: number) }
        }
        try await crossing {
            try await core.serve(serving: number, topic: topic, messageType: messageType, cancellation: $0)
        }
        return serving
    }

    /// What the client has done and holds.
    public var stats: Stats { Stats(core.stats()) }

    /// A number that no other client of this process has: what is logged about it has it too.
    public var number: UInt64 { (try? core.number()) ?? 0 }

    private func message(_ pattern: String) throws -> String {
        if controlEventNames.contains(pattern) {
            throw RealtimeError(.invalidArgument, "\"\(pattern)\" is a control event, not a message: use ControlEvent")
        }
        return pattern
    }

    // MARK: - What the component tells, through Host

    func onSettled(_ packed: PackedBatch) {
        packed.read { reader in
            while reader.hasMore { waits.settle(reader.u8(), &reader, self) }
        }
    }

    func onMessages() {
        Task.detached { await self.listeners.deliver(self) }
    }

    func onClosed() {
        waits.close()
        listeners.clear()
        servings.with { $0 = [:] }
    }

    func provideURL(_ request: UInt64) {
        guard let urlProvider else { return }
        Task.detached { [core] in
            do {
                core.provideUrl(request: request, url: try await urlProvider(), failure: nil)
            } catch {
                core.provideUrl(request: request, url: nil, failure: "\(error)")
            }
        }
    }

    func answer(_ serving: UInt64, _ request: UInt64, _ packed: PackedBatch) {
        guard let answer = servings.with({ $0[serving] }) else { return }
        let message = packed.read { IncomingMessage(self, &$0) }
        Task.detached { [core] in
            do {
                core.answer(request: request, json: try await answer(message), failure: nil)
            } catch {
                core.answer(request: request, json: nil, failure: "\(error)")
            }
        }
    }
}

/// A function that answers, see `RealtimeClient.serve`. Ends when it is stopped or let go.
public final class Serving: Sendable {
    private let end: @Sendable () -> Void

    init(_ end: @escaping @Sendable () -> Void) { self.end = end }

    deinit { end() }

    /// Ends the serving.
    public func stop() { end() }
}
