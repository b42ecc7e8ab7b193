// The receiving side of a lane (see stoa/ring/lane.hpp for the whole).
//
// Start here: LaneReceiver::try_receive copies a record out; try_take and release lend it in place.
// Threads:    a receiver serves one thread at a time; the sender may be anywhere.
// Processes:  one receiver at a time per lane; who attaches must know that the last one is gone.
// Death:      at any instruction: a record is delivered when `delivered` passes it (R2). Before,
//             the heir gets it again; after, it counts as delivered. Loans end with their process.
// Blocking:   never; no system calls. Spinning, sleeping and waking belong to the layer above.
// Lifetime:   borrows the mapping, which must outlive it; a loan is valid until its release.
// Units:      bytes; positions count ring bytes since the lane was made and never wrap.
// Source:     as lane_sender.hpp; returning space in strides: Torquati 2010 (multipush, multipop).
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/base/error.hpp"
#include "stoa/ring/lane_layout.hpp"
#include "stoa/ring/lane_sender.hpp"

namespace stoa {

// Hot path, one byte. `wrong_size`: the record has another length than asked for and stays first.
// `corrupt`: the sender broke the format; the lane is lost. `empty` may also come after many pads.
enum class LaneTake : std::uint8_t {
    ok,
    empty,
    end_of_stream,
    wrong_size,
    too_many_loans,
    corrupt,
};

struct LaneRecord {  // a loan
    std::span<const std::byte> payload;
    std::uint32_t loan = 0;  // for release()
};

class alignas(kCacheLine) LaneReceiver {
public:
    static constexpr std::uint32_t kMaxLoans = 64;

    // Takes the receiving side, fresh or from a dead predecessor: starts behind what that one was
    // delivered and gives its loans back. So its death, with all its threads, must be proven.
    // Errors: bad_layout, wrong_version, corrupt (its cursors break the rules)
    [[nodiscard]] static Result<LaneReceiver> attach(std::span<std::byte> memory,
                                                     LaneFence fence = LaneFence::full) noexcept;

    LaneReceiver(LaneReceiver&&) noexcept = default;
    LaneReceiver& operator=(LaneReceiver&&) noexcept = default;

    // --- receiving --------------------------------------------------------------------------
    // Copies the next record, which must have exactly that size. Delivered when this returns ok.
    template <std::size_t kBytes>
    [[nodiscard]] LaneTake try_receive(void* to) noexcept;
    // Copies up to `max_count` records of that size that are there already, as one delivery.
    // `count` is at least 1 when it returns ok.
    template <std::size_t kBytes>
    [[nodiscard]] LaneTake try_receive_all(void* to, std::uint64_t max_count,
                                           std::uint64_t& count) noexcept;
    // Lends the next record in place; it is delivered, and not overwritten until it is released.
    [[nodiscard]] LaneTake try_take(LaneRecord& record) noexcept;
    // In any order; space returns up to the oldest loan.
    void release(const LaneRecord& record) noexcept;
    [[nodiscard]] std::uint32_t loans() const noexcept {
        return static_cast<std::uint32_t>(std::popcount(held_));
    }
    // Gives back all space that it can now. An empty try_ call and mark_asleep() do so too.
    void free_now() noexcept;

    // --- for the layer that waits -----------------------------------------------------------
    // Whether a call is worth a try: a record, a pad or the end of the stream is there.
    [[nodiscard]] bool ready() const noexcept { return head_at(head_)->ready.load(kAcquire) != 0; }
    // After attach and each call that may deliver or give space back (receive, take, release,
    // free_now, mark_asleep): the word on which the sender sleeps, to be woken, or nullptr. Says it
    // until sleeper_woke(), for the sender may still be on its way to sleep.
    [[nodiscard]] const Atomic<std::uint32_t>* sleeper_to_wake() noexcept;
    // The kernel woke somebody on the word that sleeper_to_wake() said last.
    void sleeper_woke() noexcept { woken_mark_ = seen_mark_; }
    // To sleep until there is a record: mark_asleep(), a barrier for all (see LaneFence), ready()
    // again, sleep on ready_sleep(), mark_awake().
    void mark_asleep() noexcept;
    void mark_awake() noexcept;
    [[nodiscard]] LaneSleep ready_sleep() const noexcept;
    // Pauses to make before the next look, once, after a long streak of records that ended: a
    // reader that hangs on to the sender's line slows it down.
    [[nodiscard]] std::uint32_t back_off_pauses() noexcept;
    // See lane_spin_pauses().
    [[nodiscard]] std::uint64_t last_bytes() const noexcept { return LaneWord::bytes(last_word_); }
    // Where the sender of the last record ran; kLaneUnknownCpu if unknown.
    [[nodiscard]] std::uint32_t sender_cpu() const noexcept { return LaneWord::cpu(last_word_); }
    // Where this side runs: told to the sender with the next space that is given back.
    void set_cpu(std::uint32_t cpu) noexcept { cpu_ = std::min(cpu, kLaneUnknownCpu); }

