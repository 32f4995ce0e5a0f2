// Publishes each line of standard input to a topic, and ends when all are acknowledged.
import Place
import RealtimePubSub

let place = try Place()
// At least once: a publish that is not acknowledged is written again after a reconnect.
var options = ClientOptions()
options.retry = true
let client = try place.client("publish", options: options)
try await client.connect()
var published: [WaitFor] = []
while let line = readLine() {
    published.append(try await client.publish(place.topic, line, messageType: "line"))
}
for waiter in published { try await waiter.waitForAck() }
print("\(published.count) lines acknowledged")
await client.disconnect()
