/* What the functions do with valid input: all of them, in small conversations with a local gateway. */
#include "check.h"

#include <poll.h>
#include <unistd.h>

static counter calls = COUNTER_INIT, destroyed = COUNTER_INIT;
static void reset(void) { calls.value = destroyed.value = 0; }
static void on_destroy(void *user_data) {
    (void)user_data;
    add(&destroyed, 1);
}
static rps_listener_callback listener(void (*call)(void *, const rps_event_view *), void *user_data) {
    rps_listener_callback callback = {call, user_data, on_destroy};
    return callback;
}
static rps_completion completion(void (*call)(void *, const rps_outcome *), void *user_data) {
    rps_completion callback = {call, user_data, on_destroy};
    return callback;
}
static void count_call(void *user_data, const rps_event_view *event) {
    (void)user_data;
    CHECK(event->size >= sizeof(rps_event_view));
    add(&calls, 1);
}

/* ---- a conversation with blocking calls */

static rps_message kept;
static void answer(void *user_data, const rps_event_view *event) {
    rps_reply_options options = RPS_REPLY_OPTIONS_INIT;
    rps_wait wait;
    CHECK(user_data == (void *)&kept && event->kind == RPS_EVENT_MESSAGE && event->listener != 0);
    if (!kept) OK(rps_message_retain(event->message, &kept, &E));
    GIVES(RPS_INVALID_HANDLE, rps_message_free(event->message, &E));
    options.status = RPS_VIEW("done");
    options.compress = 1;
    OK(rps_reply(event->message, RPS_LIT("{\"got\":9007199254740993}"), &options, &wait, &E));
    OK(rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &E)); /* waiting in a listener is fine */
    OK(rps_wait_free(wait, &E));
    OK(rps_reply(event->message, RPS_LIT("\"second\""), NULL, NULL, &E));
}

