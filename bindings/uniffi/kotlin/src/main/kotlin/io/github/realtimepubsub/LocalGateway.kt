package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.ConnectionFault
import io.github.realtimepubsub.ffi.CoreGateway
import io.github.realtimepubsub.ffi.GatewaySettings
import io.github.realtimepubsub.ffi.GatewayTarget
import io.github.realtimepubsub.ffi.TokenSettings
import io.github.realtimepubsub.internal.crossing
import kotlin.time.Duration

/** Which connections of a [LocalGateway] are meant. */
public sealed class Target(internal val core: GatewayTarget) {
    /** All of them. */
    public data object All : Target(GatewayTarget.All)

    /** The one with this id, as its welcome said. */
    public class Connection(id: String) : Target(GatewayTarget.Connection(id))

    /** All whose token has this subject. */
    public class Subject(subject: String) : Target(GatewayTarget.Subject(subject))
}

/** What happens to new connections, see [LocalGateway.failConnects]. */
public sealed class ConnectFault(internal val core: ConnectionFault) {
    /** The TCP connection is accepted, and nothing ever comes over it. */
    public data object HalfOpen : ConnectFault(ConnectionFault.HalfOpen)

    /** The TCP connection is accepted and closed at once. */
    public data object CloseTcp : ConnectFault(ConnectionFault.CloseTcp)

    /** The TCP connection is accepted and reset at once. */
    public data object ResetTcp : ConnectFault(ConnectionFault.ResetTcp)

    /** The upgrade is refused with this HTTP status. */
    public class Refuse(status: Int) : ConnectFault(ConnectionFault.Refuse(status.toUShort()))

    /** The upgrade succeeds, but nothing comes after it. */
    public data object NoWelcome : ConnectFault(ConnectionFault.NoWelcome)

    /** A close frame with this code comes after the welcome. */
    public class CloseAfterWelcome(code: Int) : ConnectFault(ConnectionFault.CloseAfterWelcome(code.toUShort()))

    /** A close frame with this code comes in place of the welcome. */
    public class CloseBeforeWelcome(code: Int) : ConnectFault(ConnectionFault.CloseBeforeWelcome(code.toUShort()))
}

/** A connection to a [LocalGateway]. */
public typealias GatewayConnection = io.github.realtimepubsub.ffi.GatewayConnection

/**
 * A gateway in this process, so that tests need no network: a free port of 127.0.0.1, an app named `local`, tokens to
 * mint, and faults to inject.
 *
 * ```
 * LocalGateway().use { gateway ->
 *     val client = RealtimeClient(gateway.urlWithToken("alice"))
 * }
 * ```
 */
public class LocalGateway @JvmOverloads constructor(
    app: String = "local",
    /** Whether messages are acknowledged. */
    acks: Boolean = true,
    /** Take any token or none. */
    insecure: Boolean = false,
    /** Where to listen. */
    listen: String = "127.0.0.1:0",
    messageBytes: Long? = null,
    connectionsPerSubject: Long? = null,
    messagesPerSecond: Int? = null,
    outboundBytes: Long? = null,
    /** How long [stop] waits for clients. */
    drain: Duration? = null,
) : AutoCloseable {
    private val core = mapped {
        CoreGateway.start(
            GatewaySettings(
                listen, app, acks, insecure, messageBytes?.toULong(), connectionsPerSubject?.toULong(),
                messagesPerSecond?.toUInt(), outboundBytes?.toULong(), drain.ms(),
            ),
        )
    }

    /** The app's URL, without a token. */
    public val url: String get() = core.url()

    /** The URL that REST paths begin at. */
    public val httpUrl: String get() = core.httpUrl()

    /** All that a client needs: the URL with a token for this subject, with all permissions unless given, for an hour. */
    @JvmOverloads
    public fun urlWithToken(subject: String, permissions: List<String>? = null, expiresIn: Duration? = null): String =
        mapped { core.urlWithToken(token(subject, permissions, expiresIn)) }

    /** A token for clients. */
    @JvmOverloads
    public fun mintToken(subject: String, permissions: List<String>? = null, expiresIn: Duration? = null): String =
        mapped { core.token(token(subject, permissions, expiresIn)) }

    /** A token for REST calls. */
    @JvmOverloads
    public fun mintAdminToken(subject: String, permissions: List<String>? = null, expiresIn: Duration? = null): String =
        mapped { core.adminToken(token(subject, permissions, expiresIn)) }

    private fun token(subject: String, permissions: List<String>?, expiresIn: Duration?) =
        TokenSettings(subject, permissions, expiresIn?.inWholeSeconds?.coerceAtLeast(0)?.toULong())

    /** The connections there are. */
    public val connections: List<GatewayConnection> get() = core.connections()

    /** Closes connections after what is queued for them. How many. */
    public fun kick(target: Target = Target.All, code: Int = 1000, reason: String = ""): Long =
        core.kick(target.core, code.toUShort(), reason).toLong()

    /** Stops: closes all connections and waits for that. */
    public suspend fun stop(): Unit = crossing { core.stop() }

    /** Ends at once, without a word to its clients. */
    override fun close(): Unit = core.close()

    // ---- faults

    /** Acks are not sent from now on. */
    public fun dropAcks(): Unit = core.dropAcks()

    /** Acks are sent this much later, or, with zero, at once again. */
    public fun delayAcks(delay: Duration): Unit = core.delayAcks(delay.ms() ?: 0uL)

    /** Stops reading from and writing to connections, which stay open. */
    public fun stall(target: Target = Target.All): Unit = core.stall(target.core)

    /** Ends all stalls. */
    public fun unstall(): Unit = core.unstall()

    /** Answers pings no more, or again. */
    public fun swallowPings(swallow: Boolean): Unit = core.swallowPings(swallow)

    /** Writes at most so many bytes at a time, with a pause between. */
    public fun splitWrites(bytes: Int, pause: Duration): Unit = core.splitWrites(bytes.toUInt(), pause.ms() ?: 0uL)

    /** Has this happen to the next [count] new connections, or to all. */
    @JvmOverloads
    public fun failConnects(fault: ConnectFault, count: Int? = null): Unit = core.failConnects(fault.core, count?.toUInt())

    /** Resets connections, with no close frame. How many. */
    public fun reset(target: Target = Target.All): Long = core.reset(target.core).toLong()

    /** Sends a text frame of any content. To how many connections. */
    public fun sendText(target: Target, text: String): Long = core.sendText(target.core, text).toLong()

    /** Ends all faults. */
    public fun clearFaults(): Unit = core.clearFaults()
}
