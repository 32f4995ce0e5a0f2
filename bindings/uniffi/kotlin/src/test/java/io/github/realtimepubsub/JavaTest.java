package io.github.realtimepubsub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import kotlin.Unit;
import kotlin.coroutines.EmptyCoroutineContext;
import kotlinx.coroutines.BuildersKt;
import org.junit.jupiter.api.Test;

/** What can be called from Java. */
class JavaTest {
    @Test
    void connectsListensAndPublishes() throws Exception {
        try (LocalGateway gateway = new LocalGateway();
                RealtimeClient client = new RealtimeClient(gateway.urlWithToken("java"))) {
            assertEquals(State.IDLE, client.getState());
            CompletableFuture<String> session = new CompletableFuture<>();
            client.on(ControlEvent.SessionStarted.INSTANCE, (info, done) -> {
                session.complete(info.getId());
                return Unit.INSTANCE;
            });
            CompletableFuture<String> payload = new CompletableFuture<>();
            long listener = client.on("main.note", (message, done) -> {
                payload.complete(message.getPayload());
                return Unit.INSTANCE;
            });
            client.start();
            String id = session.get(60, TimeUnit.SECONDS);
            assertEquals(id, client.getConnection().getId());
            // What suspends, in a blocking way.
            BuildersKt.runBlocking(
                    EmptyCoroutineContext.INSTANCE,
                    (scope, done) -> client.publishJson("main", "[1]", "note", null, false, done));
            assertEquals("[1]", payload.get(60, TimeUnit.SECONDS));
            assertTrue(client.off(listener));
            assertEquals(1, gateway.getConnections().size());
        }
        RealtimeException error =
                assertThrows(RealtimeException.InvalidArgument.class, () -> new RealtimeClient("http://x"));
        assertEquals(-1, error.getNumber());
    }
}
