/*
 * Realtime Pub/Sub for C: a client that connects, reconnects, publishes, subscribes and waits for acks and replies.
 *
 * Made from bindings/c/src by `cargo run -p realtime-pubsub-c --example header`: don't edit. The guide is
 * bindings/c/README.md.
 *
 *     #include <realtime_pubsub.h>
 *
 *     static void on_chat(void *user_data, const rps_event_view *event) {
 *         rps_str payload;
 *         (void)user_data;
 *         if (rps_message_payload(event->message, &payload, NULL) == RPS_OK)
 *             printf("%.*s\n", RPS_ARG(payload));
 *         rps_reply(event->message, RPS_LIT("\"Got it!\""), NULL, NULL, NULL);
 *     }
 *
 *     rps_error error;
 *     rps_client client;
 *     rps_client_new(RPS_STR(url), NULL, &client, &error);
 *     rps_on(client, RPS_LIT("chat.*"), (rps_listener_callback){on_chat, NULL, NULL}, NULL, &error);
 *     rps_connect(client, RPS_DEFAULT_TIMEOUT, &error);
 *     rps_subscribe_remote_topic(client, RPS_LIT("chat"), &error);
 *
 * What all functions have in common:
 *
 * - Results. They return RPS_OK or a negative number. What they give comes through the last pointers before `error`,
 *   which are written on success only. `error` may be NULL; it is filled on failure only. Every function catches panics
 *   and returns RPS_INTERNAL: nothing unwinds into your code.
 * - Handles are numbers. 0 is none. One that was freed, is stale or of another type gives RPS_INVALID_HANDLE and does no
 *   harm, so freeing twice is safe. Free what you are given with the function of its type; there is nothing to free()
 *   yourself. Freeing a thing while another thread uses it is safe too.
 * - Threads. Every function may be called from any thread, several at once, and from any callback. Those that wait say
 *   so; on the library's own I/O thread, where only `destroy` functions can find themselves, these return
 *   RPS_WOULD_DEADLOCK.
 * - Text in is a pointer and a length, UTF-8, needs no NUL, and is copied before the function returns. Text out is a
 *   view, rps_str, with no NUL at its end, valid for as long as its function says.
 * - Payloads are JSON text.
 * - Callbacks are structs of a function, a pointer for it, and a function that ends the pointer's use. `destroy` is
 *   called exactly once, also when registering failed, and `call` never runs after it began.
 * - Structs that begin with `size` are set up with their _INIT macro. They may grow at their end; the size tells which
 *   fields your program knows.
 * - Times are in milliseconds. As a timeout any negative number, such as RPS_DEFAULT_TIMEOUT, is the default.
 */
#ifndef REALTIME_PUBSUB_H
#define REALTIME_PUBSUB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32) && !defined(RPS_STATIC)
#define RPS_API __declspec(dllimport)
#elif defined(__GNUC__)
#define RPS_API __attribute__((visibility("default")))
#else
#define RPS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Handles ---- */
/*
 * Each is a number; 0 is none. Free them with the function that their type names.
 */

/** A client, from rps_client_new(). rps_client_free(). */
typedef uint64_t rps_client;

/** A listener that is registered, from rps_on(). rps_off(). */
typedef uint64_t rps_listener;

/**
 * An event that you own, from rps_wait_for(): look at it with rps_event_get(). Where it is a message, it is an
 * rps_message too. rps_event_free().
 */
typedef uint64_t rps_event;

/** A message: one that is lent, in a callback, or one that you own, from rps_message_retain(). rps_message_free(). */
typedef uint64_t rps_message;

/** A reply to a message of yours, lent or owned. rps_response_free(). */
typedef uint64_t rps_response;

/**
 * A message on its way, from rps_publish(): wait for the gateway's ack, for a peer's reply, or for both.
 * rps_wait_free().
 */
typedef uint64_t rps_wait;

/** Something that was begun with an `_async` function and has not ended. It ends by itself, or with rps_cancel(). */
typedef uint64_t rps_pending;

/** The messages that match a pattern, as a stream, from rps_messages_new(). rps_messages_free(). */
typedef uint64_t rps_messages;

/** The replies to a message, as a stream, from rps_wait_replies(). rps_replies_free(). */
typedef uint64_t rps_replies;

/** A client's question for its URL, to be answered once, with rps_url_answer() or rps_url_refuse(). */
typedef uint64_t rps_url_request;

/** A text that was made for you, such as a token: look at it with rps_text_get(). rps_text_free(). */
typedef uint64_t rps_text;

/** A local gateway, from rps_gateway_start(). rps_gateway_free(). */
typedef uint64_t rps_gateway;

/* ---- Text and time ---- */

/** The time limit that the client's options say, 5 s for waits unless changed, for functions that take milliseconds. */
#define RPS_DEFAULT_TIMEOUT (-1)

/**
 * Text, or bytes: where it begins and how long it is. Text is UTF-8 and need not end with NUL.
 *
 * A view that the library gives is valid as long as the function that gives it says. One that you give is copied
 * before the function returns.
 */
typedef struct rps_str {
    /** Where it begins. May be NULL where `len` is 0. */
    const char *data;
    /** How many bytes it has. */
    size_t len;
} rps_str;

/* A string literal as two arguments: a pointer and a length. */
#define RPS_LIT(literal) ("" literal ""), (sizeof(literal) - 1)
/* Text that ends with NUL as two arguments. It is evaluated twice. */
#define RPS_STR(text) (text), strlen(text)
/* The two arguments that printf's %.*s wants for an rps_str. */
#define RPS_ARG(view) (int)(view).len, (view).data
/* A string literal as an rps_str, for options. */
#ifdef __cplusplus
#define RPS_VIEW(literal) (rps_str{"" literal "", sizeof(literal) - 1})
#else
#define RPS_VIEW(literal) ((rps_str){"" literal "", sizeof(literal) - 1})
#endif


/* ---- Errors, states, versions ---- */

/** The version of the interface that this header describes. See rps_abi_version(). */
#define RPS_ABI_VERSION 1

/** Success. */
#define RPS_OK 0

/** An argument makes no sense: a null pointer, text that is not UTF-8, a bad URL, an empty topic, no JSON. */
#define RPS_INVALID_ARGUMENT (-1)

/** A handle was freed, is of another type, or was never given out. */
#define RPS_INVALID_HANDLE (-2)

/** There is no session, and the client does not queue while offline. */
#define RPS_NOT_CONNECTED (-3)

/** What was waited for did not come in time. */
#define RPS_TIMEOUT (-4)

/** The client was disconnected, or is gone. */
#define RPS_CLOSED (-5)

/** The connection died before the answer came. */
#define RPS_CONNECTION_LOST (-6)

/** A queue is full. */
#define RPS_QUEUE_FULL (-7)

/** A message is larger than the limit. */
#define RPS_MESSAGE_TOO_LARGE (-8)

