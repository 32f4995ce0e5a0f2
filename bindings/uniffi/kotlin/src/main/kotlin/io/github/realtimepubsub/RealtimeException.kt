package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.CoreException

/** What went wrong. The numbers and names are the same in every language. */
public typealias ErrorKind = io.github.realtimepubsub.ffi.ErrorKind

/**
 * Anything that fails here: a kind and its number for programs, a message for people that says what happened, to what,
 * and what to do.
 *
 * Cancellation is not among them: a cancelled coroutine ends with `CancellationException`, as everywhere in Kotlin.
 */
public sealed class RealtimeException(
    /** What went wrong. */
    public val kind: ErrorKind,
    /** The kind's number, the same in every language. */
    public val number: Int,
    message: String,
) : Exception(message) {
    /** An argument makes no sense: a bad URL, an empty topic, a bad pattern, a payload that is not JSON. */
    public class InvalidArgument internal constructor(message: String) :
        RealtimeException(ErrorKind.INVALID_ARGUMENT, -1, message)

    /** A handle is stale. It takes a bug to see this one. */
    public class InvalidHandle internal constructor(message: String) :
        RealtimeException(ErrorKind.INVALID_HANDLE, -2, message)

    /** There is no session, and the client does not queue while offline. */
    public class NotConnected internal constructor(message: String) :
        RealtimeException(ErrorKind.NOT_CONNECTED, -3, message)

    /** What was waited for did not come in time. */
    public class Timeout internal constructor(message: String) : RealtimeException(ErrorKind.TIMEOUT, -4, message)

    /** The client was disconnected or closed by its user. */
    public class Closed internal constructor(message: String) : RealtimeException(ErrorKind.CLOSED, -5, message)

    /** The connection died before the answer came. */
    public class ConnectionLost internal constructor(message: String) :
        RealtimeException(ErrorKind.CONNECTION_LOST, -6, message)

    /** A queue is full. */
    public class QueueFull internal constructor(message: String) : RealtimeException(ErrorKind.QUEUE_FULL, -7, message)

    /** A message is larger than the limit. */
    public class MessageTooLarge internal constructor(message: String) :
        RealtimeException(ErrorKind.MESSAGE_TOO_LARGE, -8, message)

    /** The gateway does not let this token do that. */
    public class Forbidden internal constructor(
        message: String,
        /** The topic that is forbidden. */
        public val topic: String?,
    ) : RealtimeException(ErrorKind.FORBIDDEN, -9, message)

    /** The connection could not be made. */
    public class HandshakeFailed internal constructor(message: String) :
        RealtimeException(ErrorKind.HANDSHAKE_FAILED, -10, message)

    /** The URL provider failed. */
    public class UrlProviderFailed internal constructor(message: String) :
        RealtimeException(ErrorKind.URL_PROVIDER_FAILED, -11, message)

    /** The gateway sent what the protocol does not allow. */
    public class ProtocolViolation internal constructor(message: String) :
        RealtimeException(ErrorKind.PROTOCOL_VIOLATION, -12, message)

    /** The wait was cancelled. */
    public class Cancelled internal constructor(message: String) : RealtimeException(ErrorKind.CANCELLED, -13, message)

    /** This call, made here, would wait for itself. */
    public class WouldDeadlock internal constructor(message: String) :
        RealtimeException(ErrorKind.WOULD_DEADLOCK, -14, message)

    /** A bug, or an exception that was caught, such as one of a listener's. */
    public class Internal internal constructor(message: String) : RealtimeException(ErrorKind.INTERNAL, -15, message)

    /** The message came over REST and has no sender to reply to. */
    public class NotReplyable internal constructor(message: String) :
        RealtimeException(ErrorKind.NOT_REPLYABLE, -16, message)

    internal companion object {
        fun of(number: Int, message: String, topic: String?): RealtimeException = when (number) {
            -1 -> InvalidArgument(message)
            -2 -> InvalidHandle(message)
            -3 -> NotConnected(message)
            -4 -> Timeout(message)
            -5 -> Closed(message)
            -6 -> ConnectionLost(message)
            QUEUE_FULL -> QueueFull(message)
            -8 -> MessageTooLarge(message)
            -9 -> Forbidden(message, topic)
            -10 -> HandshakeFailed(message)
            -11 -> UrlProviderFailed(message)
            -12 -> ProtocolViolation(message)
            -13 -> Cancelled(message)
            -14 -> WouldDeadlock(message)
            -16 -> NotReplyable(message)
            else -> Internal(message)
        }

        const val QUEUE_FULL = -7
    }
}

internal fun CoreException.mapped(): RealtimeException = when (this) {
    is CoreException.Failed -> RealtimeException.of(number, detail, topic)
}

/** Runs a call of the generated code with its errors made ours. */
internal inline fun <T> mapped(call: () -> T): T = try {
    call()
} catch (error: CoreException) {
    throw error.mapped()
}
