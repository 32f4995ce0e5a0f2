// The Kotlin package's driver for the conformance scenarios: see `tests/conformance/README.md`.

import io.github.realtimepubsub.Backoff
import io.github.realtimepubsub.ClientOptions
import io.github.realtimepubsub.CloseEvent
import io.github.realtimepubsub.ConnectionInfo
import io.github.realtimepubsub.ControlEvent
import io.github.realtimepubsub.IncomingMessage
import io.github.realtimepubsub.Lagged
import io.github.realtimepubsub.OfflineQueue
import io.github.realtimepubsub.Overflow
import io.github.realtimepubsub.RealtimeClient
import io.github.realtimepubsub.RealtimeException
import io.github.realtimepubsub.ResponseMessage
import io.github.realtimepubsub.StateChange
import io.github.realtimepubsub.TlsOptions
import io.github.realtimepubsub.WaitFor
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.produce
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import java.util.concurrent.ConcurrentHashMap
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds

class Thrown(text: String) : Exception(text)

class Cannot(text: String) : Exception(text)

/** The operation's fields; numbers keep their digits, as their text does. */
class Operation(val fields: JsonObject) {
    val what get() = text("do")!!

    fun text(name: String): String? = (fields[name] as? JsonPrimitive)?.takeIf { it.isString }?.content
    fun need(name: String): String = text(name) ?: throw IllegalArgumentException("$what needs $name")
    fun json(name: String): String = fields[name].toString()
    fun flag(name: String): Boolean = fields[name]?.jsonPrimitive?.boolean ?: false
    val timeout: Duration? get() = fields["timeout"]?.jsonPrimitive?.long?.milliseconds
}

// ---- what the runner is told: JSON text, payloads as they came

fun quote(text: String?): String = JsonPrimitive(text).toString()

@Synchronized
fun say(line: String) {
    println(line)
    System.out.flush()
}

fun told(error: RealtimeException): String {
    val topic = (error as? RealtimeException.Forbidden)?.topic
    return """"number":${error.number},"name":${quote(error.kind.name)},"message":${quote(error.message)},"topic":${quote(topic)}"""
}

fun told(info: ConnectionInfo): String =
    """"id":${quote(info.id)},"app_id":${quote(info.appId)},"remote_address":${quote(info.remoteAddress)}"""

fun told(permissions: List<String>): String = permissions.joinToString(",", "[", "]") { quote(it) }

fun told(message: IncomingMessage): String {
    val presence = message.dataAsPresence()?.let {
        """{"status":${quote(it.status)},"connection_id":${quote(it.connectionId)},"subject":${quote(it.subject)},"permissions":${told(it.permissions)}}"""
    }
    // The sender is JSON as it came; its names are the wire's.
    val sender = message.sender?.let { Json.parseToJsonElement(it) as? JsonObject }?.let {
        """{"connection_id":${it["connectionId"]},"subject":${it["subject"]},"permissions":${it["permissions"]}}"""
    }
    return """{"kind":"message","topic":${quote(message.topic)},"message_type":${quote(message.messageType)},"payload":${message.payload},""" +
        """"id":${quote(message.id)},"compression":${message.compression},"sender":$sender,"presence":$presence}"""
}

fun told(reply: ResponseMessage): String =
    """{"id":${quote(reply.id)},"status":${quote(reply.status)},"data":${reply.data}}"""

fun toldEvent(event: Any): String = when (event) {
    is IncomingMessage -> told(event)
    is ConnectionInfo -> """{"kind":"session.started",${told(event)}}"""
    is RealtimeException -> """{"kind":"error",${told(event)}}"""
    is CloseEvent -> """{"kind":"close","code":${event.code},"reason":${quote(event.reason)},"will_reconnect":${event.willReconnect}}"""
    is StateChange ->
        """{"kind":"state","from":${quote(event.from.name.lowercase())},"to":${quote(event.to.name.lowercase())},"reason":${quote(event.reason)}}"""
    is Lagged -> """{"kind":"lagged","dropped":${event.dropped}}"""
    else -> """{"kind":"unknown"}"""
}