/** The gateway does not let this token do that. */
#define RPS_FORBIDDEN (-9)

/** The connection could not be made: dial, TLS, upgrade or welcome failed. */
#define RPS_HANDSHAKE_FAILED (-10)

/** The URL provider failed. */
#define RPS_URL_PROVIDER_FAILED (-11)

/** The gateway sent what the protocol does not allow. */
#define RPS_PROTOCOL_VIOLATION (-12)

/** The wait was cancelled. */
#define RPS_CANCELLED (-13)

/** This call, made here, would wait for itself. */
#define RPS_WOULD_DEADLOCK (-14)

/** A bug: a panic was caught. The process and its other objects go on. */
#define RPS_INTERNAL (-15)

/** The message came over REST and has no sender to reply to. */
#define RPS_NOT_REPLYABLE (-16)

/** How many bytes rps_error holds of a message, its NUL included. */
#define RPS_ERROR_MESSAGE_SIZE 760

/** How many bytes rps_error holds of a topic, its NUL included. */
#define RPS_ERROR_TOPIC_SIZE 256

/** Never asked to connect. */
#define RPS_STATE_IDLE 0

/** Asked to connect; there has been no session since. */
#define RPS_STATE_CONNECTING 1

/** In a session. */
#define RPS_STATE_CONNECTED 2

/** The session was lost; the next one is being made. */
#define RPS_STATE_RECONNECTING 3

/** Disconnected by its user. It can connect again. */
#define RPS_STATE_CLOSED 4

/** Given up. It can connect again. */
#define RPS_STATE_FAILED 5

/**
 * What went wrong. You own it, on your stack or wherever, and need not free it. Functions take a pointer to one, or
 * NULL, and fill it when they fail; when they succeed they leave it alone.
 */
typedef struct rps_error {
    /** The number that the function returned. */
    int32_t number;
    /** How many bytes the whole message has. More than there is room for: it was cut. */
    uint32_t message_len;
    /** What happened, to what, and what to do. Ends with NUL. Never holds a token. */
    char message[RPS_ERROR_MESSAGE_SIZE];
    /** For RPS_FORBIDDEN the topic, otherwise empty. Ends with NUL. */
    char topic[RPS_ERROR_TOPIC_SIZE];
} rps_error;

/**
 * The version of the interface that the library has. It is RPS_ABI_VERSION of the header that the library came with;
 * compare them at the start of your program where the library is loaded from elsewhere. Additions keep the number:
 * structs grow at their end and say their size.
 */
RPS_API uint32_t rps_abi_version(void);

/** The library's version, such as "0.1.0". Ends with NUL; valid for ever. */
RPS_API const char *rps_version(void);

/**
 * The name of an error number, such as "NOT_CONNECTED"; "OK" for 0, "UNKNOWN" for what is none. Ends with NUL; valid
 * for ever.
 */
RPS_API const char *rps_error_name(int32_t number);

/** The name of a state, such as "connected"; "unknown" for what is none. Ends with NUL; valid for ever. */
RPS_API const char *rps_state_name(int32_t state);

/**
 * Whether text is one JSON value, as payloads must be. RPS_INVALID_ARGUMENT, with the reason and the place, where it is
 * not: the functions that take JSON say the same, so there is no need to ask first.
 */
RPS_API int32_t rps_check_json(const char *json,
                       size_t json_len,
                       rps_error *error);

/** A view of text that ends with NUL. NULL gives an empty view. Nothing is copied: it is valid for as long as the text. */
RPS_API rps_str rps_str_from(const char *text);

/* ---- Messages and replies ---- */
/*
 * In a callback a message or reply is lent: its handle is valid until the callback returns, and on its thread alone.
 * To keep it, or to hand it to another thread, retain it.
 */

/** Who sent a message. */
typedef struct rps_sender {
    /** sizeof(rps_sender), as RPS_SENDER_INIT sets it. */
    size_t size;
    /** The sender's connection. */
    rps_str connection_id;
    /** The sender's token's subject. */
    rps_str subject;
    /** The sender's permissions. */
    const rps_str *permissions;
    /** How many permissions those are. */
    size_t permissions_len;
} rps_sender;

/** A client of the app came or went. */
typedef struct rps_presence {
    /** sizeof(rps_presence), as RPS_PRESENCE_INIT sets it. */
    size_t size;
    /** 0 for connected, -1 for disconnected. */
    int64_t code;
    /** "connected" or "disconnected". */
    rps_str status;
    /** Whose connection. */
    rps_str connection_id;
    /** Its token's subject. */
    rps_str subject;
    /** Its token's permissions. */
    const rps_str *permissions;
    /** How many permissions those are. */
    size_t permissions_len;
} rps_presence;

/** Options of a reply. Begin with RPS_REPLY_OPTIONS_INIT. */
typedef struct rps_reply_options {
    /** sizeof(rps_reply_options). */
    size_t size;
    /** The status. Default: "ok". */
    rps_str status;
    /** 1: the asker gets it as a binary frame, which the wire may compress. */
    int32_t compress;
    /** Nothing. */
    int32_t reserved;
} rps_reply_options;

/**
 * The topic. This view and those of the functions below are valid as long as the handle: until the callback returns, or
 * until it is freed.
 */
RPS_API int32_t rps_message_topic(rps_message message,
                          rps_str *topic,
                          rps_error *error);

/** The message type, "broadcast" where the sender gave none. */
RPS_API int32_t rps_message_type(rps_message message, rps_str *message_type, rps_error *error);

/** What was published, JSON. */
RPS_API int32_t rps_message_payload(rps_message message, rps_str *payload, rps_error *error);

/**
 * All of the message's data, JSON: for one published or sent over WebSocket an object with `client`, `payload` and
 * `id`, for one published over REST whatever was published.
 */
RPS_API int32_t rps_message_data(rps_message message,
                         rps_str *data,
                         rps_error *error);

/** The frame as it came, JSON. */
RPS_API int32_t rps_message_frame(rps_message message, rps_str *frame, rps_error *error);

/** The message's id; empty for one published over REST. */
RPS_API int32_t rps_message_id(rps_message message, rps_str *id, rps_error *error);

/** Whether it was delivered as a binary frame, as what is published with `compress` is: 1 or 0. */
RPS_API int32_t rps_message_compression(rps_message message, int32_t *compression, rps_error *error);

/** Who sent it. Set `sender->size` first. RPS_NOT_REPLYABLE for a message published over REST: it has no sender. */
RPS_API int32_t rps_message_sender(rps_message message,
                           rps_sender *sender,
                           rps_error *error);

/** The connection that sent it; empty for a message published over REST. */
RPS_API int32_t rps_message_connection_id(rps_message message, rps_str *connection_id, rps_error *error);

/**
 * What a presence message says. Set `presence->size` first. RPS_INVALID_ARGUMENT for other messages. Presence comes on
 * the topic secure/inbound with the type "presence".
 */
