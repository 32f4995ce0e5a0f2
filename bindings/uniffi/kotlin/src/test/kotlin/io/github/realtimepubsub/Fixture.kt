package io.github.realtimepubsub

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.fail
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** A gateway and clients of it, closed when the test ends. */
class Fixture(val scope: CoroutineScope, val gateway: LocalGateway) {
    val clients = ConcurrentLinkedQueue<RealtimeClient>()

    fun client(
        subject: String,
        permissions: List<String>? = null,
        options: ClientOptions = patient(),
    ): RealtimeClient = RealtimeClient(gateway.urlWithToken(subject, permissions), options).also { clients += it }

    suspend fun connected(
        subject: String,
        permissions: List<String>? = null,
        options: ClientOptions = patient(),
    ): RealtimeClient = client(subject, permissions, options).also { it.connect() }
}

/** On a machine that is busy no test is to fail because a wait that says nothing of time took long. */
fun patient(backoff: Backoff = Backoff(), maxRetries: Int? = null): ClientOptions =
    ClientOptions(waitTimeout = 30.seconds, barrierTimeout = 30.seconds, backoff = backoff, maxRetries = maxRetries)

/** Runs a test on the pool that programs use; a test that hangs fails. */
fun test(
    gateway: LocalGateway = LocalGateway(),
    within: Duration = 180.seconds,
    test: suspend Fixture.() -> Unit,
): Unit = runBlocking(Dispatchers.Default) {
    gateway.use {
        val fixture = Fixture(this, gateway)
        try {
            withTimeout(within) { fixture.test() }
        } finally {
            fixture.clients.forEach { it.close() }
        }
    }
}

suspend inline fun <reified E : Throwable> assertFails(noinline block: suspend () -> Any?): E {
    val outcome = runCatching { block() }
    val error = outcome.exceptionOrNull() ?: fail("it gave ${outcome.getOrNull()} in place of ${E::class.simpleName}")
    return error as? E ?: throw AssertionError("another error: $error", error)
}

/** What listeners collect. */
fun <T> collector(): Channel<T> = Channel(Channel.UNLIMITED)
