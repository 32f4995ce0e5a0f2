// The seed's first program: connect, subscribe, publish, wait for the ack and for a reply.
import Place
import RealtimePubSub

let place = try Place()
let client = try place.client("basic")

try client.on("chat.text-message") { message in
    print("received \(message.payload) on \(message.topic)")
    try await message.reply("Got it!", status: "ok")
}
try client.on(.error) { print("error: \($0)") }
try client.on(.close) { print("closed: \($0)") }

let info = try await client.connect()
print("connected as \(info.id) from \(info.remoteAddress)")
try await client.subscribeRemoteTopic("chat")

let waiter = try await client.publish("chat", "Hello, World!", messageType: "text-message")
try await waiter.waitForAck(timeout: .seconds(5))
print("acknowledged")
let reply = try await waiter.waitForReply(timeout: .seconds(5))
print("reply \(reply.status): \(reply.data)")

await client.disconnect()
