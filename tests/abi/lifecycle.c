/* Clients that end at any point: in a listener, in `destroy`, with waits open, from two threads at once, at exit. */
#include "check.h"

#include <stdint.h>

static rps_gateway gateway;

static rps_listener_callback listener(void (*call)(void *, const rps_event_view *), void *user_data,
                                      void (*destroy)(void *)) {
    rps_listener_callback callback = {call, user_data, destroy};
    return callback;
}
static rps_completion completion(void (*call)(void *, const rps_outcome *), void *user_data, void (*destroy)(void *)) {
    rps_completion callback = {call, user_data, destroy};
    return callback;
}
static void nothing(void *user_data, const rps_event_view *event) { (void)user_data, (void)event; }
static void count(void *user_data) { add((counter *)user_data, 1); }
static void count_event(void *user_data, const rps_event_view *event) {
    (void)event;
    add((counter *)user_data, 1);
}
static void count_outcome(void *user_data, const rps_outcome *outcome) {
    (void)outcome;
    add((counter *)user_data, 1);
}
static rps_wait publish(rps_client client, const char *topic) {
    rps_wait wait;
    OK(rps_publish(client, RPS_STR(topic), RPS_LIT("1"), NULL, &wait, &E));
    return wait;
}

/* ---- registered and removed, many times */

static void many_listeners(void) {
    counter destroyed = COUNTER_INIT;
    rps_client client = make_connected(gateway, "many", NULL);
    rps_listener on;
    int times = getenv("FEWER") ? 5000 : 100000;
    for (int i = 0; i < times; i++) {
        OK(rps_on(client, RPS_LIT("many.*"), listener(nothing, &destroyed, count), &on, &E));
        OK(rps_off(on, &E));
    }
    CHECK(value(&destroyed) == times);
    GIVES(RPS_INVALID_ARGUMENT, rps_on(client, RPS_LIT(""), listener(nothing, &destroyed, count), &on, &E));
    GIVES(RPS_INVALID_ARGUMENT, rps_on(client, RPS_LIT("x"), listener(NULL, &destroyed, count), &on, &E));
    CHECK(value(&destroyed) == times + 2); /* also when registering failed */
    OK(rps_client_free(client, &E));
    GIVES(RPS_INVALID_HANDLE, rps_on(client, RPS_LIT("x.y"), listener(nothing, &destroyed, count), &on, &E));
    CHECK(value(&destroyed) == times + 3);
}

/* ---- off waits for a running call, and not within it */

typedef struct gate {
    counter entered, leave, left, destroyed;
    rps_client client;
} gate;
static void wait_in_call(void *user_data, const rps_event_view *event) {
    gate *g = (gate *)user_data;
    (void)event;
    add(&g->entered, 1);
    CHECK(reaches(&g->leave, 1));
    CHECK(value(&g->destroyed) == 0);
    add(&g->left, 1);
}
static void gate_destroyed(void *user_data) { add(&((gate *)user_data)->destroyed, 1); }
static void *let_go(void *user_data) {
    add(&((gate *)user_data)->leave, 1);
    return NULL;
}
static void off_within(void *user_data, const rps_event_view *event) {
    gate *g = (gate *)user_data;
    OK(rps_off(event->listener, &E));
    GIVES(RPS_INVALID_HANDLE, rps_off(event->listener, &E));
    CHECK(value(&g->destroyed) == 0); /* not while it runs */
    add(&g->left, 1);
}

static void off_waits(void) {
    gate g = {COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, 0};
    rps_listener on;
    pthread_t thread;
    g.client = make_connected(gateway, "off", NULL);
    OK(rps_on(g.client, RPS_LIT("main.*"), listener(wait_in_call, &g, gate_destroyed), &on, &E));
    OK(rps_wait_free(publish(g.client, "main"), &E));
    CHECK(reaches(&g.entered, 1));
    CHECK(pthread_create(&thread, NULL, let_go, &g) == 0);
    OK(rps_off(on, &E));
    CHECK(value(&g.left) == 1 && value(&g.destroyed) == 1);
    pthread_join(thread, NULL);
    g.destroyed.value = 0;
    OK(rps_on(g.client, RPS_LIT("main.*"), listener(off_within, &g, gate_destroyed), NULL, &E));
    OK(rps_wait_free(publish(g.client, "main"), &E));
    CHECK(reaches(&g.destroyed, 1) && value(&g.left) == 2);
    OK(rps_client_free(g.client, &E));
}

/* ---- a client that is freed by its own listener, by its own completion, in `destroy` */

