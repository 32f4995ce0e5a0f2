/* The C half of the benchmark, see run.sh: bench CASE URL SECONDS prints one figure. It does what examples/bench.rs does. */
#define _POSIX_C_SOURCE 199309L
#include <pthread.h>
#include <realtime_pubsub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAYLOAD 128
#define CHUNK 5000

static rps_error error;
static char payload[PAYLOAD + 3];
static rps_publish_options options;
static double seconds;

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

static rps_wait publish(rps_client client, const char *topic) {
    rps_wait wait;
    must(rps_publish(client, RPS_STR(topic), payload, PAYLOAD + 2, &options, &wait, &error));
    return wait;
}

static void acknowledged(rps_wait wait) {
    must(rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &error));
    must(rps_wait_free(wait, &error));
}

static void replied(rps_wait wait) {
    rps_response response;
    must(rps_wait_for_reply(wait, RPS_DEFAULT_TIMEOUT, &response, &error));
    must(rps_response_free(response, &error));
    must(rps_wait_free(wait, &error));
}

/* Publishes with so many answers outstanding at most. */
static double window(rps_client client, long depth, const char *topic, void (*finish)(rps_wait)) {
    rps_wait *outstanding = (rps_wait *)calloc((size_t)depth, sizeof *outstanding);
    double start = now(), took;
    long count = 0, i;
    for (; count % depth != 0 || now() - start < seconds; count++) {
        if (count >= depth) finish(outstanding[count % depth]);
        outstanding[count % depth] = publish(client, topic);
    }
    for (i = 0; i < depth && i < count; i++) finish(outstanding[i]);
    took = now() - start;
    free(outstanding);
    return (double)count / took;
}

static struct {
    rps_client client;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    long received;
    size_t bytes;
    double start, took;
} flood = {0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0};

static void more(void) {
    must(rps_publish(flood.client, RPS_LIT("more"), RPS_LIT("\"bench.m\""), NULL, NULL, &error));
}

static void on_message(void *user_data, const rps_event_view *event) {
    rps_str text;
    (void)user_data;
    rps_message_payload(event->message, &text, NULL);
    flood.bytes += text.len;
    if (++flood.received % CHUNK) return;
    if (now() - flood.start < seconds) {
        more();
        return;
    }
    pthread_mutex_lock(&flood.mutex);
    if (flood.took == 0) {
        if (flood.bytes != (size_t)flood.received * (PAYLOAD + 2)) abort();
        flood.took = now() - flood.start;
        flood.bytes = (size_t)flood.received;
    }
    pthread_cond_signal(&flood.done);
    pthread_mutex_unlock(&flood.mutex);
}

static double receive(rps_client client) {
    rps_listener_callback listener = {on_message, NULL, NULL};
    rps_listener id;
    size_t count;
    double took;
    flood.client = client;
    flood.start = now();
    must(rps_on(client, RPS_LIT("bench.m"), listener, &id, &error));
    more();
    more();
    more();
    pthread_mutex_lock(&flood.mutex);
    while (flood.took == 0) pthread_cond_wait(&flood.done, &flood.mutex);
    count = flood.bytes;
    took = flood.took;
    pthread_mutex_unlock(&flood.mutex);
    must(rps_off(id, &error));
    return (double)count / took;
}

/* Publishes that nobody waits for, the last one acknowledged. */
static double fire(rps_client client) {
    rps_publish_options patient = options;
    double start = now();
    long count = 0;
    int i;
    patient.wait_for_room = 1;
    while (now() - start < seconds) {
        for (i = 0; i < 200; i++)
            must(rps_publish(client, RPS_LIT("bench"), payload, PAYLOAD + 2, &patient, NULL, &error));
        count += 200;
    }
    options = patient;
    acknowledged(publish(client, "bench"));
    return (double)count / (now() - start);
}

static int by_size(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static double latency(rps_client client) {
    size_t room = 1 << 22, count = 0;
    double *took = (double *)calloc(room, sizeof *took), until = now() + seconds, median;
    while (now() < until && count < room) {
        double start = now();
        acknowledged(publish(client, "bench"));
        took[count++] = now() - start;
    }
    qsort(took, count, sizeof *took, by_size);
    median = took[count / 2] * 1e6;
    free(took);
    return median;
}

int main(int argc, char **argv) {
    rps_client client;
    double figure;
    if (argc != 4) return 2;
    seconds = atof(argv[3]);
    memset(payload, 'x', sizeof payload);
    payload[0] = payload[PAYLOAD + 1] = '"';
    options = RPS_PUBLISH_OPTIONS_INIT;
    options.message_type = RPS_VIEW("m");
    must(rps_client_new(RPS_STR(argv[2]), NULL, &client, &error));
    must(rps_connect(client, RPS_DEFAULT_TIMEOUT, &error));
    if (!strcmp(argv[1], "latency"))
        figure = latency(client);
    else if (!strcmp(argv[1], "receive"))
        figure = receive(client);
    else if (!strcmp(argv[1], "fire"))
        figure = fire(client);
    else if (!strncmp(argv[1], "reply-", 6))
        figure = window(client, atol(argv[1] + 6), "ask", replied);
    else
        figure = window(client, atol(argv[1] + 4), "bench", acknowledged);
    must(rps_disconnect(client, RPS_DEFAULT_TIMEOUT, &error));
    rps_client_free(client, NULL);
    printf("%.1f\n", figure);
    return 0;
}