RPS_API int32_t rps_message_presence(rps_message message,
                             rps_presence *presence,
                             rps_error *error);

/** A handle of your own for a message: valid on all threads until you free it. The bytes are shared, not copied. */
RPS_API int32_t rps_message_retain(rps_message message,
                           rps_message *retained,
                           rps_error *error);

/** Frees a message that you own: one that was retained or waited for. Views of it end. */
RPS_API int32_t rps_message_free(rps_message message, rps_error *error);

/**
 * Replies to a message with JSON. A reply can be acknowledged and replied to itself, so there is a `wait`, which may be
 * NULL. `options` may be NULL.
 *
 *     rps_reply(event->message, RPS_LIT("\"Got it!\""), NULL, NULL, NULL);
 *
 * RPS_NOT_REPLYABLE for a message published over REST; otherwise as rps_publish().
 */
RPS_API int32_t rps_reply(rps_message message,
                  const char *data,
                  size_t data_len,
                  const rps_reply_options *options,
                  rps_wait *wait,
                  rps_error *error);

/**
 * The id of the message that a reply answers. This view and those of the functions below are valid as long as the
 * handle: until the callback returns, or until it is freed.
 */
RPS_API int32_t rps_response_id(rps_response response,
                        rps_str *id,
                        rps_error *error);

/** A reply's status: "ok", or what the replier chose. */
RPS_API int32_t rps_response_status(rps_response response, rps_str *status, rps_error *error);

/** What was replied, JSON. */
RPS_API int32_t rps_response_data(rps_response response, rps_str *data, rps_error *error);

/** The connection that replied. */
RPS_API int32_t rps_response_connection_id(rps_response response, rps_str *connection_id, rps_error *error);

/** Whether a reply was delivered as a binary frame: 1 or 0. */
RPS_API int32_t rps_response_compression(rps_response response, int32_t *compression, rps_error *error);

/** A handle of your own for a reply: valid on all threads until you free it. */
RPS_API int32_t rps_response_retain(rps_response response, rps_response *retained, rps_error *error);

/** Frees a reply that you own. Views of it end. */
RPS_API int32_t rps_response_free(rps_response response, rps_error *error);

/* ---- Events ---- */
/*
 * An event is a message, or what the client itself has to tell: `session.started`, `error`, `close`, `state`, `lagged`.
 * Callbacks get a view of it.
 */

/** A message: look at `message`. */
#define RPS_EVENT_MESSAGE 0

/** "session.started", a session has begun: look at `connection_id`, `app_id`, `remote_address`. */
#define RPS_EVENT_SESSION_STARTED 1

/** "error", something went wrong that no call could return: look at `number`, `text`, `topic`. */
#define RPS_EVENT_ERROR 2

/** "close", a connection has ended: look at `number` (the close code), `text` (the reason), `will_reconnect`. */
#define RPS_EVENT_CLOSE 3

/** "state", the state has changed: look at `from`, `to`, `text` (the reason). */
#define RPS_EVENT_STATE 4

/** "lagged", messages were dropped because the inbox was full: look at `dropped`. */
#define RPS_EVENT_LAGGED 5

/** What there is to see of an event. Fields that its kind does not have are zero. */
typedef struct rps_event_view {
    /** How large this struct is: the library's, or for rps_event_get() yours. */
    size_t size;
    /** RPS_EVENT_MESSAGE or another of the constants. */
    int32_t kind;
    /** For an error its number, for a close its code (RFC 6455). */
    int32_t number;
    /** The listener that is called; 0 in an outcome. To take it off, pass it to rps_off(). */
    rps_listener listener;
    /** The message. In a callback it is lent: valid until the callback returns, and on its thread alone. */
    rps_message message;
    /** What an error says, or why a connection was closed or the state changed. */
    rps_str text;
    /** The topic that is forbidden, where the error is RPS_FORBIDDEN. */
    rps_str topic;
    /** The connection's id. */
    rps_str connection_id;
    /** The app it belongs to. */
    rps_str app_id;
    /** This client's address as the gateway sees it. */
    rps_str remote_address;
    /** The state before, RPS_STATE_… */
    int32_t from;
    /** The state now, RPS_STATE_… */
    int32_t to;
    /** How many messages were dropped since the last such event. */
    uint64_t dropped;
    /** 1 if the client will connect again by itself. */
    int32_t will_reconnect;
    /** Nothing. */
    int32_t reserved;
} rps_event_view;

/** How something that was begun with an `_async` function has ended. */
typedef struct rps_outcome {
    /** How large this struct is. */
    size_t size;
    /** RPS_OK, or the error's number. */
    int32_t number;
    /** Nothing. */
    int32_t reserved;
    /** What the error says. Empty where there is none. */
    rps_str text;
    /** The topic, where the error is RPS_FORBIDDEN. Empty otherwise. */
    rps_str topic;
    /** The reply, where one was waited for; 0 otherwise. It is lent; rps_response_retain() keeps it. */
    rps_response response;
    /** The event, where one was waited for, or the session that was connected; NULL otherwise. */
    const rps_event_view *event;
} rps_outcome;

/**
 * Shows an event: one from rps_wait_for() or rps_client_connection(), or a message. Set `view->size` first, as
 * RPS_EVENT_VIEW_INIT does. What the view points to is valid until the event is freed.
 */
RPS_API int32_t rps_event_get(rps_event event,
                      rps_event_view *view,
                      rps_error *error);

/** Frees an event that you own. Views of it end. */
RPS_API int32_t rps_event_free(rps_event event, rps_error *error);

/* ---- Where the URL comes from ---- */

/**
 * Answers a client's question for its URL: ws(s)://host/apps/ID?access_token=TOKEN. From any thread.
 *
 * RPS_INVALID_HANDLE, which does no harm, when it was answered before or took longer than the client waits.
 */
RPS_API int32_t rps_url_answer(rps_url_request request, const char *url, size_t url_len, rps_error *error);

/**
 * Says that there is no URL now, and why. The client reports that as an "error" event, RPS_URL_PROVIDER_FAILED, and
 * asks again after a pause. The reason is shown, so leave secrets out.
 */
RPS_API int32_t rps_url_refuse(rps_url_request request,
                       const char *reason,
                       size_t reason_len,
                       rps_error *error);

/* ---- Logging ---- */

/** Nothing. */
#define RPS_LOG_OFF 0

/** Bugs. */
#define RPS_LOG_ERROR 1

/** What went wrong and the client deals with. */
#define RPS_LOG_WARN 2

/** What happens seldom and matters. */
#define RPS_LOG_INFO 3

/** Each step of connecting and closing. */
#define RPS_LOG_DEBUG 4

/** More than that. */
#define RPS_LOG_TRACE 5

