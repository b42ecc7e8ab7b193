// Readers and writers: any number read at once, one writes alone, and the dead are in nobody's way.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <shared_mutex>

#include "stoa/stoa.hpp"

struct Prices {
    stoa::SharedMutex<> lock;
    int bid;
    int ask;
};

int main() {
    auto region = stoa::Region::create("memfd:", 65536).value();
    auto* prices = region.construct<Prices>("prices").value();
    if (fork() == 0) {
        auto mine = stoa::Region::open("memfd:" + std::to_string(region.descriptor())).value();
        mine.find<Prices>("prices").value()->lock.lock_shared();
        raise(SIGKILL);  // a reader that dies while it reads
    }
    wait(nullptr);
    {
        const std::unique_lock writing{prices->lock};  // waits for no dead reader
        prices->bid = 100;
        prices->ask = 101;
    }
    const std::shared_lock reading{prices->lock};  // others may read meanwhile
    std::cout << prices->bid << " to " << prices->ask << '\n';
    return prices->bid == 100 && prices->ask == 101 ? 0 : 1;
}
