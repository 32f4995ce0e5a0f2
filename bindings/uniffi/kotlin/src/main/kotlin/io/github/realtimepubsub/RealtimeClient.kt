package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.CoreClient
import io.github.realtimepubsub.ffi.raiseLast
import io.github.realtimepubsub.internal.Fast
import io.github.realtimepubsub.internal.Host
import io.github.realtimepubsub.internal.Listeners
import io.github.realtimepubsub.internal.Outgoing
import io.github.realtimepubsub.internal.Reader
import io.github.realtimepubsub.internal.Waits
import io.github.realtimepubsub.internal.crossing
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.launch
import kotlinx.serialization.serializer
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** The client's counters. */
public typealias Stats = io.github.realtimepubsub.ffi.CoreStats

/**
 * A client of Realtime Pub/Sub.
 *
 * ```
 * RealtimeClient { "wss://gateway.example/apps/my-app?access_token=${freshToken()}" }.use { client ->
 *     client.on("chat.*") { message -> message.reply("Got it!") }
 *     client.connect()
 *     client.subscribeRemoteTopic("chat")
 *     val waiter = client.publish("chat", "Hello, World!", messageType = "text-message")
 *     waiter.waitForAck()
 *     println(waiter.waitForReply().decode<String>())
 *     client.disconnect()
 * }
 * ```
 *
 * Thread-safe. What suspends can be cancelled, and frees what it held at once. Closing it, or losing the last reference
 * to it, ends the connection in the background; [disconnect] waits for that.
 */
