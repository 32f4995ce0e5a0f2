package io.github.realtimepubsub

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import kotlin.coroutines.Continuation
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.coroutines.startCoroutine
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

class ClientTest {
    @Serializable
    data class Order(val item: String, val count: Long)

    @Test
    fun `connects, and session started is told and kept`() = test {
        val client = client("alice")
        assertEquals(State.IDLE, client.state)
        val told = collector<ConnectionInfo>()
        client.on(ControlEvent.SessionStarted) { told.send(it) }
        val info = client.connect()
        assertEquals(info, told.receive())
        assertEquals(State.CONNECTED, client.state)
        assertEquals(info, client.connection)
        assertEquals("local", info.appId)
        assertEquals(info, client.waitFor(ControlEvent.SessionStarted, 1.milliseconds))
        assertEquals(info.id, gateway.connections.single().id)
    }

    @Test
    fun `publishes, acks, replies`() = test {
        val alice = connected("alice")
        val bob = connected("bob")
        bob.on("orders.new") { message ->
            val order = message.decode<Order>()
            message.reply(order.copy(count = order.count + 1)).waitForAck()
        }
        bob.subscribeRemoteTopic("orders")
        assertEquals(listOf("orders"), bob.subscriptions)
        val waiter = alice.publish("orders", Order("ünï", 9_007_199_254_740_993), messageType = "new")
        waiter.waitForAck()
        val reply = waiter.waitForReply()
        assertEquals("ok", reply.status)
        assertEquals(Order("ünï", 9_007_199_254_740_994), reply.decode<Order>())
        assertEquals("9007199254740994", reply.dataAsMap().getValue("count").toString())
        assertEquals("response", reply.message.messageType)
        // An answer that is there already is not missed.
        waiter.waitForAck()
    }

    @Test
    fun `a message says what it is`() = test {
        val client = connected("alice")
        val told = collector<IncomingMessage>()
        client.on("chat.**") { told.send(it) }
        client.subscribeRemoteTopic("chat")
        client.publish("chat", "hi", messageType = "a.b", id = "my-id", compress = true)
        val message = told.receive()
        assertEquals(listOf("chat", "a.b", "my-id"), listOf(message.topic, message.messageType, message.id))
        assertTrue(message.compression)
        assertEquals("\"hi\"", message.payload)
        assertEquals("hi", message.decode<String>())
        assertEquals(JsonPrimitive("alice"), message.dataAsMap().getValue("client").jsonObject.getValue("subject"))
        assertNull(message.dataAsPresence())
        assertFails<RealtimeException.InvalidArgument> { message.decode<Order>() }
        client.publish("chat", null as String?)
        told.receive().let { assertEquals("null" to "broadcast", it.payload to it.messageType) }
    }

    @Test
    fun `sends to the application, which may reply`() = test {
        val app = connected("app")
        app.on("secure/inbound.create-user") { it.reply("created", status = "done") }
        app.subscribeRemoteTopic("secure/inbound")
        val user = connected("user")
        val waiter = user.send(mapOf("name" to "John"), messageType = "create-user")
        waiter.waitForAck()
        assertEquals("done" to "created", waiter.waitForReply().let { it.status to it.decode<String>() })
    }

    @Test
    fun `presence`() = test {
        val app = connected("app")
        app.subscribeRemoteTopic("secure/inbound")
        val told = collector<PresenceMessage?>()
        app.on("secure/inbound.presence") { told.send(it.dataAsPresence()) }
        val user = connected("user", permissions = listOf("realtime:publisher:write:topic:*"))
        val id = user.connection?.id
        val came = told.receive()
        assertEquals(PresenceMessage("connected", 0, id!!, "user", listOf("realtime:publisher:write:topic:*")), came)
        user.disconnect()
        assertEquals("disconnected" to -1L, told.receive().let { it?.status to it?.code })
    }

    @Test
    fun `wildcards, once and off`() = test {
        val client = connected("alice")
        val told = collector<String>()
        client.on("chat.*") { told.send("one:${it.decode<Int>()}") }
        client.on("**") { told.send("all:${it.decode<Int>()}") }
        client.once("chat.*") { told.send("once:${it.decode<Int>()}") }
        val gone = client.on("chat.*") { told.send("off:${it.decode<Int>()}") }
        assertTrue(client.off(gone))
        assertFalse(client.off(gone))
        client.subscribeRemoteTopic("chat")
        client.publish("chat", 1, messageType = "x")
        client.publish("chat", 2, messageType = "x.y")
        client.publish("chat", 3, messageType = "x")
        val all = List(6) { told.receive() }
        assertEquals(listOf("one:1", "all:1", "once:1", "all:2", "one:3", "all:3"), all)
        assertFails<RealtimeException.InvalidArgument> { client.on("error") {} }
        assertFails<RealtimeException.InvalidArgument> { client.on("") {} }
    }

