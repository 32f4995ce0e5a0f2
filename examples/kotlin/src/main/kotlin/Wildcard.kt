import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope

/** Listening with wildcards: `*` is one segment of the event's name, `**` any number. */
suspend fun main(arguments: Array<String>): Unit = Place(arguments).use { place ->
    place.client("wildcard").use { client ->
        for (pattern in listOf("chat.*", "*.join", "chat.room.**", "**")) {
            client.on(pattern) { println("%-14s%s.%s".format(pattern, it.topic, it.messageType)) }
        }
        client.connect()
        listOf("chat", "chat.room").forEach { client.subscribeRemoteTopic(it) }
        for ((topic, type) in listOf("chat" to "text-message", "chat" to "join", "chat.room" to "leave")) {
            println("\npublishing $topic.$type")
            coroutineScope {
                // Undispatched: it listens before the message is published.
                val arrived = async(start = CoroutineStart.UNDISPATCHED) { client.waitFor("$topic.$type") }
                client.publishJson(topic, "null", type).waitForAck()
                arrived.await()
            }
        }
        client.disconnect()
    }
}
