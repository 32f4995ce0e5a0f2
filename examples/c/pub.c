/* Publishes to a topic, and then a message of type `end`. Acks come through completion callbacks.
 *
 *     cc pub.c -o pub $(pkg-config --cflags --libs realtime_pubsub)
 *     ./pub URL [TOPIC [COUNT]]
 */
#include "example.h"

static void acknowledged(void *user_data, const rps_outcome *outcome) {
    if (outcome->number != RPS_OK) fprintf(stderr, "message %ld: %.*s\n", (long)user_data, RPS_ARG(outcome->text));
}

int main(int argc, char **argv) {
    const char *topic = argc > 2 ? argv[2] : "news";
    long count = argc > 3 ? atol(argv[3]) : 3;
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT, end = RPS_PUBLISH_OPTIONS_INIT;
    rps_client client;
    if (argc < 2) {
        fprintf(stderr, "usage: pub URL [TOPIC [COUNT]]\n");
        return 2;
    }
    client = client_for(argc, argv, NULL);
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    options.message_type = RPS_VIEW("item");
    options.wait_for_room = 1;
    for (long i = 1; i <= count; i++) {
        rps_completion done = {acknowledged, (void *)i, NULL};
        char payload[64];
        rps_wait wait;
        snprintf(payload, sizeof payload, "{\"number\":%ld}", i);
        must(rps_publish(client, RPS_STR(topic), RPS_STR(payload), &options, &wait, &error));
        must(rps_wait_for_ack_async(client, wait, RPS_DEFAULT_TIMEOUT, done, NULL, &error));
        rps_wait_free(wait, NULL);
    }
    end.message_type = RPS_VIEW("end");
    must(rps_publish(client, RPS_STR(topic), RPS_LIT("null"), &end, NULL, &error));
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error)); /* after all is written */
    rps_client_free(client, NULL);
    return 0;
}
