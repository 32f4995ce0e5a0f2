/* Every function of the header with wrong arguments: every pointer NULL, every handle stale, freed, of another type or
 * invented, every text not UTF-8, every JSON not JSON; from 8 threads at once; and, with INJECT, with a panic within. */
#include "check.h"

struct function {
    const char *name;
    int32_t (*call)(int at, int how, uint64_t bad);
    const char *kinds;  /* of the parameters: see surface.rs */
    int destructive;    /* ends what it is given: not called with valid handles */
    const char *handle; /* the first parameter's type */
};

enum { NUL = 1, NOT_UTF8, NOT_JSON };

/* A live one of each. */
static struct {
    uint64_t client, listener, event, message, response, wait, pending, messages, replies, url_request, text, gateway;
} F;
#define HANDLES 12

static const char *spoiled(int here, int how, const char *text) {
    if (!here) return text;
    return how == NUL ? NULL : how == NOT_UTF8 ? "\xff\xfe" : "{\"a\":";
}
static size_t spoiled_len(int here, int how, size_t len) { return !here || how == NUL ? len : how == NOT_UTF8 ? 2 : 5; }

static counter made = COUNTER_INIT, destroyed = COUNTER_INIT;
static void on_destroy(void *user_data) { add((counter *)user_data, 1); }
static void on_event(void *user_data, const rps_event_view *event) { (void)user_data, (void)event; }
static void on_outcome(void *user_data, const rps_outcome *outcome) { (void)user_data, (void)outcome; }
static void on_request(void *user_data, rps_url_request request) {
    (void)user_data;
    rps_url_refuse(request, RPS_LIT("no"), NULL);
}
static void on_record(void *user_data, const rps_log_record *record) { (void)user_data, (void)record; }
#define MAKES(type, function)                                                                                          \
    static type made_##type(void) {                                                                                    \
        type callback = {function, &destroyed, on_destroy};                                                            \
        add(&made, 1);                                                                                                 \
        return callback;                                                                                               \
    }
MAKES(rps_listener_callback, on_event)
MAKES(rps_completion, on_outcome)
MAKES(rps_url_provider, on_request)
MAKES(rps_logger, on_record)

#include "functions.h"
#define COUNT (sizeof FUNCTIONS / sizeof *FUNCTIONS)

static void gives(const struct function *function, int at, const char *what, int32_t got, int32_t wanted) {
    if (got == wanted) return;
    fprintf(stderr, "%s, parameter %d %s: gave %d, not %d\n", function->name, at, what, (int)got, (int)wanted);
    abort();
}

/* Messages and events are one type, and the fixture has no URL request. */
static int may_pass_for(const char *handle, size_t other) {
    static const char *names[HANDLES] = {"client",  "listener", "event",   "message",     "response", "wait",
                                         "pending", "messages", "replies", "url_request", "text",     "gateway"};
    int event_like = !strcmp(names[other], "event") || !strcmp(names[other], "message");
    if (event_like && (!strcmp(handle, "event") || !strcmp(handle, "message"))) return 1;
    return !strcmp(names[other], handle);
}

static uint64_t stale;

static void wrong_handles(const struct function *function) {
    uint64_t all[HANDLES], invented[] = {0, 1, 8, stale, UINT64_MAX, (uint64_t)1 << 63, F.client + ((uint64_t)1 << 40)};
    memcpy(all, &F, sizeof all);
    for (int at = 0; function->kinds[at]; at++) {
        if (function->kinds[at] != 'h') continue;
        for (size_t i = 0; i < sizeof invented / sizeof *invented; i++)
            gives(function, at, "invented", function->call(at, 0, invented[i]), RPS_INVALID_HANDLE);
        for (size_t i = 0; at == 0 && i < HANDLES; i++)
            if (!may_pass_for(function->handle, i))
                gives(function, at, "of another type", function->call(at, 0, all[i]), RPS_INVALID_HANDLE);
    }
}

static void wrong_texts(const struct function *function) {
    for (int at = 0; function->kinds[at]; at++) {
        char kind = function->kinds[at];
        if (kind != 's' && kind != 'j') continue;
        gives(function, at, "not UTF-8", function->call(at, NOT_UTF8, 0), RPS_INVALID_ARGUMENT);
        if (kind == 'j') gives(function, at, "not JSON", function->call(at, NOT_JSON, 0), RPS_INVALID_ARGUMENT);
    }
}

/* Some may be NULL: what counts is that nothing else happens than one of the numbers, or what is asked for. */
static void null_pointers(const struct function *function) {
    for (int at = 0; function->kinds[at]; at++) {
        if (!strchr("sjpoe", function->kinds[at])) continue;
        int32_t got = function->call(at, NUL, 0);
        CHECK(got >= RPS_NOT_REPLYABLE && got <= RPS_OK);
    }
}

