// Two processes count. Without a lock they lose counts; with one they do not.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>

#include "stoa/stoa.hpp"

constexpr int kEach = 1'000'000;

struct Counters {
    stoa::Mutex lock;
    std::uint64_t locked;
    std::uint64_t racing;
};

void count(Counters& counters) {
    for (int i = 0; i < kEach; ++i) {
        const std::lock_guard guard{counters.lock};
        ++counters.locked;
    }
    const std::atomic_ref racing{counters.racing};
    for (int i = 0; i < kEach; ++i) racing.store(racing.load() + 1);  // two steps, not one
}

int main() {
    auto region = stoa::Region::create("memfd:", 65536).value();
    auto* counters = region.construct<Counters>("counters").value();
    if (fork() == 0) {  // a child joins by itself: what it inherits is its parent's
        auto mine = stoa::Region::open("memfd:" + std::to_string(region.descriptor())).value();
        count(*mine.find<Counters>("counters").value());
        _exit(0);
    }
    count(*counters);
    wait(nullptr);
    std::cout << "with the lock " << counters->locked << ", without " << counters->racing << '\n';
    return counters->locked == 2ULL * kEach ? 0 : 1;
}
