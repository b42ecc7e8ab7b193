// The barest sleep and wake, for scenarios of the engine's own test.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdint>

#include "stoa/base/atomic.hpp"

namespace stoa::crash {

inline void wait_while_zero(Atomic<std::uint32_t>& word) {
    while (word.load() == 0) ::syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
}

inline void ring(Atomic<std::uint32_t>& word) {
    word.store(1);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace stoa::crash