static void conversation(rps_gateway gateway) {
    rps_client alice = make_connected(gateway, "alice", NULL), bob = make_connected(gateway, "bob", NULL);
    rps_publish_options options = RPS_PUBLISH_OPTIONS_INIT;
    rps_sender sender = RPS_SENDER_INIT;
    rps_stats stats = RPS_STATS_INIT;
    rps_event_view view = RPS_EVENT_VIEW_INIT;
    rps_presence presence = RPS_PRESENCE_INIT;
    rps_event event;
    rps_wait wait;
    rps_response response;
    rps_replies replies;
    rps_listener on;
    rps_str text;
    uint64_t number;
    int32_t flag;

    reset();
    OK(rps_on(bob, RPS_LIT("chat.*"), listener(answer, &kept), &on, &E));
    OK(rps_subscribe_remote_topic(bob, RPS_LIT("chat"), &E));
    OK(rps_client_subscribes(bob, RPS_LIT("chat"), &flag, &E));
    CHECK(flag == 1);
    options.id = RPS_VIEW("my id");
    options.message_type = RPS_VIEW("text-message");
    options.compress = options.wait_for_room = 1;
    OK(rps_publish(alice, RPS_LIT("chat"), RPS_LIT(" {\"n\":9007199254740993} "), &options, &wait, &E));
    OK(rps_wait_id(wait, &text, &E));
    CHECK(is(text, "my id"));
    OK(rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &E));
    OK(rps_wait_acknowledged(wait, &flag, &E));
    CHECK(flag == 1);
    OK(rps_wait_for_reply(wait, RPS_DEFAULT_TIMEOUT, &response, &E));
    OK(rps_response_id(response, &text, &E));
    CHECK(is(text, "my id"));
    OK(rps_response_status(response, &text, &E));
    CHECK(is(text, "done"));
    OK(rps_response_data(response, &text, &E));
    CHECK(is(text, "{\"got\":9007199254740993}"));
    OK(rps_response_compression(response, &flag, &E));
    CHECK(flag == 1);
    OK(rps_response_connection_id(response, &text, &E));
    OK(rps_client_connection(bob, &event, &E));
    OK(rps_event_get(event, &view, &E));
    CHECK(view.kind == RPS_EVENT_SESSION_STARTED && is(view.app_id, "local") && view.remote_address.len > 0);
    CHECK(text.len > 0 && text.len == view.connection_id.len && !memcmp(text.data, view.connection_id.data, text.len));
    OK(rps_event_free(event, &E));
    GIVES(RPS_INVALID_HANDLE, rps_message_free(wait, &E));
    GIVES(RPS_INVALID_HANDLE, rps_message_topic(response, &text, &E));
    OK(rps_response_free(response, &E));
    GIVES(RPS_INVALID_HANDLE, rps_response_free(response, &E));

    /* the message that was kept */
    OK(rps_message_topic(kept, &text, &E));
    CHECK(is(text, "chat"));
    OK(rps_message_type(kept, &text, &E));
    CHECK(is(text, "text-message"));
    OK(rps_message_payload(kept, &text, &E));
    CHECK(is(text, "{\"n\":9007199254740993}"));
    OK(rps_message_id(kept, &text, &E));
    CHECK(is(text, "my id"));
    OK(rps_message_data(kept, &text, &E));
    CHECK(contains(text, "\"payload\""));
    OK(rps_message_frame(kept, &text, &E));
    CHECK(contains(text, "\"messageType\""));
    OK(rps_message_compression(kept, &flag, &E));
    CHECK(flag == 1);
    OK(rps_message_connection_id(kept, &text, &E));
    CHECK(text.len > 0);
    OK(rps_message_sender(kept, &sender, &E));
    CHECK(is(sender.subject, "alice") && sender.permissions_len > 0 && sender.permissions[0].len > 0);
    GIVES(RPS_INVALID_ARGUMENT, rps_message_presence(kept, &presence, &E));
    OK(rps_event_get(kept, &view, &E));
    CHECK(view.kind == RPS_EVENT_MESSAGE && view.message == kept);
    OK(rps_message_free(kept, &E));
    GIVES(RPS_INVALID_HANDLE, rps_event_free(kept, &E));

    /* all replies */
    OK(rps_wait_replies(wait, 60000, &replies, &E));
    OK(rps_replies_next(replies, &response, &E));
    CHECK(response != 0);
    OK(rps_response_data(response, &text, &E));
    CHECK(is(text, "\"second\""));
    OK(rps_response_free(response, &E));
    OK(rps_replies_free(replies, &E));
    OK(rps_wait_replies(wait, 1, &replies, &E));
    OK(rps_replies_next(replies, &response, &E));
    CHECK(response == 0);
    OK(rps_replies_free(replies, &E));
    OK(rps_wait_free(wait, &E));

    /* asking, sending, flushing */
    options = (rps_publish_options)RPS_PUBLISH_OPTIONS_INIT;
    options.message_type = RPS_VIEW("text-message");
    OK(rps_request(alice, RPS_LIT("chat"), RPS_LIT("2"), &options, RPS_DEFAULT_TIMEOUT, &response, &E));
    OK(rps_response_free(response, &E));
    GIVES(RPS_TIMEOUT, rps_request(alice, NULL, 0, RPS_LIT("2"), NULL, 50, &response, &E));
    OK(rps_subscribe_remote_topic(bob, RPS_LIT("secure/inbound"), &E));
    OK(rps_on(bob, RPS_LIT("secure/inbound.create"), listener(count_call, NULL), NULL, &E));
    options.message_type = RPS_VIEW("create");
    OK(rps_send(alice, RPS_LIT("{}"), &options, &wait, &E));
    OK(rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &E));
    OK(rps_wait_free(wait, &E));
    OK(rps_flush(alice, &E));
    CHECK(reaches(&calls, 1));

    /* looking */
    OK(rps_client_stats(alice, &stats, &E));
    CHECK(stats.sessions == 1 && stats.acks >= 2 && stats.replies >= 3);
    OK(rps_client_number(alice, &number, &E));
    CHECK(number > 0);
    OK(rps_client_state(alice, &flag, &E));
    CHECK(flag == RPS_STATE_CONNECTED && !strcmp(rps_state_name(flag), "connected"));
    OK(rps_client_kick(alice, &E));
    OK(rps_gateway_connections(gateway, &number, &E));
    CHECK(number == 2);

    OK(rps_off(on, &E));
    CHECK(value(&destroyed) == 1);
    GIVES(RPS_INVALID_HANDLE, rps_off(on, &E));
    OK(rps_unsubscribe_remote_topic(bob, RPS_LIT("chat"), &E));
    OK(rps_disconnect(alice, RPS_DEFAULT_TIMEOUT, &E));
    GIVES(RPS_CLOSED, rps_publish(alice, RPS_LIT("chat"), RPS_LIT("1"), NULL, NULL, &E));
    GIVES(RPS_NOT_CONNECTED, rps_client_connection(alice, &event, &E));
    OK(rps_connect(alice, RPS_DEFAULT_TIMEOUT, &E)); /* it can connect again */
    OK(rps_client_free(alice, &E));
    OK(rps_client_free(bob, &E));
    CHECK(value(&destroyed) == 2);
    GIVES(RPS_INVALID_HANDLE, rps_client_free(bob, &E));
}

