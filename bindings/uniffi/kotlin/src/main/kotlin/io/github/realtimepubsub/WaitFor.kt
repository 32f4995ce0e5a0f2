package io.github.realtimepubsub

import io.github.realtimepubsub.internal.Fast
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import java.lang.ref.Cleaner
import kotlin.time.Duration
import kotlin.time.TimeSource

/**
 * A message on its way: wait for the gateway's ack, for a peer's reply, or for both.
 *
 * It was registered before the message was written, so an answer is never missed, however late you ask. Waits end with
 * [RealtimeException.Timeout] when their time is up (5 s unless given), with [RealtimeException.ConnectionLost] as soon
 * as the connection dies, and with [RealtimeException.Closed] when the client is disconnected. A cancelled wait is
 * freed at once.
 */
public class WaitFor internal constructor(private val client: RealtimeClient, private val number: Long) {
    init {
        // Must not refer to this object, or it would never be collected.
        val (handle, number) = client.handle to number
        CLEANER.register(this) { Fast.realtime_fast_forget(handle, number) }
    }

    /** Waits for the gateway's ack. */
    public suspend fun waitForAck(timeout: Duration? = null) {
        wait(reply = false, timeout)
    }

    /** Waits for a peer's reply. Where several reply, each call gives the next. */
    public suspend fun waitForReply(timeout: Duration? = null): ResponseMessage =
        wait(reply = true, timeout) as ResponseMessage

    /** All replies, until the time is up (a plain end), the connection is lost, or the collector has enough. */
    public fun replies(timeout: Duration? = null): Flow<ResponseMessage> = flow {
        val whole = timeout ?: client.waitTimeout
        val started = TimeSource.Monotonic.markNow()
        while (true) {
            val reply = try {
                waitForReply((whole - started.elapsedNow()).coerceAtLeast(Duration.ZERO))
            } catch (_: RealtimeException.Timeout) {
                return@flow
            }
            emit(reply)
        }
    }

    private suspend fun wait(reply: Boolean, timeout: Duration?): Any? = client.await { wait ->
        val ms = timeout.ms()?.toLong() ?: -1
        client.check(Fast.realtime_fast_wait(client.handle, number, wait, if (reply) 1 else 0, ms))
    }

    private companion object {
        val CLEANER: Cleaner = Cleaner.create()
    }
}