// ---- options

fun options(given: JsonObject): ClientOptions {
    fun time(name: String) = given[name]?.jsonPrimitive?.long?.milliseconds
    fun count(name: String) = given[name]?.jsonPrimitive?.long
    fun text(name: String) = given[name]?.jsonPrimitive?.content
    return ClientOptions(
        connectTimeout = time("connect_timeout"),
        providerTimeout = time("provider_timeout"),
        handshakeTimeout = time("handshake_timeout"),
        welcomeTimeout = time("welcome_timeout"),
        waitTimeout = time("wait_timeout"),
        barrierTimeout = time("barrier_timeout"),
        disconnectTimeout = time("disconnect_timeout"),
        backoff = Backoff(time("backoff_min"), time("backoff_max"), time("stable_after")),
        maxRetries = count("max_retries")?.toInt(),
        stopOnCloseCodes = given["stop_on_close_codes"]?.jsonArray?.map { it.jsonPrimitive.int } ?: emptyList(),
        pingAfter = time("ping_after"),
        pongTimeout = time("pong_timeout"),
        offlineQueue = if (text("offline") == "queue") {
            OfflineQueue(count("offline_messages"), count("offline_bytes"), time("offline_ttl"))
        } else {
            null
        },
        retry = given["retry"]?.jsonPrimitive?.boolean ?: false,
        retryFor = time("retry_for"),
        dedupe = count("dedupe")?.toInt(),
        overflow = Overflow.valueOf((text("overflow") ?: "block").uppercase()),
        inboxMessages = count("inbox_messages"),
        inboxBytes = count("inbox_bytes"),
        outboxMessages = count("outbox_messages"),
        outboxBytes = count("outbox_bytes"),
        maxMessageSize = count("max_message_size"),
        tls = TlsOptions(
            authorities = text("ca_pem"),
            onlyOwnAuthorities = given["only_own_ca"]?.jsonPrimitive?.boolean ?: false,
            clientCertificate = text("client_cert_pem"),
            clientKey = text("client_key_pem"),
        ),
        headers = given["headers"]?.jsonObject?.mapValues { it.value.jsonPrimitive.content } ?: emptyMap(),
    )
}

val controls: Map<String, ControlEvent<*>> =
    listOf(ControlEvent.SessionStarted, ControlEvent.Error, ControlEvent.Close, ControlEvent.State, ControlEvent.Lagged)
        .associateBy { it.name }

class Stream(val job: Job, val messages: kotlinx.coroutines.channels.ReceiveChannel<IncomingMessage>)

object Driver {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private val clients = ConcurrentHashMap<String, RealtimeClient>()
    private val waits = ConcurrentHashMap<String, WaitFor>()
    private val listeners = ConcurrentHashMap<String, Long>()
    private val streams = ConcurrentHashMap<String, Stream>()
    private val servings = ConcurrentHashMap<String, AutoCloseable>()
    private val gates = ConcurrentHashMap<String, Channel<Unit>>()
    private val running = ConcurrentHashMap<String, Job>()

    /** What is in a gate's channel lets one go on each; a closed one lets all. */
    private fun gate(name: String) = gates.computeIfAbsent(name) { Channel(Channel.UNLIMITED) }

    fun begin(line: String) {
        val operation = Operation(Json.parseToJsonElement(line).jsonObject)
        val number = operation.json("n")
        val job = scope.launch(start = CoroutineStart.LAZY) {
            val outcome = outcome(operation, null)
            say("""{"n":$number,${outcome.drop(1)}""")
        }
        operation.text("op")?.takeIf { operation.what != "cancel" }?.let { running[it] = job }
        job.start()
    }