/* ---- presence, streams, waiting for events */

static void streams(rps_gateway gateway) {
    rps_client watcher = make_connected(gateway, "watcher", NULL), guest;
    rps_presence presence = RPS_PRESENCE_INIT;
    rps_messages messages;
    rps_message message;
    rps_event event;
    OK(rps_messages_new(watcher, RPS_LIT("secure/inbound.*"), &messages, &E));
    GIVES(RPS_TIMEOUT, rps_messages_next(messages, 0, &message, &E));
    OK(rps_subscribe_remote_topic(watcher, RPS_LIT("secure/inbound"), &E));
    guest = make_connected(gateway, "guest", NULL);
    OK(rps_messages_next(messages, 60000, &message, &E));
    OK(rps_message_presence(message, &presence, &E));
    CHECK(is(presence.status, "connected") && presence.code == 0 && is(presence.subject, "guest"));
    OK(rps_message_free(message, &E));
    OK(rps_wait_for(guest, RPS_LIT("session.started"), 0, &event, &E)); /* it is there already */
    OK(rps_event_free(event, &E));
    GIVES(RPS_TIMEOUT, rps_wait_for(guest, RPS_LIT("a.b"), 0, &event, &E));
    OK(rps_client_free(guest, &E));
    OK(rps_messages_next(messages, 60000, &message, &E));
    OK(rps_message_presence(message, &presence, &E));
    CHECK(is(presence.status, "disconnected") && presence.code == -1);
    OK(rps_message_free(message, &E));
    OK(rps_client_free(watcher, &E));
    GIVES(RPS_CLOSED, rps_messages_next(messages, 10000, &message, &E));
    OK(rps_messages_free(messages, &E));
}

/* ---- completions */

static void on_done(void *user_data, const rps_outcome *outcome) {
    rps_response *response = (rps_response *)user_data;
    if (outcome->number != RPS_OK) fprintf(stderr, "%.*s\n", RPS_ARG(outcome->text));
    CHECK(outcome->number == RPS_OK && outcome->text.len == 0);
    if (response && outcome->response) OK(rps_response_retain(outcome->response, response, &E));
    add(&calls, 1);
}
static void on_event_outcome(void *user_data, const rps_outcome *outcome) {
    CHECK(outcome->number == RPS_OK && outcome->event && outcome->event->kind == *(int *)user_data);
    add(&calls, 1);
}
static void on_timeout(void *user_data, const rps_outcome *outcome) {
    (void)user_data;
    CHECK(outcome->number == RPS_TIMEOUT && outcome->text.len > 0);
    add(&calls, 1);
}
static void never(void *user_data, const rps_outcome *outcome) {
    (void)user_data, (void)outcome;
    CHECK(!"called after it was cancelled");
}
static void reply_one(void *user_data, const rps_event_view *event) {
    (void)user_data;
    OK(rps_reply(event->message, RPS_LIT("1"), NULL, NULL, &E));
}

