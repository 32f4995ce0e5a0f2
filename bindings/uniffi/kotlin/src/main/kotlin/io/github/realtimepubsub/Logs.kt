package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.LogHost
import io.github.realtimepubsub.ffi.forwardLogs

/** How important a log record is. */
public typealias LogLevel = io.github.realtimepubsub.ffi.LogLevel

/** One thing that was logged. Tokens never are. */
public typealias LogRecord = io.github.realtimepubsub.ffi.LogRecord

/** What the clients log, for your logger. */
public object RealtimeLogs {
    /**
     * Hands records of this level and above to the function, one after the other on a thread of its own, until the
     * returned value is closed: those of one client, or of all. Do this before the first client is made.
     */
    @JvmStatic
    @JvmOverloads
    public fun forward(level: LogLevel, client: RealtimeClient? = null, log: (LogRecord) -> Unit): AutoCloseable {
        val host = object : LogHost {
            override fun log(record: LogRecord) {
                try {
                    log.invoke(record)
                } catch (error: Throwable) {
                    System.err.println("a logger threw: $error")
                }
            }
        }
        val forwarding = mapped { forwardLogs(level, client?.number?.toULong(), host) }
        return AutoCloseable {
            forwarding.stop()
            forwarding.close()
        }
    }
}
