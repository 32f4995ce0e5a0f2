/* A program with an event loop of its own, one thread and poll(): it waits for standard input and for the client at the
 * same time. Each line is published; what arrives is shown. All callbacks run in rps_poll(), on this thread.
 *
 *     cc event_loop.c -o event_loop $(pkg-config --cflags --libs realtime_pubsub)
 *     ./event_loop [URL]
 */
#include "example.h"

#include <poll.h>
#include <unistd.h>

struct program {
    int done, open;
};

static void show(void *user_data, const rps_event_view *event) {
    rps_str payload;
    (void)user_data;
    must(rps_message_payload(event->message, &payload, &error));
    printf("received: %.*s\n", RPS_ARG(payload));
}

static void connected(void *user_data, const rps_outcome *outcome) {
    if (outcome->number != RPS_OK) {
        fprintf(stderr, "%.*s\n", RPS_ARG(outcome->text));
        exit(1);
    }
    printf("connected as %.*s\n", RPS_ARG(outcome->event->connection_id));
    ((struct program *)user_data)->open = 1;
}

static void disconnected(void *user_data, const rps_outcome *outcome) {
    (void)outcome;
    ((struct program *)user_data)->done = 1;
}

int main(int argc, char **argv) {
    struct program program = {0, 0};
    rps_options options = RPS_OPTIONS_INIT;
    rps_publish_options line_type = RPS_PUBLISH_OPTIONS_INIT;
    rps_client client;
    rps_listener_callback shower = {show, NULL, NULL};
    rps_completion on_connected = {connected, &program, NULL}, on_disconnected = {disconnected, &program, NULL};
    struct pollfd descriptors[2] = {{0, POLLIN, 0}, {0, POLLIN, 0}};
    int leaving = 0;

    setvbuf(stdin, NULL, _IONBF, 0); /* what is left in a buffer poll() can't see */
    options.dispatch = RPS_DISPATCH_POLL;
    client = client_for(argc, argv, &options);
    line_type.message_type = RPS_VIEW("line");
    must(rps_client_fd(client, &descriptors[0].fd, &error));
    must(rps_on(client, RPS_LIT("main.line"), shower, NULL, &error));
    must(rps_connect_async(client, RPS_DEFAULT_TIMEOUT, on_connected, NULL, &error));

    while (!program.done) {
        /* Standard input is of interest once there is somebody to publish to. */
        if (poll(descriptors, program.open && !leaving ? 2 : 1, -1) < 0) return 1;
        if (descriptors[0].revents) must(rps_poll(client, 0, 0, NULL, &error));
        if (program.open && !leaving && descriptors[1].revents) {
            char line[256], json[600];
            size_t length = 0;
            if (!fgets(line, sizeof line, stdin)) {
                leaving = 1;
                must(rps_flush(client, &error));
                must(rps_disconnect_async(client, RPS_DEFAULT_TIMEOUT, on_disconnected, NULL, &error));
                continue;
            }
            line[strcspn(line, "\n")] = 0;
            json[length++] = '"';
            for (const char *from = line; *from; from++) {
                if (*from == '"' || *from == '\\') json[length++] = '\\';
                if ((unsigned char)*from >= ' ') json[length++] = *from;
            }
            json[length++] = '"';
            must(rps_publish(client, RPS_LIT("main"), json, length, &line_type, NULL, &error));
        }
    }
    rps_client_free(client, NULL);
    return 0;
}