public class RealtimeClient private constructor(
    url: String?,
    internal val urlProvider: (suspend () -> String)?,
    private val options: ClientOptions,
) : AutoCloseable {
    /** A client for this URL: `ws(s)://host/apps/ID?access_token=TOKEN`. */
    @JvmOverloads
    public constructor(url: String, options: ClientOptions = ClientOptions()) : this(url, null, options)

    /** A client that asks for the URL at each attempt to connect, because tokens expire. */
    public constructor(options: ClientOptions = ClientOptions(), urlProvider: suspend () -> String) :
        this(null, urlProvider, options)

    private val core: CoreClient = mapped { CoreClient(url, options.settings(), Host(this)) }
    internal val handle: Long = core.fastHandle().toLong()
    private val tag = Fast.attach(this, handle)
    internal val scope = CoroutineScope(SupervisorJob() + options.dispatcher)
    private val numbers = AtomicLong()
    private val listeners = Listeners(core)
    private val waits = Waits(handle)
    internal val servings = ConcurrentHashMap<Long, suspend (IncomingMessage) -> String>()
    internal val waitTimeout: Duration get() = options.waitTimeout ?: 5.seconds

    // ---- connecting

    /**
     * Connects, and returns once the session has started. Keeps the client connected from then on. It tries until the
     * timeout (30 s unless given), then fails with the last cause.
     */
    public suspend fun connect(timeout: Duration? = null): ConnectionInfo =
        crossing { core.connect(timeout.ms(), null) }.let { ConnectionInfo(it.id, it.appId, it.remoteAddress) }

    /** Begins to connect, and goes on for as long as it takes. */
    public fun start(): Unit = mapped { core.start() }

    /** Writes what is queued, closes the connection and ends all waits. The client can connect again. */
    public suspend fun disconnect(timeout: Duration? = null): Unit = crossing { core.disconnect(timeout.ms(), null) }

    /** Closes the client for good, in the background. Its listeners are let go. */
    override fun close() {
        core.shut()
        listeners.clear()
    }

    /** Where the client stands. */
    public val state: State get() = State.valueOf(core.state().name)

    /** The present session's connection; null without one. */
    public val connection: ConnectionInfo?
        get() = core.connection()?.let { ConnectionInfo(it.id, it.appId, it.remoteAddress) }

    // ---- sending

    /** Publishes to a topic. Where the queue is full, it waits for room. */
    public suspend inline fun <reified T> publish(
        topic: String,
        payload: T,
        messageType: String? = null,
        id: String? = null,
        compress: Boolean = false,
    ): WaitFor = publishJson(topic, json.encodeToString(serializer<T>(), payload), messageType, id, compress)

    /** Publishes JSON text. */
    public suspend fun publishJson(
        topic: String,
        payload: String,
        messageType: String? = null,
        id: String? = null,
        compress: Boolean = false,
    ): WaitFor = send(0, topic, messageType, id, payload, compress)

    /** Sends to the application: whoever may subscribe to `secure/inbound` gets it. */
    public suspend inline fun <reified T> send(
        payload: T,
        messageType: String? = null,
        id: String? = null,
        compress: Boolean = false,
    ): WaitFor = sendJson(json.encodeToString(serializer<T>(), payload), messageType, id, compress)

    /** Sends JSON text to the application. */
    public suspend fun sendJson(
        payload: String,
        messageType: String? = null,
        id: String? = null,
        compress: Boolean = false,
    ): WaitFor = send(Outgoing.SEND, "", messageType, id, payload, compress)

    /** Publishes and waits for the first reply. */
    public suspend inline fun <reified T> request(
        topic: String,
        payload: T,
        messageType: String? = null,
        timeout: Duration? = null,
    ): ResponseMessage = publish(topic, payload, messageType).waitForReply(timeout)

    /**
     * Publishes many messages in order, in one crossing into Rust, and waits until the gateway has taken them all,
     * unless [waitForAcks] is false. Fails with the first failure.
     */
    public suspend fun publishAll(
        messages: List<OutgoingMessage>,
        waitForAcks: Boolean = true,
        timeout: Duration? = null,
    ) {
        val batch = Outgoing.batch(messages)
        crossing { core.publishBatch(batch, waitForAcks, timeout.ms(), null) }
    }

    /** Returns when all that was published before has reached the gateway. */
    public suspend fun flush(): Unit = crossing { core.flush(null) }

    internal suspend fun send(
        kind: Int,
        topic: String,
        messageType: String?,
        id: String?,
        payload: String,
        compress: Boolean,
    ): WaitFor {
        val number = numbers.incrementAndGet()
        val message = Outgoing(kind, topic, messageType, id, payload, compress)
        when (val outcome = message.publish(handle, number)) {
            RealtimeException.QUEUE_FULL -> {
                // Takes back the error of the call, which is not to be thrown.
                runCatching { raiseLast() }
                crossing { core.publishWhenRoom(number.toULong(), message.head(), message.text(), null) }
            }
            else -> check(outcome)
        }
        return WaitFor(this, number)
    }

    // ---- remote topics

    /** Subscribes to a topic, now and after each reconnect; returns when the gateway has processed that. */
    public suspend fun subscribeRemoteTopic(topic: String): Unit = crossing { core.subscribe(topic, null) }

    /** Ends a subscription. */
    public suspend fun unsubscribeRemoteTopic(topic: String): Unit = crossing { core.unsubscribe(topic, null) }

    /** The topics that the client subscribes to in each session. */
    public val subscriptions: List<String> get() = core.subscriptions()

    // ---- listening

    /**
     * Calls the listener for every message whose name, `<topic>.<messageType>`, matches the pattern: `*` is one segment
     * between dots, `**` any number. Listeners of a client run one at a time, in order; they may suspend, publish and
     * wait. What one throws becomes an `error` event. Returns an id for [off].
     */
    public fun on(pattern: String, listener: suspend (IncomingMessage) -> Unit): Long =
        listeners.add(message(pattern), once = false) { listener(it as IncomingMessage) }

    /** Like [on], for the first message only. */
    public fun once(pattern: String, listener: suspend (IncomingMessage) -> Unit): Long =
        listeners.add(message(pattern), once = true) { listener(it as IncomingMessage) }

    /** Calls the listener for every such event, in its place among the messages: `on(ControlEvent.Close) { … }`. */
    @Suppress("UNCHECKED_CAST")
    public fun <T : Any> on(event: ControlEvent<T>, listener: suspend (T) -> Unit): Long =
        listeners.add(event.name, once = false) { listener(it as T) }

    /** Like [on], for the first event only. */
    @Suppress("UNCHECKED_CAST")
    public fun <T : Any> once(event: ControlEvent<T>, listener: suspend (T) -> Unit): Long =
        listeners.add(event.name, once = true) { listener(it as T) }

    /** Takes a listener off. Whether it was there. A call that is running goes on. */
    public fun off(listener: Long): Boolean = listeners.remove(listener)

    /**
     * The messages that match the pattern, from when the flow is collected, each collector with a queue of its own. The
     * queue is bounded: a collector that takes its time makes the gateway wait. Ends when the client is closed.
     */
    public fun messages(pattern: String): Flow<IncomingMessage> {
        message(pattern)
        return flow {
            val stream = mapped { core.messages(pattern) }
            try {
                while (true) {
                    val reader = Reader(crossing { stream.next(BATCH) })
                    if (!reader.hasMore) break
                    repeat(reader.i32()) { emit(IncomingMessage(this@RealtimeClient, reader)) }
                }
            } finally {
                stream.end()
                stream.close()
            }
        }
    }

    /** Waits for a message that matches the pattern. */
    public suspend fun waitFor(pattern: String, timeout: Duration? = null): IncomingMessage =
        waitForEvent(message(pattern), timeout) as IncomingMessage

    /** Waits for an event. `SessionStarted` in a running session is there at once. */
    @Suppress("UNCHECKED_CAST")
    public suspend fun <T : Any> waitFor(event: ControlEvent<T>, timeout: Duration? = null): T =
        waitForEvent(event.name, timeout) as T

    private suspend fun waitForEvent(name: String, timeout: Duration?): Any? =
        await { wait -> mapped { core.waitEvent(name, wait.toULong(), timeout.ms()?.toLong() ?: -1) } }

    /**
     * Answers every message of this topic and type with what the function returns, as a reply with status `ok`, or,
     * where it throws, with the message and status `error`. Subscribes to the topic. Up to 64 answers are worked on at
     * once. Ends when the returned value is closed.
     */
    public suspend inline fun <reified T> serve(
        topic: String,
        messageType: String,
        crossinline answer: suspend (IncomingMessage) -> T,
    ): AutoCloseable = serveJson(topic, messageType) { json.encodeToString(serializer<T>(), answer(it)) }

    /** Like [serve], with answers that are JSON text. */
    public suspend fun serveJson(
        topic: String,
        messageType: String,
        answer: suspend (IncomingMessage) -> String,
    ): AutoCloseable {
        val serving = numbers.incrementAndGet()
        servings[serving] = answer
        val end = AutoCloseable {
            servings.remove(serving)
            core.stopServing(serving.toULong())
        }
        try {
            crossing { core.serve(serving.toULong(), topic, messageType, null) }
        } catch (error: Throwable) {
            end.close()
            throw error
        }
        return end
    }

    /** What the client has done and holds. */
    public fun stats(): Stats = core.stats()

    /** A number that no other client of this process has: what is logged about it has it too. */
    public val number: Long by lazy { core.number().toLong() }

    // ---- what the component tells, through Fast and Host

    internal suspend fun await(begin: (wait: Long) -> Unit): Any? = waits.await(numbers.incrementAndGet(), begin)

    /** Throws the error of a fast call on this thread. */
    internal fun check(outcome: Int) {
        if (outcome != 0) mapped { raiseLast() }
    }

    internal fun onSettled(packed: ByteArray) {
        val reader = Reader(packed)
        while (reader.hasMore) waits.settle(reader.u8(), reader, this)
    }

    internal fun onMessages() {
        scope.launch { listeners.deliver(this@RealtimeClient, waits) }
    }

    internal fun onClosed() {
        Fast.detach(tag)
        waits.close()
        listeners.clear()
        servings.clear()
    }

    internal fun provideUrl(request: ULong, url: String?, failure: String?): Unit = core.provideUrl(request, url, failure)

    internal fun answer(request: ULong, answer: String?, failure: String?): Unit = core.answer(request, answer, failure)

    private fun message(pattern: String): String {
        if (pattern in ControlEvent.names) {
            throw RealtimeException.InvalidArgument("\"$pattern\" is a control event, not a message: use ControlEvent")
        }
        return pattern
    }

    override fun toString(): String = "RealtimeClient(state=$state, connection=${connection?.id})"

    internal companion object {
        const val BATCH: UInt = 256u
    }
}
