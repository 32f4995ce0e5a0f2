import Foundation
internal import RealtimePubSubGenerated

/// A message as `outgoing.rs` wants it: all texts in one, and how long each is.
struct Outgoing: Sendable {
    static let send: UInt32 = 8
    static let reply: UInt32 = 16
    private static let compress: UInt32 = 1
    private static let hasType: UInt32 = 2
    private static let hasId: UInt32 = 4

    let text: String
    let head: Head

    init(kind: UInt32 = 0, topic: String, messageType: String?, id: String?, payload: String, compress: Bool) {
        var flags = kind
        if compress { flags |= Self.compress }
        if messageType != nil { flags |= Self.hasType }
        if id != nil { flags |= Self.hasId }
        text = topic + (messageType ?? "") + (id ?? "") + payload
        head = Head(
            flags: flags, topic: UInt32(topic.utf8.count), messageType: UInt32(messageType?.utf8.count ?? 0),
            id: UInt32(id?.utf8.count ?? 0))
    }

    /// All messages in one, each after the numbers of its head and its length.
    static func batch(_ messages: [OutgoingMessage]) -> Data {
        var packed = Data()
        for message in messages {
            let outgoing = Outgoing(
                topic: message.topic, messageType: message.messageType, id: message.id, payload: message.payload,
                compress: message.compress)
            let (head, text) = (outgoing.head, outgoing.text.utf8)
            for number in [head.flags, head.topic, head.messageType, head.id, UInt32(text.count)] {
                withUnsafeBytes(of: number.littleEndian) { packed.append(contentsOf: $0) }
            }
            packed.append(contentsOf: text)
        }
        return packed
    }
}