static void keep(void *user_data, const rps_event_view *event) {
    if (!F.message) OK(rps_message_retain(event->message, (rps_message *)user_data, &E));
    OK(rps_reply(event->message, RPS_LIT("1"), NULL, NULL, &E));
}

static void set_up(void) {
    rps_listener_callback keeper = {keep, &F.message, NULL}, idle = {on_event, NULL, NULL};
    rps_completion waiting = {on_outcome, NULL, NULL};
    OK(rps_gateway_start(NULL, &F.gateway, &E));
    F.client = make_connected(F.gateway, "surface", NULL);
    OK(rps_on(F.client, RPS_LIT("main.*"), keeper, NULL, &E));
    OK(rps_on(F.client, RPS_LIT("x.y"), idle, &F.listener, &E));
    OK(rps_publish(F.client, RPS_LIT("main"), RPS_LIT("1"), NULL, &F.wait, &E));
    OK(rps_wait_for_reply(F.wait, 10000, &F.response, &E));
    OK(rps_wait_replies(F.wait, 0, &F.replies, &E));
    OK(rps_client_connection(F.client, &F.event, &E));
    OK(rps_wait_for_async(F.client, RPS_LIT("x.y"), 1000000, waiting, &F.pending, &E));
    OK(rps_messages_new(F.client, RPS_LIT("x.y"), &F.messages, &E));
    OK(rps_gateway_url(F.gateway, &F.text, &E));
    OK(rps_gateway_url(F.gateway, &stale, &E));
    OK(rps_text_free(stale, &E));
}

static void tear_down(void) {
    OK(rps_off(F.listener, &E));
    OK(rps_cancel(F.pending, &E));
    OK(rps_client_free(F.client, &E));
    OK(rps_wait_free(F.wait, &E));
    OK(rps_response_free(F.response, &E));
    OK(rps_replies_free(F.replies, &E));
    OK(rps_event_free(F.event, &E));
    OK(rps_message_free(F.message, &E));
    OK(rps_messages_free(F.messages, &E));
    OK(rps_text_free(F.text, &E));
    OK(rps_gateway_stop(F.gateway, &E));
    OK(rps_gateway_free(F.gateway, &E));
}

/* When all is freed: every function says so, whatever its pointers are, and so does freeing again. */
static void after_the_end(void) {
    for (size_t i = 0; i < COUNT; i++) {
        if (FUNCTIONS[i].kinds[0] != 'h' || !strcmp(FUNCTIONS[i].handle, "url_request")) continue;
        gives(&FUNCTIONS[i], -1, "freed", FUNCTIONS[i].call(-1, 0, 0), RPS_INVALID_HANDLE);
        null_pointers(&FUNCTIONS[i]);
    }
}

static void *hammer(void *user_data) {
    int rounds = getenv("FEWER") ? 2 : 20;
    (void)user_data;
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < COUNT; i++) {
            wrong_handles(&FUNCTIONS[i]);
            if (!FUNCTIONS[i].destructive) wrong_texts(&FUNCTIONS[i]);
        }
    return NULL;
}

#ifdef INJECT
extern
#ifdef __cplusplus
    "C"
#endif
    void
    rps_test_panic_next(void);

static void panics(void) {
    for (size_t i = 0; i < COUNT; i++) {
        rps_test_panic_next();
        gives(&FUNCTIONS[i], -1, "with a panic", FUNCTIONS[i].call(-1, 0, 0), RPS_INTERNAL);
    }
    rps_test_panic_next();
    CHECK(rps_abi_version() == 0);
    rps_test_panic_next();
    CHECK(!strcmp(rps_version(), ""));
    rps_test_panic_next();
    CHECK(!strcmp(rps_error_name(0), "UNKNOWN"));
    rps_test_panic_next();
    CHECK(!strcmp(rps_state_name(0), "unknown"));
    rps_test_panic_next();
    CHECK(rps_str_from("x").len == 0);
    CHECK(rps_abi_version() == RPS_ABI_VERSION);
}
#else
static void panics(void) {}
#endif

int main(void) {
    pthread_t threads[8];
    set_up();
    panics();
    for (size_t i = 0; i < COUNT; i++) {
        wrong_handles(&FUNCTIONS[i]);
        wrong_texts(&FUNCTIONS[i]);
        if (!FUNCTIONS[i].destructive) null_pointers(&FUNCTIONS[i]);
    }
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, hammer, NULL) == 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    tear_down();
    after_the_end();
    CHECK(reaches(&destroyed, value(&made)) && value(&destroyed) == value(&made));
    printf("surface: %d functions ok\n", (int)COUNT);
    return 0;
}
