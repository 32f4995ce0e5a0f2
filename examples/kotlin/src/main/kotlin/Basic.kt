import io.github.realtimepubsub.ControlEvent
import kotlin.time.Duration.Companion.seconds

/** The seed's first program: connect, subscribe, publish, wait for the ack and for a reply. */
suspend fun main(arguments: Array<String>): Unit = Place(arguments).use { place ->
    place.client("basic").use { client ->
        client.on("chat.text-message") { message ->
            println("received ${message.payload} on ${message.topic}")
            message.reply("Got it!", status = "ok")
        }
        client.on(ControlEvent.Error) { println("error: $it") }
        client.on(ControlEvent.Close) { println("closed: $it") }

        val info = client.connect()
        println("connected as ${info.id} from ${info.remoteAddress}")
        client.subscribeRemoteTopic("chat")

        val waiter = client.publish("chat", "Hello, World!", messageType = "text-message")
        waiter.waitForAck(5.seconds)
        println("acknowledged")
        val reply = waiter.waitForReply(5.seconds)
        println("reply ${reply.status}: ${reply.data}")

        client.disconnect()
    }
}
