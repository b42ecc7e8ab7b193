// A process is killed while it changes shared data. The next one is told, and mends them.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "stoa/stoa.hpp"

struct Account {
    int euros = 100;
    int cents = 0;
};

int main() {
    auto region = stoa::Region::create("memfd:", 65536).value();
    auto* told = region.construct<stoa::Guarded<Account>>("told").value();
    auto* undone = region.construct<stoa::Guarded<Account, stoa::Undo::copy>>("undone").value();
    if (fork() == 0) {
        auto mine = stoa::Region::open("memfd:" + std::to_string(region.descriptor())).value();
        auto a = mine.find<stoa::Guarded<Account>>("told").value()->lock().value();
        using Undone = stoa::Guarded<Account, stoa::Undo::copy>;
        auto b = mine.find<Undone>("undone").value()->lock().value();
        a->euros -= 50;
        b->euros -= 50;
        raise(SIGKILL);  // before the rest
    }
    wait(nullptr);
    auto a = told->lock().value();  // never hangs: at most 100 ms after the death
    const bool died = a.owner_died();
    if (died) a.repair([](Account& account) { account = {}; });  // unmended it would be poisoned
    auto b = undone->lock().value();  // what the dead one changed was taken back
    std::cout << "told " << died << ", undone " << b.undone() << ": " << b->euros << " euros\n";
    return died && b.undone() && b->euros == 100 ? 0 : 1;
}
