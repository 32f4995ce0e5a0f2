/* Asks rpc_server for squares, and tells it to stop.
 *
 *     cc rpc_client.c -o rpc_client $(pkg-config --cflags --libs realtime_pubsub)
 *     ./rpc_client URL
 */
#include "example.h"

int main(int argc, char **argv) {
    const char *questions[] = {"7", "12", "\"seven\""};
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT, stop = RPS_PUBLISH_OPTIONS_INIT;
    rps_client client;
    if (argc < 2) {
        fprintf(stderr, "usage: rpc_client URL\n");
        return 2;
    }
    client = client_for(argc, argv, NULL);
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    options.message_type = RPS_VIEW("square");
    for (int i = 0; i < 3; i++) {
        rps_response reply;
        rps_str status, data;
        must(rps_request(client, RPS_LIT("math"), RPS_STR(questions[i]), &options, 5000, &reply, &error));
        must(rps_response_status(reply, &status, &error));
        must(rps_response_data(reply, &data, &error));
        printf("%s: %.*s %.*s\n", questions[i], RPS_ARG(status), RPS_ARG(data));
        rps_response_free(reply, NULL);
    }
    stop.message_type = RPS_VIEW("stop");
    must(rps_publish(client, RPS_LIT("math"), RPS_LIT("null"), &stop, NULL, &error));
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    return 0;
}
