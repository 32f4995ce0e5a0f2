// Answers requests on `secure/inbound` (what clients send) and on the topic `math`, until Ctrl-C.
import Place
import RealtimePubSub

struct NewUser: Codable { var name: String? }
struct User: Codable {
    var id: Int
    var name: String
}
struct Refused: Error, CustomStringConvertible { var description: String }

let place = try Place()
let client = try place.client("rpc-server")
try await client.connect()
let users = try await client.serve("secure/inbound", "create-user") { message in
    guard let name = try message.decode(NewUser.self).name else { throw Refused(description: "a user needs a name") }
    return User(id: 1, name: name)
}
let sums = try await client.serve("math", "add") { message in
    try message.decode([Double].self).reduce(0, +)
}
say("serving; ask with: rpc_client '\(try place.url("rpc-client"))'")
await untilInterrupted()
withExtendedLifetime((users, sums)) {}
await client.disconnect()
