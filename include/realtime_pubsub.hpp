// Realtime Pub/Sub for C++17: a thin, header-only face of realtime_pubsub.h. Errors are exceptions, handles free
// themselves, callbacks are std::function, times are std::chrono.
//
//     #include <realtime_pubsub.hpp>
//
//     rps::Client client("wss://gateway.example/apps/my-app?access_token=TOKEN");
//     client.on("chat.*", [](const rps::Event& event) {
//         std::cout << event.message().payload() << '\n';
//         event.message().reply("\"Got it!\"");
//     });
//     client.connect();
//     client.subscribe_remote_topic("chat");
//     auto wait = client.publish("chat", "\"Hello\"");
//     wait.wait_for_ack(std::chrono::seconds(1));
//
// What realtime_pubsub.h says of threads, lifetimes and errors holds here. A callback that throws is reported on stderr:
// no exception passes into the library.
#ifndef REALTIME_PUBSUB_HPP
#define REALTIME_PUBSUB_HPP

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "realtime_pubsub.h"

namespace rps {

using Milliseconds = std::chrono::milliseconds;

/// The client's own time limit: 5 s for waits unless changed.
constexpr Milliseconds default_timeout{RPS_DEFAULT_TIMEOUT};

/// What went wrong: `number()` is one of RPS_TIMEOUT, …
class Error : public std::runtime_error {
public:
    explicit Error(const rps_error& error)
        : std::runtime_error(error.message), number_(error.number), topic_(error.topic) {}
    Error(int32_t number, std::string_view message, std::string_view topic)
        : std::runtime_error(std::string(message)), number_(number), topic_(topic) {}
    int32_t number() const noexcept { return number_; }
    const char* name() const noexcept { return rps_error_name(number_); }
    /// For RPS_FORBIDDEN the topic.
    const std::string& topic() const noexcept { return topic_; }

private:
    int32_t number_;
    std::string topic_;
};

namespace detail {

inline rps_str view(std::string_view text) { return rps_str{text.data(), text.size()}; }
inline std::string_view view(rps_str text) { return std::string_view(text.data, text.len); }

/// Calls a function of the C interface, with the error as its last argument, and throws it.
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
    rps_error error;
    if (function(arguments..., &error) != RPS_OK) throw Error(error);
}

/// A handle that frees itself.
template <int32_t (*Free)(uint64_t, rps_error*)>
class Handle {
public:
    Handle() = default;
    explicit Handle(uint64_t handle) : handle_(handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
    Handle& operator=(Handle&& other) noexcept {
        if (this != &other) {
            reset();
            handle_ = std::exchange(other.handle_, 0);
        }
        return *this;
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { reset(); }
    uint64_t get() const noexcept { return handle_; }
    explicit operator bool() const noexcept { return handle_ != 0; }
    void reset() noexcept {
        if (uint64_t handle = std::exchange(handle_, 0)) Free(handle, nullptr);
    }

private:
    uint64_t handle_ = 0;
};

template <class Work>
void guard(Work work) noexcept {
    try {
        work();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "realtime_pubsub: a callback threw: %s\n", error.what());
    } catch (...) {
        std::fprintf(stderr, "realtime_pubsub: a callback threw\n");
    }
}

template <class Function>
void destroy(void* function) {
    guard([&] { delete static_cast<Function*>(function); });
}

template <class Get>
std::string_view text(Get get, uint64_t handle) {
    rps_str out;
    call(get, handle, &out);
    return view(out);
}

inline std::vector<std::string> strings(const rps_str* texts, size_t count) {
    std::vector<std::string> strings;
    for (size_t i = 0; i < count; i++) strings.emplace_back(view(texts[i]));
    return strings;
}

} // namespace detail

/// Who sent a message.
struct Sender {
    std::string connection_id, subject;
    std::vector<std::string> permissions;
};

/// A client of the app came or went: `status` is "connected" or "disconnected".
struct Presence {
    int64_t code;
    std::string status, connection_id, subject;
    std::vector<std::string> permissions;
};

/// The connection of a session.
struct Connection {
    std::string id, app_id, remote_address;
};

/// A reply that you own.
class Response {
public:
    explicit Response(rps_response handle) : handle_(handle) {}
    std::string_view id() const { return detail::text(rps_response_id, handle_.get()); }
    std::string_view status() const { return detail::text(rps_response_status, handle_.get()); }
    /// JSON.
    std::string_view data() const { return detail::text(rps_response_data, handle_.get()); }
    std::string_view connection_id() const { return detail::text(rps_response_connection_id, handle_.get()); }

private:
    detail::Handle<rps_response_free> handle_;
};

/// All replies to a message, until the time is up.
class Replies {
public:
    explicit Replies(rps_replies handle) : handle_(handle) {}
    /// Nothing when the time is up.
    std::optional<Response> next() const {
        rps_response response;
        detail::call(rps_replies_next, handle_.get(), &response);
        if (response == 0) return std::nullopt;
        return Response(response);
    }

private:
    detail::Handle<rps_replies_free> handle_;
};

/// A message on its way.
class Wait {
public:
    explicit Wait(rps_wait handle) : handle_(handle) {}
    std::string_view id() const { return detail::text(rps_wait_id, handle_.get()); }
    void wait_for_ack(Milliseconds timeout = default_timeout) const {
        detail::call(rps_wait_for_ack, handle_.get(), int64_t(timeout.count()));
    }
    Response wait_for_reply(Milliseconds timeout = default_timeout) const {
        rps_response response;
        detail::call(rps_wait_for_reply, handle_.get(), int64_t(timeout.count()), &response);
        return Response(response);
    }
    /// The time runs from the first time that you ask.
    Replies replies(Milliseconds timeout = default_timeout) const {
        rps_replies replies;
        detail::call(rps_wait_replies, handle_.get(), int64_t(timeout.count()), &replies);
        return Replies(replies);
    }
    rps_wait get() const noexcept { return handle_.get(); }

private:
    detail::Handle<rps_wait_free> handle_;
};

struct PublishOptions {
    std::string_view id{}, message_type{};
    bool compress = false, wait_for_room = false;
};

/// A message: lent, in a callback, or owned, which `retain` gives.
class Message {
public:
    /// Lent.
    explicit Message(rps_message handle) : handle_(handle) {}
    /// Owned.
    static Message owning(rps_message handle) {
        Message message(handle);
        message.owner_ = std::make_shared<detail::Handle<rps_message_free>>(handle);
        return message;
    }
    Message retain() const {
        rps_message kept;
        detail::call(rps_message_retain, handle_, &kept);
        return owning(kept);
    }
    std::string_view topic() const { return detail::text(rps_message_topic, handle_); }
    std::string_view message_type() const { return detail::text(rps_message_type, handle_); }
    /// JSON.
    std::string_view payload() const { return detail::text(rps_message_payload, handle_); }
    /// JSON.
    std::string_view data() const { return detail::text(rps_message_data, handle_); }
    std::string_view id() const { return detail::text(rps_message_id, handle_); }
    std::string_view connection_id() const { return detail::text(rps_message_connection_id, handle_); }
    bool compression() const {
        int32_t compression;
        detail::call(rps_message_compression, handle_, &compression);
        return compression != 0;
    }
    /// Nothing for a message that was published over REST.
    std::optional<Sender> sender() const {
        rps_sender sender = RPS_SENDER_INIT;
        rps_error error;
        int32_t got = rps_message_sender(handle_, &sender, &error);
        if (got == RPS_NOT_REPLYABLE) return std::nullopt;
        if (got != RPS_OK) throw Error(error);
        return Sender{std::string(detail::view(sender.connection_id)), std::string(detail::view(sender.subject)),
                      detail::strings(sender.permissions, sender.permissions_len)};
    }
    /// Nothing for a message that says nothing of presence.
    std::optional<Presence> presence() const {
        rps_presence presence = RPS_PRESENCE_INIT;
        rps_error error;
        int32_t got = rps_message_presence(handle_, &presence, &error);
        if (got == RPS_INVALID_ARGUMENT) return std::nullopt;
        if (got != RPS_OK) throw Error(error);
        return Presence{presence.code, std::string(detail::view(presence.status)),
                        std::string(detail::view(presence.connection_id)), std::string(detail::view(presence.subject)),
                        detail::strings(presence.permissions, presence.permissions_len)};
    }
    /// `data` is JSON.
    Wait reply(std::string_view data, std::string_view status = "ok", bool compress = false) const {
        rps_reply_options options = RPS_REPLY_OPTIONS_INIT;
        options.status = detail::view(status);
        options.compress = compress;
        rps_wait wait;
        detail::call(rps_reply, handle_, data.data(), data.size(), &options, &wait);
        return Wait(wait);
    }
    rps_message get() const noexcept { return handle_; }

private:
    rps_message handle_;
    std::shared_ptr<detail::Handle<rps_message_free>> owner_;
};

/// What a listener is told, valid until it returns.
class Event {
public:
    explicit Event(const rps_event_view& view) : view_(view) {}
    /// RPS_EVENT_MESSAGE, …
    int32_t kind() const noexcept { return view_.kind; }
    Message message() const { return Message(view_.message); }
    /// All there is.
    const rps_event_view& view() const noexcept { return view_; }
    std::string_view text() const noexcept { return detail::view(view_.text); }

private:
    const rps_event_view& view_;
};

/// An event that you own.
class OwnedEvent {
public:
    explicit OwnedEvent(rps_event handle) : handle_(handle) { detail::call(rps_event_get, handle, &view_); }
    /// As a listener would be told of it; valid as long as this.
    Event event() const { return Event(view_); }
    /// Where it is a message.
    Message message() const { return event().message().retain(); }

private:
    detail::Handle<rps_event_free> handle_;
    rps_event_view view_ = RPS_EVENT_VIEW_INIT;
};

/// The messages that match a pattern, without callbacks.
class Messages {
public:
    explicit Messages(rps_messages handle) : handle_(handle) {}
    /// Waits for the next, for ever by default; nothing when it does not come in time.
    std::optional<Message> next(Milliseconds timeout = default_timeout) const {
        rps_message message;
        rps_error error;
        int32_t got = rps_messages_next(handle_.get(), int64_t(timeout.count()), &message, &error);
        if (got == RPS_TIMEOUT) return std::nullopt;
        if (got != RPS_OK) throw Error(error);
        return Message::owning(message);
    }

private:
    detail::Handle<rps_messages_free> handle_;
};

using Listener = std::function<void(const Event&)>;
/// Called with nothing, or with what went wrong.
using Completion = std::function<void(const std::optional<Error>&)>;
/// Called with the reply, or with what went wrong and no reply.
using ReplyCompletion = std::function<void(const std::optional<Error>&, std::optional<Response>)>;
/// Gives the URL; what it throws is the reason why there is none.
using UrlProvider = std::function<std::string()>;
using Logger = std::function<void(int32_t level, std::string_view target, std::string_view message)>;

namespace detail {

inline rps_listener_callback callback(Listener listener) {
    return {[](void* to, const rps_event_view* event) { guard([&] { (*static_cast<Listener*>(to))(Event(*event)); }); },
            new Listener(std::move(listener)), destroy<Listener>};
}

inline std::optional<Error> failure(const rps_outcome* outcome) {
    std::optional<Error> error;
    if (outcome->number != RPS_OK) error.emplace(outcome->number, view(outcome->text), view(outcome->topic));
    return error;
}

inline rps_completion callback(ReplyCompletion completion) {
    auto call = [](void* to, const rps_outcome* outcome) {
        guard([&] {
            std::optional<Response> response;
            if (outcome->response != 0) {
                rps_response kept;
                detail::call(rps_response_retain, outcome->response, &kept);
                response.emplace(kept);
            }
            (*static_cast<ReplyCompletion*>(to))(failure(outcome), std::move(response));
        });
    };
    return {call, new ReplyCompletion(std::move(completion)), destroy<ReplyCompletion>};
}

inline rps_completion callback(Completion completion) {
    auto call = [](void* to, const rps_outcome* outcome) {
        guard([&] { (*static_cast<Completion*>(to))(failure(outcome)); });
    };
    return {call, new Completion(std::move(completion)), destroy<Completion>};
}

inline rps_url_provider callback(UrlProvider provider) {
    auto call = [](void* from, rps_url_request request) {
        guard([&] {
            try {
                std::string url = (*static_cast<UrlProvider*>(from))();
                rps_url_answer(request, url.data(), url.size(), nullptr);
            } catch (const std::exception& error) {
                rps_url_refuse(request, RPS_STR(error.what()), nullptr);
            } catch (...) {
                rps_url_refuse(request, RPS_LIT("it threw something that is no std::exception"), nullptr);
            }
        });
    };
    return {call, new UrlProvider(std::move(provider)), destroy<UrlProvider>};
}

inline rps_logger callback(Logger logger) {
    auto call = [](void* to, const rps_log_record* record) {
        guard([&] { (*static_cast<Logger*>(to))(record->level, view(record->target), view(record->message)); });
    };
    return {call, new Logger(std::move(logger)), destroy<Logger>};
}

} // namespace detail

/// A client. It is freed when it goes, also from within its own listeners.
class Client {
public:
    explicit Client(std::string_view url, const rps_options* options = nullptr) {
        rps_client client;
        detail::call(rps_client_new, url.data(), url.size(), options, &client);
        handle_ = detail::Handle<rps_client_free>(client);
    }
    explicit Client(UrlProvider provider, const rps_options* options = nullptr) {
        rps_client client;
        detail::call(rps_client_new_with_provider, detail::callback(std::move(provider)), options, &client);
        handle_ = detail::Handle<rps_client_free>(client);
    }
    rps_client get() const noexcept { return handle_.get(); }

