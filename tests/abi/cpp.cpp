// The C++ face: what it adds to the C interface, exceptions, ownership, functions and times.
#include <atomic>
#include <future>
#include <iostream>

#include "realtime_pubsub.hpp"

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            std::cerr << __FILE__ << ':' << __LINE__ << ": " #what << std::endl;                                       \
            std::abort();                                                                                              \
        }                                                                                                              \
    } while (0)

using namespace std::chrono_literals;

int main() {
    rps::LocalGateway gateway;
    // On a machine that is busy, or under valgrind, no test is to fail because something took long.
    rps_options patient = RPS_OPTIONS_INIT;
    patient.connect_timeout_ms = 120000;
    patient.handshake_timeout_ms = patient.welcome_timeout_ms = patient.provider_timeout_ms = 60000;
    patient.wait_timeout_ms = patient.barrier_timeout_ms = patient.pong_timeout_ms = 60000;
    {
        rps::Client alice(gateway.url("alice"), &patient);
        rps::Client bob(rps::UrlProvider([&] { return gateway.url("bob"); }), &patient);
        std::promise<rps::Message> kept;
        std::atomic<int> calls{0};
        auto alive = std::make_shared<int>(1);
        auto id = bob.on("chat.*", [&, alive](const rps::Event& event) {
            if (calls++ == 0) kept.set_value(event.message().retain());
            event.message().reply("\"Got it!\"", "fine");
            throw std::runtime_error("on purpose");
        });
        CHECK(alive.use_count() == 2);
        alice.connect(120s);
        bob.connect();
        bob.subscribe_remote_topic("chat");
        auto wait = alice.publish("chat", "\"Hello\"", {"", "text-message", true, false});
        wait.wait_for_ack(60s);
        auto reply = wait.wait_for_reply();
        CHECK(reply.data() == "\"Got it!\"" && reply.status() == "fine" && reply.id() == wait.id());
        auto message = kept.get_future().get();
        CHECK(message.topic() == "chat" && message.message_type() == "text-message" && message.compression());
        CHECK(message.payload() == "\"Hello\"");
        CHECK(alice.request("chat", "1", {"", "x"}, 60s).status() == "fine");
        std::promise<bool> acked;
        alice.on_ack(alice.send("1"), [&](const std::optional<rps::Error>& error) { acked.set_value(!error); });
        CHECK(acked.get_future().get());
        std::promise<std::string> answered;
        alice.on_reply(alice.publish("chat", "2", {"", "x"}),
                       [&](const std::optional<rps::Error>& error, std::optional<rps::Response> response) {
                           answered.set_value(error ? error->what() : std::string(response->status()));
                       });
        CHECK(answered.get_future().get() == "fine");
        auto replies = alice.publish("chat", "3", {"", "x"}).replies(60s);
        CHECK(replies.next()->data() == "\"Got it!\"");
        CHECK(!alice.publish("nobody", "4").replies(1ms).next());
        CHECK(message.sender()->subject == "alice" && message.sender()->permissions.size() > 0 && !message.presence());
        CHECK(message.sender()->connection_id == alice.connection()->id && alice.connection()->app_id == "local");
        CHECK(bob.off(id) && !bob.off(id) && alive.use_count() == 1);
        try {
            alice.wait_for("a.b", 1ms);
            CHECK(false);
        } catch (const rps::Error& error) {
            CHECK(error.number() == RPS_TIMEOUT && std::string(error.name()) == "TIMEOUT");
        }
        CHECK(alice.wait_for("session.started").event().kind() == RPS_EVENT_SESSION_STARTED);

        auto inbound = bob.messages("secure/inbound.*");
        CHECK(!inbound.next(0ms));
        bob.subscribe_remote_topic("secure/inbound");
        alice.send("5", {"", "create"});
        auto created = inbound.next();
        CHECK(created && created->payload() == "5" && created->message_type() == "create");
        alice.disconnect(60s);
        auto left = inbound.next()->presence();
        CHECK(left && left->status == "disconnected" && left->code == -1 && left->subject == "alice");
        CHECK(gateway.kick("bob", 4000, "test") == 1 && !alice.connection());
        CHECK(alice.state() == RPS_STATE_CLOSED && alice.stats().acks >= 2);
    }
    {
        rps::Client failing(rps::UrlProvider([]() -> std::string { throw std::runtime_error("no token"); }));
        std::promise<std::string> said;
        failing.once("error", [&](const rps::Event& event) { said.set_value(std::string(event.text())); });
        failing.start();
        CHECK(said.get_future().get().find("no token") != std::string::npos);
    }
    {
        rps::Client failing(rps::UrlProvider([]() -> std::string { throw 1; }));
        std::promise<std::string> said;
        failing.once("error", [&](const rps::Event& event) { said.set_value(std::string(event.text())); });
        failing.start();
        CHECK(said.get_future().get().find("no std::exception") != std::string::npos);
    }
    {
        // An event loop.
        rps_options options = patient;
        options.dispatch = RPS_DISPATCH_POLL;
        rps::Client polled(gateway.url("polled"), &options);
        int ticks = 0;
        polled.on("main.*", [&](const rps::Event&) { ticks++; });
        polled.connect();
        polled.publish("main", "1");
        while (ticks == 0) polled.poll(60s);
        CHECK(polled.fd() >= 0);
    }
    {
        // A client that ends within its own listener.
        auto client = std::make_unique<rps::Client>(gateway.url("short"), &patient);
        std::promise<void> ended;
        client->connect();
        client->on("main.*", [&](const rps::Event&) {
            client.reset();
            ended.set_value();
        });
        client->publish("main", "1");
        ended.get_future().get();
        CHECK(!client);
    }
    gateway.stop();
    std::cout << "cpp: ok" << std::endl;
}