static void completions(rps_gateway gateway) {
    rps_client client = make_client(gateway, "async", NULL);
    rps_pending pending;
    rps_response response = 0;
    rps_wait wait;
    int session = RPS_EVENT_SESSION_STARTED, message = RPS_EVENT_MESSAGE;
    reset();
    OK(rps_connect_async(client, RPS_DEFAULT_TIMEOUT, completion(on_event_outcome, &session), &pending, &E));
    CHECK(reaches(&calls, 1));
    OK(rps_wait_for_async(client, RPS_LIT("session.started"), -1, completion(on_event_outcome, &session), NULL, &E));
    OK(rps_subscribe_remote_topic_async(client, RPS_LIT("self"), completion(on_done, NULL), NULL, &E));
    CHECK(reaches(&calls, 3));
    OK(rps_on(client, RPS_LIT("self.**"), listener(reply_one, NULL), NULL, &E));
    OK(rps_wait_for_async(client, RPS_LIT("self.*"), -1, completion(on_event_outcome, &message), NULL, &E));
    OK(rps_publish(client, RPS_LIT("self"), RPS_LIT("1"), NULL, &wait, &E));
    OK(rps_wait_for_ack_async(client, wait, -1, completion(on_done, NULL), NULL, &E));
    OK(rps_wait_for_reply_async(client, wait, -1, completion(on_done, &response), NULL, &E));
    OK(rps_wait_free(wait, &E));
    CHECK(reaches(&calls, 6));
    CHECK(response != 0);
    OK(rps_response_free(response, &E));
    OK(rps_wait_for_async(client, RPS_LIT("never.*"), 10, completion(on_timeout, NULL), NULL, &E));
    OK(rps_flush_async(client, completion(on_done, NULL), NULL, &E));
    OK(rps_unsubscribe_remote_topic_async(client, RPS_LIT("self"), completion(on_done, NULL), NULL, &E));
    CHECK(reaches(&calls, 9));
    OK(rps_wait_for_async(client, RPS_LIT("never.*"), -1, completion(never, NULL), &pending, &E));
    OK(rps_cancel(pending, &E));
    GIVES(RPS_INVALID_HANDLE, rps_cancel(pending, &E));
    OK(rps_disconnect_async(client, -1, completion(on_done, NULL), NULL, &E));
    CHECK(reaches(&calls, 10));
    OK(rps_wait_for_async(client, RPS_LIT("never.*"), -1, completion(never, NULL), NULL, &E));
    OK(rps_client_free(client, &E));
    CHECK(value(&destroyed) == 13);
}

/* ---- an event loop */

static void polling(rps_gateway gateway) {
    rps_options options = RPS_OPTIONS_INIT;
    options.dispatch = RPS_DISPATCH_POLL;
    rps_client client = make_client(gateway, "loop", &options);
    struct pollfd fd = {0, POLLIN, 0};
    uint32_t handled;
    int session = RPS_EVENT_SESSION_STARTED;
    reset();
    OK(rps_client_fd(client, &fd.fd, &E));
    OK(rps_poll(client, 0, 0, &handled, &E));
    CHECK(handled == 0);
    OK(rps_connect_async(client, -1, completion(on_event_outcome, &session), NULL, &E));
    OK(rps_on(client, RPS_LIT("main.tick"), listener(count_call, NULL), NULL, &E));
    while (value(&calls) == 0) {
        CHECK(poll(&fd, 1, 60000) == 1);
        OK(rps_poll(client, 0, 0, &handled, &E));
    }
    rps_publish_options tick = RPS_PUBLISH_OPTIONS_INIT;
    tick.message_type = RPS_VIEW("tick");
    for (int i = 0; i < 1000; i++) OK(rps_publish(client, RPS_LIT("main"), RPS_LIT("1"), &tick, NULL, &E));
    while (value(&calls) < 1001) {
        CHECK(poll(&fd, 1, 60000) == 1);
        OK(rps_poll(client, 0, 7, &handled, &E));
        CHECK(handled <= 7);
    }
    OK(rps_poll(client, 10, 0, NULL, &E));
    OK(rps_disconnect(client, -1, &E));
    OK(rps_client_free(client, &E));
    CHECK(value(&destroyed) == 2);
    GIVES(RPS_INVALID_HANDLE, rps_poll(client, 0, 0, NULL, &E));
}

/* ---- where the URL comes from */

