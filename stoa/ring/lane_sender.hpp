// The sending side of a lane (see stoa/ring/lane.hpp for the whole).
//
// Start here: LaneSender::try_send; try_reserve and commit to fill a record in place; LaneBatch.
// Threads:    a sender serves one thread at a time; the receiver may be anywhere.
// Processes:  one sender at a time per lane; who attaches must know that the last one is gone.
// Death:      at any instruction: the record was published, whole, or it does not exist. Nothing
//             to repair; the heir attaches and goes on behind the last published record.
// Blocking:   never; no system calls. Spinning, sleeping and waking belong to the layer above.
// Lifetime:   borrows the mapping, which must outlive it; loans live until commit or abandon.
// Units:      bytes; positions count ring bytes since the lane was made and never wrap.
// Source:     the ready word in the record: Le, Guatto, Cohen, Pop 2013; cached peer index: Lee,
// Bu,
//             Chandranmenon 2010.
#pragma once

#include <cstring>
#include <span>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/base/error.hpp"
#include "stoa/ring/lane_layout.hpp"

namespace stoa {

// Hot path, one byte. `full`: wait until has_room(), then try again. `corrupt`: the receiver broke
// the format; the lane is lost.
enum class LaneSend : std::uint8_t { ok, full, too_big, closed, corrupt };

// Whether a publisher fences before it looks for a sleeper. `none` only if every process that
// sleeps on the lane makes the publishers fence (membarrier) after it marked itself asleep.
enum class LaneFence : std::uint8_t { none, full };

// Where a sleeper sleeps: while `*word` still is `expected`.
struct LaneSleep {
    const Atomic<std::uint32_t>* word;
    std::uint32_t expected;
};

// Synchronisation points of a lane; every acquire names its release:
//   S1 acquire freed      <- R3  the receiver is done with what we overwrite
//   S2 release ready          :  the record, and not-ready in the place behind it
//   S3 acquire delivered  <- R2  in attach: the walk starts where a receiver stands
//   S4 acquire ready      <- S2  of a dead predecessor, in attach: carries its records onward
//   S5 acquire mark, delivered <- R4, R2   where the sleeper sleeps
//   R1 acquire ready      <- S2 (or S4)
//   R2 release delivered      :  payloads before it were read by a copying receive
//   R3 release freed          :  all reads of what is given back
//   R4 release mark           :  after R2
//   R5 acquire delivered, freed <- R2, R3  of a dead predecessor, in attach
class alignas(kCacheLine) LaneSender {
public:
    // Takes the sending side, fresh or from a dead predecessor, whose records stay.
    // Errors: bad_layout, wrong_version, corrupt (the walk over its records leaves the rules)
    [[nodiscard]] static Result<LaneSender> attach(std::span<std::byte> memory,
                                                   LaneFence fence = LaneFence::full) noexcept;

    LaneSender(LaneSender&&) noexcept = default;
    LaneSender& operator=(LaneSender&&) noexcept = default;

    // --- sending ---------------------------------------------------------------------------
    // Copies one record in; it is published when this returns ok. Wait-free.
    template <std::size_t kBytes>
    [[nodiscard]] LaneSend try_send(const void* payload) noexcept;
    [[nodiscard]] LaneSend try_send(std::span<const std::byte> payload,
                                    std::uint64_t alignment = 16) noexcept;

    // Lends `bytes` of the ring to be filled; a later try_reserve replaces the loan. `alignment`
    // 16, 32 or 64; above 16 it holds for more than 8 bytes.
    [[nodiscard]] LaneSend try_reserve(std::uint64_t bytes, std::span<std::byte>& loan,
                                       std::uint64_t alignment = 16) noexcept;
    // Publishes the first `bytes` of the loan.
    void commit(std::uint64_t bytes) noexcept;
    void abandon() noexcept { loan_bytes_ = kNoLoan; }

    // Writes the end of the stream behind the last record; always has room. The receiver sees it
    // when all is drained; sends say `closed` from now on.
    void close() noexcept;
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    // Takes the end of the stream back; records may follow.
    void reopen() noexcept;