/** One thing that was logged. */
typedef struct rps_log_record {
    /** How large this struct is. */
    size_t size;
    /** RPS_LOG_ERROR to RPS_LOG_TRACE. */
    int32_t level;
    /** Nothing. */
    int32_t reserved;
    /** The number of the client, see rps_client_number(). */
    uint64_t client_number;
    /** When, in microseconds since 1970. */
    uint64_t time_us;
    /** Where in the library. */
    rps_str target;
    /** What it says. Never holds a token. */
    rps_str message;
} rps_log_record;

/** Called for each record that is logged, on a thread for that alone, one after the other. It must not throw. */
typedef struct rps_logger {
    /** The function. `record` and all that it shows are valid until it returns. */
    void (*call)(void *user_data, const rps_log_record *record);
    /** Passed to both functions. */
    void *user_data;
    /** Called once when `call` will not be called any more. May be NULL. */
    void (*destroy)(void *user_data);
} rps_logger;

/**
 * Hands what a client logs, of this level and above, to a function of yours. A client has one logger: setting another
 * ends the one before. With RPS_LOG_OFF there is none, and `logger` is destroyed at once. A slow logger slows nothing
 * but itself: beyond 4,096 records that wait, more are dropped. `logger` is taken over, also on failure; it is
 * destroyed some time after the client is freed, when it has got all there was.
 */
RPS_API int32_t rps_client_set_logger(rps_client client,
                              int32_t level,
                              rps_logger logger,
                              rps_error *error);

/* ---- Callbacks ---- */
/*
 * Each is a struct of a function, a pointer that it is given, and a function that ends that pointer's use. The library
 * calls `destroy` exactly once, when it will not call `call` any more: also where the function that took the struct
 * failed.
 */

/**
 * Called for each event that a listener is registered for: on the client's dispatch thread, or within rps_poll(). It
 * may call any function of this library, blocking ones too, and free the client. It must not throw.
 */
typedef struct rps_listener_callback {
    /** The function. `event` and all that it shows are valid until it returns. */
    void (*call)(void *user_data, const rps_event_view *event);
    /** Passed to both functions. */
    void *user_data;
    /** Called once when `call` will not be called any more. May be NULL. */
    void (*destroy)(void *user_data);
} rps_listener_callback;

/**
 * Called once when something that was begun with an `_async` function has ended: on the client's dispatch thread, or
 * within rps_poll(). It is not called where the client was freed or the wait cancelled before. It may call any
 * function of this library. It must not throw.
 */
typedef struct rps_completion {
    /** The function. `outcome` and all that it shows are valid until it returns. */
    void (*call)(void *user_data, const rps_outcome *outcome);
    /** Passed to both functions. */
    void *user_data;
    /** Called once when `call` will not be called any more. May be NULL. */
    void (*destroy)(void *user_data);
} rps_completion;

/**
 * Called when a client needs the URL to connect to, at each attempt: on a thread that may block. Answer with
 * rps_url_answer() or rps_url_refuse(), there or later, on any thread. One call runs at a time: while one has not
 * returned, the client waits before it asks again, and counts that among `provider_timeout_ms`. It must not throw.
 */
typedef struct rps_url_provider {
    /** The function. */
    void (*call)(void *user_data, rps_url_request request);
    /** Passed to both functions. */
    void *user_data;
    /** Called once when `call` will not be called any more, which is some time after the client was freed. May be NULL. */
    void (*destroy)(void *user_data);
} rps_url_provider;

/* ---- Options ---- */

/** Callbacks run on a thread of the client's own. */
#define RPS_DISPATCH_THREAD 0

/** Callbacks run in rps_poll(). */
#define RPS_DISPATCH_POLL 1

/** Without a session a publish fails with RPS_NOT_CONNECTED. */
#define RPS_OFFLINE_FAIL 0

/** Without a session a publish waits for the next one. */
#define RPS_OFFLINE_QUEUE 1

/** When the inbox is full: stop reading, so that TCP pushes back to the gateway. */
#define RPS_OVERFLOW_BLOCK 0

/** When the inbox is full: drop the oldest message; see the event "lagged". */
#define RPS_OVERFLOW_DROP_OLDEST 1

/** When the inbox is full: drop the newest message; see the event "lagged". */
#define RPS_OVERFLOW_DROP_NEWEST 2

/** A header of the handshake. */
typedef struct rps_header {
    /** Its name. */
    rps_str name;
    /** Its value. */
    rps_str value;
} rps_header;

/** Options of a client. Begin with RPS_OPTIONS_INIT and set what you need: 0 (NULL, empty) is the default everywhere. */
typedef struct rps_options {
    /** sizeof(rps_options). */
    size_t size;
    /** Where callbacks run: RPS_DISPATCH_THREAD or RPS_DISPATCH_POLL. */
    int32_t dispatch;
    /** What becomes of a publish without a session: RPS_OFFLINE_FAIL or RPS_OFFLINE_QUEUE. */
    int32_t offline;
    /** What happens when the inbox is full: RPS_OVERFLOW_BLOCK, … */
    int32_t overflow;
    /** 1: at least once. An unacknowledged publish is written again after a reconnect, under the same id. */
    int32_t retry;
    /** 1: a publish is written when rps_client_kick() is called, or 64 KiB are queued. Cheaper for bursts. */
    int32_t manual_kick;
    /** Give up after this many failed attempts in a row. 0: never. */
    uint32_t max_retries;
    /** Drop messages that repeat one of the last so many, by topic, sender's subject and id. 0: off. */
    uint32_t dedupe;
    /** 1: trust `ca_pem` alone, not the system's authorities. */
    int32_t only_own_ca;
    /** How long rps_connect() tries. Default 30,000. */
    uint64_t connect_timeout_ms;
    /** How long the URL provider may take. Default 10,000. */
    uint64_t provider_timeout_ms;
    /** How long dialling, TLS and the upgrade may take together. Default 10,000. */
    uint64_t handshake_timeout_ms;
    /** How long the welcome may take. Default 10,000. */
    uint64_t welcome_timeout_ms;
    /** How long waits take by default. Default 5,000. */
    uint64_t wait_timeout_ms;
    /** How long the gateway may take to confirm a subscription or a flush. Default 5,000. */
    uint64_t barrier_timeout_ms;
    /** How long rps_disconnect() may take to write what is queued. Default 5,000. */
    uint64_t disconnect_timeout_ms;
    /** Pauses between attempts are random, up to this at first, and twice as much each time. Default 500. */
    uint64_t backoff_min_ms;
    /** The longest pause. Default 30,000. */
    uint64_t backoff_max_ms;
    /** A session that lasts this long ends the doubling. Default 5,000. */
    uint64_t backoff_stable_ms;
    /** Ping after this long without a frame. Default 15,000. */
    uint64_t ping_after_ms;
    /** Take the connection for dead this long after such a ping. Default 10,000. */
    uint64_t pong_timeout_ms;
    /** How long `retry` keeps an unacknowledged publish. Default 60,000. */
    uint64_t retry_for_ms;
    /** With RPS_OFFLINE_QUEUE: how many may wait. Default 1,000. */
    uint64_t offline_messages;
    /** With RPS_OFFLINE_QUEUE: how many bytes may wait. Default 1 MiB. */
    uint64_t offline_bytes;
    /** With RPS_OFFLINE_QUEUE: how long each may wait. Default 30,000. */
    uint64_t offline_ttl_ms;
    /** How many messages the inbox holds. Default 65,536. */
    uint64_t inbox_messages;
    /** How many bytes the inbox holds. Default 64 MiB. */
    uint64_t inbox_bytes;
    /** How many messages may wait to be written. Default 65,536. */
    uint64_t outbox_messages;
    /** How many bytes may wait to be written. Default 16 MiB. */
    uint64_t outbox_bytes;
    /** The largest message, each way, in bytes. Default 1 MiB. */
    uint64_t max_message_size;
    /** Give up when the gateway closes with one of these codes. */
    const uint16_t *stop_on_close_codes;
    /** How many codes those are. */
    size_t stop_on_close_codes_len;
    /** Headers of the handshake besides WebSocket's own. */
    const rps_header *headers;
    /** How many headers those are. */
    size_t headers_len;
    /** An HTTP proxy: http://[user:password@]host:port. */
    rps_str proxy;
    /** Authorities to trust besides the system's, PEM. */
    rps_str ca_pem;
    /** The client's certificate chain, PEM. */
    rps_str client_cert_pem;
    /** The client's private key, PEM. Never shown. */
    rps_str client_key_pem;
} rps_options;

