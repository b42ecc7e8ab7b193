// Producer and consumer over a ring of four places, with the textbook's semaphores.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

struct Ring {
    stoa::SignalSemaphore free;  // places to write to
    stoa::SignalSemaphore full;  // places to read from
    int places[4];
};

int main() {
    auto region = stoa::Region::create("memfd:", 65536).value();
    auto* ring = region.construct<Ring>("ring").value();
    ring->free.post(4);
    if (fork() == 0) {
        auto mine = stoa::Region::open("memfd:" + std::to_string(region.descriptor())).value();
        auto* theirs = mine.find<Ring>("ring").value();
        for (int i = 0; i < 1000; ++i) {
            theirs->free.wait().value();
            theirs->places[i % 4] = i;
            theirs->full.post();
        }
        _exit(0);
    }
    long sum = 0;
    for (int i = 0; i < 1000; ++i) {
        if (!ring->full.wait_for(std::chrono::seconds{5}))
            return 1;  // a dead producer posts nothing
        sum += ring->places[i % 4];
        ring->free.post();
    }
    wait(nullptr);
    std::cout << "the sum is " << sum << '\n';
    return sum == 499'500 ? 0 : 1;
}
