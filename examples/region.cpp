// Create, attach, detach, destroy: the same calls for every back end.
#include <iostream>
#include <string>

#include "stoa/stoa.hpp"

struct Stats {
    std::uint64_t hits;
    double mean;
};

bool try_out(const std::string& address) {
    static_cast<void>(stoa::Region::destroy(address));  // of an earlier run that was killed
    auto creator = stoa::Region::create(address, 65536).value();  // shm_open, ftruncate; shmget
    creator.construct<Stats>("today", Stats{.hits = 7, .mean = 0.5}).value();
    {
        auto user = stoa::Region::open(address).value();  // mmap; shmat
        std::cout << address << ": " << user.attached().size() << " attached, "
                  << user.find<Stats>("today").value()->hits << " hits\n";
    }  // munmap; shmdt
    const bool alone = creator.attached().size() == 1;
    stoa::Region::destroy(address).value();  // shm_unlink; shmctl(IPC_RMID)
    const bool gone = !stoa::Region::open(address);
    return alone && gone && creator.find<Stats>("today");  // whoever has it keeps it
}

int main() {
    const bool good = try_out("posix:/stoa-example") && try_out("sysv:stoa-example") &&
                      try_out("stoa-example");  // a file in the domain: the default
    return good ? 0 : 1;
}