    @Test
    fun `a listener that throws is an error event, and the others still run`() = test {
        val client = connected("alice")
        val told = collector<String>()
        val errors = collector<RealtimeException>()
        client.on(ControlEvent.Error) { errors.send(it) }
        client.on(ControlEvent.Error) { error("an error listener that throws is not told of it") }
        client.on("chat.x") { error("oh no") }
        client.on("chat.x") { told.send("after") }
        client.subscribeRemoteTopic("chat")
        repeat(2) {
            client.publish("chat", 1, messageType = "x")
            assertEquals("after", told.receive())
            val error = errors.receive()
            assertTrue(error is RealtimeException.Internal && "oh no" in error.message!!, error.toString())
        }
        assertTrue(errors.tryReceive().isFailure)
    }

    @Test
    fun `a listener may wait for acks and replies, and close its client`() = test {
        val client = connected("alice")
        val done = collector<String>()
        client.on("chat.ask") { message ->
            client.publish("chat", 1, messageType = "other").waitForAck()
            val asked = client.publish("chat", 2, messageType = "echo")
            // Its own listener runs only after this one, so nobody replies.
            assertFails<RealtimeException.Timeout> { asked.waitForReply(10.milliseconds) }
            message.reply("yes").waitForAck()
            client.disconnect()
            done.send(client.state.name)
        }
        client.subscribeRemoteTopic("chat")
        client.publish("chat", 0, messageType = "ask")
        assertEquals("CLOSED", done.receive())
    }

    @Test
    fun `a cancelled wait is freed at once, whatever it waits for`() = test {
        gateway.dropAcks()
        val client = connected("alice")
        val waiter = client.publish("nobody", 1)
        val waits = listOf<suspend () -> Any?>(
            { waiter.waitForAck(60.seconds) },
            { waiter.waitForReply(60.seconds) },
            { waiter.replies(60.seconds).toList() },
            { client.waitFor("never.comes", 60.seconds) },
            { client.waitFor(ControlEvent.Lagged, 60.seconds) },
        )
        val jobs = waits.map { wait -> scope.launch(start = CoroutineStart.UNDISPATCHED) { wait() } }
        assertEquals(waits.size.toULong(), client.stats().waits)
        jobs.forEach { it.cancel() }
        jobs.forEach { it.join() }
        assertEquals(0uL, client.stats().waits)

        val flow = scope.async(start = CoroutineStart.UNDISPATCHED) { client.messages("never.*").first() }
        flow.cancel()
        assertFails<CancellationException> { flow.await() }
        gateway.failConnects(ConnectFault.HalfOpen)
        val late = client("bob")
        val begins = scope.async(start = CoroutineStart.UNDISPATCHED) { late.waitFor(ControlEvent.State) }
        val connecting = scope.async { late.connect() }
        begins.await()
        connecting.cancel()
        assertFails<CancellationException> { connecting.await() }
    }

    @Test
    fun `waits time out, and say so`() = test {
        gateway.dropAcks()
        val client = connected("alice", options = ClientOptions(waitTimeout = 20.milliseconds))
        val waiter = client.publish("nobody", 1)
        val error = assertFails<RealtimeException.Timeout> { waiter.waitForAck() }
        assertEquals(-4 to ErrorKind.TIMEOUT, error.number to error.kind)
        assertFails<RealtimeException.Timeout> { waiter.waitForReply(1.milliseconds) }
        assertFails<RealtimeException.Timeout> { client.waitFor("never.comes") }
        assertEquals(emptyList<ResponseMessage>(), waiter.replies().toList())
        assertFails<RealtimeException.Timeout> { client.publishAll(listOf(OutgoingMessage("nobody", "1"))) }
    }

    @Test
    fun `reconnects and resubscribes by itself`() = test {
        val options = patient(backoff = Backoff(min = 1.milliseconds, max = 5.milliseconds))
        val client = connected("alice", options = options)
        val before = client.connection?.id
        client.subscribeRemoteTopic("chat")
        val told = collector<Int>()
        client.on("chat.x") { told.send(it.decode()) }
        val states = collector<StateChange>()
        val closes = collector<CloseEvent>()
        val sessions = collector<ConnectionInfo>()
        client.on(ControlEvent.State) { states.send(it) }
        client.on(ControlEvent.Close) { closes.send(it) }
        client.on(ControlEvent.SessionStarted) { sessions.send(it) }
        gateway.dropAcks()
        val lost = client.publish("chat", 0)
        client.flush()
        gateway.clearFaults()
        gateway.kick(code = 4321, reason = "go away")
        assertFails<RealtimeException.ConnectionLost> { lost.waitForAck() }
        assertEquals(CloseEvent(4321, "go away", true), closes.receive())
        assertNotEquals(before, sessions.receive().id)
        assertEquals(State.RECONNECTING, states.receive().to)
        client.publish("chat", 7, messageType = "x").waitForAck()
        assertEquals(7, told.receive())
    }