/* ---- Listening ---- */

/**
 * Calls `callback` for each event of this name: a control event's ("session.started", "error", "close", "state",
 * "lagged"), or a pattern for messages, whose names are `<topic>.<message type>`: `*` stands for one segment between
 * dots, `**` for any number of them. What comes over the wire never raises a control event.
 *
 * Listeners of a client run one at a time, in the order of arrival, those of one message in the order of registration.
 * They may block, publish and wait for answers. Messages arrive for topics that are subscribed, see
 * rps_subscribe_remote_topic().
 *
 * `listener` may be NULL: the listener then lives as long as the client. `callback` is taken over, also on failure.
 *
 *     rps_on(client, RPS_LIT("chat.*"), (rps_listener_callback){on_chat, NULL, NULL}, NULL, &error);
 *
 * RPS_INVALID_ARGUMENT for a bad pattern.
 */
RPS_API int32_t rps_on(rps_client client,
               const char *name,
               size_t name_len,
               rps_listener_callback callback,
               rps_listener *listener,
               rps_error *error);

/** Like rps_on(), for the first event only. The handle ends with the call. */
RPS_API int32_t rps_once(rps_client client,
                 const char *name,
                 size_t name_len,
                 rps_listener_callback callback,
                 rps_listener *listener,
                 rps_error *error);

/**
 * Takes a listener off. Once this returns it does not run and `destroy` was called; only from within the listener itself
 * it returns at once, and `destroy` is called when the listener returns. A listener that another client's listener
 * takes off at the same time as the other way round would wait for each other: don't.
 *
 * RPS_INVALID_HANDLE, which does no harm, if it is off already, or a `once` that was called.
 */
RPS_API int32_t rps_off(rps_listener listener,
                rps_error *error);

/**
 * Ends a wait that was begun with an `_async` function. Once this returns its callback does not run and `destroy` was
 * called; from within the callback itself, `destroy` is called when it returns.
 *
 * RPS_INVALID_HANDLE, which does no harm, if it has ended already.
 */
RPS_API int32_t rps_cancel(rps_pending pending,
                   rps_error *error);

/**
 * Runs the callbacks of a client that was made with RPS_DISPATCH_POLL, on this thread: what has arrived, `max` of it at
 * most (0: 256). Where there is nothing it waits up to `timeout_ms` for something: 0 does not wait, a negative number
 * waits for ever. `handled`, which may be NULL, is how many there were: 0 when the time is up.
 *
 * One thread polls at a time. RPS_CLOSED when the client is freed meanwhile, RPS_WOULD_DEADLOCK when it is being polled
 * already, RPS_INVALID_ARGUMENT for a client that runs its callbacks on a thread.
 */
RPS_API int32_t rps_poll(rps_client client,
                 int64_t timeout_ms,
                 uint32_t max,
                 uint32_t *handled,
                 rps_error *error);

/**
 * The file descriptor of a client that was made with RPS_DISPATCH_POLL, for poll(), epoll, libuv and the like: it is
 * readable while rps_poll() has something to do. It belongs to the client: don't read, write or close it, and forget it
 * before you free the client.
 */
RPS_API int32_t rps_client_fd(rps_client client,
                      int32_t *fd,
                      rps_error *error);

/**
 * Waits for an event of this name, as rps_on() takes it, and gives it to you: free it with rps_event_free().
 * "session.started" in a running session is there at once. With RPS_DEFAULT_TIMEOUT it waits for 5 s.
 *
 * RPS_TIMEOUT when it does not come in time; RPS_CLOSED when the client is freed.
 */
RPS_API int32_t rps_wait_for(rps_client client,
                     const char *name,
                     size_t name_len,
                     int64_t timeout_ms,
                     rps_event *event,
                     rps_error *error);

/**
 * Begins to wait for an event, and calls `completion` with it. `pending` may be NULL. `completion` is taken over, also on
 * failure.
 */
RPS_API int32_t rps_wait_for_async(rps_client client,
                           const char *name,
                           size_t name_len,
                           int64_t timeout_ms,
                           rps_completion completion,
                           rps_pending *pending,
                           rps_error *error);

/* ---- The client ---- */

/** What a client has done since it was made, and what it holds now. */
typedef struct rps_stats {
    /** sizeof(rps_stats), as RPS_STATS_INIT sets it. */
    size_t size;
    /** Sessions started. */
    uint64_t sessions;
    /** Attempts to connect that failed. */
    uint64_t failed_attempts;
    /** Messages written. */
    uint64_t messages_sent;
    /** Bytes of frames written. */
    uint64_t bytes_sent;
    /** Messages received, acks and replies included. */
    uint64_t messages_received;
    /** Bytes of frames received. */
    uint64_t bytes_received;
    /** Acks received. */
    uint64_t acks;
    /** Replies received. */
    uint64_t replies;
    /** Messages that no listener wanted. */
    uint64_t unmatched;
    /** Messages dropped because the inbox was full. */
    uint64_t dropped;
    /** Messages dropped because they repeat another, see `dedupe`. */
    uint64_t duplicates;
    /** Frames that could not be understood. */
    uint64_t unreadable;
    /** Publishes that were given up while queued or unacknowledged. */
    uint64_t lost;
    /** Messages that wait to be written. */
    uint64_t outbox_messages;
    /** Their bytes. */
    uint64_t outbox_bytes;
    /** Deliveries that wait for callbacks. */
    uint64_t inbox_len;
    /** Messages whose ack or replies somebody can still ask for. */
    uint64_t receipts;
    /** Waits that are going on. */
    uint64_t waits;
} rps_stats;

