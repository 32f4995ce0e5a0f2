package io.github.realtimepubsub.internal

import io.github.realtimepubsub.OutgoingMessage
import io.github.realtimepubsub.ffi.Head
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A message as `outgoing.rs` wants it: all texts in one, and how long each is. */
internal class Outgoing(
    kind: Int,
    topic: String,
    messageType: String?,
    id: String?,
    payload: String,
    compress: Boolean,
) {
    private val flags =
        kind or flag(compress, COMPRESS) or flag(messageType != null, HAS_TYPE) or flag(id != null, HAS_ID)
    private val topic = topic.toByteArray()
    private val messageType = messageType?.toByteArray() ?: NOTHING
    private val id = id?.toByteArray() ?: NOTHING
    private val payload = payload.toByteArray()
    private val size get() = topic.size + messageType.size + id.size + payload.size

    fun publish(client: Long, number: Long): Int {
        val text = bytes()
        return Fast.realtime_fast_publish(
            client, number, flags, topic.size, messageType.size, id.size, text, text.size.toLong(),
        )
    }

    fun head() = Head(flags.toUInt(), topic.size.toUInt(), messageType.size.toUInt(), id.size.toUInt())

    fun text() = String(bytes(), Charsets.UTF_8)

    private fun bytes(): ByteArray = ByteArray(size).also { write(ByteBuffer.wrap(it)) }

    private fun write(to: ByteBuffer) {
        to.put(topic).put(messageType).put(id).put(payload)
    }

    private fun flag(set: Boolean, bit: Int) = if (set) bit else 0

    companion object {
        const val SEND = 8
        private const val COMPRESS = 1
        private const val HAS_TYPE = 2
        private const val HAS_ID = 4
        private val NOTHING = ByteArray(0)

        /** All messages in one, each after the numbers of its head and its length. */
        fun batch(messages: List<OutgoingMessage>): ByteArray {
            val all = messages.map { Outgoing(0, it.topic, it.messageType, it.id, it.payload, it.compress) }
            val packed = ByteBuffer.allocate(all.sumOf { it.size + 5 * Int.SIZE_BYTES }).order(ByteOrder.LITTLE_ENDIAN)
            for (message in all) {
                packed.putInt(message.flags).putInt(message.topic.size).putInt(message.messageType.size)
                packed.putInt(message.id.size).putInt(message.size)
                message.write(packed)
            }
            return packed.array()
        }
    }
}
