// Which instructions may read or write memory that other processes see.
//
// Start here: Accesses::shared(registers).
// Threads:    const after construction.
// Processes:  this program must be linked without -pie (statically); a tracee runs the same code.
// Death:      not applicable.
// Blocking:   the constructor runs objdump (some seconds).
// Lifetime:   value.
// Units:      none.
// Source:     operands as objdump(1) prints them, AT&T syntax; partial-order reduction as in
//             Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems" (1996):
//             steps on private memory commute with whatever the others do.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace stoa::crash {

class Accesses {
public:
    Accesses();

    // Whether the instruction before which a tracee stands may touch anything but its registers,
    // its stack, this program's own variables and its heap; in doubt, yes. A system call is said
    // to.
    [[nodiscard]] bool shared(const user_regs_struct& at) const;

private:
    struct Operand {
        std::int64_t displacement = 0;
        std::uint8_t base = 0;  // numbers of registers: 0 is none, too large not understood
        std::uint8_t index = 0;
        std::uint8_t scale = 1;
        bool thread = false;  // relative to %fs: a variable of the thread
    };
    static Operand parse(std::string_view before, std::string_view inside);
    [[nodiscard]] bool is_private(std::uintptr_t address, const user_regs_struct& at) const;

    std::unordered_multimap<std::uintptr_t, Operand> operands_;
    std::uintptr_t image_begin_ = 0;  // code, variables, heap
    std::uintptr_t image_end_ = 0;
    std::uintptr_t stack_end_ = 0;
};

}  // namespace stoa::crash
