package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.ClientSettings
import io.github.realtimepubsub.ffi.Header
import io.github.realtimepubsub.ffi.OverflowPolicy
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlin.time.Duration

/** What happens when the inbox is full. */
public enum class Overflow {
    /** Stop reading, so that TCP pushes back to the gateway. */
    BLOCK,

    /** Drop the oldest message, count it and report it as a `lagged` event. */
    DROP_OLDEST,

    /** Drop the newest message, count it and report it as a `lagged` event. */
    DROP_NEWEST,
}

/** Queue what is published without a session, within bounds: 1,000 messages, 1 MiB, 30 s each unless given. */
public data class OfflineQueue(
    public val messages: Long? = null,
    public val bytes: Long? = null,
    public val ttl: Duration? = null,
)

/** The pause before connecting again: a random time up to [min] (0.5 s), doubled with each failure up to [max] (30 s). */
public data class Backoff(
    public val min: Duration? = null,
    public val max: Duration? = null,
    /** How long a session must last to count as a success: 5 s. */
    public val stableAfter: Duration? = null,
)

/** TLS for `wss://` URLs: the system's authorities unless told otherwise. All of it is PEM. */
public class TlsOptions(
    /** Authorities to trust besides the system's. */
    public val authorities: String? = null,
    /** Trust only [authorities]. */
    public val onlyOwnAuthorities: Boolean = false,
    /** This client's certificate chain. Needs [clientKey]. */
    public val clientCertificate: String? = null,
    /** This client's private key. */
    public val clientKey: String? = null,
)

/** What a client can be told. What is null has the default that the Rust client has. */
public class ClientOptions(
    /** How long `connect` tries: 30 s. */
    public val connectTimeout: Duration? = null,
    /** How long the URL provider may take: 10 s. */
    public val providerTimeout: Duration? = null,
    /** How long dialling, TLS and the upgrade may take together: 10 s. */
    public val handshakeTimeout: Duration? = null,
    /** How long the welcome may take: 10 s. */
    public val welcomeTimeout: Duration? = null,
    /** How long waits take: 5 s. */
    public val waitTimeout: Duration? = null,
    /** How long the gateway may take to confirm a subscription or a flush: 5 s. */
    public val barrierTimeout: Duration? = null,
    /** How long `disconnect` may take to write what is queued: 5 s. */
    public val disconnectTimeout: Duration? = null,
    public val backoff: Backoff = Backoff(),
    /** Give up after this many failed attempts in a row: never. */
    public val maxRetries: Int? = null,
    /** Give up when the gateway closes with one of these codes: none. */
    public val stopOnCloseCodes: List<Int> = emptyList(),
    /** Ping after this long without a frame: 15 s. */
    public val pingAfter: Duration? = null,
    /** Take the connection for dead this long after such a ping: 10 s. */
    public val pongTimeout: Duration? = null,
    /** Queue what is published without a session. Null: it fails with `NOT_CONNECTED`. */
    public val offlineQueue: OfflineQueue? = null,
    /** At least once: write an unacknowledged publish again after a reconnect, under the same id. */
    public val retry: Boolean = false,
    /** How long [retry] keeps an unacknowledged publish: 60 s. */
    public val retryFor: Duration? = null,
    /** Drop messages that repeat one of the last so many. */
    public val dedupe: Int? = null,
    public val overflow: Overflow = Overflow.BLOCK,
    /** How many messages the inbox holds: 65,536. */
    public val inboxMessages: Long? = null,
    /** How many bytes of messages the inbox holds: 64 MiB. */
    public val inboxBytes: Long? = null,
    /** How many messages may wait to be written: 65,536. */
    public val outboxMessages: Long? = null,
    /** How many bytes may wait to be written: 16 MiB. */
    public val outboxBytes: Long? = null,
    /** The largest message, each way: 1 MiB. */
    public val maxMessageSize: Long? = null,
    /** Headers for the handshake. */
    public val headers: Map<String, String> = emptyMap(),
    /** An HTTP proxy: `http://[user:password@]host:port`. */
    public val proxy: String? = null,
    public val tls: TlsOptions = TlsOptions(),
    /** Where listeners, `serve` and the URL provider run, such as `Dispatchers.Main`. Listeners run one at a time anywhere. */
    public val dispatcher: CoroutineDispatcher = Dispatchers.Default,
) {
    internal fun settings() = ClientSettings(
        connectTimeoutMs = connectTimeout.ms(),
        providerTimeoutMs = providerTimeout.ms(),
        handshakeTimeoutMs = handshakeTimeout.ms(),
        welcomeTimeoutMs = welcomeTimeout.ms(),
        waitTimeoutMs = waitTimeout.ms(),
        barrierTimeoutMs = barrierTimeout.ms(),
        disconnectTimeoutMs = disconnectTimeout.ms(),
        backoffMinMs = backoff.min.ms(),
        backoffMaxMs = backoff.max.ms(),
        backoffStableAfterMs = backoff.stableAfter.ms(),
        pingAfterMs = pingAfter.ms(),
        pongTimeoutMs = pongTimeout.ms(),
        retryForMs = retryFor.ms(),
        inboxMessages = inboxMessages.size("inboxMessages"),
        inboxBytes = inboxBytes.size("inboxBytes"),
        outboxMessages = outboxMessages.size("outboxMessages"),
        outboxBytes = outboxBytes.size("outboxBytes"),
        maxMessageSize = maxMessageSize.size("maxMessageSize"),
        maxRetries = maxRetries?.toLong().size("maxRetries")?.toUInt(),
        stopOnCloseCodes = stopOnCloseCodes.map { it.toUShort() },
        offline = offlineQueue?.let {
            io.github.realtimepubsub.ffi.OfflineQueue(it.messages.size("messages"), it.bytes.size("bytes"), it.ttl.ms())
        },
        retry = retry,
        dedupe = dedupe?.toLong().size("dedupe"),
        overflow = OverflowPolicy.valueOf(overflow.name),
        headers = headers.map { Header(it.key, it.value) },
        proxy = proxy,
        caPem = tls.authorities,
        onlyOwnCa = tls.onlyOwnAuthorities,
        clientCertPem = tls.clientCertificate,
        clientKeyPem = tls.clientKey,
    )
}

/** Milliseconds, rounded up so that a short time is not none; what is negative counts as 0, which the core judges. */
internal fun Duration?.ms(): ULong? = this?.let { duration ->
    val whole = duration.inWholeMilliseconds.coerceAtLeast(0)
    if (duration.inWholeNanoseconds > 0 && whole == 0L) 1uL else whole.toULong()
}

private fun Long?.size(name: String): ULong? = this?.let {
    if (it < 0) throw RealtimeException.InvalidArgument("option $name is negative")
    it.toULong()
}
