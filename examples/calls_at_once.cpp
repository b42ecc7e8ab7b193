// Calls that are awaited: many on their way at once, each gets its own reply, in whatever order.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <utility>
#include <vector>

#include "stoa/stoa.hpp"

// Takes three requests before it answers the last one first.
void serve() {
    auto me = stoa::Process::join("squares").value();
    std::vector<std::pair<int, stoa::Reply>> open;
    for (int i = 0; i < 3; ++i) {
        auto call = me.receive<int>().value();
        open.emplace_back(call.value(), call.take_reply());
    }
    for (; !open.empty(); open.pop_back())
        open.back().second.send(open.back().first * open.back().first).value();
}

stoa::Task<> ask(stoa::Process& me, int number) {
    const auto square = co_await stoa::async_call<int>(me, "squares", number);
    std::cout << number << " * " << number << " = " << square.value().value() << '\n';
}

int main() {
    if (fork() == 0) return serve(), 0;
    auto me = stoa::Process::join("client").value();
    me.link("squares", {}, {.wait_for_join = true}).value();
    auto executor = stoa::Executor::create().value();
    for (int number = 1; number <= 3; ++number) executor.spawn(ask(me, number));
    executor.run().value();
    wait(nullptr);
}
