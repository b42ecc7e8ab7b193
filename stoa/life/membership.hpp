// Membership: which participant this process is in the region where an address lies.
//
// Start here: here(address), for what lies in shared memory and acts for its caller; Membership,
//             which a region's handle holds while it is mapped.
// Threads:    safe; here() remembers the last answer of its thread.
// Processes:  each has its own list; nothing of it is shared.
// Death:      a forked child is nobody in its parent's regions.
// Blocking:   here() when it is asked for another region than before: a lock of this process.
// Lifetime:   a Membership must end before its memory is unmapped.
// Units:      none.
// Source:     own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/base/atomic.hpp"
#include "stoa/life/participants.hpp"
#include "stoa/sys/fork_guard.hpp"

namespace stoa {

// A participant as one word: index + 1 in the bits 8 to 23, its incarnation from bit 32 on. The
// other bits are left to whoever keeps it. 0 is nobody.
using Holder = std::uint64_t;

inline constexpr Holder kHolderMask = 0x00ffffff'00ffff00U;
// Memory of this process alone: no death can be seen from outside, and none needs to be.
inline constexpr Holder kHolderPrivate = 0xffff00U;

[[nodiscard]] constexpr Holder holder_word(std::uint32_t index,
                                           std::uint32_t incarnation) noexcept {
    return (Holder{index} + 1) << 8U | Holder{incarnation & 0xffffffU} << 32U;
}
[[nodiscard]] constexpr std::uint32_t holder_index(Holder holder) noexcept {
    return (static_cast<std::uint32_t>(holder >> 8U) & 0xffffU) - 1;
}

struct Here {
    Holder me = kHolderPrivate;                  // 0: a forked child, which is nobody here
    const Participants* participants = nullptr;  // null: memory of this process alone

    // Whether a holder is proven to be gone: dead, or it left the region and holds nothing there.
    [[nodiscard]] bool is_gone(Holder holder) const noexcept;
};

namespace detail {

struct LastHere {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    std::uint64_t version = 0;
    Here here{};
};
extern constinit thread_local LastHere t_last_here;

[[nodiscard]] Here find_here(std::uintptr_t address) noexcept;

}  // namespace detail

[[nodiscard]] inline Here here(const void* address) noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    const detail::LastHere& last = detail::t_last_here;
    // relaxed: the word changes when a region comes or goes, and is 0 in a forked child.
    if (at - last.from < last.to - last.from &&
        last.version == sys::detail::g_wiped_on_fork.memberships.load(kRelaxed)) [[likely]] {
        return last.here;
    }
    return detail::find_here(at);
}

// While it lives, whoever asks here() inside `memory` is told that it is `index` of `participants`,
// which must outlive it.
class Membership {
public:
    Membership(std::span<const std::byte> memory, const Participants& participants,
               std::uint32_t index);
    Membership(Membership&& other) noexcept;
    Membership& operator=(Membership&&) = delete;
    ~Membership();

private:
    std::uintptr_t from_;  // 0: moved from
};

}  // namespace stoa
