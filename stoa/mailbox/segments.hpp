// Segments: the memory of an unbounded mailbox, in pieces that come and go. Each holds a pool ring.
//
// Start here: Segments::last(), grow(); hold() before anything touches a segment; retire().
// Threads:    as the handle that it is part of.
// Processes:  any number.
// Death:      at any instruction: recover() finishes what the dead one began to make or give back,
//             and drops its pins. A stopped process keeps what it has pinned or makes: at most six
//             segments of the quota.
// Blocking:   never; a grown or returned segment costs a system call or two.
// Lifetime:   borrows the region; a segment stays as long as a pin, a chunk or a receipt holds it.
// Units:      segments; positions count those of one station, from 1, and are never reused.
// Source:     pins are hazard pointers (Michael 2004); checked by tests/model/segments_model.
//
// A segment's word goes by CAS from FREE to MAKING(maker), LIVE, LEAVING(who), GIVING_BACK(who) and
// to FREE; MAKING begins a new generation. Order (seq_cst):
//   grow    M1 CAS FREE -> MAKING   M2 memory, ring, position   M3 CAS `last` of the station: it is
//           linked   M4 MAKING -> LIVE, by anyone who finds it linked
//   hold    A1 store the pin        A2 read the word: LIVE, or LEAVING and CAS back to LIVE
//   retire  R1 LIVE -> LEAVING(me)  R2 nobody pins it   R3 its ring is done with
//           R4 CAS LEAVING(me) -> GIVING_BACK(me)       R5 the memory goes back, then FREE
// Who pinned before R1 and let go before R2 left its traces for R3 to see; who still pins at R2 is
// seen there; who pins after R1 takes LEAVING away, so that R4 fails. After R4 nobody gets in. Only
// the one that a word names gives memory back, so no late one can do it twice.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "stoa/mailbox/plan.hpp"
#include "stoa/shm/region_image.hpp"

namespace stoa {

enum class SegmentState : std::uint8_t {
    free = 0,
    making = 1,       // `who` prepares its memory
    live = 2,         // part of the queue of its station
    leaving = 3,      // `who` looks whether it may go
    giving_back = 4,  // `who` gives its memory back
};

// From the low bit: state 3, who 12, station 6, generation 43.
struct SegmentWord {
    SegmentState state = SegmentState::free;
    std::uint32_t who = 0;  // index of an endpoint; not of LIVE and FREE ones
    std::uint32_t station = 0;
    std::uint64_t generation = 0;  // a new one each time it is made

    [[nodiscard]] constexpr std::uint64_t word() const noexcept {
        return static_cast<std::uint64_t>(state) | std::uint64_t{who & 0xfffU} << 3U |
               std::uint64_t{station & 0x3fU} << 15U | generation << 21U;
    }
    [[nodiscard]] static constexpr SegmentWord of(std::uint64_t word) noexcept {
        return {.state = static_cast<SegmentState>(word & 7U),
                .who = static_cast<std::uint32_t>(word >> 3U) & 0xfffU,
                .station = static_cast<std::uint32_t>(word >> 15U) & 0x3fU,
                .generation = word >> 21U};
    }
};

// One that is or was part of a queue.
struct Segment {
    std::uint32_t slot = 0;
    std::uint64_t generation = 0;
    std::uint64_t position = 0;  // 0: none

    friend constexpr bool operator==(const Segment&, const Segment&) = default;
};

// For what a participant keeps a segment.
enum class Pin : std::uint8_t {
    in = 0,     // it receives from it
    out = 1,    // it sends to it
    hand = 2,   // one operation: giving back a message, looking for redeliveries
    sweep = 3,  // bringing back what a dead one held there, or looking whether it may go
};

class Segments {
public:
    Segments(RegionImage& region, const MailboxPlan& plan, std::uint32_t me) noexcept;

    // Keeps the segment for `why` until let_go() or another hold() for the same. False: it is gone.
    [[nodiscard]] bool hold(Pin why, const Segment& segment) noexcept;
    void let_go(Pin why) noexcept;
    [[nodiscard]] bool is_held(const Segment& segment) const noexcept;

    // The segment that is sent to; none: nobody was there yet.
    [[nodiscard]] std::optional<Segment> last(std::uint32_t station) noexcept;
    // Puts one more behind `after` (position 0: the first), unless another did. Errors:
    // quota_reached, out_of_space
    [[nodiscard]] Result<void> grow(std::uint32_t station, const Segment& after);
    // Appends the live ones of a station behind a position, in order, up to the one that is the
    // last when it begins: none of them is missed.
    void list(std::uint32_t station, std::uint64_t behind, std::vector<Segment>& to) noexcept;
    // Gives it back if nobody needs it any more. True: done.
    bool retire(std::uint32_t station, const Segment& segment) noexcept;
    // What a dead one was making or giving back, and its pins. After its rings were recovered.
    void recover(std::uint32_t dead) noexcept;
    // It is the one that is sent to; position 0: there is none.
    [[nodiscard]] bool is_last(std::uint32_t station, const Segment& segment) const noexcept {
        const std::uint64_t word = last_word(station).load(kSeqCst) & ~kEnded;
        return word == (segment.position == 0 ? 0 : segment.slot | segment.position << 16U);
    }
    // Of a closed mailbox: nothing is put behind this one any more. False: something was.
    [[nodiscard]] bool end(std::uint32_t station, const Segment& last) noexcept;
    // Not given back yet, without touching it.
    [[nodiscard]] bool is_there(const Segment& segment) const noexcept {
        const SegmentWord now = SegmentWord::of(entry(segment.slot).word.load(kSeqCst));
        return now.generation == segment.generation &&
               (now.state == SegmentState::live || now.state == SegmentState::leaving);
    }
    // Whose queue the ring in this slot is part of. Precondition: it is held, or something in it.
    [[nodiscard]] std::uint32_t station_of(std::uint32_t slot) const noexcept {
        return SegmentWord::of(entry(slot).word.load(kSeqCst)).station;
    }
    [[nodiscard]] std::uint64_t generation_of(std::uint32_t slot) const noexcept {
        return SegmentWord::of(entry(slot).word.load(kSeqCst)).generation;
    }

    // How many there are, without touching any; a hint.
    [[nodiscard]] std::uint32_t in_use() const noexcept;

private:
    static constexpr std::uint64_t kEnded = 1ULL << 63U;  // in a station's `last`

    [[nodiscard]] MailboxSegment& entry(std::uint32_t slot) const noexcept {
        return entries_[slot];
    }
    [[nodiscard]] Atomic<std::uint64_t>& last_word(std::uint32_t station) const noexcept;
    [[nodiscard]] Atomic<std::uint64_t>& pin(Pin why) const noexcept;
    [[nodiscard]] bool pinned_by_anyone(std::uint64_t pin) const noexcept;
    [[nodiscard]] std::optional<std::uint32_t> claim(std::uint32_t station,
                                                     std::uint64_t& word) noexcept;
    [[nodiscard]] Result<void> make(std::uint32_t slot);
    void give_back(std::uint32_t slot, std::uint64_t word) noexcept;
    [[nodiscard]] Result<PoolRing> ring(std::uint32_t slot) const noexcept;

    RegionImage* region_;
    const MailboxPlan* plan_;
    std::uint32_t me_;
    MailboxLayout* layout_;
    Atomic<std::uint64_t>* used_;
    MailboxSegment* entries_;
    std::uint32_t cursor_ = 0;  // where this handle found a free one last
};

}  // namespace stoa
