// Gathering: places whose members arrive, and phases that end when all who live have. What Barrier
// and Latch share.
//
// Start here: stoa/sync/barrier.hpp, stoa/sync/latch.hpp.
// Threads:    safe. A place belongs to the process that took it: any thread of it arrives there.
// Processes:  lies in a region, or in memory of one process.
// Death:      of a member: its place is given up within 100 ms by whoever waits, and `gone` tells.
//             Between its arrival and the end of the phase: whoever waits ends the phase.
// Blocking:   wait, until its deadline.
// Lifetime:   borrows its words.
// Units:      places; phases, modulo 2^32.
// Source:     a sense-reversing barrier (Hensgen, Finkel, Manber 1988) whose count is a set of
//             owners, for a count cannot say whose arrival is missing.
//
// Order: a member names itself in its place before it counts; its arrival is a CAS there. Who has
// arrived, or dropped out, looks at all places afterwards, so the last one to arrive finds all
// there. What it finds stays so while the phase lasts, for only the end of the phase takes an
// arrival back; so one CAS from the phase that it looked at ends it, once.
#pragma once

#include <cstdint>
#include <span>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/gathering_layout.hpp"

namespace stoa {

// What one learns at the end of a phase.
struct Passed {
    std::uint32_t phase = 0;  // that is over
    std::uint32_t gone = 0;   // members that died or left the region, and whose places are free
};

namespace detail {

struct Gathering {
    GatheringLayout* layout;
    std::span<Atomic<std::uint64_t>> places;

    // Errors: forked, no_free_place
    [[nodiscard]] Result<void> join(const Here& at) const noexcept;
    // The phase in which it arrived. It takes a place that is expected if it has none.
    // Errors: forked, not_owner: no place of this process that has not arrived, and none to take
    [[nodiscard]] Result<std::uint32_t> arrive(const Here& at, bool drops) const noexcept;
    // Until that phase is over. Errors: forked, empty (immediately), timed_out
    [[nodiscard]] Result<Passed> wait(const Here& at, std::uint32_t phase,
                                      Deadline deadline) const noexcept;
    [[nodiscard]] GatheringWord now() const noexcept {
        return unpack_gathering(layout->word.load(kSeqCst));
    }

private:
    [[nodiscard]] bool take_place(const Here& at) const noexcept;
    void expect(std::size_t places_used) const noexcept;
    [[nodiscard]] bool has_come(const Here& at, std::size_t index, std::uint32_t phase,
                                bool looks) const noexcept;
    // Ends the phase if nobody is missing; `looks`: at who died.
    void end_phase(const Here& at, bool looks) const noexcept;
};

}  // namespace detail

}  // namespace stoa
