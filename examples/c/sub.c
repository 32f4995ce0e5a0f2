/* Shows what is published to a topic, until a message of type `end` comes. Callback style.
 *
 *     cc sub.c -o sub $(pkg-config --cflags --libs realtime_pubsub)
 *     ./sub [URL [TOPIC]]       prints a URL for pub where it is given none
 */
#include "example.h"

static void show(void *user_data, const rps_event_view *event) {
    rps_str type, id, payload;
    (void)user_data;
    must(rps_message_type(event->message, &type, &error));
    must(rps_message_id(event->message, &id, &error));
    must(rps_message_payload(event->message, &payload, &error));
    printf("%.*s %.*s: %.*s\n", RPS_ARG(type), RPS_ARG(id), RPS_ARG(payload));
}

static void trouble(void *user_data, const rps_event_view *event) {
    (void)user_data;
    fprintf(stderr, "%s: %.*s\n", rps_error_name(event->number), RPS_ARG(event->text));
}

int main(int argc, char **argv) {
    const char *topic = argc > 2 ? argv[2] : "news";
    rps_client client = client_for(argc, argv, NULL);
    rps_listener_callback shower = {show, NULL, NULL}, troubler = {trouble, NULL, NULL};
    char pattern[256];
    rps_event end;
    snprintf(pattern, sizeof pattern, "%s.*", topic);
    must(rps_on(client, RPS_STR(pattern), shower, NULL, &error));
    must(rps_on(client, RPS_LIT("error"), troubler, NULL, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_subscribe_remote_topic(client, RPS_STR(topic), &error));
    printf("listening to %s\n", topic);
    fflush(stdout);
    snprintf(pattern, sizeof pattern, "%s.end", topic);
    must(rps_wait_for(client, RPS_STR(pattern), 24 * 3600 * 1000, &end, &error));
    rps_event_free(end, NULL);
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    return 0;
}