    @Test
    fun `a forbidden topic is named, and the others live on`() = test {
        val permissions = listOf("realtime:publisher:write:topic:*")
        val options = patient(backoff = Backoff(min = 1.milliseconds, max = 5.milliseconds))
        val client = connected("alice", permissions, options)
        client.subscribeRemoteTopic("chat")
        val error = assertFails<RealtimeException.Forbidden> { client.subscribeRemoteTopic("secure/secret") }
        assertEquals("secure/secret", error.topic)
        assertEquals(listOf("chat"), client.subscriptions)
        client.waitFor(ControlEvent.SessionStarted)
        val got = scope.async(start = CoroutineStart.UNDISPATCHED) { client.waitFor("chat.x") }
        client.publish("chat", "still here", messageType = "x")
        assertEquals("still here", got.await().decode<String>())
    }

    @Test
    fun `serves and requests`() = test {
        val server = connected("server")
        val serving = server.serve("math", "double") { message ->
            val number = message.decode<Int>()
            require(number < 100) { "too large" }
            number * 2
        }
        val client = connected("client")
        assertEquals(42, client.request("math", 21, messageType = "double").decode<Int>())
        val refused = client.request("math", 100, messageType = "double")
        assertEquals("error" to "too large", refused.status to refused.decode<String>())
        serving.close()
        assertFails<RealtimeException.Timeout> { client.request("math", 1, "double", timeout = 20.milliseconds) }
    }

    @Test
    fun `several replies`() = test {
        val asker = connected("asker")
        repeat(3) { number ->
            val peer = connected("peer$number")
            peer.on("who.there") { it.reply(number) }
            peer.subscribeRemoteTopic("who")
        }
        val replies = asker.publish("who", "?", messageType = "there").replies(30.seconds).take(3).toList()
        assertEquals(setOf(0, 1, 2), replies.map { it.decode<Int>() }.toSet())
    }

    @Test
    fun `the url provider is asked, and its failure is told`() = test {
        var asked = 0
        val client = RealtimeClient {
            asked++
            check(asked > 1) { "no token yet" }
            gateway.urlWithToken("alice")
        }
        clients += client
        val errors = collector<RealtimeException>()
        client.on(ControlEvent.Error) { errors.send(it) }
        client.connect()
        val error = errors.receive()
        assertTrue(error is RealtimeException.UrlProviderFailed && "no token yet" in error.message!!, error.toString())
        assertEquals(2, asked)
    }

    @Test
    fun `what can't be done is said`() = test {
        val client = client("alice")
        assertFails<RealtimeException.NotConnected> { client.publish("chat", 1) }
        assertFails<RealtimeException.NotConnected> { client.flush() }
        client.connect()
        assertFails<RealtimeException.InvalidArgument> { client.publishJson("chat", "{no json") }
        assertFails<RealtimeException.InvalidArgument> { client.publish("", 1) }
        assertFails<RealtimeException.MessageTooLarge> { client.publish("chat", "x".repeat(2_000_000)) }
        client.disconnect()
        assertFails<RealtimeException.Closed> { client.publish("chat", 1) }
        client.connect()
        client.publish("chat", 1).waitForAck()
        client.close()
        assertFails<RealtimeException.Closed> { client.connect() }
        assertFails<RealtimeException> { client.publish("chat", 1) }
        assertFails<RealtimeException.Closed> { client.on("a.b") {} }
        assertEquals(State.CLOSED, client.state)
        client.disconnect()
        assertFails<RealtimeException.InvalidArgument> { RealtimeClient("http://x") }
        gateway.failConnects(ConnectFault.Refuse(403))
        val refused = client("bob", options = patient(maxRetries = 0))
        assertFails<RealtimeException.HandshakeFailed> { refused.connect() }
    }

    @Test
    fun `rest messages can't be replied to`() = test {
        val client = connected("alice")
        val told = collector<IncomingMessage>()
        client.on("main.note") { told.send(it) }
        gateway.sendText(Target.All, """{"topic":"main","messageType":"note","data":"from REST"}""")
        val message = told.receive()
        assertEquals("from REST", message.decode<String>())
        assertNull(message.sender)
        assertFails<RealtimeException.NotReplyable> { message.reply("?") }
    }

    @Test
    fun `coroutines without a dispatcher leave the connection's thread alone`() = test {
        val client = connected("alice")
        suspend fun use(): String {
            client.publish("chat", 1).waitForAck()
            client.flush()
            return Thread.currentThread().name
        }
        val threads = collector<Result<String>>()
        withContext(Dispatchers.Unconfined) { threads.send(runCatching { use() }) }
        ::use.startCoroutine(Continuation(EmptyCoroutineContext) { threads.trySend(it) })
        repeat(2) { threads.receive().getOrThrow().let { assertFalse("realtime" in it, it) } }
    }

    @Test
    fun `logs go to a function, without tokens`() = test {
        val records = collector<LogRecord>()
        RealtimeLogs.forward(LogLevel.DEBUG) { records.trySend(it) }.use {
            val client = connected("alice")
            val number = client.number.toULong()
            withTimeout(120.seconds) {
                do {
                    val record = records.receive()
                    assertFalse("access_token" in record.message, record.message)
                } while (record.client != number)
            }
        }
    }
}