    // --- for the layer that waits -----------------------------------------------------------
    // Whether a try_reserve or try_send of that size is worth another try. Reads `freed` again.
    [[nodiscard]] bool has_room(std::uint64_t bytes, std::uint64_t alignment = 16) noexcept;
    // Position behind the last record that was delivered; what is sent and not yet delivered lies
    // between it and position().
    [[nodiscard]] std::uint64_t delivered() const noexcept {
        return layout_->receiver.delivered.load(kAcquire);
    }
    // Whether every record was delivered.
    [[nodiscard]] bool drained() const noexcept {
        return layout_->receiver.delivered.load(kAcquire) == tail_;
    }
    // After attach, each publish, and `full`: the word on which the receiver sleeps, to be woken
    // once, or nullptr. Says it once per sleep.
    [[nodiscard]] const Atomic<std::uint32_t>* sleeper_to_wake() noexcept;
    // To sleep until there is room: mark_asleep(room), a barrier for all (see LaneFence),
    // has_room() again, sleep on room_sleep(), mark_awake(). Until more is delivered:
    // mark_asleep(delivery), the barrier, delivered() again, sleep on delivery_sleep(what it said),
    // mark_awake().
    enum class Await : std::uint8_t { room, delivery };
    void mark_asleep(Await what) noexcept;
    void mark_awake() noexcept;
    [[nodiscard]] LaneSleep room_sleep() const noexcept;
    [[nodiscard]] LaneSleep delivery_sleep(std::uint64_t delivered) const noexcept;
    // Where the receiver last ran; kLaneUnknownCpu if it never said.
    [[nodiscard]] std::uint32_t receiver_cpu() const noexcept {
        return layout_->receiver.cpu.load(kRelaxed);
    }
    // Where this side runs: travels with the records as a hint.
    void set_cpu(std::uint32_t cpu) noexcept { cpu_bits_ = LaneWord::cpu_bits(cpu); }

    [[nodiscard]] LaneGeometry geometry() const noexcept { return {mask_ + 1, max_record_bytes_}; }
    // Bytes sent since the lane was made, heads and pads included.
    [[nodiscard]] std::uint64_t position() const noexcept { return tail_; }

private:
    friend class LaneBatch;
    static constexpr std::uint64_t kNoPlace = UINT64_MAX;
    static constexpr std::uint64_t kNoLoan = UINT64_MAX;

    LaneSender(LaneLayout* layout, const LaneGeometry& geometry, LaneFence fence) noexcept;

    [[nodiscard]] LaneHead* head_at(std::uint64_t position) const noexcept {
        return lane_head(ring_, mask_, position);
    }
    // Whether a record of that size may stand at `tail`, and there is room as far as we know.
    [[nodiscard]] bool fits(std::uint64_t tail, std::uint64_t bytes, std::uint64_t stride,
                            std::uint64_t alignment) const noexcept {
        return lane_pad(tail & mask_, bytes, alignment, mask_ + 1) == 0 &&
               tail + stride <= room_end_;
    }
    // When it does not fit: publishes pads, looks for room.
    [[nodiscard]] LaneSend make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept;
    [[nodiscard]] LaneSend make_room(std::uint64_t position) noexcept;
    // A loan of more than 8 bytes that became a record of less: its payload belongs into the head.
    void move_inline(std::uint64_t position, std::uint64_t loan_bytes,
                     std::uint64_t bytes) noexcept {
        if (bytes > kLaneInlineBytes || loan_bytes <= kLaneInlineBytes) [[likely]]
            return;
        std::byte* head = ring_ + (position & mask_);
        std::memcpy(head, head + kLaneHeadBytes, bytes);
    }
    // What publishing reads, taken before a payload is written, which might alias it.
    struct Known {
        std::byte* ring;
        std::uint64_t mask;
        std::uint64_t tail;
        std::uint64_t room_end;
        std::uint64_t cleared;
    };
    [[nodiscard]] Known known() const noexcept {
        return {ring_, mask_, tail_, room_end_, cleared_};
    }
    void publish(const Known& now, std::uint64_t word, std::uint64_t stride) noexcept;
    [[nodiscard]] Result<void> adopt() noexcept;
    [[nodiscard]] const Atomic<std::uint32_t>* look_at_mark(std::uint32_t mark) noexcept;