    void connect(Milliseconds timeout = default_timeout) const {
        detail::call(rps_connect, get(), int64_t(timeout.count()));
    }
    void connect_async(Completion done, Milliseconds timeout = default_timeout) const {
        detail::call(rps_connect_async, get(), int64_t(timeout.count()), detail::callback(std::move(done)), nullptr);
    }
    void start() const { detail::call(rps_start, get()); }
    void disconnect(Milliseconds timeout = default_timeout) const {
        detail::call(rps_disconnect, get(), int64_t(timeout.count()));
    }
    void flush() const { detail::call(rps_flush, get()); }
    int32_t state() const {
        int32_t state;
        detail::call(rps_client_state, get(), &state);
        return state;
    }
    /// Nothing without a session.
    std::optional<Connection> connection() const {
        rps_event handle;
        rps_error error;
        int32_t got = rps_client_connection(get(), &handle, &error);
        if (got == RPS_NOT_CONNECTED) return std::nullopt;
        if (got != RPS_OK) throw Error(error);
        OwnedEvent owned(handle);
        const Event event = owned.event();
        const rps_event_view& view = event.view();
        return Connection{std::string(detail::view(view.connection_id)), std::string(detail::view(view.app_id)),
                          std::string(detail::view(view.remote_address))};
    }
    rps_stats stats() const {
        rps_stats stats = RPS_STATS_INIT;
        detail::call(rps_client_stats, get(), &stats);
        return stats;
    }
    void subscribe_remote_topic(std::string_view topic) const {
        detail::call(rps_subscribe_remote_topic, get(), topic.data(), topic.size());
    }
    void unsubscribe_remote_topic(std::string_view topic) const {
        detail::call(rps_unsubscribe_remote_topic, get(), topic.data(), topic.size());
    }

