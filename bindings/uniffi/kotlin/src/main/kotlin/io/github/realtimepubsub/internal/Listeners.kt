package io.github.realtimepubsub.internal

import io.github.realtimepubsub.ErrorKind
import io.github.realtimepubsub.RealtimeClient
import io.github.realtimepubsub.RealtimeException
import io.github.realtimepubsub.ffi.CoreClient
import io.github.realtimepubsub.mapped
import java.util.concurrent.ConcurrentHashMap

/** Those who are called when something comes. They belong to the client, so that a circle with it can be collected. */
internal class Listeners(private val core: CoreClient) {
    private class Listener(val name: String, val once: Boolean, val call: suspend (Any) -> Unit)

    private class Delivery(val listeners: LongArray, val event: Any)

    private val listeners = ConcurrentHashMap<Long, Listener>()

    fun add(name: String, once: Boolean, call: suspend (Any) -> Unit): Long = synchronized(this) {
        val id = mapped { core.listen(name, once) }.toLong()
        listeners[id] = Listener(name, once, call)
        id
    }

    fun remove(id: Long): Boolean {
        listeners.remove(id)
        return core.off(id.toULong())
    }

    fun clear() {
        listeners.clear()
    }

    /** Takes what there is, batch by batch, until there is none. The component sees to it that this runs only once. */
    suspend fun deliver(client: RealtimeClient, waits: Waits) {
        while (true) {
            val reader = Reader(core.take(RealtimeClient.BATCH))
            if (reader.u8() == 0) return
            // Settled waits first: a listener may depend on one.
            for (delivery in read(reader, client, waits)) {
                for (id in delivery.listeners) call(id, delivery.event)
            }
        }
    }

    private fun read(reader: Reader, client: RealtimeClient, waits: Waits): List<Delivery> = buildList {
        while (reader.hasMore) {
            val kind = reader.u8()
            if (kind == LISTENERS) {
                val ids = LongArray(reader.i32()) { reader.i64() }
                reader.event(client)?.let { add(Delivery(ids, it)) }
            } else {
                waits.settle(kind, reader, client)
            }
        }
    }

    private suspend fun call(id: Long, event: Any) {
        // One that is not there yet may be about to be added: look again when nobody is adding.
        val listener = listeners[id] ?: synchronized(this) { listeners[id] } ?: return
        if (listener.once && listeners.remove(id) == null) return
        try {
            listener.call(event)
        } catch (error: Throwable) {
            val detail = "a listener of \"${listener.name}\" threw: $error"
            // Telling the listener that threw of it would go on for ever.
            if (event is RealtimeException) System.err.println(detail) else core.report(ErrorKind.INTERNAL, detail)
        }
    }

    private companion object {
        const val LISTENERS = 4
    }
}
