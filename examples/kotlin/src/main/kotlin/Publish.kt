import io.github.realtimepubsub.ClientOptions
import io.github.realtimepubsub.RealtimeClient

/** Publishes each line of standard input to a topic, and ends when all are acknowledged. */
suspend fun main(arguments: Array<String>): Unit = Place(arguments).use { place ->
    val topic = arguments.getOrElse(1) { "chat" }
    // At least once: a publish that is not acknowledged is written again after a reconnect.
    RealtimeClient(ClientOptions(retry = true)) { place.url("publish") }.use { client ->
        client.connect()
        val published = generateSequence(::readLine).toList().map { client.publish(topic, it, messageType = "line") }
        published.forEach { it.waitForAck() }
        println("${published.size} lines acknowledged")
        client.disconnect()
    }
}
