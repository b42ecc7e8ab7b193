// Proves that a test left nothing behind: no process, no file in its domain, none in /dev/shm.
//
// Start here: make a LeakCheck first in the test; EXPECT_EQ(check.leaks(), "") last.
// Threads:    one.
// Processes:  looks at the children of this process.
// Death:      not applicable.
// Blocking:   leaks() looks again for up to five seconds while /dev/shm differs, because other
//             tests may run beside this one and clean up later.
// Lifetime:   borrows the TempDomain, if any.
// Units:      none.
// Source:     waitpid(2).
#pragma once

#include <set>
#include <string>

#include "tests/kit/temp.hpp"

namespace stoa::kit {

class LeakCheck {
public:
    explicit LeakCheck(const TempDomain* domain = nullptr);

    // A list of what is there now and was not before; empty when there is nothing.
    [[nodiscard]] std::string leaks() const;

private:
    const TempDomain* domain_;
    std::set<std::string> shm_before_;
    std::set<std::string> domain_before_;
};

}  // namespace stoa::kit