    /// Returns what rps_off() takes; `off` does too.
    rps_listener on(std::string_view name, Listener listener) const {
        rps_listener id;
        detail::call(rps_on, get(), name.data(), name.size(), detail::callback(std::move(listener)), &id);
        return id;
    }
    rps_listener once(std::string_view name, Listener listener) const {
        rps_listener id;
        detail::call(rps_once, get(), name.data(), name.size(), detail::callback(std::move(listener)), &id);
        return id;
    }
    /// Says whether it was there.
    bool off(rps_listener id) const noexcept { return rps_off(id, nullptr) == RPS_OK; }
    /// Runs callbacks, for a client made with RPS_DISPATCH_POLL; says how many.
    uint32_t poll(Milliseconds timeout, uint32_t max = 0) const {
        uint32_t handled;
        detail::call(rps_poll, get(), int64_t(timeout.count()), max, &handled);
        return handled;
    }
    /// What to watch for reading, for a client made with RPS_DISPATCH_POLL.
    int32_t fd() const {
        int32_t fd;
        detail::call(rps_client_fd, get(), &fd);
        return fd;
    }
    OwnedEvent wait_for(std::string_view name, Milliseconds timeout = default_timeout) const {
        rps_event event;
        detail::call(rps_wait_for, get(), name.data(), name.size(), int64_t(timeout.count()), &event);
        return OwnedEvent(event);
    }
    Messages messages(std::string_view pattern) const {
        rps_messages messages;
        detail::call(rps_messages_new, get(), pattern.data(), pattern.size(), &messages);
        return Messages(messages);
    }

