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

class OwnerWatch {
public:
    // Nothing when the caller is that process. Errors: not_found: it is dead; not_supported: its
    // death could not be seen from here; bad_layout; limit_reached
    [[nodiscard]] static Result<std::unique_ptr<OwnerWatch>> of(const sys::Identity& owner);

    // True: it is proven dead. A death less than 20 us ago may be missed.
    [[nodiscard]] bool gone() noexcept;

private:
    OwnerWatch(const sys::Identity& owner, sys::Fd process) noexcept
        : owner_{owner}, process_{std::move(process)} {}

    sys::Identity owner_;
    sys::Fd process_;             // not valid: the kernel gives none
    std::uint64_t asked_at_ = 0;  // in ticks of the processor
};

}  // namespace stoa
