/* What the tests of the C ABI share: checks that say where they failed, and a way to wait for callbacks. */
#ifndef CHECK_H
#define CHECK_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "realtime_pubsub.h"

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* That a call returns this number; shows the error otherwise. `E` is the error that the calls here are given. */
static rps_error E;
#define GIVES(number_, call)                                                                                           \
    do {                                                                                                               \
        int32_t got_ = (call);                                                                                         \
        if (got_ != (number_)) {                                                                                       \
            fprintf(stderr, "%s:%d: %s gave %d %s, not %d: %s\n", __FILE__, __LINE__, #call, (int)got_,                \
                    rps_error_name(got_), (int)(number_), got_ ? E.message : "");                                      \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)
#define OK(call) GIVES(RPS_OK, call)

/* Counts that threads wait for. */
typedef struct counter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    long value;
} counter;
#define COUNTER_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static inline void add(counter *counter, long amount) {
    pthread_mutex_lock(&counter->mutex);
    counter->value += amount;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->mutex);
}

static inline long value(counter *counter) {
    pthread_mutex_lock(&counter->mutex);
    long now = counter->value;
    pthread_mutex_unlock(&counter->mutex);
    return now;
}

/* Waits until it is at least this, for 60 s at most. */
static inline int reaches(counter *counter, long wanted) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&counter->mutex);
    int status = 0;
    while (counter->value < wanted && status == 0)
        status = pthread_cond_timedwait(&counter->changed, &counter->mutex, &until);
    int reached = counter->value >= wanted;
    pthread_mutex_unlock(&counter->mutex);
    return reached;
}

static inline int is(rps_str view, const char *text) {
    return view.len == strlen(text) && memcmp(view.data, text, view.len) == 0;
}

static inline int contains(rps_str view, const char *text) {
    size_t len = strlen(text);
    for (size_t at = 0; at + len <= view.len; at++)
        if (memcmp(view.data + at, text, len) == 0) return 1;
    return 0;
}

/* On a machine that is busy, or under valgrind, no test is to fail because something took long that says nothing of time. */
static inline void be_patient(rps_options *options) {
    options->connect_timeout_ms = 120000;
    options->handshake_timeout_ms = options->welcome_timeout_ms = 60000;
    options->wait_timeout_ms = options->barrier_timeout_ms = options->disconnect_timeout_ms = 60000;
    options->pong_timeout_ms = 60000;
    if (!options->provider_timeout_ms) options->provider_timeout_ms = 60000;
}

/* A client of the gateway with this subject, not connected. */
static inline rps_client make_client(rps_gateway gateway, const char *subject, const rps_options *given) {
    rps_options options = RPS_OPTIONS_INIT;
    rps_text text;
    rps_str url;
    rps_client client;
    if (given) options = *given;
    be_patient(&options);
    OK(rps_gateway_url_with_token(gateway, RPS_STR(subject), NULL, &text, &E));
    OK(rps_text_get(text, &url, &E));
    OK(rps_client_new(url.data, url.len, &options, &client, &E));
    OK(rps_text_free(text, &E));
    return client;
}

/* The same, connected. */
static inline rps_client make_connected(rps_gateway gateway, const char *subject, const rps_options *options) {
    rps_client client = make_client(gateway, subject, options);
    OK(rps_connect(client, RPS_DEFAULT_TIMEOUT, &E));
    return client;
}

static inline rps_gateway make_gateway(void) {
    rps_gateway gateway;
    OK(rps_gateway_start(NULL, &gateway, &E));
    return gateway;
}

#endif
