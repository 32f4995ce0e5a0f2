/* Measures how long a request and its reply take, through the gateway and back. Needs pong.
 *
 *     cc ping.c -o ping $(pkg-config --cflags --libs realtime_pubsub)
 *     ./ping URL [COUNT]
 */
#define _POSIX_C_SOURCE 199309L
#include "example.h"

#include <time.h>

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
    long count = argc > 2 ? atol(argv[2]) : 1000;
    double *took = (double *)calloc((size_t)count + 1, sizeof *took);
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT, end = RPS_PUBLISH_OPTIONS_INIT;
    rps_client client;
    if (argc < 2 || count < 1 || !took) {
        fprintf(stderr, "usage: ping URL [COUNT]\n");
        return 2;
    }
    client = client_for(argc, argv, NULL);
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    options.message_type = RPS_VIEW("ping");
    for (long i = 0; i < count; i++) {
        rps_response reply;
        double start = now_us();
        must(rps_request(client, RPS_LIT("ping"), RPS_LIT("1"), &options, 5000, &reply, &error));
        took[i] = now_us() - start;
        rps_response_free(reply, NULL);
    }
    qsort(took, (size_t)count, sizeof *took, by_size);
    printf("%ld requests: p50 %.0f us, p99 %.0f us, max %.0f us\n", count, took[count / 2], took[count * 99 / 100],
           took[count - 1]);
    end.message_type = RPS_VIEW("end");
    must(rps_publish(client, RPS_LIT("ping"), RPS_LIT("null"), &end, NULL, &error));
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    free(took);
    return 0;
}
