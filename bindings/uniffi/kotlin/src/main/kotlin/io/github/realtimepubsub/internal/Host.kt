package io.github.realtimepubsub.internal

import io.github.realtimepubsub.IncomingMessage
import io.github.realtimepubsub.RealtimeClient
import io.github.realtimepubsub.ffi.ClientHost
import kotlinx.coroutines.launch
import java.lang.ref.WeakReference

/** What the component asks of a client. It holds the client weakly, because the component holds this. */
internal class Host(client: RealtimeClient) : ClientHost {
    private val client = WeakReference(client)

    // Both come through Fast.
    override fun onSettled(packed: ByteArray) {
        client.get()?.onSettled(packed)
    }

    override fun onMessages() {
        client.get()?.onMessages()
    }

    override fun onUrlWanted(request: ULong) {
        val client = client.get() ?: return
        val provider = client.urlProvider ?: return
        client.scope.launch {
            try {
                client.provideUrl(request, provider(), null)
            } catch (error: Throwable) {
                client.provideUrl(request, null, error.toString())
            }
        }
    }

    override fun onAnswerWanted(serving: ULong, request: ULong, message: ByteArray) {
        val client = client.get() ?: return
        val answer = client.servings[serving.toLong()] ?: return
        client.scope.launch {
            try {
                client.answer(request, answer(IncomingMessage(client, Reader(message))), null)
            } catch (error: Throwable) {
                client.answer(request, null, error.message ?: error.toString())
            }
        }
    }

    override fun onClosed() {
        client.get()?.onClosed()
    }
}
