package io.github.realtimepubsub

/** A connection, as the gateway's welcome introduced it. */
public data class ConnectionInfo(
    /** The connection's id. It changes with every session. */
    public val id: String,
    /** The app the connection belongs to. */
    public val appId: String,
    /** This client's address as the gateway sees it. */
    public val remoteAddress: String,
)

/** The end of a connection. */
public data class CloseEvent(
    /** The close code of RFC 6455: the peer's, 1000 after `disconnect`, 1006 if the connection broke. */
    public val code: Int,
    /** The peer's reason, or what broke. */
    public val reason: String,
    /** Whether the client will connect again by itself. */
    public val willReconnect: Boolean,
)

/** Where a client stands. */
public enum class State {
    /** Made, and never asked to connect. */
    IDLE,

    /** Asked to connect; there has been no session since. */
    CONNECTING,

    /** In a session. */
    CONNECTED,

    /** The session was lost; the next one is being made. */
    RECONNECTING,

    /** Disconnected by its user. It can connect again. */
    CLOSED,

    /** Given up. It can connect again. */
    FAILED,
}

/** A change of [State]. */
public data class StateChange(
    /** The state before. */
    public val from: State,
    /** The state now. */
    public val to: State,
    /** Why. */
    public val reason: String,
)

/** Messages were dropped because the inbox was full. */
public data class Lagged(
    /** How many since the last such event. */
    public val dropped: Long,
)

/**
 * What a client tells its user besides messages, for [RealtimeClient.on] and [RealtimeClient.waitFor]. Only the client
 * makes these events, nothing from the wire can.
 */
public sealed class ControlEvent<T : Any>(
    /** The name that every language has. */
    public val name: String,
) {
    /** A session has begun and the topics are subscribed. */
    public data object SessionStarted : ControlEvent<ConnectionInfo>("session.started")

    /** Something went wrong that no call could throw. */
    public data object Error : ControlEvent<RealtimeException>("error")

    /** A connection has ended. */
    public data object Close : ControlEvent<CloseEvent>("close")

    /** The state has changed. */
    public data object State : ControlEvent<StateChange>("state")

    /** Messages were dropped. */
    public data object Lagged : ControlEvent<io.github.realtimepubsub.Lagged>("lagged")

    internal companion object {
        // Lazy: the objects are made after this class.
        val names: Set<String> by lazy { setOf(SessionStarted, Error, Close, State, Lagged).map { it.name }.toSet() }
    }
}