    /// `payload` is JSON.
    Wait publish(std::string_view topic, std::string_view payload, const PublishOptions& options = {}) const {
        rps_publish_options given = convert(options);
        rps_wait wait;
        detail::call(rps_publish, get(), topic.data(), topic.size(), payload.data(), payload.size(), &given, &wait);
        return Wait(wait);
    }
    Wait send(std::string_view payload, const PublishOptions& options = {}) const {
        rps_publish_options given = convert(options);
        rps_wait wait;
        detail::call(rps_send, get(), payload.data(), payload.size(), &given, &wait);
        return Wait(wait);
    }
    Response request(std::string_view topic, std::string_view payload, const PublishOptions& options = {},
                     Milliseconds timeout = default_timeout) const {
        rps_publish_options given = convert(options);
        rps_response response;
        detail::call(rps_request, get(), topic.data(), topic.size(), payload.data(), payload.size(), &given,
                     int64_t(timeout.count()), &response);
        return Response(response);
    }
    /// Calls `done` when the ack came or won't.
    void on_ack(const Wait& wait, Completion done, Milliseconds timeout = default_timeout) const {
        detail::call(rps_wait_for_ack_async, get(), wait.get(), int64_t(timeout.count()),
                     detail::callback(std::move(done)), nullptr);
    }
    /// Calls `done` with the next reply, or when it won't come.
    void on_reply(const Wait& wait, ReplyCompletion done, Milliseconds timeout = default_timeout) const {
        detail::call(rps_wait_for_reply_async, get(), wait.get(), int64_t(timeout.count()),
                     detail::callback(std::move(done)), nullptr);
    }
    void set_logger(int32_t level, Logger logger) const {
        detail::call(rps_client_set_logger, get(), level, detail::callback(std::move(logger)));
    }

private:
    static rps_publish_options convert(const PublishOptions& options) {
        rps_publish_options given = RPS_PUBLISH_OPTIONS_INIT;
        given.id = detail::view(options.id);
        given.message_type = detail::view(options.message_type);
        given.compress = options.compress;
        given.wait_for_room = options.wait_for_room;
        return given;
    }
    detail::Handle<rps_client_free> handle_;
};

/// A gateway within the process, for tests.
class LocalGateway {
public:
    explicit LocalGateway(const rps_gateway_options* options = nullptr) {
        rps_gateway gateway;
        detail::call(rps_gateway_start, options, &gateway);
        handle_ = detail::Handle<rps_gateway_free>(gateway);
    }
    /// A URL with a token for this subject: all that a client needs.
    std::string url(std::string_view subject, const rps_token_options* options = nullptr) const {
        rps_text text;
        detail::call(rps_gateway_url_with_token, handle_.get(), subject.data(), subject.size(), options, &text);
        detail::Handle<rps_text_free> owner(text);
        return std::string(detail::text(rps_text_get, text));
    }
    void fault(int32_t fault, uint32_t value = 0) const { detail::call(rps_gateway_fault, handle_.get(), fault, value); }
    /// Closes a subject's connections, and says how many there were.
    uint64_t kick(std::string_view subject, uint16_t code, std::string_view reason) const {
        uint64_t closed;
        detail::call(rps_gateway_kick, handle_.get(), subject.data(), subject.size(), code, reason.data(), reason.size(),
                     &closed);
        return closed;
    }
    void stop() const { detail::call(rps_gateway_stop, handle_.get()); }
    rps_gateway get() const noexcept { return handle_.get(); }

private:
    detail::Handle<rps_gateway_free> handle_;
};

} // namespace rps

#endif
