/* The C library's driver for the conformance scenarios: see `tests/conformance/README.md`.
 *
 * Each operation runs on a thread of its own, so that one that waits holds up no other. Those that a scenario may cancel
 * are begun with `_async` functions. */
#include "json.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text that grows ---- */

typedef struct text {
    char *data;
    size_t len, room;
} text;

static void add(text *out, const char *data, size_t len) {
    if (out->len + len + 1 > out->room) {
        out->room = (out->len + len + 1) * 2;
        out->data = realloc(out->data, out->room);
        if (out->data == NULL) abort();
    }
    memcpy(out->data + out->len, data, len);
    out->len += len;
    out->data[out->len] = 0;
}

static void put(text *out, const char *literal) { add(out, literal, strlen(literal)); }

static void put_number(text *out, long long number) {
    char digits[32];
    add(out, digits, (size_t)snprintf(digits, sizeof digits, "%lld", number));
}

static void put_string(text *out, rps_str string) {
    size_t index;
    put(out, "\"");
    for (index = 0; index < string.len; index++) {
        unsigned char byte = (unsigned char)string.data[index];
        if (byte == '"' || byte == '\\' || byte < 0x20) {
            char escaped[8];
            add(out, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", byte));
        } else {
            add(out, &string.data[index], 1);
        }
    }
    put(out, "\"");
}

static void put_field(text *out, const char *name, rps_str string) {
    put(out, ",\"");
    put(out, name);
    put(out, "\":");
    put_string(out, string);
}

static void say(const text *line) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    fwrite(line->data, 1, line->len, stdout);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

/* ---- things by their names ---- */

typedef enum kind { CLIENT, WAIT, LISTENER, STREAM, GATE, SERVING, RUNNING, KINDS } kind;

typedef struct thing {
    struct thing *next;
    char *name;
    uint64_t handle;
    long number; /* of a gate: how often it may be passed; of what is running: the operation's number */
} thing;

static thing *things[KINDS];
static pthread_mutex_t things_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gates_moved = PTHREAD_COND_INITIALIZER;

static thing *find(kind of, const char *name) {
    thing *each;
    for (each = things[of]; each != NULL && strcmp(each->name, name) != 0;) each = each->next;
    return each;
}

/* With the lock held. */
static thing *find_or_make(kind of, const char *name) {
    thing *found = find(of, name);
    if (found == NULL) {
        found = calloc(1, sizeof *found);
        if (found == NULL) abort();
        found->name = strdup(name);
        found->next = things[of];
        things[of] = found;
    }
    return found;
}

static void keep(kind of, const char *name, uint64_t handle) {
    pthread_mutex_lock(&things_lock);
    find_or_make(of, name)->handle = handle;
    pthread_mutex_unlock(&things_lock);
}

static uint64_t handle_of(kind of, const char *name) {
    thing *found;
    uint64_t handle;
    pthread_mutex_lock(&things_lock);
    found = name == NULL ? NULL : find(of, name);
    handle = found == NULL ? 0 : found->handle;
    pthread_mutex_unlock(&things_lock);
    return handle;
}

/* ---- what the runner is told ---- */

static void tell_error(text *out, int32_t number, rps_str message, rps_str topic) {
    put(out, "\"number\":");
    put_number(out, number);
    put_field(out, "name", rps_str_from(rps_error_name(number)));
    put_field(out, "message", message);
    if (topic.len > 0) put_field(out, "topic", topic);
}

static void tell_permissions(text *out, const rps_str *permissions, size_t count) {
    size_t index;
    put(out, ",\"permissions\":[");
    for (index = 0; index < count; index++) {
        if (index > 0) put(out, ",");
        put_string(out, permissions[index]);
    }
    put(out, "]}");
}

static void tell_message(text *out, rps_message message) {
    rps_str view;
    int32_t compression = 0;
    rps_sender sender = RPS_SENDER_INIT;
    rps_presence presence = RPS_PRESENCE_INIT;
    put(out, "{\"kind\":\"message\"");
    if (rps_message_topic(message, &view, NULL) == RPS_OK) put_field(out, "topic", view);
    if (rps_message_type(message, &view, NULL) == RPS_OK) put_field(out, "message_type", view);
    if (rps_message_id(message, &view, NULL) == RPS_OK && view.len > 0) put_field(out, "id", view);
    rps_message_compression(message, &compression, NULL);
    put(out, compression ? ",\"compression\":true" : ",\"compression\":false");
    if (rps_message_sender(message, &sender, NULL) == RPS_OK) {
        put(out, ",\"sender\":{\"x\":0");
        put_field(out, "connection_id", sender.connection_id);
        put_field(out, "subject", sender.subject);
        tell_permissions(out, sender.permissions, sender.permissions_len);
    }
    if (rps_message_presence(message, &presence, NULL) == RPS_OK) {
        put(out, ",\"presence\":{\"x\":0");
        put_field(out, "status", presence.status);
        put_field(out, "connection_id", presence.connection_id);
        put_field(out, "subject", presence.subject);
        tell_permissions(out, presence.permissions, presence.permissions_len);
    }
    put(out, ",\"payload\":");
    if (rps_message_payload(message, &view, NULL) == RPS_OK) add(out, view.data, view.len);
    put(out, "}");
}

static void tell_connection(text *out, const rps_event_view *event) {
    put_field(out, "id", event->connection_id);
    put_field(out, "app_id", event->app_id);
    put_field(out, "remote_address", event->remote_address);
}

static void tell_event(text *out, const rps_event_view *event) {
    switch (event->kind) {
        case RPS_EVENT_MESSAGE: tell_message(out, event->message); return;
        case RPS_EVENT_SESSION_STARTED:
            put(out, "{\"kind\":\"session.started\"");
            tell_connection(out, event);
            break;
        case RPS_EVENT_ERROR:
            put(out, "{\"kind\":\"error\",");
            tell_error(out, event->number, event->text, event->topic);
            break;
        case RPS_EVENT_CLOSE:
            put(out, "{\"kind\":\"close\",\"code\":");
            put_number(out, event->number);
            put_field(out, "reason", event->text);
            put(out, event->will_reconnect ? ",\"will_reconnect\":true" : ",\"will_reconnect\":false");
            break;
        case RPS_EVENT_STATE:
            put(out, "{\"kind\":\"state\"");
            put_field(out, "from", rps_str_from(rps_state_name(event->from)));
            put_field(out, "to", rps_str_from(rps_state_name(event->to)));
            put_field(out, "reason", event->text);
            break;
        case RPS_EVENT_LAGGED:
            put(out, "{\"kind\":\"lagged\",\"dropped\":");
            put_number(out, (long long)event->dropped);
            break;
        default: put(out, "{\"kind\":\"unknown\""); break;
    }
    put(out, "}");
}

static void tell_reply(text *out, rps_response reply) {
    rps_str view;
    put(out, "{\"x\":0");
    if (rps_response_id(reply, &view, NULL) == RPS_OK) put_field(out, "id", view);
    if (rps_response_status(reply, &view, NULL) == RPS_OK) put_field(out, "status", view);
    put(out, ",\"data\":");
    if (rps_response_data(reply, &view, NULL) == RPS_OK) add(out, view.data, view.len);
    put(out, "}");
}

static void tell_stats(text *out, const rps_stats *stats) {
#define STAT(name) put(out, ",\"" #name "\":"), put_number(out, (long long)stats->name)
    put(out, "{\"x\":0");
    STAT(sessions), STAT(failed_attempts), STAT(messages_sent), STAT(messages_received), STAT(acks), STAT(replies);
    STAT(unmatched), STAT(dropped), STAT(duplicates), STAT(unreadable), STAT(lost), STAT(outbox_messages);
    STAT(inbox_len), STAT(receipts), STAT(waits);
    put(out, "}");
#undef STAT
}

/* ---- operations ---- */

/* An operation: its text, which it owns where it runs on its own, and its number, 0 within a listener. */
typedef struct operation {
    rps_str json;
    char *what, *client, *wait, *listener, *stream, *gate, *name, *topic, *message_type, *id, *status, *op, *serving;
    long number;
} operation;

/* What an operation ends with. */
enum { DONE = 0, WRONG = 1, CANNOT = 2, LATER = 3 };

static operation read_operation(rps_str json) {
    operation made = {0};
    made.json = json;
#define FIELD(field, name) made.field = json_text(json_get(json, name), NULL)
    FIELD(what, "do"), FIELD(client, "client"), FIELD(wait, "wait"), FIELD(listener, "listener"), FIELD(stream, "stream");
    FIELD(gate, "gate"), FIELD(name, "name"), FIELD(topic, "topic"), FIELD(message_type, "message_type"), FIELD(id, "id");
    FIELD(status, "status"), FIELD(op, "op"), FIELD(serving, "serving");
#undef FIELD
    made.number = (long)json_number(json_get(json, "n"), 0);
    return made;
}

static void free_operation(operation *done) {
    char **fields[] = {&done->what, &done->client, &done->wait, &done->listener, &done->stream, &done->gate, &done->name,
                       &done->topic, &done->message_type, &done->id, &done->status, &done->op, &done->serving};
    size_t index;
    for (index = 0; index < sizeof fields / sizeof *fields; index++) free(*fields[index]);
}

static rps_str view_of(const char *text) { return rps_str_from(text); }

/* The two arguments that functions take for a text of the operation's. */
#define TEXT(text) (text) == NULL ? "" : (text), (text) == NULL ? 0 : strlen(text)

static int64_t timeout_of(const operation *asked) { return json_number(json_get(asked->json, "timeout"), RPS_DEFAULT_TIMEOUT); }

/* What a provider gives, one by one, the last again and again. */
typedef struct urls {
    char *json;
    rps_str array, next;
} urls;

static void provide(void *user_data, rps_url_request request) {
    urls *left = user_data;
    rps_str given = left->next, after = json_next(left->array, given);
    size_t len = 0;
    char *url = json_text(given, &len);
    if (after.len > 0) left->next = after;
    if (url != NULL) {
        rps_url_answer(request, url, len, NULL);
    } else {
        url = json_text(json_get(given, "fails"), &len);
        rps_url_refuse(request, TEXT(url), NULL);
    }
    free(url);
}

static void free_urls(void *user_data) {
    free(((urls *)user_data)->json);
    free(user_data);
}

static int make(const operation *asked, rps_error *error) {
    rps_options options = RPS_OPTIONS_INIT;
    rps_str given = json_get(asked->json, "options"), list = json_get(asked->json, "urls"), each;
    rps_client client;
    rps_header headers[8];
    uint16_t codes[8];
    char *url, *pems[3];
    size_t len;
    int outcome;
#define COUNT(field, name) options.field = (uint64_t)json_number(json_get(given, name), 0)
    COUNT(connect_timeout_ms, "connect_timeout"), COUNT(provider_timeout_ms, "provider_timeout");
    COUNT(handshake_timeout_ms, "handshake_timeout"), COUNT(welcome_timeout_ms, "welcome_timeout");
    COUNT(wait_timeout_ms, "wait_timeout"), COUNT(barrier_timeout_ms, "barrier_timeout");
    COUNT(disconnect_timeout_ms, "disconnect_timeout"), COUNT(backoff_min_ms, "backoff_min");
    COUNT(backoff_max_ms, "backoff_max"), COUNT(backoff_stable_ms, "stable_after"), COUNT(ping_after_ms, "ping_after");
    COUNT(pong_timeout_ms, "pong_timeout"), COUNT(retry_for_ms, "retry_for"), COUNT(offline_messages, "offline_messages");
    COUNT(offline_bytes, "offline_bytes"), COUNT(offline_ttl_ms, "offline_ttl"), COUNT(inbox_messages, "inbox_messages");
    COUNT(inbox_bytes, "inbox_bytes"), COUNT(outbox_messages, "outbox_messages"), COUNT(outbox_bytes, "outbox_bytes");
    COUNT(max_message_size, "max_message_size");
#undef COUNT
    options.max_retries = (uint32_t)json_number(json_get(given, "max_retries"), 0);
    options.dedupe = (uint32_t)json_number(json_get(given, "dedupe"), 0);
    options.retry = json_is(json_get(given, "retry"), "true");
    options.offline = json_is(json_get(given, "offline"), "\"queue\"") ? RPS_OFFLINE_QUEUE : RPS_OFFLINE_FAIL;
    if (json_is(json_get(given, "overflow"), "\"drop_oldest\"")) options.overflow = RPS_OVERFLOW_DROP_OLDEST;
    if (json_is(json_get(given, "overflow"), "\"drop_newest\"")) options.overflow = RPS_OVERFLOW_DROP_NEWEST;
    options.stop_on_close_codes = codes;
    for (each = json_first(json_get(given, "stop_on_close_codes")); each.len > 0 && options.stop_on_close_codes_len < 8;
         each = json_next(json_get(given, "stop_on_close_codes"), each))
        codes[options.stop_on_close_codes_len++] = (uint16_t)json_number(each, 0);
    each = json_get(json_get(given, "headers"), "X-Conformance");
    if (each.len > 2) {
        headers[0].name = RPS_VIEW("X-Conformance");
        headers[0].value = (rps_str){each.data + 1, each.len - 2};
        options.headers = headers;
        options.headers_len = 1;
    }
    options.only_own_ca = json_is(json_get(given, "only_own_ca"), "true");
#define PEM(index, field) pems[index] = json_text(json_get(given, #field), &len), options.field = (rps_str){pems[index], pems[index] == NULL ? 0 : len}
    PEM(0, ca_pem), PEM(1, client_cert_pem), PEM(2, client_key_pem);
#undef PEM
    if (list.len > 0) {
        urls *left = calloc(1, sizeof *left);
        rps_url_provider provider = {provide, left, free_urls};
        if (left == NULL) abort();
        left->json = strndup(list.data, list.len);
        left->array = (rps_str){left->json, list.len};
        left->next = json_first(left->array);
        outcome = rps_client_new_with_provider(provider, &options, &client, error);
    } else {
        url = json_text(json_get(asked->json, "url"), NULL);
        outcome = rps_client_new(TEXT(url), &options, &client, error);
        free(url);
    }
    free(pems[0]), free(pems[1]), free(pems[2]);
    if (outcome == RPS_OK) keep(CLIENT, asked->client, client);
    return outcome;
}

static int perform(const operation *asked, rps_message message, text *out, rps_error *error);

/* Answers an operation, or tells how one within a listener ended. */
static void tell_outcome(text *out, int outcome, const text *gave, const rps_error *error) {
    if (outcome == DONE) {
        put(out, "\"ok\":");
        put(out, gave->len > 0 ? gave->data : "null");
    } else if (outcome == CANNOT) {
        put(out, "\"cannot\":\"C has no exceptions\",\"operation\":\"throw\"");
    } else {
        put(out, "\"error\":{");
        tell_error(out, outcome, rps_str_from(error->message), rps_str_from(error->topic));
        put(out, "}");
    }
}

/* ---- listeners ---- */

typedef struct listening {
    char *json;
    char *listener;
    rps_str then, answer;
} listening;

static void heard(void *user_data, const rps_event_view *event) {
    listening *mine = user_data;
    text line = {0};
    rps_str step;
    put(&line, "{\"x\":0");
    put_field(&line, "listener", rps_str_from(mine->listener));
    put(&line, ",\"event\":");
    tell_event(&line, event);
    put(&line, "}");
    say(&line);
    step = json_first(mine->then);
    if (step.len > 0) {
        line.len = 0;
        put(&line, "{\"x\":0");
        put_field(&line, "listener", rps_str_from(mine->listener));
        put(&line, ",\"did\":[");
        for (; step.len > 0; step = json_next(mine->then, step)) {
            operation asked = read_operation(step);
            text gave = {0};
            rps_error error = {0};
            int outcome = perform(&asked, event->message, &gave, &error);
            if (line.data[line.len - 1] != '[') put(&line, ",");
            put(&line, "{");
            tell_outcome(&line, outcome, &gave, &error);
            put(&line, "}");
            free(gave.data);
            free_operation(&asked);
        }
        put(&line, "]}");
        say(&line);
    }
    free(line.data);
}

/* `serve` is for languages with closures; in C it is a listener that replies. */
static void serve(void *user_data, const rps_event_view *event) {
    listening *mine = user_data;
    rps_reply_options options = RPS_REPLY_OPTIONS_INIT;
    rps_str data;
    if (json_is(mine->answer, "\"echo\"")) {
        if (rps_message_payload(event->message, &data, NULL) != RPS_OK) return;
    } else {
        data = json_get(mine->answer, "throw");
        options.status = RPS_VIEW("error");
    }
    rps_reply(event->message, data.data, data.len, &options, NULL, NULL);
}

static void free_listening(void *user_data) {
    listening *mine = user_data;
    free(mine->json);
    free(mine->listener);
    free(mine);
}

static listening *new_listening(const operation *asked) {
    listening *mine = calloc(1, sizeof *mine);
    rps_str json;
    if (mine == NULL) abort();
    mine->json = strndup(asked->json.data, asked->json.len);
    mine->listener = strdup(asked->listener == NULL ? "" : asked->listener);
    json = (rps_str){mine->json, asked->json.len};
    mine->then = json_get(json, "then");
    mine->answer = json_get(json, "answer");
    return mine;
}

static int listen(rps_client client, const operation *asked, bool once, rps_error *error) {
    rps_listener_callback callback = {heard, new_listening(asked), free_listening};
    rps_listener listener;
    rps_str step;
    int outcome;
    for (step = json_first(json_get(asked->json, "then")); step.len > 0; step = json_next(json_get(asked->json, "then"), step)) {
        if (json_is(json_get(step, "do"), "\"throw\"")) {
            free_listening(callback.user_data);
            return CANNOT;
        }
    }
    outcome = (once ? rps_once : rps_on)(client, TEXT(asked->name), callback, &listener, error);
    if (outcome == RPS_OK) keep(LISTENER, asked->listener, listener);
    return outcome;
}

/* ---- what can be cancelled ---- */

static void completed(void *user_data, const rps_outcome *outcome) {
    long number = *(long *)user_data;
    text line = {0};
    put(&line, "{\"n\":");
    put_number(&line, number);
    put(&line, ",");
    if (outcome->number == RPS_OK) {
        put(&line, "\"ok\":");
        if (outcome->response != 0) {
            tell_reply(&line, outcome->response);
        } else if (outcome->event != NULL) {
            tell_event(&line, outcome->event);
        } else {
            put(&line, "null");
        }
    } else {
        put(&line, "\"error\":{");
        tell_error(&line, outcome->number, outcome->text, outcome->topic);
        put(&line, "}");
    }
    put(&line, "}");
    say(&line);
    free(line.data);
}

/* Begins what a scenario may cancel. */
static int begin(rps_client client, const operation *asked, rps_error *error) {
    long *number = malloc(sizeof *number);
    rps_completion completion = {completed, number, free};
    rps_pending pending = 0;
    rps_wait wait = handle_of(WAIT, asked->wait);
    int64_t timeout = timeout_of(asked);
    int outcome;
    if (number == NULL) abort();
    *number = asked->number;
    if (strcmp(asked->what, "connect") == 0) {
        outcome = rps_connect_async(client, timeout, completion, &pending, error);
    } else if (strcmp(asked->what, "ack") == 0) {
        outcome = rps_wait_for_ack_async(client, wait, timeout, completion, &pending, error);
    } else if (strcmp(asked->what, "next_reply") == 0) {
        outcome = rps_wait_for_reply_async(client, wait, timeout, completion, &pending, error);
    } else if (strcmp(asked->what, "wait_for") == 0) {
        outcome = rps_wait_for_async(client, TEXT(asked->name), timeout, completion, &pending, error);
    } else if (strcmp(asked->what, "flush") == 0) {
        outcome = rps_flush_async(client, completion, &pending, error);
    } else {
        outcome = rps_subscribe_remote_topic_async(client, TEXT(asked->topic), completion, &pending, error);
    }
    if (outcome != RPS_OK) return outcome;
    pthread_mutex_lock(&things_lock);
    find_or_make(RUNNING, asked->op)->handle = pending;
    find_or_make(RUNNING, asked->op)->number = asked->number;
    pthread_mutex_unlock(&things_lock);
    return LATER;
}

static bool may_begin(const operation *asked) {
    static const char *names[] = {"connect", "ack", "next_reply", "wait_for", "flush", "subscribe"};
    size_t index;
    for (index = 0; index < sizeof names / sizeof *names; index++)
        if (strcmp(asked->what, names[index]) == 0) return asked->op != NULL && asked->number != 0;
    return false;
}

static int cancel(const operation *asked) {
    thing *running;
    text line = {0};
    int outcome = WRONG;
    long number = 0;
    pthread_mutex_lock(&things_lock);
    running = find(RUNNING, asked->op);
    if (running != NULL) number = running->number;
    pthread_mutex_unlock(&things_lock);
    if (running != NULL && rps_cancel(running->handle, NULL) == RPS_OK) {
        put(&line, "{\"n\":");
        put_number(&line, number);
        put(&line, ",\"error\":{\"cancelled\":true}}");
        say(&line);
        outcome = DONE;
    }
    free(line.data);
    return outcome;
}

/* ---- gates ---- */

static void hold(const char *name) {
    thing *gate;
    pthread_mutex_lock(&things_lock);
    gate = find_or_make(GATE, name);
    while (gate->number <= 0) pthread_cond_wait(&gates_moved, &things_lock);
    gate->number--;
    pthread_mutex_unlock(&things_lock);
}

static void release(const char *name, long times) {
    pthread_mutex_lock(&things_lock);
    find_or_make(GATE, name)->number += times;
    pthread_cond_broadcast(&gates_moved);
    pthread_mutex_unlock(&things_lock);
}

/* ---- misuse ---- */

/* Uses a handle that is none: freed, of another type, never given out. */
static int use_handle(rps_client client, const operation *asked, rps_error *error) {
    rps_str which = json_get(asked->json, "handle");
    uint64_t handle = 0;
    if (json_is(which, "\"freed\"")) {
        int outcome = rps_client_new(RPS_LIT("ws://127.0.0.1:1/apps/x"), NULL, &handle, error);
        if (outcome == RPS_OK) outcome = rps_client_free(handle, error);
        if (outcome != RPS_OK) return outcome;
    } else if (json_is(which, "\"of another type\"")) {
        int outcome = rps_publish(client, RPS_LIT("chat"), RPS_LIT("1"), NULL, &handle, error);
        if (outcome != RPS_OK) return outcome;
        keep(WAIT, asked->client, handle);
    } else if (json_is(which, "\"made up\"")) {
        handle = UINT64_C(0x123456789abcdef);
    }
    return rps_flush(handle, error);
}

typedef struct within {
    rps_client client;
    int outcome;
    rps_error error;
} within;

static void poll_within(void *user_data, const rps_event_view *event) {
    within *mine = user_data;
    (void)event;
    mine->outcome = rps_poll(mine->client, RPS_DEFAULT_TIMEOUT, 0, NULL, &mine->error);
}

/* Polls a client in a callback of its own, which is what a poll waits for. */
static int wait_for_itself(rps_error *error) {
    within mine = {0};
    rps_listener_callback callback = {poll_within, &mine, NULL};
    rps_options options = RPS_OPTIONS_INIT;
    int outcome;
    options.dispatch = RPS_DISPATCH_POLL;
    outcome = rps_client_new(RPS_LIT("ws://127.0.0.1:1/apps/x"), &options, &mine.client, error);
    if (outcome != RPS_OK) return outcome;
    outcome = rps_on(mine.client, RPS_LIT("state"), callback, NULL, error);
    if (outcome == RPS_OK) outcome = rps_start(mine.client, error);
    while (outcome == RPS_OK && mine.outcome == RPS_OK) outcome = rps_poll(mine.client, 10000, 0, NULL, error);
    rps_client_free(mine.client, NULL);
    if (outcome != RPS_OK) return outcome;
    *error = mine.error;
    return mine.outcome;
}

/* ---- doing it ---- */

static int drop(const operation *asked) {
    rps_client client = handle_of(CLIENT, asked->client);
    size_t run = (size_t)(strchr(asked->client, '.') - asked->client) + 1;
    thing *each;
    int of;
    if (client == 0) return DONE;
    pthread_mutex_lock(&things_lock);
    for (each = things[GATE]; each != NULL; each = each->next)
        if (strncmp(each->name, asked->client, run) == 0) each->number = 1000000;
    pthread_cond_broadcast(&gates_moved);
    for (of = WAIT; of <= STREAM; of++)
        for (each = things[of]; each != NULL; each = each->next)
            if (strncmp(each->name, asked->client, run) == 0 && of != LISTENER)
                (of == WAIT ? rps_wait_free : rps_messages_free)(each->handle, NULL);
    pthread_mutex_unlock(&things_lock);
    keep(CLIENT, asked->client, 0);
    rps_disconnect(client, 200, NULL);
    rps_client_free(client, NULL);
    return DONE;
}

static void gave_id(const operation *asked, rps_wait wait, text *out) {
    rps_str id;
    put(out, "{\"x\":0");
    if (rps_wait_id(wait, &id, NULL) == RPS_OK) put_field(out, "id", id);
    put(out, "}");
    if (asked->wait != NULL) {
        keep(WAIT, asked->wait, wait);
    } else {
        rps_wait_free(wait, NULL);
    }
}

static int publish(rps_client client, const operation *asked, text *out, rps_error *error) {
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT;
    rps_str payload = json_get(asked->json, "payload");
    rps_wait wait;
    rps_response reply;
    int outcome;
    if (asked->message_type != NULL) options.message_type = view_of(asked->message_type);
    /* An empty view is the default here, so that an empty id can't be asked for. */
    if (asked->id != NULL) options.id = view_of(asked->id);
    options.compress = json_is(json_get(asked->json, "compress"), "true");
    options.wait_for_room = strcmp(asked->what, "publish_now") != 0;
    if (strcmp(asked->what, "request") == 0) {
        outcome = rps_request(client, asked->topic, asked->topic == NULL ? 0 : strlen(asked->topic), payload.data, payload.len,
                              &options, timeout_of(asked), &reply, error);
        if (outcome != RPS_OK) return outcome;
        tell_reply(out, reply);
        rps_response_free(reply, NULL);
        return RPS_OK;
    }
    outcome = strcmp(asked->what, "send") == 0
                  ? rps_send(client, payload.data, payload.len, &options, &wait, error)
                  : rps_publish(client, TEXT(asked->topic), payload.data, payload.len, &options, &wait, error);
    if (outcome == RPS_OK) gave_id(asked, wait, out);
    return outcome;
}

static int burst(rps_client client, const operation *asked, rps_error *error) {
    int64_t count = json_number(json_get(asked->json, "count"), 0), number;
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT;
    int outcome = RPS_OK;
    options.wait_for_room = 1;
    for (number = 0; number < count && outcome == RPS_OK; number++) {
        char payload[24];
        size_t len = (size_t)snprintf(payload, sizeof payload, "%lld", (long long)number);
        outcome = rps_publish(client, TEXT(asked->topic), payload, len, &options, NULL, error);
    }
    return outcome;
}

static int reply(rps_message message, const operation *asked, text *out, rps_error *error) {
    rps_reply_options options = RPS_REPLY_OPTIONS_INIT;
    rps_str data = json_get(asked->json, "data");
    rps_wait wait;
    int outcome;
    if (asked->status != NULL) options.status = view_of(asked->status);
    options.compress = json_is(json_get(asked->json, "compress"), "true");
    outcome = rps_reply(message, data.data, data.len, &options, &wait, error);
    if (outcome == RPS_OK) gave_id(asked, wait, out);
    return outcome;
}

static int replies(const operation *asked, text *out, rps_error *error) {
    rps_replies stream;
    rps_response each = 0;
    int outcome = rps_wait_replies(handle_of(WAIT, asked->wait), timeout_of(asked), &stream, error);
    if (outcome != RPS_OK) return outcome;
    put(out, "[");
    while ((outcome = rps_replies_next(stream, &each, error)) == RPS_OK && each != 0) {
        if (out->len > 1) put(out, ",");
        tell_reply(out, each);
        rps_response_free(each, NULL);
    }
    put(out, "]");
    rps_replies_free(stream, NULL);
    return outcome;
}

static int tell_event_and_free(rps_event event, text *out) {
    rps_event_view view = RPS_EVENT_VIEW_INIT;
    if (rps_event_get(event, &view, NULL) == RPS_OK) tell_event(out, &view);
    return rps_event_free(event, NULL);
}

static int perform(const operation *asked, rps_message message, text *out, rps_error *error) {
    const char *what = asked->what;
    rps_client client = handle_of(CLIENT, asked->client);
    int64_t timeout = timeout_of(asked);
    int outcome;
#define IS(name) (strcmp(what, name) == 0)
    if (IS("release")) return release(asked->gate, 1), DONE;
    if (IS("hold")) return hold(asked->gate), DONE;
    if (IS("throw")) return CANNOT;
    if (IS("new")) return make(asked, error);
    if (IS("cancel")) return cancel(asked);
    if (IS("drop")) return drop(asked);
    if (IS("use_handle")) return use_handle(client, asked, error);
    if (IS("wait_for_itself")) return wait_for_itself(error);
    if (may_begin(asked)) return begin(client, asked, error);
    if (IS("connect")) {
        rps_event event;
        outcome = rps_connect(client, timeout, error);
        if (outcome == RPS_OK) outcome = rps_client_connection(client, &event, error);
        return outcome == RPS_OK ? tell_event_and_free(event, out) : outcome;
    }
    if (IS("connection")) {
        rps_event event;
        outcome = rps_client_connection(client, &event, error);
        if (outcome == RPS_NOT_CONNECTED) return DONE;
        return outcome == RPS_OK ? tell_event_and_free(event, out) : outcome;
    }
    if (IS("start")) return rps_start(client, error);
    if (IS("disconnect")) return rps_disconnect(client, timeout, error);
    if (IS("flush")) return rps_flush(client, error);
    if (IS("subscribe")) return rps_subscribe_remote_topic(client, TEXT(asked->topic), error);
    if (IS("unsubscribe")) return rps_unsubscribe_remote_topic(client, TEXT(asked->topic), error);
    if (IS("state")) {
        int32_t state = 0;
        outcome = rps_client_state(client, &state, error);
        put_string(out, rps_str_from(rps_state_name(state)));
        return outcome;
    }
    if (IS("stats")) {
        rps_stats stats = RPS_STATS_INIT;
        outcome = rps_client_stats(client, &stats, error);
        tell_stats(out, &stats);
        return outcome;
    }
    if (IS("publish") || IS("publish_now") || IS("send") || IS("request")) return publish(client, asked, out, error);
    if (IS("burst")) return burst(client, asked, error);
    if (IS("reply")) return reply(message, asked, out, error);
    if (IS("ack")) return rps_wait_for_ack(handle_of(WAIT, asked->wait), timeout, error);
    if (IS("next_reply")) {
        rps_response got;
        outcome = rps_wait_for_reply(handle_of(WAIT, asked->wait), timeout, &got, error);
        if (outcome != RPS_OK) return outcome;
        tell_reply(out, got);
        return rps_response_free(got, error);
    }
    if (IS("replies")) return replies(asked, out, error);
    if (IS("forget")) return rps_wait_free(handle_of(WAIT, asked->wait), error);
    if (IS("on")) return listen(client, asked, false, error);
    if (IS("once")) return listen(client, asked, true, error);
    if (IS("off")) return rps_off(handle_of(LISTENER, asked->listener), error);
    if (IS("wait_for")) {
        rps_event event;
        outcome = rps_wait_for(client, TEXT(asked->name), timeout, &event, error);
        return outcome == RPS_OK ? tell_event_and_free(event, out) : outcome;
    }
    if (IS("messages")) {
        rps_messages stream;
        outcome = rps_messages_new(client, TEXT(asked->name), &stream, error);
        if (outcome == RPS_OK) keep(STREAM, asked->stream, stream);
        return outcome;
    }
    if (IS("next")) {
        rps_message next;
        outcome = rps_messages_next(handle_of(STREAM, asked->stream), timeout, &next, error);
        if (outcome == RPS_CLOSED || outcome == RPS_CANCELLED) return DONE;
        if (outcome != RPS_OK) return outcome;
        tell_message(out, next);
        return rps_message_free(next, error);
    }
    if (IS("close_stream")) return rps_messages_free(handle_of(STREAM, asked->stream), error);
    if (IS("serve")) {
        rps_listener_callback callback = {serve, new_listening(asked), free_listening};
        rps_listener listener;
        text name = {0};
        put(&name, asked->topic);
        put(&name, ".");
        put(&name, asked->message_type);
        outcome = rps_on(client, name.data, name.len, callback, &listener, error);
        free(name.data);
        if (outcome != RPS_OK) return outcome;
        keep(SERVING, asked->serving, listener);
        return rps_subscribe_remote_topic(client, TEXT(asked->topic), error);
    }
    if (IS("stop_serving")) return rps_off(handle_of(SERVING, asked->serving), error);
#undef IS
    snprintf(error->message, sizeof error->message, "this driver does not know %s", what);
    return WRONG;
}

static void *answer(void *line) {
    rps_str json = rps_str_from(line);
    operation asked = read_operation(json);
    text gave = {0}, told = {0};
    rps_error error = {0};
    int outcome = perform(&asked, 0, &gave, &error);
    if (outcome != LATER) {
        put(&told, "{\"n\":");
        put_number(&told, asked.number);
        put(&told, ",");
        tell_outcome(&told, outcome, &gave, &error);
        put(&told, "}");
        say(&told);
    }
    free(told.data);
    free(gave.data);
    free_operation(&asked);
    free(line);
    return NULL;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    puts("{\"protocol\":1,\"language\":\"c\"}");
    fflush(stdout);
    while ((len = getline(&line, &room, stdin)) > 0) {
        pthread_t thread;
        if (line[len - 1] == '\n') line[len - 1] = 0;
        if (pthread_create(&thread, &detached, answer, strdup(line)) != 0) abort();
    }
    free(line);
    return 0;
}