typedef struct url_source {
    rps_gateway gateway;
    int asked, mode;
    rps_url_request later;
} url_source;
static void provide(void *user_data, rps_url_request request) {
    url_source *source = (url_source *)user_data;
    rps_text text;
    rps_str url;
    if (source->mode == 1 && source->asked++ == 0) {
        OK(rps_url_refuse(request, RPS_LIT("not yet"), &E));
        usleep(20000); /* asked again when this has returned, not before */
        return;
    }
    if (source->mode == 2) {
        source->later = request;
        add(&calls, 1);
        return;
    }
    OK(rps_gateway_url_with_token(source->gateway, RPS_LIT("provided"), NULL, &text, &E));
    OK(rps_text_get(text, &url, &E));
    OK(rps_url_answer(request, url.data, url.len, &E));
    GIVES(RPS_INVALID_HANDLE, rps_url_answer(request, url.data, url.len, &E));
    OK(rps_text_free(text, &E));
}
static void on_refused(void *user_data, const rps_event_view *event) {
    (void)user_data;
    if (event->number != RPS_URL_PROVIDER_FAILED || !contains(event->text, "not yet"))
        fprintf(stderr, "event %d: %d %.*s\n", (int)event->kind, (int)event->number, (int)event->text.len, event->text.data);
    CHECK(event->kind == RPS_EVENT_ERROR && event->number == RPS_URL_PROVIDER_FAILED && contains(event->text, "not yet"));
    add(&calls, 1);
}

static void providers(rps_gateway gateway) {
    rps_options options = RPS_OPTIONS_INIT;
    options.backoff_min_ms = options.backoff_max_ms = 1;
    be_patient(&options);
    for (int mode = 0; mode < 3; mode++) {
        url_source source = {gateway, 0, mode, 0};
        rps_url_provider provider = {provide, &source, on_destroy};
        rps_client client;
        reset();
        OK(rps_client_new_with_provider(provider, &options, &client, &E));
        OK(rps_on(client, RPS_LIT("error"), listener(on_refused, NULL), NULL, &E));
        if (mode == 2) {
            rps_text text;
            rps_str url;
            rps_event event;
            OK(rps_start(client, &E));
            CHECK(reaches(&calls, 1)); /* asked, and answered later by another thread: this one */
            OK(rps_gateway_url_with_token(gateway, RPS_LIT("later"), NULL, &text, &E));
            OK(rps_text_get(text, &url, &E));
            OK(rps_url_answer(source.later, url.data, url.len, &E));
            OK(rps_text_free(text, &E));
            OK(rps_wait_for(client, RPS_LIT("session.started"), 60000, &event, &E));
            OK(rps_event_free(event, &E));
        } else {
            OK(rps_connect(client, -1, &E));
            CHECK(value(&calls) >= 0 && (mode == 0 || reaches(&calls, 1)));
        }
        OK(rps_client_free(client, &E));
        CHECK(reaches(&destroyed, 2));
    }
}

/* A provider that hangs is given up, holds one thread however often the client asks, and is asked again at its end. */
typedef struct hanging {
    rps_gateway gateway;
    counter entered, leave, gave_up;
} hanging;
static void hang(void *user_data, rps_url_request request) {
    hanging *source = (hanging *)user_data;
    rps_text text;
    rps_str url;
    add(&source->entered, 1);
    if (value(&source->entered) == 1) {
        CHECK(reaches(&source->leave, 1));
        GIVES(RPS_INVALID_HANDLE, rps_url_answer(request, RPS_LIT("ws://too.late"), &E));
        return;
    }
    OK(rps_gateway_url_with_token(source->gateway, RPS_LIT("hung"), NULL, &text, &E));
    OK(rps_text_get(text, &url, &E));
    rps_url_answer(request, url.data, url.len, &E); /* too late again on a machine that is busy */
    OK(rps_text_free(text, &E));
}
static void on_given_up(void *user_data, const rps_event_view *event) {
    CHECK(event->number == RPS_URL_PROVIDER_FAILED && contains(event->text, "gave no URL within"));
    add(&((hanging *)user_data)->gave_up, 1);
}
static void hanging_provider(rps_gateway gateway) {
    hanging source = {gateway, COUNTER_INIT, COUNTER_INIT, COUNTER_INIT};
    rps_url_provider provider = {hang, &source, on_destroy};
    rps_options options = RPS_OPTIONS_INIT;
    rps_client client;
    reset();
    options.backoff_min_ms = options.backoff_max_ms = 1;
    options.provider_timeout_ms = 100;
    be_patient(&options);
    OK(rps_client_new_with_provider(provider, &options, &client, &E));
    OK(rps_on(client, RPS_LIT("error"), listener(on_given_up, &source), NULL, &E));
    OK(rps_start(client, &E));
    CHECK(reaches(&source.gave_up, 3) && value(&source.entered) == 1);
    add(&source.leave, 1);
    OK(rps_connect(client, -1, &E));
    CHECK(value(&source.entered) >= 2);
    OK(rps_client_free(client, &E));
    CHECK(reaches(&destroyed, 2));
}

