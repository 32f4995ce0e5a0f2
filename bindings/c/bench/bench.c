/* The C half of the benchmark, see run.sh: bench CASE URL COUNT prints one figure. It does what examples/bench.rs does. */
#define _POSIX_C_SOURCE 199309L
#include <pthread.h>
#include <realtime_pubsub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAYLOAD 128

static rps_error error;
static char payload[PAYLOAD + 3];
static rps_publish_options options;

static void must(int32_t result) {
    if (result == RPS_OK) return;
    fprintf(stderr, "%s: %s\n", rps_error_name(result), error.message);
    exit(1);
}

static double now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static rps_wait publish(rps_client client) {
    rps_wait wait;
    must(rps_publish(client, RPS_LIT("bench"), payload, PAYLOAD + 2, &options, &wait, &error));
    return wait;
}

static void finish(rps_wait wait) {
    must(rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_wait_free(wait, &error));
}

static double acks(rps_client client, long count, long depth) {
    rps_wait *window = (rps_wait *)calloc((size_t)depth, sizeof *window);
    double start = now(), took;
    for (long i = 0; i < count; i++) {
        if (i >= depth) finish(window[i % depth]);
        window[i % depth] = publish(client);
    }
    for (long i = count; i < count + depth; i++) finish(window[i % depth]);
    took = now() - start;
    free(window);
    return (double)count / took;
}

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    long wanted, received;
    size_t bytes;
    double start, took;
} flood = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0, 0};

static void on_message(void *user_data, const rps_event_view *event) {
    rps_str text;
    (void)user_data;
    if (flood.received == 0) flood.start = now();
    rps_message_payload(event->message, &text, NULL);
    flood.bytes += text.len;
    if (++flood.received == flood.wanted) {
        pthread_mutex_lock(&flood.mutex);
        flood.took = now() - flood.start;
        pthread_cond_signal(&flood.done);
        pthread_mutex_unlock(&flood.mutex);
    }
}

static double receive(rps_client client, long count) {
    rps_listener_callback listener = {on_message, NULL, NULL};
    rps_publish_options type = RPS_PUBLISH_OPTIONS_INIT;
    char text[32];
    flood.wanted = count;
    must(rps_on(client, RPS_LIT("bench.*"), listener, NULL, &error));
    type.message_type = RPS_VIEW("flood");
    snprintf(text, sizeof text, "%ld", count);
    must(rps_publish(client, RPS_LIT("main"), RPS_STR(text), &type, NULL, &error));
    pthread_mutex_lock(&flood.mutex);
    while (flood.took == 0) pthread_cond_wait(&flood.done, &flood.mutex);
    pthread_mutex_unlock(&flood.mutex);
    if (flood.bytes != (size_t)count * (PAYLOAD + 2)) abort();
    return (double)count / flood.took;
}

static int by_size(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static double latency(rps_client client, long count) {
    double *took = (double *)calloc((size_t)count, sizeof *took), median;
    for (long i = 0; i < count; i++) {
        double start = now();
        finish(publish(client));
        took[i] = now() - start;
    }
    qsort(took, (size_t)count, sizeof *took, by_size);
    median = took[count / 2] * 1e6;
    free(took);
    return median;
}

int main(int argc, char **argv) {
    rps_client client;
    long count;
    double figure;
    if (argc != 4) return 2;
    count = atol(argv[3]);
    memset(payload, 'x', sizeof payload);
    payload[0] = payload[PAYLOAD + 1] = '"';
    options = RPS_PUBLISH_OPTIONS_INIT;
    options.message_type = RPS_VIEW("m");
    must(rps_client_new(RPS_STR(argv[2]), NULL, &client, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    if (!strcmp(argv[1], "latency"))
        figure = latency(client, count);
    else if (!strcmp(argv[1], "receive"))
        figure = receive(client, count);
    else
        figure = acks(client, count, atol(argv[1] + strlen("acks")));
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    printf("%.1f\n", figure);
    return 0;
}
