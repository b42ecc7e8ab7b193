// Which instructions of the code under test were executed under the tracer.
//
// Start here: Coverage::mark while tracing; report() at the end.
// Threads:    one.
// Processes:  engine only.
// Death:      not applicable.
// Blocking:   report() runs objdump and addr2line.
// Lifetime:   value.
// Units:      instructions, by address.
// Source:     objdump -d of this program, bounded by its own symbol table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/crash/symbols.hpp"

namespace stoa::crash {

struct FunctionCoverage {
    std::string name;
    std::size_t instructions = 0;
    std::vector<std::uintptr_t> unreached;
};

class Coverage {
public:
    Coverage();

    void mark(std::span<const std::uintptr_t> addresses);
    void mark(std::uintptr_t address);

    // Functions whose name begins with one of `wanted`, and those beginning with one of
    // `when_entered` that were executed at least in part (inlined code lies in them).
    [[nodiscard]] std::vector<FunctionCoverage> functions(
        const Symbols& symbols, const std::vector<std::string>& wanted,
        const std::vector<std::string>& when_entered) const;

private:
    [[nodiscard]] bool reached(std::uintptr_t address) const;

    std::uintptr_t first_ = 0;
    std::vector<bool> reached_;  // of the whole program text, by address
};

}  // namespace stoa::crash
