import kotlinx.serialization.Serializable

@Serializable
data class NewUser(val name: String? = null)

@Serializable
data class User(val id: Int, val name: String)

/** Answers requests on `secure/inbound` (what clients send) and on the topic `math`, until Ctrl-C. */
suspend fun main(arguments: Array<String>): Unit = Place(arguments).use { place ->
    place.client("rpc-server").use { client ->
        client.connect()
        client.serve("secure/inbound", "create-user") { message ->
            User(1, requireNotNull(message.decode<NewUser>().name) { "a user needs a name" })
        }
        client.serve("math", "add") { message -> message.decode<List<Double>>().sum() }
        println("serving; ask with: rpc_client '${place.url("rpc-client")}'")
        untilStopped { client.disconnect() }
    }
}
