import io.github.realtimepubsub.LocalGateway
import io.github.realtimepubsub.RealtimeClient
import kotlinx.coroutines.CompletableDeferred

/** Where an example connects to: the URL in its first argument or in `REALTIME_URL`, else a gateway of its own. */
class Place(arguments: Array<String>) : AutoCloseable {
    private val given: String? = arguments.firstOrNull() ?: System.getenv("REALTIME_URL")
    private val own = if (given == null) LocalGateway() else null

    fun url(subject: String): String = given ?: own!!.urlWithToken(subject)

    /** The client asks for a URL at each attempt to connect: this is where a program would get itself a fresh token. */
    fun client(subject: String): RealtimeClient = RealtimeClient { url(subject) }

    override fun close() {
        own?.close()
    }
}

/** Waits for Ctrl-C, or for the end of the process. */
suspend fun untilStopped(then: suspend () -> Unit) {
    val stopped = CompletableDeferred<Unit>()
    val done = java.util.concurrent.CountDownLatch(1)
    Runtime.getRuntime().addShutdownHook(
        Thread {
            stopped.complete(Unit)
            done.await()
        },
    )
    stopped.await()
    then()
    done.countDown()
}
