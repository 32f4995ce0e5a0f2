// Asks what `rpc_server` answers.
import Place
import RealtimePubSub

struct NewUser: Codable { var name: String? }

let place = try Place()
let client = try place.client("rpc-client")
try await client.connect()

let waiter = try await client.send(NewUser(name: "John Doe"), messageType: "create-user")
try await waiter.waitForAck()
let user = try await waiter.waitForReply(timeout: .seconds(5))
print("create-user: \(user.status) \(user.data)")

let nameless = try await client.send(NewUser(), messageType: "create-user").waitForReply()
print("create-user: \(nameless.status) \(nameless.data)")

let sum = try await client.request("math", [1, 2, 39], messageType: "add", timeout: .seconds(5))
print("math add: \(sum.status) \(sum.data)")
await client.disconnect()
