// Barrier: nobody goes on before all have arrived, and nobody waits for the dead.
//
// Start here: Barrier<8> barrier{3}: arrive_and_wait() by three members; or Barrier<8> and join().
// Threads:    safe. Memberships belong to processes: a process with several (one for each of its
//             threads, say) arrives once for each of them.
// Processes:  lies in a region, or in memory of one process. A process that has not joined or
//             arrived yet is not known: if one that is expected dies before, it stays expected.
// Death:      of a member, or when it leaves the region: the others go on within 100 ms and are
//             told how many are gone. One that had arrived counts for its phase, and is missed in
//             the next one. Its place may be joined again.
// Blocking:   wait, arrive_and_wait and the timed forms.
// Lifetime:   the memory must stay mapped.
// Units:      members; a Barrier has 16 bytes, and 8 for each.
// Source:     std::barrier of ISO C++23 32.9.3; MPI and its extension for failures (ULFM, Bland and
//             others 2013): who goes on is told who is missing.
#pragma once

#include <cstdint>
#include <string>

#include "stoa/base/type_info.hpp"
#include "stoa/sync/gathering.hpp"

namespace stoa {

// At most kMembers at a time.
template <std::uint32_t kMembers>
    requires(kMembers >= 1 && kMembers <= 0xffff)
class Barrier {
public:
    // Nobody: those who join.
    constexpr Barrier() noexcept = default;
    // The first phase ends when `expected` members have arrived; at most kMembers.
    constexpr explicit Barrier(std::uint32_t expected) noexcept
        : layout_{pack(GatheringWord{.expected = expected < kMembers ? expected : kMembers}), 0,
                  0} {}
    Barrier(const Barrier&) = delete;
    Barrier& operator=(const Barrier&) = delete;

    // From now on its death is noticed. It counts in the phase that lasts, or in the next one.
    // Errors: forked, no_free_place
    Result<void> join() noexcept { return gathering().join(here(this)); }
    // The phase in which one of this process's memberships has arrived, for wait(). Who has not
    // joined takes one of the expected places.
    // Errors: forked, not_owner (all of this process's have arrived, and nobody else is expected)
    Result<std::uint32_t> arrive() noexcept { return gathering().arrive(here(this), false); }
    // The same, and from the next phase on it is no member.
    Result<std::uint32_t> arrive_and_drop() noexcept {
        return gathering().arrive(here(this), true);
    }
    // Until that phase is over. Errors: forked; try_: empty; _for and _until: timed_out
    Result<Passed> wait(std::uint32_t phase) noexcept { return wait(phase, Deadline::never()); }
    Result<Passed> try_wait(std::uint32_t phase) noexcept {
        return wait(phase, Deadline::immediately());
    }
    Result<Passed> wait_for(std::uint32_t phase, std::chrono::nanoseconds wait) noexcept {
        return this->wait(phase, Deadline::after(wait));
    }
    Result<Passed> wait_until(std::uint32_t phase, Deadline::Clock::time_point when) noexcept {
        return wait(phase, Deadline::at(when));
    }
    // Errors: those of both; after timed_out it has arrived, wait(phase() ) goes on waiting.
    Result<Passed> arrive_and_wait() noexcept { return arrive_and_wait(Deadline::never()); }
    Result<Passed> arrive_and_wait_for(std::chrono::nanoseconds wait) noexcept {
        return arrive_and_wait(Deadline::after(wait));
    }
    Result<Passed> arrive_and_wait_until(Deadline::Clock::time_point when) noexcept {
        return arrive_and_wait(Deadline::at(when));
    }

    [[nodiscard]] static constexpr std::uint32_t max() noexcept { return kMembers; }
    // The phase that lasts.
    [[nodiscard]] std::uint32_t phase() const noexcept {
        return unpack_gathering(layout_.word.load(kSeqCst)).phase;
    }

private:
    detail::Gathering gathering() noexcept { return {&layout_, places_}; }
    Result<Passed> wait(std::uint32_t phase, Deadline deadline) noexcept {
        return gathering().wait(here(this), phase, deadline);
    }
    Result<Passed> arrive_and_wait(Deadline deadline) noexcept {
        const Result<std::uint32_t> phase = arrive();
        if (!phase) return std::unexpected(phase.error());
        return wait(*phase, deadline);
    }

    GatheringLayout layout_{};
    Atomic<std::uint64_t> places_[kMembers]{};
};

template <std::uint32_t kMembers>
struct Layout<Barrier<kMembers>> {
    static void append(std::string& text) { text += "stoa.barrier 1"; }  // its size says the rest
};

}  // namespace stoa
