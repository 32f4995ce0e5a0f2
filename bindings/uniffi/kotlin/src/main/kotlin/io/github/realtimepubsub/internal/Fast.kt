package io.github.realtimepubsub.internal

import com.sun.jna.Callback
import com.sun.jna.CallbackThreadInitializer
import com.sun.jna.Native
import com.sun.jna.Pointer
import io.github.realtimepubsub.RealtimeClient
import io.github.realtimepubsub.ffi.uniffiRustFutureContinuationCallbackImpl
import java.lang.ref.WeakReference
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong

/** The component's C functions beside UniFFI, see `fast.rs`. They return 0, or an error's number. */
@Suppress("ktlint:standard:function-naming", "FunctionName")
internal object Fast {
    private const val COMPONENT = "realtime_pubsub_uniffi"

    // A thread that calls back is made the JVM's for good, or each call would make and end one.
    private val keepThread = CallbackThreadInitializer(true, false, "realtime-io")

    private val told = object : Told {
        override fun invoke(tag: Long, kind: Int, data: Pointer?, length: Long) {
            // Nothing may be thrown into Rust.
            try {
                val client = clients[tag]?.get() ?: return
                if (kind == 0) data?.let { client.onSettled(it.getByteArray(0, length.toInt())) } else client.onMessages()
            } catch (error: Throwable) {
                Thread.currentThread().run { uncaughtExceptionHandler.uncaughtException(this, error) }
            }
        }
    }
    private val clients = ConcurrentHashMap<Long, WeakReference<RealtimeClient>>()
    private val tags = AtomicLong()

    init {
        Native.register(Fast::class.java, System.getProperty("uniffi.component.$COMPONENT.libraryOverride") ?: COMPONENT)
        Native.setCallbackThreadInitializer(told, keepThread)
        Native.setCallbackThreadInitializer(uniffiRustFutureContinuationCallbackImpl, keepThread)
    }

    /** Has a client told of what comes. It is held weakly, or it would never be collected. */
    fun attach(client: RealtimeClient, handle: Long): Long {
        val tag = tags.incrementAndGet()
        clients[tag] = WeakReference(client)
        realtime_fast_attach(handle, tag, told)
        return tag
    }

    fun detach(tag: Long) {
        clients.remove(tag)
    }

    @JvmStatic
    private external fun realtime_fast_attach(client: Long, tag: Long, told: Told): Int

    @JvmStatic
    external fun realtime_fast_publish(
        client: Long,
        number: Long,
        flags: Int,
        topic: Int,
        messageType: Int,
        id: Int,
        text: ByteArray,
        length: Long,
    ): Int

    @JvmStatic
    external fun realtime_fast_wait(client: Long, number: Long, wait: Long, reply: Int, timeoutMs: Long): Int

    @JvmStatic
    external fun realtime_fast_cancel_wait(client: Long, wait: Long): Int

    @JvmStatic
    external fun realtime_fast_forget(client: Long, number: Long): Int
}

internal interface Told : Callback {
    fun invoke(tag: Long, kind: Int, data: Pointer?, length: Long)
}
