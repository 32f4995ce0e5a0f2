import kotlin.time.Duration.Companion.seconds

/** Asks what `RpcServer` answers. */
suspend fun main(arguments: Array<String>): Unit = Place(arguments).use { place ->
    place.client("rpc-client").use { client ->
        client.connect()

        val waiter = client.send(NewUser("John Doe"), messageType = "create-user")
        waiter.waitForAck()
        val user = waiter.waitForReply(5.seconds)
        println("create-user: ${user.status} ${user.data}")

        val nameless = client.send(NewUser(), messageType = "create-user").waitForReply()
        println("create-user: ${nameless.status} ${nameless.data}")

        val sum = client.request("math", listOf(1, 2, 39), messageType = "add", timeout = 5.seconds)
        println("math add: ${sum.status} ${sum.data}")
        client.disconnect()
    }
}
