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

// Memory of this process alone: no death can be seen from outside, and none needs to be. It is
// beyond all places.
inline constexpr Holder kHolderPrivate = 0x1fffU;

class SectionHost;  // the heap of a region: stoa/sync/section.hpp

// Recovers whoever died in a region, by what its handle knows of it; how many.
class Sweeper {
public:
    virtual std::uint32_t sweep() noexcept = 0;

protected:
    ~Sweeper() = default;
};

struct Here {
    Holder me = kHolderPrivate;  // 0: nobody here: a forked child, or one who only reads
    const Participants* participants = nullptr;  // null: memory of this process alone
    SectionHost* heap = nullptr;                 // null: the region has none
    const std::byte* memory = nullptr;           // where the region begins
    Sweeper* sweeper = nullptr;                  // null: nothing in it needs one

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

// g++ 12's UBSan takes the address of a thread's variable for null here and there.
#if defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
[[gnu::noinline, gnu::no_sanitize("null")]]
#endif
[[nodiscard]] inline Here
here(const void* address) noexcept {
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
// which must outlive it, as must the heap of the region and its sweeper, if it has them.
class Membership {
public:
    Membership(std::span<const std::byte> memory, const Participants& participants,
               std::uint32_t index, SectionHost* heap = nullptr, Sweeper* sweeper = nullptr);
    // Of one who only reads: it is nobody there, but is told who is gone.
    Membership(std::span<const std::byte> memory, const Participants& participants);
    Membership(Membership&& other) noexcept;
    Membership& operator=(Membership&&) = delete;
    ~Membership();

private:
    Membership(std::span<const std::byte> memory, const Here& here);

    std::uintptr_t from_;  // 0: moved from
};

}  // namespace stoa