    std::byte* ring_;
    std::uint64_t mask_;
    std::uint64_t tail_ = 0;            // where the next record goes; the word there is 0
    std::uint64_t room_end_ = 0;        // the place behind a record may be here at most
    std::uint64_t cleared_ = kNoPlace;  // this place beyond tail_ holds not-ready; known to us only
    std::uint64_t cpu_bits_ = LaneWord::kCpuMask;
    LaneLayout* layout_;
    std::uint32_t woken_mark_ = 0;  // the receiver's mark when we last acted on it
    LaneFence fence_;
    bool closed_ = false;
    std::uint64_t max_record_bytes_;
    std::uint64_t freed_seen_ = 0;  // an old `freed`: too small is safe, it hides room
    std::uint64_t loan_bytes_ = kNoLoan;
};

// Several records that appear together: the first one's ready word is stored last.
//
// Nothing is visible before publish(); a death before it leaves no record at all. Use nothing else
// of the sender meanwhile. When append says full: publish, wait for room, go on.
class LaneBatch {
public:
    explicit LaneBatch(LaneSender& sender) noexcept;
    LaneBatch(const LaneBatch&) = delete;
    LaneBatch& operator=(const LaneBatch&) = delete;
    ~LaneBatch() { discard(); }

    [[nodiscard]] LaneSend try_append(std::span<const std::byte> payload) noexcept;
    // Lends the place of the next record; commit appends the first `bytes` of it.
    [[nodiscard]] LaneSend try_reserve(std::uint64_t bytes, std::span<std::byte>& loan,
                                       std::uint64_t alignment = 16) noexcept;
    void commit(std::uint64_t bytes) noexcept;
    // Appends records of one size that lie side by side; returns how many went in.
    template <std::size_t kBytes>
    [[nodiscard]] std::uint64_t append_all(const void* payloads, std::uint64_t count) noexcept;

    void publish() noexcept;
    void discard() noexcept;

private:
    static constexpr std::uint64_t kPrefetchBytes = 1024;  // 0 to 25 % faster at 64 bytes

    [[nodiscard]] LaneSend make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept;
    void put(std::uint64_t word, std::uint64_t stride) noexcept;