/* ---- what goes wrong */

static void on_close(void *user_data, const rps_event_view *event) {
    (void)user_data;
    CHECK(event->kind == RPS_EVENT_CLOSE && event->number == 4000 && is(event->text, "test") && event->will_reconnect);
    add(&calls, 1);
}
static void on_state(void *user_data, const rps_event_view *event) {
    CHECK(event->kind == RPS_EVENT_STATE && event->from != event->to && event->text.len > 0);
    if (event->to == RPS_STATE_CONNECTED) add((counter *)user_data, 1);
}
static void on_log(void *user_data, const rps_log_record *record) {
    CHECK(record->level >= RPS_LOG_ERROR && record->level <= RPS_LOG_DEBUG && record->client_number > 0);
    CHECK(record->time_us > 0 && record->target.len > 0 && !contains(record->message, "access_token=e"));
    add((counter *)user_data, 1);
}

static void troubles(rps_gateway gateway) {
    static counter sessions = COUNTER_INIT, records = COUNTER_INIT;
    rps_options options = RPS_OPTIONS_INIT;
    uint16_t stop[] = {4999};
    rps_header header = {RPS_VIEW("X-Test"), RPS_VIEW("1")};
    rps_logger logger = {on_log, &records, on_destroy};
    rps_token_options nothing = RPS_TOKEN_OPTIONS_INIT;
    rps_str none = {NULL, 0};
    rps_text text;
    rps_str url;
    rps_wait wait;
    uint64_t closed;
    reset();
    options.backoff_min_ms = options.backoff_max_ms = 1;
    options.offline = RPS_OFFLINE_QUEUE;
    options.retry = 1;
    options.dedupe = 100;
    options.overflow = RPS_OVERFLOW_DROP_OLDEST;
    options.stop_on_close_codes = stop;
    options.stop_on_close_codes_len = 1;
    options.headers = &header;
    options.headers_len = 1;
    rps_client client = make_client(gateway, "troubled", &options);
    OK(rps_client_set_logger(client, RPS_LOG_DEBUG, logger, &E));
    OK(rps_on(client, RPS_LIT("close"), listener(on_close, NULL), NULL, &E));
    OK(rps_on(client, RPS_LIT("state"), listener(on_state, &sessions), NULL, &E));
    OK(rps_publish(client, RPS_LIT("main"), RPS_LIT("\"queued\""), NULL, &wait, &E)); /* offline */
    OK(rps_connect(client, -1, &E));
    OK(rps_wait_for_ack(wait, -1, &E));
    OK(rps_wait_free(wait, &E));
    OK(rps_gateway_kick(gateway, RPS_LIT("troubled"), 4000, RPS_LIT("test"), &closed, &E));
    CHECK(closed == 1 && reaches(&calls, 1) && reaches(&sessions, 2));
    OK(rps_gateway_fault(gateway, RPS_FAULT_DROP_ACKS, 0, &E));
    OK(rps_publish(client, RPS_LIT("main"), RPS_LIT("1"), NULL, &wait, &E));
    GIVES(RPS_TIMEOUT, rps_wait_for_ack(wait, 20, &E));
    CHECK(strstr(E.message, "no ack") && E.number == RPS_TIMEOUT && E.message_len == strlen(E.message));
    OK(rps_wait_free(wait, &E));
    OK(rps_gateway_fault(gateway, RPS_FAULT_NONE, 0, &E));
    OK(rps_gateway_send_text(gateway, RPS_LIT("troubled"), RPS_LIT("{\"topic\":\"t\"}"), &E));
    CHECK(reaches(&records, 3));
    OK(rps_client_set_logger(client, RPS_LOG_OFF, logger, &E)); /* destroys the one before, and this one */
    CHECK(reaches(&destroyed, 2));
    OK(rps_client_free(client, &E));
    CHECK(value(&destroyed) == 4);

    /* what the token may not */
    nothing.permissions = &none;
    OK(rps_gateway_url_with_token(gateway, RPS_LIT("nobody"), &nothing, &text, &E));
    OK(rps_text_get(text, &url, &E));
    options.offline = RPS_OFFLINE_FAIL;
    be_patient(&options);
    OK(rps_client_new(url.data, url.len, &options, &client, &E));
    OK(rps_connect(client, -1, &E));
    GIVES(RPS_FORBIDDEN, rps_subscribe_remote_topic(client, RPS_LIT("secure/x"), &E));
    CHECK(!strcmp(E.topic, "secure/x"));
    OK(rps_client_free(client, &E));
    OK(rps_text_free(text, &E));

    /* what can't be connected to */
    OK(rps_gateway_fault(gateway, RPS_FAULT_REFUSE, 503, &E));
    options.max_retries = 1;
    client = make_client(gateway, "refused", &options);
    GIVES(RPS_NOT_CONNECTED, rps_publish(client, RPS_LIT("main"), RPS_LIT("1"), NULL, NULL, &E));
    GIVES(RPS_HANDSHAKE_FAILED, rps_connect(client, -1, &E));
    CHECK(strstr(E.message, "503"));
    OK(rps_client_free(client, &E));
    OK(rps_gateway_fault(gateway, RPS_FAULT_NONE, 0, &E));
}

