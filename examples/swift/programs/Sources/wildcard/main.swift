// Listening with wildcards: `*` is one segment of the event's name, `**` any number.
import Foundation
import Place
import RealtimePubSub

let place = try Place()
let client = try place.client("wildcard")
for pattern in ["chat.*", "*.join", "chat.room.**", "**"] {
    try client.on(pattern) { message in
        print("\(pattern.padding(toLength: 14, withPad: " ", startingAt: 0))\(message.topic).\(message.messageType)")
    }
}
try await client.connect()
for topic in ["chat", "chat.room"] { try await client.subscribeRemoteTopic(topic) }
for (topic, type) in [("chat", "text-message"), ("chat", "join"), ("chat.room", "leave")] {
    print("\npublishing \(topic).\(type)")
    // It listens from here on, so the message can't be missed.
    let messages = try client.messages("\(topic).\(type)")
    try await client.publishJSON(topic, "null", messageType: type).waitForAck()
    for await _ in messages { break }
}
await client.disconnect()
