// Whether the process that owns a mailbox still lives, as another process that uses it asks.
//
// Start here: OwnerWatch::of() when a mailbox is opened; gone() at each call.
// Threads:    serves one thread at a time, as the handle it belongs to.
// Processes:  a forked child has none of its own: its inherited handle is refused before it asks.
// Death:      what it watches for; only the kernel's word counts (stoa/sys/process.hpp).
// Blocking:   never. gone() is one system call, or none when it asked some microseconds ago.
// Lifetime:   owns a descriptor of the process.
// Units:      none.
// Source:     pidfd_open(2).
#pragma once

#include <cstdint>
#include <memory>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/process.hpp"

namespace stoa {

// At most 20 us at 2.5 GHz: a loop that sends without a pause asks so seldom that it does not feel
// it, and nobody can learn of a death from outside and call within that time: a kill and a wait(2)
// take longer. Only tests change it.
inline std::uint64_t g_ask_again_ticks = 50'000;

class OwnerWatch {
public:
    // Nothing when the caller is that process. Errors: not_found: it is dead; not_supported: its
    // death could not be seen from here; bad_layout; limit_reached
    [[nodiscard]] static Result<std::unique_ptr<OwnerWatch>> of(const sys::Identity& owner);

    // True: it is proven dead, for good. A death less than 20 us ago may be missed, unless
    // something in this process was told of one meanwhile.
    [[nodiscard]] bool gone() noexcept;

private:
    OwnerWatch(const sys::Identity& owner, sys::Fd process) noexcept
        : owner_{owner}, process_{std::move(process)} {}

    sys::Identity owner_;
    sys::Fd process_;             // not valid: the kernel gives none
    std::uint64_t asked_at_ = 0;  // in ticks of the processor
    std::uint32_t deaths_told_ = 0;
    bool gone_ = false;
};

}  // namespace stoa