/**
 * Makes a client for a URL: ws(s)://host/apps/ID?access_token=TOKEN. It connects when it is told to. `options` may be
 * NULL. For tokens that expire use rps_client_new_with_provider().
 *
 *     rps_client client;
 *     if (rps_client_new(RPS_STR(url), NULL, &client, &error) != RPS_OK) { fprintf(stderr, "%s\n", error.message); }
 *
 * RPS_INVALID_ARGUMENT for a URL that can't be used and for options that make no sense.
 */
RPS_API int32_t rps_client_new(const char *url,
                       size_t url_len,
                       const rps_options *options,
                       rps_client *client,
                       rps_error *error);

/** Makes a client that asks for its URL at each attempt to connect. `provider` is taken over, also on failure. */
RPS_API int32_t rps_client_new_with_provider(rps_url_provider provider,
                                     const rps_options *options,
                                     rps_client *client,
                                     rps_error *error);

/**
 * Frees a client, from any thread, also from its own callbacks. Its listeners are taken off and its waits cancelled:
 * once this returns none of its callbacks runs and all were destroyed, except the one that this is called from, which is
 * destroyed when it returns. Calls that block on other threads end with RPS_CLOSED. What is queued is still written and
 * the connection closed in the background; rps_disconnect() waits for that. The handles of its messages, replies, waits
 * and streams stay valid until they are freed.
 */
RPS_API int32_t rps_client_free(rps_client client,
                        rps_error *error);

/**
 * Connects, and returns once the session has started: the topics are subscribed then. Keeps the client connected from
 * then on. In a running session it returns at once. RPS_DEFAULT_TIMEOUT is `connect_timeout_ms` of the options.
 *
 * The last cause when the time is up: RPS_HANDSHAKE_FAILED, RPS_URL_PROVIDER_FAILED, RPS_TIMEOUT. RPS_CLOSED if it is
 * disconnected meanwhile.
 */
RPS_API int32_t rps_connect(rps_client client,
                    int64_t timeout_ms,
                    rps_error *error);

/** Begins to connect, and goes on for as long as it takes: see the events "session.started" and "error". */
RPS_API int32_t rps_start(rps_client client, rps_error *error);

/**
 * Writes what is queued, closes the connection, and ends all waits with RPS_CLOSED. The client can connect again. Safe
 * at any time, also in a callback. RPS_DEFAULT_TIMEOUT is `disconnect_timeout_ms` of the options.
 */
RPS_API int32_t rps_disconnect(rps_client client,
                       int64_t timeout_ms,
                       rps_error *error);

/**
 * Returns when all that was published before has reached the gateway.
 *
 * RPS_NOT_CONNECTED without a session, RPS_CONNECTION_LOST if it ends before.
 */
RPS_API int32_t rps_flush(rps_client client, rps_error *error);

/**
 * Subscribes to a topic at the gateway, now and after each reconnect, and returns when the gateway has processed that.
 * Subscribing again is harmless.
 *
 * RPS_FORBIDDEN for a topic that the token may not read; the client leaves it out from then on. RPS_NOT_CONNECTED where
 * the client was not told to connect, unless it queues while offline.
 */
RPS_API int32_t rps_subscribe_remote_topic(rps_client client,
                                   const char *topic,
                                   size_t topic_len,
                                   rps_error *error);

/** Ends a subscription, and returns when the gateway has processed that. Harmless for topics that are not subscribed. */
RPS_API int32_t rps_unsubscribe_remote_topic(rps_client client,
                                     const char *topic,
                                     size_t topic_len,
                                     rps_error *error);

/**
 * Like rps_connect(), but returns at once and calls `completion` with the session's event. For all functions of this
 * kind: `pending` may be NULL, and `completion` is taken over, also on failure.
 */
RPS_API int32_t rps_connect_async(rps_client client,
                          int64_t timeout_ms,
                          rps_completion completion,
                          rps_pending *pending,
                          rps_error *error);

/** Like rps_disconnect(), but returns at once and calls `completion` when it is done. */
RPS_API int32_t rps_disconnect_async(rps_client client,
                             int64_t timeout_ms,
                             rps_completion completion,
                             rps_pending *pending,
                             rps_error *error);

/** Like rps_flush(), but returns at once and calls `completion` when it is done. */
RPS_API int32_t rps_flush_async(rps_client client,
                        rps_completion completion,
                        rps_pending *pending,
                        rps_error *error);

/** Like rps_subscribe_remote_topic(), but returns at once and calls `completion` when it is done. */
RPS_API int32_t rps_subscribe_remote_topic_async(rps_client client,
                                         const char *topic,
                                         size_t topic_len,
                                         rps_completion completion,
                                         rps_pending *pending,
                                         rps_error *error);

/** Like rps_unsubscribe_remote_topic(), but returns at once and calls `completion` when it is done. */
RPS_API int32_t rps_unsubscribe_remote_topic_async(rps_client client,
                                           const char *topic,
                                           size_t topic_len,
                                           rps_completion completion,
                                           rps_pending *pending,
                                           rps_error *error);

/** Where the client stands: RPS_STATE_IDLE, … */
RPS_API int32_t rps_client_state(rps_client client, int32_t *state, rps_error *error);

/**
 * The present session's connection, as the event "session.started" that began it: look at it with rps_event_get(), free
 * it with rps_event_free(). RPS_NOT_CONNECTED without a session.
 */
RPS_API int32_t rps_client_connection(rps_client client,
                              rps_event *event,
                              rps_error *error);

/** With `manual_kick`: writes what is queued. Otherwise harmless. */
RPS_API int32_t rps_client_kick(rps_client client, rps_error *error);

/** A number that no other client of this process has; log records have it. */
RPS_API int32_t rps_client_number(rps_client client, uint64_t *number, rps_error *error);

/** Whether the client subscribes to this topic in each session: 1 or 0. */
RPS_API int32_t rps_client_subscribes(rps_client client,
                              const char *topic,
                              size_t topic_len,
                              int32_t *subscribes,
                              rps_error *error);

/** The client's counters. Set `stats->size` first, as RPS_STATS_INIT does. */
RPS_API int32_t rps_client_stats(rps_client client, rps_stats *stats, rps_error *error);

/* ---- Publishing, sending, asking ---- */

