// A producer that never waits: what is not read yet piles up, to a quota of memory and no further.
#include <iostream>

#include "stoa/mailbox/admin.hpp"
#include "stoa/stoa.hpp"

int main() {
    auto readings = stoa::Mailbox<double>::create(
                        "readings", {.capacity = stoa::unbounded(8 << 20)})  // bytes of memory
                        .value();
    const auto memory = [] { return stoa::look_at_mailbox("readings").value().memory_bytes; };
    const auto small = memory();
    std::uint64_t sent = 0;
    auto last = readings.send(0);
    for (; last; last = readings.send(0)) ++sent;  // nobody reads
    std::cout << sent << " wait, then: " << name(last.error().code) << '\n';
    if (last.error().code != stoa::Errc::quota_reached || memory() > small + (8 << 20)) return 1;

    while (readings.try_receive()) --sent;  // a reader comes and works through all of it
    std::cout << "drained: the memory is given back\n";
    const bool shrunk = memory() < small + (1 << 20);
    stoa::RawMailbox::destroy("readings").value();
    return sent == 0 && shrunk ? 0 : 1;
}
