/* Connects, listens, publishes, waits for the ack and the reply. Blocking style.
 *
 *     cc basic.c -o basic $(pkg-config --cflags --libs realtime_pubsub)
 *     ./basic [URL]
 */
#include "example.h"

static void on_text_message(void *user_data, const rps_event_view *event) {
    rps_str payload;
    (void)user_data;
    must(rps_message_payload(event->message, &payload, &error));
    printf("received: %.*s\n", RPS_ARG(payload));
    must(rps_reply(event->message, RPS_LIT("\"Got it!\""), NULL, NULL, &error));
}

static void on_session(void *user_data, const rps_event_view *event) {
    (void)user_data;
    printf("session started: connection %.*s\n", RPS_ARG(event->connection_id));
}

int main(int argc, char **argv) {
    rps_client client = client_for(argc, argv, NULL);
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT;
    rps_listener_callback session = {on_session, NULL, NULL}, text_message = {on_text_message, NULL, NULL};
    rps_wait wait;
    rps_response reply;
    rps_str data;

    must(rps_on(client, RPS_LIT("session.started"), session, NULL, &error));
    must(rps_on(client, RPS_LIT("chat.text-message"), text_message, NULL, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_subscribe_remote_topic(client, RPS_LIT("chat"), &error));

    options.message_type = RPS_VIEW("text-message");
    must(rps_publish(client, RPS_LIT("chat"), RPS_LIT("\"Hello, World!\""), &options, &wait, &error));
    must(rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_wait_for_reply(wait, RPS_DEFAULT_TIMEOUT, &reply, &error));
    must(rps_response_data(reply, &data, &error));
    printf("reply: %.*s\n", RPS_ARG(data));

    rps_response_free(reply, NULL);
    rps_wait_free(wait, NULL);
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    return 0;
}
