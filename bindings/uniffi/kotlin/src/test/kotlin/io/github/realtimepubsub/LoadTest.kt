package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.liveClients
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.lang.ref.WeakReference
import kotlin.time.Duration.Companion.seconds

class LoadTest {
    private val count = 100_000

    private suspend fun publish(client: RealtimeClient) {
        for (chunk in (0 until count).chunked(1000)) {
            client.publishAll(chunk.map { OutgoingMessage("load", "$it", "n") }, timeout = 60.seconds)
        }
    }

    @Test
    fun `a hundred thousand messages in order, to a listener`() = test(within = 300.seconds) {
        val receiver = connected("receiver")
        val done = collector<Int>()
        var next = 0
        receiver.on("load.n") { message ->
            assertEquals("${next++}", message.payload)
            if (next == count) done.send(next)
        }
        receiver.on(ControlEvent.Error) { done.close(it) }
        receiver.subscribeRemoteTopic("load")
        publish(connected("sender"))
        assertEquals(count, done.receive())
        println("kotlin: batches for 1,000 messages to a listener: ${receiver.stats().batches.toDouble() * 1000 / count}")
    }

    @Test
    fun `a hundred thousand messages in order, to a flow that takes its time`() = test(within = 300.seconds) {
        val receiver = connected("receiver", options = ClientOptions(inboxMessages = 1000))
        receiver.subscribeRemoteTopic("load")
        val got = scope.async(start = CoroutineStart.UNDISPATCHED) {
            var next = 0
            receiver.messages("load.n").take(count).collect {
                assertEquals("${next++}", it.payload)
                if (next % 1000 == 0) yield()
            }
            next
        }
        publish(connected("sender"))
        assertEquals(count, got.await())
        assertEquals(0uL, receiver.stats().dropped)
    }

    @Test
    fun `publishes of many coroutines are acknowledged`() = test {
        val client = connected("sender")
        coroutineScope {
            List(64) { async { repeat(50) { client.publish("nobody", it).waitForAck() } } }.awaitAll()
        }
        assertEquals(3200uL, client.stats().messagesSent)
        collect { client.stats().receipts == 0uL }
    }

    @Test
    fun `a client that is closed with everything open ends it all`() = test {
        gateway.dropAcks()
        val client = connected("alice")
        val waiter = client.publish("nobody", 1)
        val opened = listOf<suspend () -> Any?>(
            { waiter.waitForAck(60.seconds) },
            { waiter.waitForReply(60.seconds) },
            { client.waitFor("never.comes", 60.seconds) },
        ).map { scope.async(start = CoroutineStart.UNDISPATCHED) { runCatching { it() } } }
        val flow = scope.async(start = CoroutineStart.UNDISPATCHED) { client.messages("a.*").toList() }
        client.on("a.*") { client.flush() }
        client.serve("a", "b") { "c" }
        gateway.failConnects(ConnectFault.HalfOpen)
        val late = client("bob")
        val begins = scope.async(start = CoroutineStart.UNDISPATCHED) { late.waitFor(ControlEvent.State) }
        val connecting = scope.async(start = CoroutineStart.UNDISPATCHED) { runCatching { late.connect(60.seconds) } }
        begins.await()
        client.close()
        late.close()
        for (wait in opened + connecting) {
            val error = wait.await().exceptionOrNull()
            assertTrue(error is RealtimeException.Closed, "$error")
        }
        assertEquals(emptyList<IncomingMessage>(), flow.await())
    }

    @Test
    fun `a client that is dropped with everything open is collected`() = test {
        val before = liveClients()
        val dropped = dropOne()
        collect { dropped.get() == null && liveClients() <= before }
    }

    /** In a function of its own, so that nothing is left on the stack. */
    private suspend fun Fixture.dropOne(): WeakReference<RealtimeClient> {
        val client = RealtimeClient(gateway.urlWithToken("alice"))
        // A circle: the listener holds its client.
        client.on("chat.*") { client.flush() }
        client.on(ControlEvent.State) { check(it.to != State.FAILED) { client } }
        client.connect()
        client.subscribeRemoteTopic("chat")
        client.serve("a", "b") { client.state.name }
        client.publish("chat", 1, messageType = "x").waitForAck()
        client.publish("chat", 2)
        return WeakReference(client)
    }

    @Test
    fun `ten thousand clients leave nothing behind`() = test(within = 300.seconds) {
        val before = liveClients()
        repeat(40) { round ->
            coroutineScope {
                repeat(250) {
                    launch {
                        // Every tenth connects: 1,000 connections are as many as the rest need.
                        val client = RealtimeClient(gateway.urlWithToken("user$round"))
                        client.on("a.*") { client.flush() }
                        if (it % 10 == 0) {
                            client.connect()
                            client.publish("a", 1).waitForAck()
                        }
                        // Half are closed, half are left to the collector.
                        if (it % 2 == 0) client.close()
                    }
                }
            }
        }
        collect { liveClients() <= before && gateway.connections.isEmpty() }
    }

    /** Has the garbage collected until it is so; the test's own time limit ends it. */
    private suspend fun collect(until: () -> Boolean) {
        while (!until()) {
            System.gc()
            yield()
        }
    }
}