    [[nodiscard]] LaneGeometry geometry() const noexcept { return {mask_ + 1, max_record_bytes_}; }
    // Bytes received since the lane was made, heads and pads included.
    [[nodiscard]] std::uint64_t position() const noexcept { return head_; }

private:
    static constexpr std::uint64_t kLongStreak = 16;  // records
    static constexpr std::uint32_t kBackOffPauses = 150;
    static constexpr int kPadsPerCall = 64;  // bounds what a hostile sender can make us do

    LaneReceiver(LaneLayout* layout, const LaneGeometry& geometry, LaneFence fence) noexcept;

    [[nodiscard]] LaneHead* head_at(std::uint64_t position) const noexcept {
        return lane_head(ring_, mask_, position);
    }
    // A stride of 16 never does: positions are multiples of it.
    [[nodiscard]] bool goes_over_the_end(std::uint64_t head, std::uint64_t stride) const noexcept {
        return stride > kLaneHeadBytes && (head & mask_) + stride > mask_ + 1;
    }
    // What stands at head_; ok: a record that last_word_ and last_stride_ describe.
    [[nodiscard]] LaneTake look() noexcept;
    template <std::size_t kBytes>
    [[nodiscard]] LaneTake look_for() noexcept;
    [[nodiscard]] LaneTake settle(std::uint64_t word) noexcept;
    // `head` is head_.
    void advance(std::uint64_t head, std::uint64_t bytes) noexcept;
    void free_in_strides() noexcept;
    [[nodiscard]] std::uint64_t oldest_in_use() const noexcept;
    [[nodiscard]] const Atomic<std::uint32_t>* look_at_mark(std::uint32_t mark) noexcept;
    [[nodiscard]] Result<void> adopt() noexcept;