/* A full inbox drops, counts and tells. */

typedef struct lag {
    long seen, first, last;
    uint64_t dropped;
} lag;
static void on_number(void *user_data, const rps_event_view *event) {
    lag *l = (lag *)user_data;
    rps_str text;
    OK(rps_message_payload(event->message, &text, &E));
    l->last = strtol(text.data, NULL, 10);
    if (l->seen++ == 0) l->first = l->last;
}
static void on_lagged(void *user_data, const rps_event_view *event) {
    CHECK(event->kind == RPS_EVENT_LAGGED && event->dropped > 0);
    ((lag *)user_data)->dropped += event->dropped;
}
static void lagging(rps_gateway gateway) {
    for (int32_t overflow = RPS_OVERFLOW_DROP_OLDEST; overflow <= RPS_OVERFLOW_DROP_NEWEST; overflow++) {
        lag l = {0, 0, 0, 0};
        rps_options options = RPS_OPTIONS_INIT;
        rps_stats stats = RPS_STATS_INIT;
        options.dispatch = RPS_DISPATCH_POLL;
        options.overflow = overflow;
        options.inbox_messages = 10;
        reset();
        rps_client client = make_connected(gateway, "lagging", &options);
        OK(rps_on(client, RPS_LIT("main.*"), listener(on_number, &l), NULL, &E));
        OK(rps_on(client, RPS_LIT("lagged"), listener(on_lagged, &l), NULL, &E));
        for (int i = 0; i < 30; i++) {
            char number[12];
            snprintf(number, sizeof number, "%d", i);
            OK(rps_publish(client, RPS_LIT("main"), RPS_STR(number), NULL, NULL, &E));
        }
        do { /* all come back before anything is taken */
            OK(rps_flush(client, &E));
            OK(rps_client_stats(client, &stats, &E));
        } while (stats.inbox_len + stats.dropped < 30);
        while (l.seen + (long)l.dropped < 30) OK(rps_poll(client, 60000, 0, NULL, &E));
        OK(rps_client_stats(client, &stats, &E));
        CHECK(l.dropped > 0 && l.seen + (long)l.dropped == 30 && stats.dropped == l.dropped);
        CHECK(overflow == RPS_OVERFLOW_DROP_OLDEST ? l.last == 29 && l.first > 0 : l.first == 0 && l.last < 29);
        OK(rps_client_free(client, &E));
        CHECK(value(&destroyed) == 2);
    }
}

