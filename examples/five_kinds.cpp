// One wait for a mailbox, a descriptor, a signal, a timer and the death of a process.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

enum What : std::uint64_t { kOrder, kBytes, kSignal, kTick, kDeath };

int main() {
    auto orders = stoa::Mailbox<int>::create("five_kinds", {.owner = stoa::Owner::process}).value();
    auto set = stoa::WaitSet::create().value();
    int ends[2];
    if (pipe(ends) != 0) return 1;
    set.add(orders.readable(), kOrder).value();
    set.add(stoa::FdReady{ends[0], EPOLLIN}, kBytes).value();
    set.add(stoa::Signal{SIGRTMIN}, kSignal).value();  // blocked from here on, also in the child
    set.add(stoa::Timer::every(std::chrono::milliseconds{1}), kTick).value();
    const auto parent = stoa::sys::self().value();
    const int child = fork();
    if (child == 0) {
        stoa::Mailbox<int>::open("five_kinds").value().send(7).value();
        stoa::sys::send_signal(parent, SIGRTMIN, 42).value();
        return write(ends[1], "x", 1) == 1 ? 0 : 1;
    }
    set.add(stoa::Death::of_child(child), kDeath).value();
    for (bool seen[5] = {}; !(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);) {
        const auto all = set.wait().value();
        for (const stoa::Ready& ready : all) {
            seen[ready.tag] = true;
            if (ready.tag == kOrder) std::cout << "order " << *orders.receive().value() << '\n';
            if (ready.tag == kSignal) std::cout << "signal with " << ready.signal.value << '\n';
            if (ready.tag != kOrder && ready.tag != kSignal) set.remove(ready.id).value();
        }
    }
    wait(nullptr);
}