    std::byte* ring_;
    std::uint64_t mask_;
    std::uint64_t head_ = 0;     // position of the next record
    std::uint64_t freed_ = 0;    // what we last stored
    std::uint64_t free_at_ = 0;  // position from which on space is given back
    std::uint64_t free_stride_;
    LaneLayout* layout_;
    std::uint64_t last_word_ = LaneWord::make(LaneKind::record, 0);
    std::uint64_t last_stride_ = lane_stride(0);
    std::uint64_t held_ = 0;         // one bit per place in held_from_
    std::uint64_t streak_from_ = 0;  // where the receiver last found nothing
    std::uint32_t cpu_ = kLaneUnknownCpu;
    std::uint32_t seen_mark_ = 0;      // the sender's, when we last looked
    std::uint32_t woken_mark_ = 0;     // the sleep that needs no more waking
    std::uint64_t told_ = UINT64_MAX;  // the value of `freed` when we last named its word
    LaneFence fence_;
    std::uint64_t max_record_bytes_;
    std::array<std::uint64_t, kMaxLoans> held_from_{};  // positions of the loans
};

// The order "deliver or free, then look at the mark" meets "mark, then look at the cursors", as in
// LaneSender::sleeper_to_wake().
inline const Atomic<std::uint32_t>* LaneReceiver::sleeper_to_wake() noexcept {
    if (fence_ == LaneFence::full) full_fence();
    std::atomic_signal_fence(kSeqCst);  // the compiler must not load before R2, R3
    const std::uint32_t mark = layout_->sender.mark.load(kRelaxed);
    if (!LaneMark::asleep(mark) || mark == woken_mark_) [[likely]]
        return nullptr;
    return look_at_mark(mark);
}

// Death before R2: the heir gets the record again. After it: the record was delivered.
inline void LaneReceiver::advance(std::uint64_t head, std::uint64_t bytes) noexcept {
    head_ = head + bytes;
    STOA_CRASH_POINT("lane.receive.copied");
    // R2. Weaker would count a record as delivered before its bytes were read.
    layout_->receiver.delivered.store(head + bytes, kRelease);
    STOA_CRASH_POINT("lane.receive.delivered");
}

inline void LaneReceiver::free_in_strides() noexcept {
    if (head_ >= free_at_) [[unlikely]]
        free_now();
}

inline LaneTake LaneReceiver::look() noexcept {
    // R1. Weaker would read the payload of a record before it was written.
    const std::uint64_t word = head_at(head_)->ready.load(kAcquire);
    // A branch that guesses another record like the last one: what follows, the address of the next
    // ready word above all, then does not wait for this load.
    if (word != last_word_) [[unlikely]]
        return settle(word);
    return LaneTake::ok;
}

template <std::size_t kBytes>
inline LaneTake LaneReceiver::look_for() noexcept {
    const LaneTake looked = look();
    if (looked != LaneTake::ok) [[unlikely]]
        return looked;
    const std::uint64_t wanted = LaneWord::make(LaneKind::record, kBytes, 0);
    if ((last_word_ & ~LaneWord::kCpuMask) != wanted) [[unlikely]]
        return LaneTake::wrong_size;
    if (goes_over_the_end(head_, lane_stride(kBytes))) [[unlikely]]
        return LaneTake::corrupt;
    return LaneTake::ok;
}

template <std::size_t kBytes>
inline LaneTake LaneReceiver::try_receive(void* to) noexcept {
    const LaneTake looked = look_for<kBytes>();
    if (looked != LaneTake::ok) [[unlikely]]
        return looked;
    const std::uint64_t head = head_;
    std::memcpy(to, ring_ + (head & mask_) + lane_payload_offset(kBytes), kBytes);
    advance(head, lane_stride(kBytes));
    free_in_strides();
    return LaneTake::ok;
}

template <std::size_t kBytes>
inline LaneTake LaneReceiver::try_receive_all(void* to, std::uint64_t max_count,
                                              std::uint64_t& count) noexcept {
    constexpr std::uint64_t kStride = lane_stride(kBytes);
    count = 0;
    if (max_count == 0) return LaneTake::empty;
    const LaneTake looked = look_for<kBytes>();
    if (looked != LaneTake::ok) [[unlikely]]
        return looked;
    const std::uint64_t head = head_;
    const std::uint64_t word = last_word_;
    const std::uint64_t most = std::min(max_count, (mask_ + 1 - (head & mask_)) / kStride);
    std::byte* from = ring_ + (head & mask_);
    std::byte* out = static_cast<std::byte*>(to);
    std::uint64_t taken = 0;
    do {
        std::memcpy(out, from + lane_payload_offset(kBytes), kBytes);
        out += kBytes;
        from += kStride;
        ++taken;
        // R1, for each record: a batch is published by its first word, other records by their own.
    } while (taken < most && lane_head(from, UINT64_MAX, 0)->ready.load(kAcquire) == word);
    count = taken;
    advance(head, taken * kStride);
    free_in_strides();
    return LaneTake::ok;
}

inline LaneTake LaneReceiver::try_take(LaneRecord& record) noexcept {
    const LaneTake looked = look();
    if (looked != LaneTake::ok) [[unlikely]]
        return looked;
    const std::uint64_t head = head_;
    const std::uint64_t stride = last_stride_;
    if (goes_over_the_end(head, stride)) [[unlikely]]
        return LaneTake::corrupt;
    const std::uint64_t held = held_;
    if (held == UINT64_MAX) [[unlikely]]
        return LaneTake::too_many_loans;
    const std::uint64_t bytes = LaneWord::bytes(last_word_);
    const auto loan = static_cast<std::uint32_t>(std::countr_one(held));
    held_ = held | std::uint64_t{1} << loan;
    held_from_[loan] = head;
    record = {{ring_ + (head & mask_) + lane_payload_offset(bytes), bytes}, loan};
    advance(head, stride);
    return LaneTake::ok;
}

inline void LaneReceiver::release(const LaneRecord& record) noexcept {
    STOA_CHECK(record.loan < kMaxLoans && (held_ >> record.loan & 1U) != 0);
    held_ &= ~(std::uint64_t{1} << record.loan);
    free_in_strides();
}

}  // namespace stoa
