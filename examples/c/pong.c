/* Replies to every ping, until one of type `end` comes. The other half of ping.c.
 *
 *     cc pong.c -o pong $(pkg-config --cflags --libs realtime_pubsub)
 *     ./pong [URL]              prints a URL for ping where it is given none
 */
#include "example.h"

static void pong(void *user_data, const rps_event_view *event) {
    rps_str payload;
    (void)user_data;
    must(rps_message_payload(event->message, &payload, &error));
    rps_reply(event->message, payload.data, payload.len, NULL, NULL, NULL);
}

int main(int argc, char **argv) {
    rps_client client = client_for(argc, argv, NULL);
    rps_listener_callback replier = {pong, NULL, NULL};
    rps_event end;
    must(rps_on(client, RPS_LIT("ping.ping"), replier, NULL, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_subscribe_remote_topic(client, RPS_LIT("ping"), &error));
    printf("ready\n");
    fflush(stdout);
    must(rps_wait_for(client, RPS_LIT("ping.end"), 24 * 3600 * 1000, &end, &error));
    rps_event_free(end, NULL);
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    return 0;
}
