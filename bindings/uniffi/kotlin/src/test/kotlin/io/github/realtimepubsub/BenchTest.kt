package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.answeredCrossing
import io.github.realtimepubsub.ffi.emptyCrossing
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.condition.EnabledIfSystemProperty
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/** What things cost, see `bench.sh`. The numbers mean something in a release build only. */
@EnabledIfSystemProperty(named = "bench", matches = "true")
class BenchTest {
    private val payload = "x".repeat(128)

    /** The best of some rounds, in nanoseconds for each of what one does. */
    private suspend fun best(each: Int, rounds: Int = 8, round: suspend () -> Unit): Double {
        var best = Double.MAX_VALUE
        repeat(rounds) {
            val started = System.nanoTime()
            round()
            best = minOf(best, (System.nanoTime() - started).toDouble() / each)
        }
        return best
    }

    private suspend fun both(what: String, call: suspend () -> Unit): Pair<Double, Double> {
        val one = best(2_000) { repeat(2_000) { call() } }
        val many = best(6_400) { coroutineScope { repeat(64) { launch { repeat(100) { call() } } } } }
        println("BENCH kotlin %-44s %8.0f ns one after the other, %8.0f ns 64 at once".format(what, one, many))
        return one to many
    }

    @Test
    fun bench() = test(within = 10.minutes) {
        val client = connected("sender")
        val empty = both("an empty asynchronous crossing") { emptyCrossing() }
        val answered = both("an empty one, answered by another thread") { answeredCrossing() }
        val acked = both("publish and its ack") { client.publish("nobody", payload).waitForAck() }
        for ((what, crossing) in listOf("two empty crossings" to empty, "two answered ones" to answered)) {
            println(
                "BENCH kotlin publish and its ack, in %s: %.2f one after the other, %.2f 64 at once"
                    .format(what, acked.first / crossing.first / 2, acked.second / crossing.second / 2),
            )
        }
        val chunk = List(1000) { OutgoingMessage.of("load", payload, "n") }
        val batch = best(1000) { client.publishAll(chunk, timeout = 60.seconds) }
        println("BENCH kotlin publish and its ack, in batches of 1,000 %8.0f ns".format(batch))

        val messages = 200_000
        val receiver = connected("receiver")
        receiver.subscribeRemoteTopic("load")
        val all = collector<Unit>()
        var received = 0
        val listener = receiver.on("load.n") { message ->
            check(message.payload.length == payload.length + 2)
            if (++received % messages == 0) all.send(Unit)
        }
        val before = receiver.stats().batches
        val listened = best(messages, rounds = 4) {
            repeat(messages / chunk.size) { client.publishAll(chunk, timeout = 60.seconds) }
            all.receive()
        }
        val batches = (receiver.stats().batches - before).toDouble() * 1000 / received
        println("BENCH kotlin receiving, to a listener, thousand a second: %.0f".format(1e6 / listened))
        println("BENCH kotlin crossings for 1,000 messages to a listener: %.1f".format(batches))
        receiver.off(listener)
        val flowed = best(messages, rounds = 4) {
            val got = scope.async(start = CoroutineStart.UNDISPATCHED) {
                receiver.messages("load.n").take(messages).collect { check(it.payload.length == payload.length + 2) }
            }
            repeat(messages / chunk.size) { client.publishAll(chunk, timeout = 60.seconds) }
            got.await()
        }
        println("BENCH kotlin receiving, as a flow, thousand a second: %.0f".format(1e6 / flowed))
    }
}
