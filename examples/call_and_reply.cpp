// A call waits for the reply to this very message; the death of who was asked ends it.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>

#include "stoa/stoa.hpp"

int main() {
    const pid_t server = fork();
    if (server == 0) {
        auto me = stoa::Process::join("squares").value();
        for (;;) {
            auto call = me.receive<int>().value();
            if (call.value() < 0) raise(SIGKILL);  // a bug, in the middle of a call
            if (call.is_call()) call.reply(call.value() * call.value()).value();
        }
    }
    auto me = stoa::Process::join("client").value();
    const auto ask = [&](int number) {
        const auto reply = me.call<int>("squares", number, {.wait_for_join = true});
        return reply ? std::to_string(reply->value()) : std::string{name(reply.error().code)};
    };
    const std::string square = ask(12);
    const std::string died = ask(-1);
    std::cout << "12 * 12 = " << square << "; then: " << died << '\n';
    wait(nullptr);
    return square == "144" && died == "peer_died" ? 0 : 1;
}