static void free_client(void *user_data, const rps_event_view *event) {
    gate *g = (gate *)user_data;
    rps_str text;
    OK(rps_client_free(g->client, &E));
    GIVES(RPS_INVALID_HANDLE, rps_client_free(g->client, &E));
    OK(rps_message_payload(event->message, &text, &E)); /* the message is still there */
    CHECK(is(text, "1") && value(&g->destroyed) == 0);
    add(&g->left, 1);
}
static void free_client_at_end(void *user_data, const rps_outcome *outcome) {
    gate *g = (gate *)user_data;
    CHECK(outcome->number == RPS_OK);
    OK(rps_client_free(g->client, &E));
    add(&g->left, 1);
}
static void free_client_in_destroy(void *user_data) {
    gate *g = (gate *)user_data;
    OK(rps_client_free(g->client, &E));
    add(&g->destroyed, 1);
}

static void freed_within(void) {
    for (int style = 0; style < 2; style++) {
        gate g = {COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, 0};
        g.client = make_connected(gateway, "within", NULL);
        OK(rps_on(g.client, RPS_LIT("main.*"), listener(free_client, &g, gate_destroyed), NULL, &E));
        OK(rps_wait_free(publish(g.client, "main"), &E));
        CHECK(reaches(&g.destroyed, 1) && value(&g.left) == 1);
    }
    gate ended = {COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, 0};
    ended.client = make_connected(gateway, "within", NULL);
    OK(rps_flush_async(ended.client, completion(free_client_at_end, &ended, gate_destroyed), NULL, &E));
    CHECK(reaches(&ended.destroyed, 1) && value(&ended.left) == 1);

    gate destroyed = {COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, 0};
    rps_listener on;
    destroyed.client = make_connected(gateway, "within", NULL);
    OK(rps_on(destroyed.client, RPS_LIT("a.b"), listener(nothing, &destroyed, free_client_in_destroy), &on, &E));
    OK(rps_off(on, &E));
    CHECK(value(&destroyed.destroyed) == 1);
    GIVES(RPS_INVALID_HANDLE, rps_flush(destroyed.client, &E));
}

/* ---- a once that publishes what calls it */

static void once_again(void *user_data, const rps_event_view *event) {
    gate *g = (gate *)user_data;
    (void)event;
    for (int i = 0; i < 3; i++) OK(rps_wait_free(publish(g->client, "main"), &E));
    add(&g->left, 1);
}
static void once_is_once(void) {
    gate g = {COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, 0};
    counter seen = COUNTER_INIT;
    rps_listener once;
    g.client = make_connected(gateway, "once", NULL);
    OK(rps_once(g.client, RPS_LIT("main.*"), listener(once_again, &g, gate_destroyed), &once, &E));
    OK(rps_on(g.client, RPS_LIT("main.*"), listener(count_event, &seen, NULL), NULL, &E));
    for (int i = 0; i < 3; i++) OK(rps_wait_free(publish(g.client, "main"), &E));
    CHECK(reaches(&seen, 6) && value(&g.left) == 1 && value(&g.destroyed) == 1);
    GIVES(RPS_INVALID_HANDLE, rps_off(once, &E));
    OK(rps_client_free(g.client, &E));
}

/* ---- with waits open, on other threads */

typedef struct blocked {
    rps_client client;
    rps_wait wait;
    rps_messages messages;
    int which;
    counter *ready;
} blocked;
static void *block(void *user_data) {
    blocked *b = (blocked *)user_data;
    rps_error error;
    rps_event event;
    rps_response response;
    int32_t got = 0;
    add(b->ready, 1);
    switch (b->which) {
    case 0: got = rps_wait_for_reply(b->wait, 60000, &response, &error); break;
    case 1: got = rps_wait_for(b->client, RPS_LIT("no.such"), 60000, &event, &error); break;
    case 2: got = rps_request(b->client, RPS_LIT("quiet"), RPS_LIT("1"), NULL, 60000, &response, &error); break;
    case 3: got = rps_messages_next(b->messages, 60000, &event, &error); break;
    }
    /* A thread that comes too late finds the client gone. */
    CHECK(got == RPS_CLOSED || got == RPS_INVALID_HANDLE || got == RPS_CANCELLED);
    return NULL;
}

static void freed_with_waits_open(void) {
    counter ready = COUNTER_INIT, destroyed = COUNTER_INIT, called = COUNTER_INIT;
    rps_client client = make_connected(gateway, "open", NULL);
    rps_wait wait = publish(client, "quiet");
    rps_messages messages;
    pthread_t threads[4];
    blocked jobs[4];
    OK(rps_messages_new(client, RPS_LIT("no.such"), &messages, &E));
    OK(rps_wait_for_reply_async(client, wait, 60000, completion(count_outcome, &called, count), NULL, &E));
    OK(rps_wait_for_async(client, RPS_LIT("no.such"), 60000, completion(count_outcome, &destroyed, count), NULL, &E));
    for (int i = 0; i < 4; i++) {
        blocked job = {client, wait, messages, i, &ready};
        jobs[i] = job;
        CHECK(pthread_create(&threads[i], NULL, block, &jobs[i]) == 0);
    }
    CHECK(reaches(&ready, 4));
    OK(rps_client_free(client, &E));
    CHECK(value(&called) == 1 && value(&destroyed) == 1); /* destroyed, not called */
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    OK(rps_wait_free(wait, &E));
    OK(rps_messages_free(messages, &E));
}

