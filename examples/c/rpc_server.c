/* Answers requests: replies to each number on math.square with its square, until it is told to stop.
 *
 *     cc rpc_server.c -o rpc_server $(pkg-config --cflags --libs realtime_pubsub)
 *     ./rpc_server [URL]        prints a URL for rpc_client where it is given none
 */
#include "example.h"

static void square(void *user_data, const rps_event_view *event) {
    rps_reply_options failure = RPS_REPLY_OPTIONS_INIT;
    rps_str payload;
    char text[64], answer[64], *end;
    long number;
    (void)user_data;
    must(rps_message_payload(event->message, &payload, &error));
    snprintf(text, sizeof text, "%.*s", RPS_ARG(payload));
    number = strtol(text, &end, 10);
    if (end == text || *end) {
        failure.status = RPS_VIEW("error");
        rps_reply(event->message, RPS_LIT("\"not a number\""), &failure, NULL, NULL);
        return;
    }
    snprintf(answer, sizeof answer, "%ld", number * number);
    /* The asker may be gone: then there is nobody to tell. */
    rps_reply(event->message, RPS_STR(answer), NULL, NULL, NULL);
}

int main(int argc, char **argv) {
    rps_client client = client_for(argc, argv, NULL);
    rps_listener_callback answer = {square, NULL, NULL};
    rps_event stop;
    must(rps_on(client, RPS_LIT("math.square"), answer, NULL, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_subscribe_remote_topic(client, RPS_LIT("math"), &error));
    printf("serving math.square\n");
    fflush(stdout);
    must(rps_wait_for(client, RPS_LIT("math.stop"), 24 * 3600 * 1000, &stop, &error));
    rps_event_free(stop, NULL);
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    return 0;
}
