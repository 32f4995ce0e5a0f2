import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch

/** Prints the messages of a topic, until Ctrl-C. */
suspend fun main(arguments: Array<String>): Unit = Place(arguments).use { place ->
    val topic = arguments.getOrElse(1) { "chat" }
    place.client("subscribe").use { client ->
        coroutineScope {
            val printing = launch { client.messages("$topic.*").collect { println("${it.messageType} ${it.payload}") } }
            client.connect()
            client.subscribeRemoteTopic(topic)
            System.err.println("subscribed to $topic; publish with: publish '${place.url("publish")}'")
            untilStopped { client.disconnect() }
            printing.cancel()
        }
    }
}