    private suspend fun outcome(operation: Operation, message: IncomingMessage?): String = try {
        """{"ok":${perform(operation, message)}}"""
    } catch (error: RealtimeException) {
        """{"error":{${told(error)}}}"""
    } catch (_: CancellationException) {
        """{"error":{"cancelled":true}}"""
    } catch (thrown: Thrown) {
        throw thrown
    } catch (cannot: Cannot) {
        """{"cannot":${quote(cannot.message)}}"""
    } catch (error: Exception) {
        """{"error":{"number":1,"message":${quote(error.toString())}}}"""
    }

    private fun keep(operation: Operation, wait: WaitFor): String {
        operation.text("wait")?.let { waits[it] = wait }
        return """{"id":null}"""
    }

    private fun wait(operation: Operation) = waits[operation.need("wait")] ?: throw IllegalArgumentException("no such wait")

    private suspend fun perform(operation: Operation, message: IncomingMessage?): String {
        when (operation.what) {
            "publish_now" -> throw Cannot("publish suspends until there is room")
            "use_handle" -> throw Cannot("there are no handles")
            "wait_for_itself" -> throw Cannot("waits suspend")
            "release" -> gate(operation.need("gate")).trySend(Unit)
            "hold" -> gate(operation.need("gate")).receiveCatching()
            "throw" -> throw Thrown(operation.need("text"))
            "new" -> make(operation)
            "cancel" -> running.remove(operation.need("op"))!!.cancel()
            "drop" -> drop(operation.need("client"))
            else -> return call(clients[operation.need("client")] ?: throw IllegalArgumentException("no such client"), operation, message)
        }
        return "null"
    }

    private fun make(operation: Operation) {
        val options = options(operation.fields["options"]?.jsonObject ?: JsonObject(emptyMap()))
        val urls = operation.fields["urls"]?.jsonArray
        clients[operation.need("client")] = if (urls == null) {
            RealtimeClient(operation.need("url"), options)
        } else {
            val left = ArrayDeque<JsonElement>(urls)
            RealtimeClient(options) {
                val given = if (left.size > 1) left.removeFirst() else left.first()
                if (given is JsonPrimitive) given.content else error(given.jsonObject["fails"]!!.jsonPrimitive.content)
            }
        }
    }

    private suspend fun drop(name: String) {
        val client = clients.remove(name) ?: return
        val run = name.substringBefore('.') + "."
        gates.filterKeys { it.startsWith(run) }.values.forEach { it.close() }
        streams.filterKeys { it.startsWith(run) }.forEach { (key, stream) -> stream.job.cancel(); streams.remove(key) }
        servings.filterKeys { it.startsWith(run) }.forEach { (key, serving) -> serving.close(); servings.remove(key) }
        waits.keys.removeIf { it.startsWith(run) }
        client.disconnect(200.milliseconds)
        client.close()
    }

