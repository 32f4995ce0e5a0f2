package io.github.realtimepubsub

import io.github.realtimepubsub.ffi.errorKinds
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class ErrorTest {
    @Test
    fun `every kind of the core's table has an exception of its own`() {
        val table = errorKinds()
        assertEquals(ErrorKind.entries.toList(), table.map { it.kind })
        assertEquals(ErrorKind.entries.map { it.name }, table.map { it.name })
        val made = table.map { RealtimeException.of(it.number, "text", "topic") }
        assertEquals(table.map { it.number }, made.map { it.number })
        assertEquals(table.map { it.kind }, made.map { it.kind })
        assertEquals(table.size, made.map { it::class }.toSet().size)
        assertEquals(table.size, RealtimeException::class.java.declaredClasses.count { it.superclass == RealtimeException::class.java })
    }
}
