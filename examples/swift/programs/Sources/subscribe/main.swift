// Prints the messages of a topic, until Ctrl-C.
import Place
import RealtimePubSub

let place = try Place()
let client = try place.client("subscribe")
let messages = try client.messages("\(place.topic).*")
let printing = Task {
    for await message in messages { say("\(message.messageType) \(message.payload)") }
}
try await client.connect()
try await client.subscribeRemoteTopic(place.topic)
say("subscribed to \(place.topic); publish with: publish '\(try place.url("publish"))'")
await untilInterrupted()
printing.cancel()
await client.disconnect()
