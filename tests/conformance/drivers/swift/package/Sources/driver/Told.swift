// What the runner is told: JSON text, payloads as they came.
import Foundation
import RealtimePubSub

func quote(_ text: String?) -> String {
    guard let text else { return "null" }
    var out = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": out += "\\\""
        case "\\": out += "\\\\"
        case _ where scalar.value < 0x20: out += String(format: "\\u%04x", scalar.value)
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out + "\""
}

private let output = NSLock()

func say(_ line: String) {
    output.withLock { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}

func told(_ error: RealtimeError) -> String {
    "\"number\":\(error.number),\"message\":\(quote(error.message)),\"topic\":\(quote(error.topic))"
}

func told(_ info: ConnectionInfo) -> String {
    "\"id\":\(quote(info.id)),\"app_id\":\(quote(info.appId)),\"remote_address\":\(quote(info.remoteAddress))"
}

func told(_ permissions: [String]) -> String { "[" + permissions.map(quote).joined(separator: ",") + "]" }

/// The sender is JSON as it came; its names are the wire's.
private struct Sender: Decodable {
    let connectionId: String?
    let subject: String?
    let permissions: [String]?
}

func told(_ message: IncomingMessage) -> String {
    var sender = "null"
    if let json = message.sender, let read = try? JSONDecoder().decode(Sender.self, from: Data(json.utf8)) {
        sender = "{\"connection_id\":\(quote(read.connectionId)),\"subject\":\(quote(read.subject)),"
            + "\"permissions\":\(told(read.permissions ?? []))}"
    }
    var presence = "null"
    if let read = message.dataAsPresence() {
        presence = "{\"status\":\(quote(read.status)),\"connection_id\":\(quote(read.connectionId)),"
            + "\"subject\":\(quote(read.subject)),\"permissions\":\(told(read.permissions))}"
    }
    return "{\"kind\":\"message\",\"topic\":\(quote(message.topic)),\"message_type\":\(quote(message.messageType)),"
        + "\"payload\":\(message.payload),\"id\":\(quote(message.id)),\"compression\":\(message.compression),"
        + "\"sender\":\(sender),\"presence\":\(presence)}"
}

func told(_ reply: ResponseMessage) -> String {
    "{\"id\":\(quote(reply.id)),\"status\":\(quote(reply.status)),\"data\":\(reply.data)}"
}

func told(_ stats: Stats) -> String {
    "{\"sessions\":\(stats.sessions),\"failed_attempts\":\(stats.failedAttempts),\"messages_sent\":\(stats.messagesSent),"
        + "\"messages_received\":\(stats.messagesReceived),\"acks\":\(stats.acks),\"replies\":\(stats.replies),"
        + "\"unmatched\":\(stats.unmatched),\"dropped\":\(stats.dropped),\"duplicates\":\(stats.duplicates),"
        + "\"unreadable\":\(stats.unreadable),\"lost\":\(stats.lost),\"outbox_messages\":\(stats.outboxMessages),"
        + "\"inbox_len\":\(stats.inboxLen),\"receipts\":\(stats.receipts),\"waits\":\(stats.waits)}"
}

func toldEvent(_ event: any Sendable) -> String {
    switch event {
    case let message as IncomingMessage: told(message)
    case let info as ConnectionInfo: "{\"kind\":\"session.started\",\(told(info))}"
    case let error as RealtimeError: "{\"kind\":\"error\",\(told(error))}"
    case let close as CloseEvent:
        "{\"kind\":\"close\",\"code\":\(close.code),\"reason\":\(quote(close.reason)),\"will_reconnect\":\(close.willReconnect)}"
    case let change as StateChange:
        "{\"kind\":\"state\",\"from\":\(quote(change.from.rawValue)),\"to\":\(quote(change.to.rawValue)),\"reason\":\(quote(change.reason))}"
    case let lagged as Lagged: "{\"kind\":\"lagged\",\"dropped\":\(lagged.dropped)}"
    default: "{\"kind\":\"unknown\"}"
    }
}
