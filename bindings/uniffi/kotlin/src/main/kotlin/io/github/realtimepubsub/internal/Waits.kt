package io.github.realtimepubsub.internal

import io.github.realtimepubsub.RealtimeClient
import io.github.realtimepubsub.RealtimeException
import io.github.realtimepubsub.ResponseMessage
import io.github.realtimepubsub.mapped
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext
import java.util.concurrent.ConcurrentHashMap
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException

/** Who waits, by the number that the component settles. The time that a wait takes is the component's business. */
internal class Waits(private val client: Long) {
    private val open = ConcurrentHashMap<Long, CancellableContinuation<Any?>>()

    suspend fun await(wait: Long, begin: (wait: Long) -> Unit): Any? = apart {
        suspendCancellableCoroutine { continuation ->
            // Before it begins: it may be settled within.
            open[wait] = continuation
            try {
                begin(wait)
            } catch (error: RealtimeException) {
                open.remove(wait)
                throw error
            }
            continuation.invokeOnCancellation {
                if (open.remove(wait) != null) Fast.realtime_fast_cancel_wait(client, wait)
            }
        }
    }

    /** Reads a settled wait of this kind, see `pack.rs`, and ends it. */
    fun settle(kind: Int, reader: Reader, client: RealtimeClient) {
        val continuation = open.remove(reader.i64())
        // Read in any case: the next entry begins where this ends.
        when (kind) {
            ACK -> continuation?.resume(Unit)
            REPLY -> ResponseMessage(client, reader).let { continuation?.resume(it) }
            EVENT -> reader.event(client).let { continuation?.resume(it) }
            else -> reader.error().let { continuation?.resumeWithException(it) }
        }
    }

    fun close() {
        for (wait in open.keys) {
            open.remove(wait)?.resumeWithException(RealtimeException.Closed("the client was closed"))
        }
    }

    private companion object {
        const val ACK = 0
        const val REPLY = 1
        const val EVENT = 2
    }
}

/**
 * Keeps the thread that does the client's input and output free: a coroutine without a dispatcher, as that of a `suspend
 * fun main`, would go on in the call that resumes it.
 */
internal suspend inline fun <T> apart(crossinline wait: suspend () -> T): T {
    val dispatcher = currentCoroutineContext()[ContinuationInterceptor]
    if (dispatcher != null && dispatcher !== Dispatchers.Unconfined) return wait()
    return withContext(Dispatchers.Default) { wait() }
}

/** An asynchronous call of the generated code. Where its coroutine is cancelled, the future in Rust is dropped at once. */
internal suspend inline fun <T> crossing(crossinline call: suspend () -> T): T = apart { mapped { call() } }