/* At least once, and dropped where it comes twice. */
static void again(rps_gateway gateway) {
    rps_options sending = RPS_OPTIONS_INIT, receiving = RPS_OPTIONS_INIT;
    rps_stats stats = RPS_STATS_INIT;
    rps_wait wait;
    reset();
    sending.retry = 1;
    sending.backoff_min_ms = sending.backoff_max_ms = 1;
    receiving.dedupe = 100;
    rps_client sender = make_connected(gateway, "sender", &sending);
    rps_client receiver = make_connected(gateway, "receiver", &receiving);
    OK(rps_on(receiver, RPS_LIT("main.*"), listener(count_call, NULL), NULL, &E));
    OK(rps_gateway_fault(gateway, RPS_FAULT_DROP_ACKS, 0, &E));
    OK(rps_publish(sender, RPS_LIT("main"), RPS_LIT("1"), NULL, &wait, &E));
    OK(rps_flush(sender, &E));
    OK(rps_gateway_fault(gateway, RPS_FAULT_NONE, 0, &E));
    OK(rps_gateway_kick(gateway, RPS_LIT("sender"), 4000, RPS_LIT("test"), NULL, &E));
    OK(rps_wait_for_ack(wait, -1, &E)); /* of the one that was written again */
    OK(rps_wait_free(wait, &E));
    OK(rps_publish(sender, RPS_LIT("main"), RPS_LIT("2"), NULL, NULL, &E));
    CHECK(reaches(&calls, 2));
    OK(rps_client_stats(receiver, &stats, &E));
    CHECK(stats.duplicates == 1 && value(&calls) == 2);
    OK(rps_client_free(sender, &E));
    OK(rps_client_free(receiver, &E));
}

static void arguments(rps_gateway gateway) {
    rps_options options = RPS_OPTIONS_INIT;
    rps_client client = 0;
    struct {
        rps_options options;
        char more[32];
    } newer;
    rps_text text;
    rps_str view;
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("http://x"), NULL, &client, &E));
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("ws://x"), NULL, NULL, &E));
    options.size = 0;
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("ws://x"), &options, &client, &E));
    options.size = sizeof options;
    options.overflow = 9;
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("ws://x"), &options, &client, &E));
    CHECK(client == 0); /* outputs are written on success only */
    options.size = 2 * sizeof(size_t); /* an older header, which has no `overflow` */
    OK(rps_client_new(RPS_LIT("ws://x"), &options, &client, &E));
    OK(rps_client_free(client, &E));
    memset(&newer, 0, sizeof newer);
    newer.options.size = sizeof newer;
    OK(rps_client_new(RPS_LIT("ws://x"), &newer.options, &client, &E));
    OK(rps_client_free(client, &E));
    newer.more[7] = 1;
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("ws://x"), &newer.options, &client, &E));
    options = (rps_options)RPS_OPTIONS_INIT;
    options.ca_pem = RPS_VIEW("no certificate");
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("wss://x"), &options, &client, &E));
    options.ca_pem.len = 0;
    options.client_key_pem = RPS_VIEW("SECRET");
    GIVES(RPS_INVALID_ARGUMENT, rps_client_new(RPS_LIT("wss://x"), &options, &client, &E));
    CHECK(!strstr(E.message, "SECRET"));
    OK(rps_check_json(RPS_LIT("[1]"), &E));
    GIVES(RPS_INVALID_ARGUMENT, rps_check_json(RPS_LIT("[1"), &E));
    CHECK(is(rps_str_from("abc"), "abc") && rps_str_from(NULL).len == 0);
    OK(rps_gateway_url(gateway, &text, &E));
    OK(rps_text_get(text, &view, &E));
    CHECK(contains(view, "ws://127.0.0.1:"));
    OK(rps_text_free(text, &E));
    OK(rps_gateway_http_url(gateway, &text, &E));
    OK(rps_text_free(text, &E));
    OK(rps_gateway_token(gateway, RPS_LIT("x"), NULL, &text, &E));
    OK(rps_text_free(text, &E));
    OK(rps_gateway_admin_token(gateway, RPS_LIT("x"), NULL, &text, &E));
    OK(rps_text_free(text, &E));
    CHECK(rps_abi_version() == RPS_ABI_VERSION && strlen(rps_version()) > 0);
    CHECK(!strcmp(rps_error_name(RPS_TIMEOUT), "TIMEOUT") && !strcmp(rps_error_name(7), "UNKNOWN"));
}

int main(void) {
    rps_gateway gateway = make_gateway();
    conversation(gateway);
    streams(gateway);
    completions(gateway);
    polling(gateway);
    providers(gateway);
    hanging_provider(gateway);
    troubles(gateway);
    lagging(gateway);
    again(gateway);
    arguments(gateway);
    OK(rps_gateway_stop(gateway, &E));
    OK(rps_gateway_free(gateway, &E));
    puts("behaviour: ok");
    return 0;
}