/** Options of a publish or send. Begin with RPS_PUBLISH_OPTIONS_INIT; 0 (NULL, empty) is the default everywhere. */
typedef struct rps_publish_options {
    /** sizeof(rps_publish_options). */
    size_t size;
    /** The message's id. Default: 16 random bytes in hexadecimal. */
    rps_str id;
    /** The message type; listeners match `<topic>.<message type>`. Default: the gateway's, "broadcast". */
    rps_str message_type;
    /** 1: receivers get it as a binary frame, which the wire may compress. */
    int32_t compress;
    /** 1: where the queue is full wait for room, rather than fail with RPS_QUEUE_FULL. */
    int32_t wait_for_room;
} rps_publish_options;

/**
 * Publishes JSON to a topic, which queues it: nothing here waits for the gateway. `wait` is how to wait for the ack and
 * for replies; free it with rps_wait_free(). NULL when you don't care. No answer is missed, however late you ask.
 *
 *     rps_publish(client, RPS_LIT("chat"), RPS_LIT("\"Hello\""), NULL, &wait, &error);
 *     rps_wait_for_ack(wait, RPS_DEFAULT_TIMEOUT, &error);
 *
 * RPS_NOT_CONNECTED or RPS_CLOSED without a session (see the option `offline`), RPS_QUEUE_FULL, RPS_MESSAGE_TOO_LARGE,
 * RPS_INVALID_ARGUMENT for what is no JSON, an empty topic, or the id of a message still on its way. Nothing is sent
 * then.
 */
RPS_API int32_t rps_publish(rps_client client,
                    const char *topic,
                    size_t topic_len,
                    const char *payload,
                    size_t payload_len,
                    const rps_publish_options *options,
                    rps_wait *wait,
                    rps_error *error);

/** Sends JSON to the application: whoever may subscribe to `secure/inbound` gets it. Otherwise like rps_publish(). */
RPS_API int32_t rps_send(rps_client client,
                 const char *payload,
                 size_t payload_len,
                 const rps_publish_options *options,
                 rps_wait *wait,
                 rps_error *error);

/**
 * Publishes JSON to a topic, or sends it where `topic` is NULL, and waits for the first reply, which is yours: free it
 * with rps_response_free().
 *
 * As rps_publish() and rps_wait_for_reply().
 */
RPS_API int32_t rps_request(rps_client client,
                    const char *topic,
                    size_t topic_len,
                    const char *payload,
                    size_t payload_len,
                    const rps_publish_options *options,
                    int64_t timeout_ms,
                    rps_response *response,
                    rps_error *error);

/* ---- Waiting for acks and replies ---- */

/** The message's id. Valid until the wait is freed. */
RPS_API int32_t rps_wait_id(rps_wait wait, rps_str *id, rps_error *error);

/** Whether the gateway has taken the message: 1, or 0 while that is open. The error where it never will. */
RPS_API int32_t rps_wait_acknowledged(rps_wait wait, int32_t *acknowledged, rps_error *error);

/**
 * Waits for the gateway's ack. With RPS_DEFAULT_TIMEOUT it waits for 5 s.
 *
 * RPS_TIMEOUT (the app may have acks switched off, or the token may not publish there), RPS_CONNECTION_LOST as soon as
 * the connection dies, RPS_CLOSED when the client is disconnected.
 */
RPS_API int32_t rps_wait_for_ack(rps_wait wait,
                         int64_t timeout_ms,
                         rps_error *error);

/**
 * Waits for a peer's reply, which is yours: free it with rps_response_free(). Where several reply, each call gives the
 * next.
 *
 * As rps_wait_for_ack().
 */
RPS_API int32_t rps_wait_for_reply(rps_wait wait,
                           int64_t timeout_ms,
                           rps_response *response,
                           rps_error *error);

/**
 * Begins to wait for the ack, and calls `completion` when it came or won't. `client` is the one that published: its
 * thread, or its rps_poll(), runs the callback. The wait may be freed at once. `pending` may be NULL; `completion` is
 * taken over, also on failure.
 */
RPS_API int32_t rps_wait_for_ack_async(rps_client client,
                               rps_wait wait,
                               int64_t timeout_ms,
                               rps_completion completion,
                               rps_pending *pending,
                               rps_error *error);

/** Like rps_wait_for_ack_async(), for the next reply. */
RPS_API int32_t rps_wait_for_reply_async(rps_client client,
                                 rps_wait wait,
                                 int64_t timeout_ms,
                                 rps_completion completion,
                                 rps_pending *pending,
                                 rps_error *error);

/** Frees a wait. The message goes its way all the same; calls that are waiting on other threads go on. */
RPS_API int32_t rps_wait_free(rps_wait wait, rps_error *error);

/* ---- Streams ---- */

/**
 * Begins to collect all messages that match a pattern, for rps_messages_next(): a way to receive without callbacks. The
 * stream has a queue of its own, bounded like the inbox. Free it with rps_messages_free().
 */
RPS_API int32_t rps_messages_new(rps_client client,
                         const char *pattern,
                         size_t pattern_len,
                         rps_messages *messages,
                         rps_error *error);

/**
 * Waits for the next message, which is yours: free it with rps_message_free(). RPS_DEFAULT_TIMEOUT waits for ever.
 *
 * RPS_TIMEOUT when none comes in time, RPS_CLOSED when the client was freed, RPS_CANCELLED when the stream is freed.
 */
RPS_API int32_t rps_messages_next(rps_messages messages,
                          int64_t timeout_ms,
                          rps_message *message,
                          rps_error *error);

/** Frees a stream. A call that waits for it on another thread ends with RPS_CANCELLED. */
RPS_API int32_t rps_messages_free(rps_messages messages, rps_error *error);

/**
 * All replies to a message, for rps_replies_next(), until the time is up: RPS_DEFAULT_TIMEOUT is 5 s, from the first
 * time that you ask. Free it with rps_replies_free().
 */
RPS_API int32_t rps_wait_replies(rps_wait wait,
                         int64_t timeout_ms,
                         rps_replies *replies,
                         rps_error *error);

/**
 * Waits for the next reply, which is yours: free it with rps_response_free(). When the time is up it succeeds with 0 as
 * `response`: that is the end.
 *
 * RPS_CONNECTION_LOST or RPS_CLOSED when that ended it, RPS_CANCELLED when the stream is freed.
 */
RPS_API int32_t rps_replies_next(rps_replies replies,
                         rps_response *response,
                         rps_error *error);

/** Frees a stream. A call that waits for it on another thread ends with RPS_CANCELLED. */
RPS_API int32_t rps_replies_free(rps_replies replies, rps_error *error);

/* ---- Texts ---- */

/** Shows a text. It ends with no NUL; it is valid until it is freed. */
RPS_API int32_t rps_text_get(rps_text text, rps_str *view, rps_error *error);

/** Frees a text. */
RPS_API int32_t rps_text_free(rps_text text, rps_error *error);

/* ---- The local gateway ---- */

