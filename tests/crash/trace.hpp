// What one operation did, instruction by instruction, when nobody disturbed it.
//
// Start here: record().
// Threads:    one.
// Processes:  engine and one tracee.
// Death:      not applicable.
// Blocking:   bounded by the watchdog of the tracee.
// Lifetime:   values.
// Units:      instruction i is the one executed after i others; point i lies before it.
// Source:     single steps of ptrace(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/crash/accesses.hpp"
#include "tests/crash/tracee.hpp"

namespace stoa::crash {

struct Trace {
    std::vector<std::uintptr_t> addresses;  // [i]: of instruction i; one point more than executed
    // Points where something changed, each with the point before it: those that a run with a small
    // budget does not leave out. Sorted.
    std::vector<std::uint32_t> telling;
    std::vector<std::uint32_t> changes;  // points right after a change of shared memory
    std::vector<std::uint32_t> sleeps;   // instructions in which it slept in the kernel
    // Points before instructions that may touch what others see; only when accesses were given.
    // Sorted. Between two of them nobody can tell where it stands.
    std::vector<std::uint32_t> touches;
    Stop end = Stop::finished;  // anything else: the operation did not complete

    [[nodiscard]] std::uint32_t last() const {
        return static_cast<std::uint32_t>(addresses.size()) - 1;
    }
};

// Steps `tracee` through its operation. `watched` is the memory whose changes count.
[[nodiscard]] Trace record(Tracee& tracee, std::span<const std::span<const std::byte>> watched,
                           const Accesses* accesses);

}  // namespace stoa::crash
