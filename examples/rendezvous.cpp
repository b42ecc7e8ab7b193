// Capacity zero: a send returns when the receiver has the message. Nothing waits in between.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    using namespace std::chrono_literals;
    using Box = stoa::Mailbox<int>;
    auto out = Box::create("baton", {.capacity = stoa::zero(), .role = stoa::Role::sends}).value();
    const bool refused = !out.try_send(1);  // nobody waits for it
    const auto late = out.send_for(1, 10ms);
    std::cout << "alone: " << stoa::name(late.error().code) << '\n' << std::flush;
    if (fork() == 0) {
        auto in = Box::open("baton", {.role = stoa::Role::receives}).value();
        for (int i = 0; i < 3; ++i)
            std::cout << "received " << in.receive().value().value() << '\n';
        return 0;
    }
    for (int i = 1; i <= 3; ++i) out.send(i).value();  // each waits for the receiver
    int status = 1;
    wait(&status);
    Box::destroy("baton").value();
    return refused && status == 0 ? 0 : 1;
}