/** Options of a local gateway. Begin with RPS_GATEWAY_OPTIONS_INIT; 0 (NULL, empty) is the default everywhere. */
typedef struct rps_gateway_options {
    /** sizeof(rps_gateway_options). */
    size_t size;
    /** The port of 127.0.0.1 to listen on. Default: a free one. */
    uint16_t port;
    /** 1: acknowledge nothing. */
    uint16_t no_acks;
    /** 1: take any token or none. */
    int32_t insecure;
    /** The app's id. Default: "local". */
    rps_str app;
    /** The secret that tokens are signed with. Default: a fresh one. */
    rps_str secret;
    /** The largest message. Default 1 MiB. */
    uint64_t message_bytes;
    /** Bytes that may wait for a client that reads too slowly. Default 8 MiB. */
    uint64_t outbound_bytes;
} rps_gateway_options;

/** Options of a token. Begin with RPS_TOKEN_OPTIONS_INIT. */
typedef struct rps_token_options {
    /** sizeof(rps_token_options). */
    size_t size;
    /** The permissions. NULL: all. To give none, point to something and set the length to 0. */
    const rps_str *permissions;
    /** How many permissions those are. */
    size_t permissions_len;
    /** How long it is good for, from now. Default: an hour. Negative: it has expired. */
    int64_t expires_in_s;
} rps_token_options;

/**
 * Starts a gateway on a thread of its own. `options` may be NULL. Free it with rps_gateway_free().
 *
 *     rps_gateway gateway;
 *     rps_text url;
 *     rps_gateway_start(NULL, &gateway, NULL);
 *     rps_gateway_url_with_token(gateway, RPS_LIT("alice"), NULL, &url, NULL);
 *
 * RPS_INVALID_ARGUMENT for options that make no sense and for a port that is taken.
 */
RPS_API int32_t rps_gateway_start(const rps_gateway_options *options,
                          rps_gateway *gateway,
                          rps_error *error);

/** Makes a token for a client with this subject. `options` may be NULL. */
RPS_API int32_t rps_gateway_token(rps_gateway gateway,
                          const char *subject,
                          size_t subject_len,
                          const rps_token_options *options,
                          rps_text *token,
                          rps_error *error);

/** The gateway's URL with a token for a client with this subject: all that a client needs. `options` may be NULL. */
RPS_API int32_t rps_gateway_url_with_token(rps_gateway gateway,
                                   const char *subject,
                                   size_t subject_len,
                                   const rps_token_options *options,
                                   rps_text *url,
                                   rps_error *error);

/** The gateway's URL without a token. */
RPS_API int32_t rps_gateway_url(rps_gateway gateway, rps_text *url, rps_error *error);

/** The URL that REST paths begin at. */
RPS_API int32_t rps_gateway_http_url(rps_gateway gateway, rps_text *url, rps_error *error);

/** Makes a token for REST calls. `options` may be NULL. */
RPS_API int32_t rps_gateway_admin_token(rps_gateway gateway,
                                const char *subject,
                                size_t subject_len,
                                const rps_token_options *options,
                                rps_text *token,
                                rps_error *error);

/** How many connections the gateway has. */
RPS_API int32_t rps_gateway_connections(rps_gateway gateway, uint64_t *count, rps_error *error);

/**
 * Closes connections with this code and reason, after what is queued for them: those of a subject, or all where `subject`
 * is NULL. `closed`, which may be NULL, is how many there were.
 */
RPS_API int32_t rps_gateway_kick(rps_gateway gateway,
                         const char *subject,
                         size_t subject_len,
                         uint16_t code,
                         const char *reason,
                         size_t reason_len,
                         uint64_t *closed,
                         rps_error *error);

/**
 * Stops a gateway: closes all connections after what is queued for them, and returns when they are gone, or after 5 s.
 * The handle stays valid.
 */
RPS_API int32_t rps_gateway_stop(rps_gateway gateway,
                         rps_error *error);

/** Frees a gateway. One that was not stopped ends at once, without a word to its clients. */
RPS_API int32_t rps_gateway_free(rps_gateway gateway, rps_error *error);

/* ---- The local gateway's faults ---- */

/** Ends all faults. */
#define RPS_FAULT_NONE 0

/** Acks are not sent. */
#define RPS_FAULT_DROP_ACKS 1

/** Acks are sent `value` ms later. */
#define RPS_FAULT_DELAY_ACKS 2

/** All connections stop: nothing is read from them or written to them. */
#define RPS_FAULT_STALL 3

/** Pings are not answered. */
#define RPS_FAULT_SWALLOW_PINGS 4

/** At most `value` bytes are written at a time. */
#define RPS_FAULT_SPLIT_WRITES 5

/** New connections are accepted, and nothing ever comes over them. */
#define RPS_FAULT_HALF_OPEN 6

/** New connections are accepted and closed at once. */
#define RPS_FAULT_CLOSE_TCP 7

/** Upgrades are refused with HTTP status `value`. */
#define RPS_FAULT_REFUSE 8

/** New connections get no welcome. */
#define RPS_FAULT_NO_WELCOME 9

/** New connections are closed with code `value` after their welcome. */
#define RPS_FAULT_CLOSE_AFTER_WELCOME 10

/** All present connections are reset, with no close frame. That is done at once and ends nothing else. */
#define RPS_FAULT_RESET 11

/** Turns a fault on. Those of new connections replace each other; RPS_FAULT_NONE ends all. */
RPS_API int32_t rps_gateway_fault(rps_gateway gateway, int32_t fault, uint32_t value, rps_error *error);

/** Sends a text frame of any content to the connections of a subject, or to all where `subject` is NULL. */
RPS_API int32_t rps_gateway_send_text(rps_gateway gateway,
                              const char *subject,
                              size_t subject_len,
                              const char *frame,
                              size_t frame_len,
                              rps_error *error);

/* ---- What structs begin as ---- */

#ifdef __cplusplus
/* In C++ a function, since C's designated initialisers are not C++17. */
#define RPS_INIT(type) ([] { type value = type(); value.size = sizeof(type); return value; }())
#else
#define RPS_INIT(type) ((type){.size = sizeof(type)})
#endif
#define RPS_OPTIONS_INIT RPS_INIT(rps_options)
#define RPS_PUBLISH_OPTIONS_INIT RPS_INIT(rps_publish_options)
#define RPS_REPLY_OPTIONS_INIT RPS_INIT(rps_reply_options)
#define RPS_GATEWAY_OPTIONS_INIT RPS_INIT(rps_gateway_options)
#define RPS_TOKEN_OPTIONS_INIT RPS_INIT(rps_token_options)
#define RPS_EVENT_VIEW_INIT RPS_INIT(rps_event_view)
#define RPS_STATS_INIT RPS_INIT(rps_stats)
#define RPS_SENDER_INIT RPS_INIT(rps_sender)
#define RPS_PRESENCE_INIT RPS_INIT(rps_presence)

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REALTIME_PUBSUB_H */
