/* One listener for many messages: `*` stands for one segment of a name, `**` for any number. Receives with a stream too,
 * which needs no callback.
 *
 *     cc wildcard.c -o wildcard $(pkg-config --cflags --libs realtime_pubsub)
 *     ./wildcard [URL]
 */
#include "example.h"

static void show(void *user_data, const rps_event_view *event) {
    rps_str topic, type, payload;
    must(rps_message_topic(event->message, &topic, &error));
    must(rps_message_type(event->message, &type, &error));
    must(rps_message_payload(event->message, &payload, &error));
    printf("%s matches %.*s.%.*s: %.*s\n", (const char *)user_data, RPS_ARG(topic), RPS_ARG(type), RPS_ARG(payload));
}

int main(int argc, char **argv) {
    rps_client client = client_for(argc, argv, NULL);
    rps_listener_callback one = {show, (void *)"chat.*", NULL}, any = {show, (void *)"**.joined", NULL};
    rps_publish_options text = RPS_PUBLISH_OPTIONS_INIT, joined = RPS_PUBLISH_OPTIONS_INIT;
    rps_messages messages;
    rps_message message;

    must(rps_on(client, RPS_LIT("chat.*"), one, NULL, &error));
    must(rps_on(client, RPS_LIT("**.joined"), any, NULL, &error));
    must(rps_messages_new(client, RPS_LIT("chat.**"), &messages, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_subscribe_remote_topic(client, RPS_LIT("chat"), &error));

    text.message_type = RPS_VIEW("text-message");
    joined.message_type = RPS_VIEW("joined");
    must(rps_publish(client, RPS_LIT("chat"), RPS_LIT("\"Hi\""), &text, NULL, &error));
    must(rps_publish(client, RPS_LIT("chat"), RPS_LIT("\"Bob\""), &joined, NULL, &error));
    for (int received = 0; received < 2; received++) {
        must(rps_messages_next(messages, 5000, &message, &error));
        rps_message_free(message, NULL);
    }
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_messages_free(messages, NULL);
    rps_client_free(client, NULL);
    return 0;
}
