// A file that is memory: what is in it is there again after a restart of the machine.
#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    const std::string address = "file:stoa-example.region";
    static_cast<void>(stoa::Region::destroy(address));
    {
        auto region = stoa::Region::create(address, 65536).value();
        auto* visits = region.construct<stoa::Guarded<std::uint64_t>>("visits").value();
        *visits->lock().value() = 41;
        region.flush().value();  // on the disk when it returns
    }
    // Another run of the program, another day.
    auto region = stoa::Region::open(address).value();
    auto* visits = region.find_or_construct<stoa::Guarded<std::uint64_t>>("visits").value();
    const std::uint64_t count = ++*visits->lock().value();
    std::cout << "visits: " << count << '\n';
    stoa::Region::destroy(address).value();
    return count == 42 ? 0 : 1;
}
