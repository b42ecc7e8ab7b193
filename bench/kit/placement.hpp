// Where the processes of a measurement run, and on what machine.
#pragma once

#include <string>
#include <vector>

#include "bench/kit/case.hpp"

namespace stoa::bench {

struct Machine {
    std::string cpu_model;
    std::string kernel;
    std::string compiler;
    std::string commit;
    std::vector<int> cpus;  // the two that are used: two cores under one cache if there are such;
                            // one alone when this process may use no other
    bool is_virtual = false;
    std::string governor;  // empty when the kernel does not say
};

[[nodiscard]] Machine this_machine();

// The roles of a case, with their boards and cpus.
[[nodiscard]] std::vector<Role> place(const Case& c, const std::vector<int>& cpus);

void pin_to(int cpu);  // this thread; throws std::system_error

// "AMD EPYC, cpus 0 and 1 (virtual machine), Linux 6.18, g++ 12.2.0 -O3, commit 1234567"
[[nodiscard]] std::string describe(const Machine& machine);

}  // namespace stoa::bench
