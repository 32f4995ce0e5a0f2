import Foundation
internal import RealtimePubSubGenerated

/// A client of the app came or went.
public struct PresenceMessage: Sendable, Equatable {
    /// `connected` or `disconnected`.
    public let status: String
    /// 0 for connected, -1 for disconnected.
    public let code: Int64?
    /// Whose connection.
    public let connectionId: String
    /// Its token's subject.
    public let subject: String
    /// Its token's permissions.
    public let permissions: [String]
}

/// A message from the gateway. Its JSON is kept as it came, so that no number loses a digit, and is read when asked for:
/// `try message.decode(Order.self)`.
public struct IncomingMessage: Sendable, CustomStringConvertible {
    private static let compressed: UInt8 = 1
    private static let hasSender: UInt8 = 2
    private static let hasId: UInt8 = 4
    private static let hasPresence: UInt8 = 8

    private let client: RealtimeClient
    private let batch: Data
    private let flags: UInt8
    private let topicAt: Span
    private let typeAt: Span
    private let dataAt: Span
    private let payloadAt: Span?
    private let senderAt: Span?
    private let idAt: Span?
    private let presence: PresenceMessage?

    init(_ client: RealtimeClient, _ reader: inout Reader) {
        self.client = client
        batch = reader.batch
        flags = reader.u8()
        topicAt = reader.text()
        typeAt = reader.text()
        dataAt = reader.text()
        payloadAt = dataAt.within(reader.place())
        senderAt = flags & Self.hasSender != 0 ? dataAt.within(reader.place()) : nil
        idAt = flags & Self.hasId != 0 ? reader.text() : nil
        presence = flags & Self.hasPresence != 0 ? reader.presence() : nil
    }

    /// The topic.
    public var topic: String { topicAt.read(batch) }

    /// The message type, `broadcast` where the sender gave none.
    public var messageType: String { typeAt.read(batch) }

    /// Whether it came as a binary frame, which is how the gateway delivers what was published with `compress`.
    public var compression: Bool { flags & Self.compressed != 0 }

    /// The message's id; nil for one published over REST.
    public var id: String? { idAt?.read(batch) }

    /// All of the message's data, JSON: for one published or sent over WebSocket an object with `client`, `payload` and
    /// `id`, for one published over REST whatever was published.
    public var data: String { dataAt.read(batch) }

    /// What was published, JSON: `payload` of the data, or all of it for a message published over REST.
    public var payload: String { payloadAt?.read(batch) ?? "null" }

    /// Who sent it, JSON as it came; nil for one published over REST.
    public var sender: String? { senderAt?.read(batch) }

    /// The payload, read into `T`.
    public func decode<T: Decodable>(_ type: T.Type = T.self) throws -> T {
        try decodeJSON(type, payload, "payload")
    }

    /// The data as a JSON object.
    public func dataAsMap() throws -> [String: JSONValue] {
        try decodeJSON([String: JSONValue].self, data, "data")
    }

    /// What a presence message says; nil where this is none.
    public func dataAsPresence() -> PresenceMessage? { presence }

    /// Replies to the sender. The reply can be acknowledged and replied to itself.
    @discardableResult
    public func reply(_ data: some Encodable, status: String = "ok", compress: Bool = false) async throws -> WaitFor {
        try await replyJSON(encodeJSON(data), status: status, compress: compress)
    }

    /// Replies with JSON text.
    @discardableResult
    public func replyJSON(_ data: String, status: String = "ok", compress: Bool = false) async throws -> WaitFor {
        try await client.send(
            Outgoing(kind: Outgoing.reply, topic: sender ?? "", messageType: status, id: id ?? "", payload: data, compress: compress))
    }

    public var description: String { "IncomingMessage(topic: \(topic), messageType: \(messageType), data: \(data))" }
}

/// A reply.
public struct ResponseMessage: Sendable, CustomStringConvertible {
    /// The id of the message it answers.
    public let id: String
    /// `ok`, or what the replier chose.
    public let status: String
    /// What was replied, JSON.
    public let data: String
    /// The message that carried it.
    public let message: IncomingMessage

    init(_ client: RealtimeClient, _ reader: inout Reader) {
        id = reader.string()
        status = reader.string()
        data = reader.string()
        message = IncomingMessage(client, &reader)
    }

    /// What was replied, read into `T`.
    public func decode<T: Decodable>(_ type: T.Type = T.self) throws -> T {
        try decodeJSON(type, data, "data")
    }

    /// What was replied, as a JSON object.
    public func dataAsMap() throws -> [String: JSONValue] {
        try decodeJSON([String: JSONValue].self, data, "data")
    }

    public var description: String { "ResponseMessage(id: \(id), status: \(status), data: \(data))" }
}

/// A message for `RealtimeClient.publishAll`.
public struct OutgoingMessage: Sendable {
    /// The topic.
    public var topic: String
    /// The payload, JSON.
    public var payload: String
    /// The message type; the gateway's default is `broadcast`.
    public var messageType: String?
    /// The message's id; 16 random bytes unless given.
    public var id: String?
    /// Whether receivers get it as a binary frame, which the wire may compress.
    public var compress: Bool

    /// A message with a payload that is JSON text.
    public init(topic: String, json: String, messageType: String? = nil, id: String? = nil, compress: Bool = false) {
        self.topic = topic
        self.payload = json
        self.messageType = messageType
        self.id = id
        self.compress = compress
    }

    /// A message with a payload that is written as JSON.
    public init(
        topic: String, _ payload: some Encodable, messageType: String? = nil, id: String? = nil, compress: Bool = false
    ) throws {
        self.init(topic: topic, json: try encodeJSON(payload), messageType: messageType, id: id, compress: compress)
    }
}

/// The messages that match a pattern, from when this was made, in a queue of their own. The queue is bounded: who takes
/// their time makes the gateway wait. Ends when the task is cancelled, the client closed, or this let go.
public struct Messages: AsyncSequence, Sendable {
    public typealias Element = IncomingMessage

    /// Ends the stream with its last user.
    fileprivate final class Stream: Sendable {
        let core: CoreMessages

        init(_ core: CoreMessages) { self.core = core }

        deinit { core.end() }
    }

    private let client: RealtimeClient
    private let stream: Stream

    init(_ client: RealtimeClient, _ core: CoreMessages) {
        self.client = client
        stream = Stream(core)
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(client: client, stream: stream) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let client: RealtimeClient
        fileprivate let stream: Stream
        private var batch: [IncomingMessage] = []
        private var taken = 0

        fileprivate init(client: RealtimeClient, stream: Stream) {
            self.client = client
            self.stream = stream
        }

        public mutating func next() async -> IncomingMessage? {
            if taken == batch.count {
                let core = stream.core
                let packed = await withTaskCancellationHandler {
                    await core.next(max: RealtimeClient.batch)
                } onCancel: {
                    core.end()
                }
                let client = client
                batch = packed.withUnsafeBytes { bytes in
                    var reader = Reader(packed, bytes)
                    return reader.hasMore ? (0..<reader.size()).map { _ in IncomingMessage(client, &reader) } : []
                }
                taken = 0
            }
            guard taken < batch.count else { return nil }
            defer { taken += 1 }
            return batch[taken]
        }
    }
}