    LaneSender& sender_;
    std::uint64_t end_;             // where the next record of the batch goes
    std::uint64_t first_word_ = 0;  // of the first record: 0 while the batch is empty
    std::uint64_t loan_bytes_ = LaneSender::kNoLoan;
};

// Death before S2: the word at tail_ is 0, so there is no record. After S2: it is sent.
inline void LaneSender::publish(const Known& now, std::uint64_t word,
                                std::uint64_t stride) noexcept {
    const auto [ring, mask, tail, room_end, cleared] = now;
    const std::uint64_t next = tail + stride;
    const bool is_clear = next == cleared;
    STOA_CRASH_POINT("lane.publish.written");
    // relaxed: S2 carries it. Without it an old payload would be read as the next ready word.
    if (!is_clear) lane_head(ring, mask, next)->ready.store(0, kRelaxed);
    STOA_CRASH_POINT("lane.publish.cleared");
    // S2. Weaker would show the record before its payload.
    lane_head(ring, mask, tail)->ready.store(word, kRelease);
    STOA_CRASH_POINT("lane.publish.done");
    tail_ = next;
    // If the next record is as long as this one, then its commit finds the place behind it cleared
    // and need not wait for that line. Only where that is a line which this record did not touch.
    const std::uint64_t ahead = next + stride;
    if ((stride >= kCacheLine || ahead % kCacheLine < stride) && ahead <= room_end) {
        lane_head(ring, mask, ahead)->ready.store(0, kRelaxed);
        cleared_ = ahead;
    }
}

template <std::size_t kBytes>
inline LaneSend LaneSender::try_send(const void* payload) noexcept {
    constexpr std::uint64_t kStride = lane_stride(kBytes);
    if (kBytes > max_record_bytes_) [[unlikely]]
        return LaneSend::too_big;
    if (!fits(tail_, kBytes, kStride, 16)) [[unlikely]] {
        const LaneSend placed = make_place(kBytes, 16);
        if (placed != LaneSend::ok) return placed;
    }
    const Known now = known();
    const std::uint64_t word = LaneWord::make(LaneKind::record, kBytes, cpu_bits_);
    std::memcpy(now.ring + (now.tail & now.mask) + lane_payload_offset(kBytes), payload, kBytes);
    publish(now, word, kStride);
    return LaneSend::ok;
}

inline LaneSend LaneSender::try_send(std::span<const std::byte> payload,
                                     std::uint64_t alignment) noexcept {
    std::span<std::byte> loan;
    const LaneSend reserved = try_reserve(payload.size(), loan, alignment);
    if (reserved != LaneSend::ok) [[unlikely]]
        return reserved;
    if (!payload.empty()) std::memcpy(loan.data(), payload.data(), payload.size());
    commit(payload.size());
    return LaneSend::ok;
}

inline LaneSend LaneSender::try_reserve(std::uint64_t bytes, std::span<std::byte>& loan,
                                        std::uint64_t alignment) noexcept {
    loan_bytes_ = kNoLoan;
    if (bytes > max_record_bytes_) [[unlikely]]
        return LaneSend::too_big;
    const std::uint64_t stride = lane_stride(bytes);
    if (!fits(tail_, bytes, stride, alignment)) [[unlikely]] {
        const LaneSend placed = make_place(bytes, alignment);
        if (placed != LaneSend::ok) return placed;
    }
    // The loan may write over a place that was cleared early, and then be committed shorter.
    if (tail_ + stride != cleared_) cleared_ = kNoPlace;
    loan = {ring_ + (tail_ & mask_) + lane_payload_offset(bytes), bytes};
    loan_bytes_ = bytes;
    return LaneSend::ok;
}

inline void LaneSender::commit(std::uint64_t bytes) noexcept {
    STOA_CHECK(loan_bytes_ != kNoLoan && bytes <= loan_bytes_);
    move_inline(tail_, loan_bytes_, bytes);
    loan_bytes_ = kNoLoan;
    publish(known(), LaneWord::make(LaneKind::record, bytes, cpu_bits_), lane_stride(bytes));
}

// The order "publish, then look at the mark" meets "mark, then look at the ready word": with a
// full barrier between the two steps on both sides, one of the two sees the other.
inline const Atomic<std::uint32_t>* LaneSender::sleeper_to_wake() noexcept {
    if (fence_ == LaneFence::full) full_fence();
    std::atomic_signal_fence(kSeqCst);  // the compiler must not load before S2
    const std::uint32_t mark = layout_->receiver.mark.load(kRelaxed);
    if (mark == woken_mark_) [[likely]]
        return nullptr;
    return look_at_mark(mark);
}

template <std::size_t kBytes>
std::uint64_t LaneBatch::append_all(const void* payloads, std::uint64_t count) noexcept {
    constexpr std::uint64_t kStride = lane_stride(kBytes);
    const std::uint64_t word = LaneWord::make(LaneKind::record, kBytes, sender_.cpu_bits_);
    const std::byte* from = static_cast<const std::byte*>(payloads);
    std::uint64_t done = 0;
    while (done < count) {
        if (make_place(kBytes, 16) != LaneSend::ok) break;
        std::byte* to = sender_.ring_ + (end_ & sender_.mask_);
        // One check of the bounds for all that fit side by side.
        const std::uint64_t to_wrap = (sender_.mask_ + 1 - (end_ & sender_.mask_)) / kStride;
        const std::uint64_t to_full = (sender_.room_end_ - end_) / kStride;
        const std::uint64_t here = std::min({count - done, to_wrap, to_full});
        for (std::uint64_t i = 0; i < here; ++i, to += kStride, from += kBytes) {
            // The lines ahead are the receiver's: ask for several at a time.
            if constexpr (kStride >= kCacheLine) __builtin_prefetch(to + kPrefetchBytes, 1);
            std::memcpy(to + lane_payload_offset(kBytes), from, kBytes);
            if (first_word_ == 0) [[unlikely]] {
                first_word_ = word;
            } else {
                reinterpret_cast<LaneHead*>(to)->ready.store(word, kRelaxed);
            }
        }
        end_ += here * kStride;
        done += here;
    }
    return done;
}

}  // namespace stoa