/* ---- from two threads at once, while the others use it */

typedef struct race {
    rps_client client;
    counter *start, *freed;
} race;
static void *free_it(void *user_data) {
    race *r = (race *)user_data;
    CHECK(reaches(r->start, 1));
    if (rps_client_free(r->client, NULL) == RPS_OK) add(r->freed, 1);
    return NULL;
}
static void *use_it(void *user_data) {
    race *r = (race *)user_data;
    rps_error error;
    int32_t got = RPS_OK;
    CHECK(reaches(r->start, 1));
    for (int i = 0; i < 50 && got != RPS_INVALID_HANDLE; i++) {
        rps_wait wait;
        rps_listener on;
        int32_t state;
        got = rps_publish(r->client, RPS_LIT("main"), RPS_LIT("1"), NULL, &wait, &error);
        if (got == RPS_OK) {
            rps_wait_for_ack(wait, -1, &error);
            rps_wait_free(wait, &error);
        }
        if (rps_on(r->client, RPS_LIT("main.*"), listener(nothing, NULL, NULL), &on, &error) == RPS_OK)
            rps_off(on, &error);
        got = rps_client_state(r->client, &state, &error);
    }
    return NULL;
}
static void freed_by_two(void) {
    int rounds = getenv("FEWER") ? 3 : 20;
    for (int round = 0; round < rounds; round++) {
        counter start = COUNTER_INIT, freed = COUNTER_INIT;
        race r = {make_connected(gateway, "race", NULL), &start, &freed};
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, i < 2 ? free_it : use_it, &r) == 0);
        add(&start, 1);
        for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
        CHECK(value(&freed) == 1);
    }
}

/* ---- polled clients that end within rps_poll() */

static void *free_polled(void *user_data) {
    gate *g = (gate *)user_data;
    CHECK(reaches(&g->entered, 1));
    OK(rps_client_free(g->client, NULL));
    return NULL;
}
static void poll_within(void *user_data, const rps_event_view *event) {
    gate *g = (gate *)user_data;
    (void)event;
    GIVES(RPS_WOULD_DEADLOCK, rps_poll(g->client, 0, 0, NULL, &E));
    add(&g->left, 1);
}
static void polled(void) {
    gate g = {COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT, 0};
    rps_options options = RPS_OPTIONS_INIT;
    pthread_t thread;
    rps_error error;
    int32_t got;
    options.dispatch = RPS_DISPATCH_POLL;
    g.client = make_connected(gateway, "polled", &options);
    OK(rps_on(g.client, RPS_LIT("main.*"), listener(poll_within, &g, gate_destroyed), NULL, &E));
    OK(rps_wait_free(publish(g.client, "main"), &E));
    while (value(&g.left) == 0) OK(rps_poll(g.client, 10000, 0, NULL, &E));
    CHECK(pthread_create(&thread, NULL, free_polled, &g) == 0);
    add(&g.entered, 1);
    got = rps_poll(g.client, -1, 0, NULL, &error);
    CHECK(got == RPS_CLOSED || got == RPS_INVALID_HANDLE);
    pthread_join(thread, NULL);
    CHECK(value(&g.destroyed) == 1);
}

/* ---- 200 publishes that returned no error, then disconnect: all arrive */

static void nothing_is_lost(void) {
    counter seen = COUNTER_INIT;
    rps_client to = make_connected(gateway, "to", NULL), from = make_connected(gateway, "from", NULL);
    OK(rps_on(to, RPS_LIT("main.*"), listener(count_event, &seen, NULL), NULL, &E));
    for (int i = 0; i < 200; i++) OK(rps_publish(from, RPS_LIT("main"), RPS_LIT("1"), NULL, NULL, &E));
    OK(rps_disconnect(from, -1, &E));
    CHECK(reaches(&seen, 200));
    OK(rps_client_free(from, &E));
    OK(rps_client_free(to, &E));
}

int main(void) {
    gateway = make_gateway();
    many_listeners();
    off_waits();
    freed_within();
    once_is_once();
    freed_with_waits_open();
    freed_by_two();
    polled();
    nothing_is_lost();
    /* The process ends with a client connected and a gateway running. */
    make_connected(gateway, "at exit", NULL);
    puts("lifecycle: ok");
    return 0;
}
