import Foundation

/// Where something stands in a batch.
struct Span: Sendable {
    let start: Int
    let length: Int

    func read(_ batch: Data) -> String {
        batch.withUnsafeBytes { String(decoding: $0[start..<start + length], as: UTF8.self) }
    }

    /// A part of this; a length of 0 stands for null, which stands nowhere.
    func within(_ part: Span) -> Span? {
        part.length == 0 ? nil : Span(start: start + part.start, length: part.length)
    }
}

/// What the component tells of.
enum ClientEvent: Sendable {
    case message(IncomingMessage)
    case sessionStarted(ConnectionInfo)
    case error(RealtimeError)
    case close(CloseEvent)
    case state(StateChange)
    case lagged(Lagged)
    /// One that this version does not know.
    case unknown

    /// What a listener for such an event gets.
    var value: any Sendable {
        switch self {
        case let .message(value): value
        case let .sessionStarted(value): value
        case let .error(value): value
        case let .close(value): value
        case let .state(value): value
        case let .lagged(value): value
        case .unknown: ()
        }
    }
}

/// Reads what `pack.rs` writes, which says how it looks.
struct Reader {
    let batch: Data
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    /// The bytes are those of the batch, which outlives this.
    init(_ batch: Data, _ bytes: UnsafeRawBufferPointer) {
        self.batch = batch
        self.bytes = bytes
    }

    var hasMore: Bool { at < bytes.count }

    mutating func u8() -> UInt8 {
        defer { at += 1 }
        return bytes[at]
    }

    private mutating func number<T: FixedWidthInteger>(_: T.Type) -> T {
        defer { at += MemoryLayout<T>.size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: T.self))
    }

    mutating func u64() -> UInt64 { number(UInt64.self) }

    mutating func size() -> Int { Int(number(UInt32.self)) }

    mutating func text() -> Span {
        let length = size()
        defer { at += length }
        return Span(start: at, length: length)
    }

    mutating func place() -> Span {
        let start = size()
        return Span(start: start, length: size())
    }

    mutating func string() -> String {
        let span = text()
        return String(decoding: bytes[span.start..<span.start + span.length], as: UTF8.self)
    }

    mutating func presence() -> PresenceMessage {
        let status = string()
        let hasCode = u8() != 0
        let code = number(Int64.self)
        let connectionId = string()
        let subject = string()
        let count = size()
        return PresenceMessage(
            status: status, code: hasCode ? code : nil, connectionId: connectionId, subject: subject,
            permissions: (0..<count).map { _ in string() })
    }

    mutating func error() -> RealtimeError {
        let kind = RealtimeError.Kind(rawValue: number(Int32.self)) ?? .internal
        let message = string()
        return RealtimeError(kind, message, topic: u8() != 0 ? string() : nil)
    }

    mutating func event(_ client: RealtimeClient) -> ClientEvent {
        switch u8() {
        case 0:
            return .message(IncomingMessage(client, &self))
        case 1:
            let id = string()
            let appId = string()
            return .sessionStarted(ConnectionInfo(id: id, appId: appId, remoteAddress: string()))
        case 2:
            return .error(error())
        case 3:
            let code = number(UInt16.self)
            let willReconnect = u8() != 0
            return .close(CloseEvent(code: code, reason: string(), willReconnect: willReconnect))
        case 4:
            let from = State(rawValue: string()) ?? .idle
            let to = State(rawValue: string()) ?? .idle
            return .state(StateChange(from: from, to: to, reason: string()))
        case 5:
            return .lagged(Lagged(dropped: u64()))
        default:
            return .unknown
        }
    }
}
