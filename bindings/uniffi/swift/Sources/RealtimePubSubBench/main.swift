// What things cost, see bench.sh. The numbers mean something in a release build only.
import Foundation
import RealtimePubSub

/// Prints a line at once, also into a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

let payload = String(repeating: "x", count: 128)

/// The best of some rounds, in nanoseconds for each of what one does.
func best(_ each: Int, rounds: Int = 8, _ round: () async throws -> Void) async rethrows -> Double {
    var best = Double.infinity
    for _ in 0..<rounds {
        let took = try await ContinuousClock().measure(round)
        best = min(best, Double(took.components.attoseconds) / 1e9 + Double(took.components.seconds) * 1e9)
    }
    return best / Double(each)
}

func both(_ what: String, _ call: @escaping @Sendable () async throws -> Void) async throws -> (one: Double, many: Double) {
    let one = try await best(2_000) { for _ in 0..<2_000 { try await call() } }
    let many = try await best(6_400) {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<64 {
                group.addTask { for _ in 0..<100 { try await call() } }
            }
            try await group.waitForAll()
        }
    }
    say("BENCH swift  \(what): \(Int(one)) ns one after the other, \(Int(many)) ns 64 at once")
    return (one, many)
}

func rounded(_ number: Double) -> String { String(format: "%.2f", number) }

let gateway = try LocalGateway()
let client = try RealtimeClient(gateway.urlWithToken("sender"))
try await client.connect()
let empty = try await both("an empty asynchronous crossing") { await Diagnostics.emptyCrossing() }
let answered = try await both("an empty one, answered by another thread") { try await Diagnostics.answeredCrossing() }
let acked = try await both("publish and its ack") { try await client.publish("nobody", payload).waitForAck() }
for (what, crossing) in [("two empty crossings", empty), ("two answered ones", answered)] {
    let (one, many) = (rounded(acked.one / crossing.one / 2), rounded(acked.many / crossing.many / 2))
    say("BENCH swift  publish and its ack, in \(what): \(one) one after the other, \(many) 64 at once")
}
let chunk = try (0..<1000).map { _ in try OutgoingMessage(topic: "load", payload, messageType: "n") }
func publishChunk() async throws { try await client.publishAll(chunk, timeout: .seconds(60)) }
say("BENCH swift  publish and its ack, in batches of 1,000: \(Int(try await best(1000) { try await publishChunk() })) ns")

let messages = 200_000
let receiver = try RealtimeClient(gateway.urlWithToken("receiver"))
try await receiver.connect()
try await receiver.subscribeRemoteTopic("load")
let (all, told) = AsyncStream<Void>.makeStream()
final class Count: @unchecked Sendable { var received = 0 }
let count = Count()  // Listeners run one at a time.
let listener = try receiver.on("load.n") { message in
    precondition(message.payload.utf8.count == 130)
    count.received += 1
    if count.received % messages == 0 { told.yield() }
}
let listened = try await best(messages, rounds: 4) {
    for _ in 0..<messages / chunk.count { try await publishChunk() }
    for await _ in all { break }
}
say("BENCH swift  receiving, to a listener, thousand a second: \(Int(1e6 / listened))")
say("BENCH swift  crossings for 1,000 messages to a listener: \(rounded(Double(receiver.stats.batches) * 1000 / Double(count.received)))")
receiver.off(listener)
let looped = try await best(messages, rounds: 4) {
    let stream = try receiver.messages("load.n")
    let loop = Task.detached {
        var received = 0
        for await message in stream {
            precondition(message.payload.utf8.count == 130)
            received += 1
            if received == messages { break }
        }
    }
    for _ in 0..<messages / chunk.count { try await publishChunk() }
    await loop.value
}
say("BENCH swift  receiving, as a sequence, thousand a second: \(Int(1e6 / looped))")
