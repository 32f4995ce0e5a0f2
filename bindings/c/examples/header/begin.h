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
