package io.github.realtimepubsub.internal

import io.github.realtimepubsub.CloseEvent
import io.github.realtimepubsub.ConnectionInfo
import io.github.realtimepubsub.IncomingMessage
import io.github.realtimepubsub.Lagged
import io.github.realtimepubsub.PresenceMessage
import io.github.realtimepubsub.RealtimeClient
import io.github.realtimepubsub.RealtimeException
import io.github.realtimepubsub.State
import io.github.realtimepubsub.StateChange
import java.lang.invoke.MethodHandles
import java.nio.ByteOrder

/** Where something stands in the bytes. A value class: messages have many of them. */
@JvmInline
internal value class Span(private val packed: Long) {
    constructor(start: Int, length: Int) : this(start.toLong() shl 32 or length.toLong())

    private val start get() = (packed ushr 32).toInt()
    private val length get() = packed.toInt()

    fun read(bytes: ByteArray): String = String(bytes, start, length, Charsets.UTF_8)

    /** A part of this; a length of 0 stands for null, which stands nowhere. */
    fun within(part: Span, bytes: ByteArray): String =
        if (part.length == 0) "null" else String(bytes, start + part.start, part.length, Charsets.UTF_8)
}

/** Reads what `pack.rs` writes, which says how it looks. */
internal class Reader(val bytes: ByteArray, private var at: Int = 0) {
    val hasMore: Boolean get() = at < bytes.size

    fun u8(): Int = bytes[at++].toInt() and 0xff

    fun u16(): Int = u8() or (u8() shl 8)

    fun i32(): Int = (INTS.get(bytes, at) as Int).also { at += 4 }

    fun i64(): Long = (LONGS.get(bytes, at) as Long).also { at += 8 }

    fun text(): Span {
        val length = i32()
        return Span(at, length).also { at += length }
    }

    fun place(): Span = Span(i32(), i32())

    fun string(): String = text().read(bytes)

    fun presence(): PresenceMessage {
        val status = string()
        val hasCode = u8() != 0
        val code = i64()
        return PresenceMessage(status, code.takeIf { hasCode }, string(), string(), List(i32()) { string() })
    }

    fun error(): RealtimeException = RealtimeException.of(i32(), string(), if (u8() != 0) string() else null)

    /** A message or what a control event says; null for an event that this version does not know. */
    fun event(client: RealtimeClient): Any? = when (u8()) {
        0 -> IncomingMessage(client, this)
        1 -> ConnectionInfo(string(), string(), string())
        2 -> error()
        3 -> {
            val code = u16()
            val willReconnect = u8() != 0
            CloseEvent(code, string(), willReconnect)
        }
        4 -> StateChange(state(), state(), string())
        5 -> Lagged(i64())
        else -> null
    }

    private fun state(): State = State.valueOf(string().uppercase())

    private companion object {
        val INTS: java.lang.invoke.VarHandle =
            MethodHandles.byteArrayViewVarHandle(IntArray::class.java, ByteOrder.LITTLE_ENDIAN)
        val LONGS: java.lang.invoke.VarHandle =
            MethodHandles.byteArrayViewVarHandle(LongArray::class.java, ByteOrder.LITTLE_ENDIAN)
    }
}
