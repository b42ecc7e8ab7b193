// Names for code addresses of this program, from its own ELF symbol table.
//
// Start here: Symbols::describe(address).
// Threads:    const after construction.
// Processes:  this program must be linked without -pie (statically), so that the addresses of the
//             file are those of the process.
// Death:      not applicable.
// Blocking:   source_line() runs addr2line.
// Lifetime:   value.
// Units:      bytes.
// Source:     elf(5).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stoa::crash {

struct Function {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::string name;  // demangled
};

class Symbols {
public:
    Symbols();  // of /proc/self/exe

    [[nodiscard]] const std::vector<Function>& functions() const noexcept { return functions_; }
    [[nodiscard]] const Function* find(std::uintptr_t address) const;
    // "stoa::ring::f(int)+0x1a".
    [[nodiscard]] std::string describe(std::uintptr_t address) const;

private:
    std::vector<Function> functions_;  // sorted by begin, no two begin at one address
};

[[nodiscard]] std::string own_path();

// The lines that a command prints.
[[nodiscard]] std::vector<std::string> output_of(const std::string& command);

// "stoa/ring/lane.cpp:120" for each address; "?" where nothing is known.
[[nodiscard]] std::vector<std::string> source_lines(const std::vector<std::uintptr_t>& addresses);

}  // namespace stoa::crash
