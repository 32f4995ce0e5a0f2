/* What the examples share: where to connect to, and giving up with the reason. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <realtime_pubsub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rps_error error;

/* For calls that an example can't go on without. */
static inline void must(int32_t result) {
    if (result == RPS_OK) return;
    fprintf(stderr, "%s: %s\n", rps_error_name(result), error.message);
    exit(1);
}

/* A client for the URL on the command line. Without one, for a gateway of this process's own: its URL, with a token for
 * the other program of the pair, is printed, so that you can pass it on. */
static inline rps_client client_for(int argc, char **argv, const rps_options *options) {
    rps_client client;
    rps_gateway gateway;
    rps_text mine, others;
    rps_str url;
    if (argc > 1) {
        must(rps_client_new(RPS_STR(argv[1]), options, &client, &error));
        return client;
    }
    must(rps_gateway_start(NULL, &gateway, &error));
    must(rps_gateway_url_with_token(gateway, RPS_LIT("other"), NULL, &others, &error));
    must(rps_text_get(others, &url, &error));
    printf("%.*s\n", RPS_ARG(url));
    fflush(stdout);
    must(rps_gateway_url_with_token(gateway, RPS_LIT("me"), NULL, &mine, &error));
    must(rps_text_get(mine, &url, &error));
    must(rps_client_new(url.data, url.len, options, &client, &error));
    rps_text_free(mine, NULL);
    rps_text_free(others, NULL);
    return client;
}

#endif
