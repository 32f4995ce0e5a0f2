package io.github.realtimepubsub

import io.github.realtimepubsub.internal.Reader
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.serializer

/** How payloads are written and read: fields that are not known are passed over. */
@PublishedApi
internal val json: Json = Json { ignoreUnknownKeys = true }

@PublishedApi
internal fun <T> decodeJson(serializer: KSerializer<T>, text: String, what: String): T = try {
    json.decodeFromString(serializer, text)
} catch (error: SerializationException) {
    throw RealtimeException.InvalidArgument("the message's $what has another shape: ${error.message}")
} catch (error: IllegalArgumentException) {
    throw RealtimeException.InvalidArgument("the message's $what has another shape: ${error.message}")
}

/** A client of the app came or went. */
public data class PresenceMessage(
    /** `connected` or `disconnected`. */
    public val status: String,
    /** 0 for connected, -1 for disconnected. */
    public val code: Long?,
    /** Whose connection. */
    public val connectionId: String,
    /** Its token's subject. */
    public val subject: String,
    /** Its token's permissions. */
    public val permissions: List<String>,
)

/**
 * A message from the gateway. Its JSON is kept as it came, so that no number loses a digit, and is read when asked for:
 * `message.decode<Order>()`.
 */
public class IncomingMessage internal constructor(private val client: RealtimeClient, reader: Reader) {
    private val bytes = reader.bytes
    private val flags = reader.u8()
    private val topicAt = reader.text()
    private val typeAt = reader.text()
    private val dataAt = reader.text()
    private val payloadAt = reader.place()
    private val senderAt = if (flags and HAS_SENDER != 0) reader.place() else null
    private val idAt = if (flags and HAS_ID != 0) reader.text() else null
    private val presence = if (flags and PRESENCE != 0) reader.presence() else null

    /** The topic. */
    public val topic: String by lazy(LazyThreadSafetyMode.PUBLICATION) { topicAt.read(bytes) }

    /** The message type, `broadcast` where the sender gave none. */
    public val messageType: String by lazy(LazyThreadSafetyMode.PUBLICATION) { typeAt.read(bytes) }

    /** Whether it came as a binary frame, which is how the gateway delivers what was published with `compress`. */
    public val compression: Boolean get() = flags and COMPRESSED != 0

    /** The message's id; null for one published over REST. */
    public val id: String? get() = idAt?.read(bytes)

    /**
     * All of the message's data, JSON: for one published or sent over WebSocket an object with `client`, `payload` and
     * `id`, for one published over REST whatever was published.
     */
    public val data: String get() = dataAt.read(bytes)

    /** What was published, JSON: `payload` of the data, or all of it for a message published over REST. */
    public val payload: String get() = dataAt.within(payloadAt, bytes)

    /** Who sent it, JSON as it came; null for one published over REST. */
    public val sender: String? get() = senderAt?.let { dataAt.within(it, bytes) }

    /** The payload, read into [T]. */
    public inline fun <reified T> decode(): T = decode(serializer<T>())

    /** The payload, read with this serializer. */
    public fun <T> decode(serializer: KSerializer<T>): T = decodeJson(serializer, payload, "payload")

    /** The data as a JSON object. */
    public fun dataAsMap(): JsonObject = decodeJson(JsonObject.serializer(), data, "data")

    /** What a presence message says; null where this is none. */
    public fun dataAsPresence(): PresenceMessage? = presence

    /** Replies to the sender. The reply can be acknowledged and replied to itself. */
    public suspend inline fun <reified T> reply(data: T, status: String = "ok", compress: Boolean = false): WaitFor =
        replyJson(json.encodeToString(serializer<T>(), data), status, compress)

    /** Replies with JSON text. */
    public suspend fun replyJson(data: String, status: String = "ok", compress: Boolean = false): WaitFor =
        client.send(REPLY, sender ?: "", status, id ?: "", data, compress)

    override fun toString(): String = "IncomingMessage(topic=$topic, messageType=$messageType, data=$data)"

    internal companion object {
        const val COMPRESSED = 1
        const val HAS_SENDER = 2
        const val HAS_ID = 4
        const val PRESENCE = 8
        const val REPLY = 16
    }
}

/** A reply. */
public class ResponseMessage internal constructor(client: RealtimeClient, reader: Reader) {
    /** The id of the message it answers. */
    public val id: String = reader.text().read(reader.bytes)

    /** `ok`, or what the replier chose. */
    public val status: String = reader.text().read(reader.bytes)

    /** What was replied, JSON. */
    public val data: String = reader.text().read(reader.bytes)

    /** The message that carried it. */
    public val message: IncomingMessage = IncomingMessage(client, reader)

    /** What was replied, read into [T]. */
    public inline fun <reified T> decode(): T = decode(serializer<T>())

    /** What was replied, read with this serializer. */
    public fun <T> decode(serializer: KSerializer<T>): T = decodeJson(serializer, data, "data")

    /** What was replied, as a JSON object. */
    public fun dataAsMap(): JsonObject = decodeJson(JsonObject.serializer(), data, "data")

    override fun toString(): String = "ResponseMessage(id=$id, status=$status, data=$data)"
}

/** A message for [RealtimeClient.publishAll]. */
public class OutgoingMessage(
    /** The topic. */
    public val topic: String,
    /** The payload, JSON. */
    public val payload: String,
    /** The message type; the gateway's default is `broadcast`. */
    public val messageType: String? = null,
    /** The message's id; 16 random bytes unless given. */
    public val id: String? = null,
    /** Whether receivers get it as a binary frame, which the wire may compress. */
    public val compress: Boolean = false,
) {
    public companion object {
        /** A message with a payload that is written as JSON. */
        public inline fun <reified T> of(topic: String, payload: T, messageType: String? = null): OutgoingMessage =
            OutgoingMessage(topic, json.encodeToString(serializer<T>(), payload), messageType)
    }
}