    @OptIn(ExperimentalCoroutinesApi::class)
    private suspend fun call(client: RealtimeClient, operation: Operation, message: IncomingMessage?): String {
        val (type, id, compress) = Triple(operation.text("message_type"), operation.text("id"), operation.flag("compress"))
        when (operation.what) {
            "connect" -> return "{${told(client.connect(operation.timeout))}}"
            "start" -> client.start()
            "disconnect" -> client.disconnect(operation.timeout)
            "flush" -> client.flush()
            "subscribe" -> client.subscribeRemoteTopic(operation.need("topic"))
            "unsubscribe" -> client.unsubscribeRemoteTopic(operation.need("topic"))
            "state" -> return quote(client.state.name.lowercase())
            "connection" -> return client.connection?.let { "{${told(it)}}" } ?: "null"
            "stats" -> return with(client.stats()) {
                """{"sessions":$sessions,"failed_attempts":$failedAttempts,"messages_sent":$messagesSent,"messages_received":$messagesReceived,""" +
                    """"acks":$acks,"replies":$replies,"unmatched":$unmatched,"dropped":$dropped,"duplicates":$duplicates,"unreadable":$unreadable,""" +
                    """"lost":$lost,"outbox_messages":$outboxMessages,"inbox_len":$inboxLen,"receipts":$receipts,"waits":$waits}"""
            }
            "publish" -> return keep(operation, client.publishJson(operation.need("topic"), operation.json("payload"), type, id, compress))
            "send" -> return keep(operation, client.sendJson(operation.json("payload"), type, id, compress))
            "burst" -> repeat(operation.fields["count"]!!.jsonPrimitive.int) { client.publish(operation.need("topic"), it) }
            "reply" -> {
                val status = operation.text("status") ?: "ok"
                return keep(operation, message!!.replyJson(operation.json("data"), status, compress))
            }
            "request" -> {
                val topic = operation.text("topic")
                // What `request` does, for JSON text.
                val wait = if (topic == null) client.sendJson(operation.json("payload"), type) else client.publishJson(topic, operation.json("payload"), type)
                return told(wait.waitForReply(operation.timeout))
            }
            "ack" -> wait(operation).waitForAck(operation.timeout)
            "next_reply" -> return told(wait(operation).waitForReply(operation.timeout))
            "replies" -> return wait(operation).replies(operation.timeout).toList().joinToString(",", "[", "]") { told(it) }
            "forget" -> waits.remove(operation.need("wait"))
            "on", "once" -> listen(client, operation)
            "off" -> return client.off(listeners.remove(operation.need("listener"))!!).toString()
            "wait_for" -> {
                val control = controls[operation.need("name")]
                return toldEvent(if (control != null) client.waitFor(control, operation.timeout) else client.waitFor(operation.need("name"), operation.timeout))
            }
            "messages" -> {
                val messages = client.messages(operation.need("name"))
                val job = Job()
                // Collected here and now, up to the first suspension: a flow listens from when it is collected.
                val channel = CoroutineScope(job + Dispatchers.Unconfined).produce(capacity = Channel.UNLIMITED) {
                    messages.collect { send(it) }
                }
                streams[operation.need("stream")] = Stream(job, channel)
            }
            "next" -> return streams[operation.need("stream")]!!.messages.receiveCatching().getOrNull()?.let { told(it) } ?: "null"
            "close_stream" -> streams.remove(operation.need("stream"))!!.job.cancel()
            "serve" -> {
                val answer = operation.fields["answer"]
                servings[operation.need("serving")] = client.serveJson(operation.need("topic"), operation.need("message_type")) {
                    if (answer is JsonPrimitive) it.payload else error(answer!!.jsonObject["throw"]!!.jsonPrimitive.content)
                }
            }
            "stop_serving" -> servings.remove(operation.need("serving"))!!.close()
            else -> throw IllegalArgumentException("this driver does not know ${operation.what}")
        }
        return "null"
    }

    private fun listen(client: RealtimeClient, operation: Operation) {
        val (name, listener) = Pair(operation.need("name"), operation.need("listener"))
        val then = (operation.fields["then"] as? JsonArray).orEmpty().map { Operation(it.jsonObject) }
        val heard: suspend (Any) -> Unit = { event ->
            say("""{"listener":${quote(listener)},"event":${toldEvent(event)}}""")
            if (then.isNotEmpty()) {
                var thrown: Thrown? = null
                val did = ArrayList<String>()
                for (step in then) {
                    try {
                        did.add(outcome(step, event as? IncomingMessage))
                    } catch (error: Thrown) {
                        thrown = error
                    }
                }
                say("""{"listener":${quote(listener)},"did":[${did.joinToString(",")}]}""")
                thrown?.let { throw it }
            }
        }
        val control = controls[name]
        listeners[listener] = when {
            control != null && operation.what == "on" -> client.on(control) { heard(it) }
            control != null -> client.once(control) { heard(it) }
            operation.what == "on" -> client.on(name) { heard(it) }
            else -> client.once(name) { heard(it) }
        }
    }
}

fun main() {
    System.setOut(java.io.PrintStream(java.io.FileOutputStream(java.io.FileDescriptor.out), false, Charsets.UTF_8))
    say("""{"protocol":1,"language":"kotlin"}""")
    val lines = System.`in`.bufferedReader(Charsets.UTF_8)
    while (true) Driver.begin(lines.readLine() ?: break)
    exitProcess(0)
}
