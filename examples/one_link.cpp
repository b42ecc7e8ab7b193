// Exactly one link for each pair, whoever speaks first; both sides see how it was made.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    auto a = stoa::Process::join("a").value();
    auto b = stoa::Process::join("b").value();
    auto c = stoa::Process::join("c").value();
    auto made = a.link("b", {.capacity = stoa::bounded(8)}).value();
    auto same = b.link("a", {.capacity = stoa::bounded(99)}).value();  // the one that there is
    for (int i = 0; i < 3; ++i) {
        a.send("b", i).value();
        b.send("a", -i).value();
        c.send("b", i * 10).value();
    }
    const auto all = stoa::Process::list().value();
    for (const auto& info : all) {
        std::cout << info.name << ": " << info.links << " links, " << info.queued << " waiting\n";
    }
    const bool one = all[0].links == 1 && all[1].links == 2 && all[2].links == 1;
    return one && made.options()->capacity.messages == same.options()->capacity.messages ? 0 : 1;
}
