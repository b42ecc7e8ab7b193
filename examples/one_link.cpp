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
    unsigned links = 0;
    for (const char* name : {"a", "b", "c"}) {
        const auto info = stoa::Process::find(name).value();
        std::cout << name << ": " << info.links << " links, " << info.queued << " waiting\n";
        links += info.links;
    }
    const bool as_made = same.options()->capacity.messages == made.options()->capacity.messages;
    return links == 4 && as_made ? 0 : 1;
}
