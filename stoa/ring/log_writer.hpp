// The writing side of a log (see stoa/ring/log.hpp for the whole).
//
// Start here: LogWriter::try_send; try_reserve and commit to fill a record in place; LogBatch.
// Threads:    a writer serves one thread at a time; subscribers may be anywhere.
// Processes:  one writer at a time per log; who attaches must know that the last one is gone.
// Death:      at any instruction: the record was published, whole, or it does not exist. Nothing
//             to repair; the heir attaches and goes on behind the last published record.
// Blocking:   never; no system calls. Spinning, sleeping and waking belong to the layer above.
// Lifetime:   borrows the mapping, which must outlive it; loans live until commit or abandon.
// Units:      bytes; positions count ring bytes, sequences count records; neither wraps.
// Source:     the gating sequences of the LMAX Disruptor (Thompson et al. 2011), asked in strides;
//             readers that validate: the seqlock of Boehm, MSPC 2012.
#pragma once

#include <array>
#include <cstring>
#include <span>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/base/error.hpp"
#include "stoa/ring/lane_sender.hpp"
#include "stoa/ring/log_layout.hpp"

namespace stoa {

// Hot path, one byte. `full`: the slowest reliable subscriber holds the writer; wait until
// has_room(). `corrupt`: a subscriber broke the format; the log is lost.
enum class LogSend : std::uint8_t { ok, full, too_big, corrupt };

// Synchronisation points of a log; every acquire names its release:
//   W1 seq_cst floor          :  before anything below it is overwritten
//   W2 seq_cst state, seat    <- J1  who holds us back, asked after W1
//   W3 acquire hold, taken    <- J1, R2, R3   the subscriber is done with what we overwrite
//   W4 release ready          :  the record, and not-ready in the place behind it
//   W5 acquire floor, ready   <- W1, W4 of a dead predecessor, in attach
//   J1 seq_cst state          :  hold and taken, which were stored before it
//   J2 seq_cst floor          <- W1  asked after J1
//   R1 acquire ready          <- W4
//   R2 release taken          :  payloads before it were read by a copying receive
//   R3 release hold           :  all reads of what is given back
//   R4 acquire floor          <- W1  after the words of a copy were read
//
// A subscriber joins while the writer runs ahead (store mine, then load yours, on both sides):
//   writer  W1 floor = f     W2 look at the cursor     then writes as far as f + ring_bytes
//   joiner  J1 cursor = p    J2 look at the floor      stays if floor <= p
//           W2 sees p      W2 does not see p
//   J2 < f  p holds it     cannot be: one of two seq_cst loads behind stores sees the other's
//   J2 = f  p holds it     f > p: the joiner tries again behind f; else p is above all that goes
class alignas(kCacheLine) LogWriter {
public:
    // Takes the writing side, fresh or from a dead predecessor, whose records stay.
    // Errors: bad_layout, wrong_version, corrupt (the walk over its records leaves the rules)
    [[nodiscard]] static Result<LogWriter> attach(std::span<std::byte> memory,
                                                  LaneFence fence = LaneFence::full) noexcept;

    LogWriter(LogWriter&&) noexcept = default;
    LogWriter& operator=(LogWriter&&) noexcept = default;

    // --- sending ---------------------------------------------------------------------------
    // Copies one record in; it is published when this returns ok. Wait-free.
    template <std::size_t kBytes>
    [[nodiscard]] LogSend try_send(const void* payload) noexcept;
    [[nodiscard]] LogSend try_send(std::span<const std::byte> payload,
                                   std::uint64_t alignment = 16) noexcept;

    // Lends `bytes` of the ring to be filled; a later try_reserve replaces the loan. `alignment`
    // 16, 32 or 64. A `latest` subscriber that is a whole ring behind may look at the loan while
    // it is filled, and forgets what it saw: who wants that free of races in the sense of the
    // language fills it with log_copy_in.
    [[nodiscard]] LogSend try_reserve(std::uint64_t bytes, std::span<std::byte>& loan,
                                      std::uint64_t alignment = 16) noexcept;
    // Publishes the first `bytes` of the loan.
    void commit(std::uint64_t bytes) noexcept;
    void abandon() noexcept { loan_bytes_ = kNoLoan; }

    // --- for the layer that waits -----------------------------------------------------------
    // Whether a try_reserve or try_send of that size is worth another try. Asks all cursors again.
    [[nodiscard]] bool has_room(std::uint64_t bytes, std::uint64_t alignment = 16) noexcept;
    // To sleep until there is room: has_room(), mark_asleep(), a barrier for all (see LaneFence),
    // has_room() and still_lacks() again, sleep on what mark_asleep said, mark_awake().
    [[nodiscard]] LaneSleep mark_asleep() noexcept;
    void mark_awake() noexcept;
    // Whether what is missing is what the mark says; if not, mark again.
    [[nodiscard]] bool still_lacks() const noexcept;
    // Where this side runs: travels with the records as a hint.
    void set_cpu(std::uint32_t cpu) noexcept { cpu_bits_ = LaneWord::cpu_bits(cpu); }
    // Between a publish and the look at a bell: see LaneFence.
    void fence_before_bell() const noexcept {
        if (fence_ == LaneFence::full) full_fence();
        std::atomic_signal_fence(kSeqCst);  // the compiler must not load the bell before W4
    }

    [[nodiscard]] std::uint64_t max_record_bytes() const noexcept { return max_record_bytes_; }
    // Bytes sent since the log was made, heads and pads included; and records.
    [[nodiscard]] std::uint64_t position() const noexcept { return tail_; }
    [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

private:
    friend class LogBatch;
    static constexpr std::uint64_t kNoLoan = UINT64_MAX;
    static constexpr std::uint32_t kMaxMarks = 64;
    static constexpr std::uint64_t kStrides = 16;  // of the ring, between two looks at the cursors
    static constexpr std::uint64_t kMessageStrides = 8;  // of max_waiting

    struct Mark {  // where a record begins, and which
        std::uint64_t position = 0;
        std::uint64_t sequence = 0;
    };
    struct Want {  // what is to be placed
        std::uint64_t end = 0;
        std::uint64_t sequence = 0;
        bool is_message = true;
    };
    struct Slowest {
        std::uint64_t hold = UINT64_MAX;
        std::uint64_t taken = UINT64_MAX;
        bool is_corrupt = false;
    };
    struct Seen {  // one reliable cursor
        std::uint64_t hold;
        std::uint64_t taken;
    };

    LogWriter(LogLayout* layout, const LogGeometry& geometry, LaneFence fence) noexcept;
    [[nodiscard]] Result<void> adopt() noexcept;

    [[nodiscard]] LogHead* head_at(std::uint64_t position) const noexcept {
        return log_head(ring_, mask_, position);
    }
    [[nodiscard]] bool fits(std::uint64_t bytes, std::uint64_t stride,
                            std::uint64_t alignment) const noexcept {
        return log_pad(tail_ & mask_, bytes, alignment, mask_ + 1) == 0 &&
               tail_ + stride <= room_end_ && sequence_ < granted_;
    }
    [[nodiscard]] Want next_want(std::uint64_t bytes, std::uint64_t alignment) const noexcept;
    // When it does not fit: publishes pads, looks for room.
    [[nodiscard]] LogSend make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept;
    [[nodiscard]] LogSend look_for_room(const Want& want) noexcept;
    void move_floor(const Want& want) noexcept;
    void note_mark() noexcept;
    [[nodiscard]] bool look_at(std::uint32_t index, Seen& seen) const noexcept;
    [[nodiscard]] Slowest slowest() const noexcept;
    void publish_pad(std::uint64_t stride) noexcept;
    void publish(std::uint64_t word, std::uint64_t stride) noexcept;

    [[nodiscard]] Mark& mark_at(std::uint32_t nth) noexcept {
        return marks_[(first_mark_ + nth) % kMaxMarks];
    }

    std::byte* ring_;
    std::uint64_t mask_;
    std::uint64_t tail_ = 0;      // where the next record goes; the word there is 0
    std::uint64_t sequence_ = 0;  // of the next record
    std::uint64_t room_end_ = 0;  // the place behind a record may be here at most
    std::uint64_t granted_ = 0;   // sequences below may go without a look at the cursors
    std::uint64_t cpu_bits_ = LaneWord::kCpuMask;
    std::uint64_t max_record_bytes_;
    std::uint64_t loan_bytes_ = kNoLoan;
    LogLayout* layout_;
    std::uint64_t max_waiting_;
    std::uint64_t stride_messages_;  // granted at a time
    std::uint64_t mark_messages_;    // between two marks
    std::uint32_t subscribers_;
    LaneFence fence_;
    bool lacks_place_ = false;  // when we looked last, the bound alone was in the way
    Mark floor_;                // what we stored in the layout
    std::uint32_t first_mark_ = 0;
    std::uint32_t mark_count_ = 0;
    std::array<Mark, kMaxMarks> marks_{};  // from the floor on: candidates for the next floor
};

// Several records that appear together: the first one's ready word is stored last.
//
// Nothing is visible before publish(); a death before it leaves no record at all. Use nothing else
// of the writer meanwhile. When append says full: publish, wait for room, go on.
class LogBatch {
public:
    explicit LogBatch(LogWriter& writer) noexcept;
    LogBatch(const LogBatch&) = delete;
    LogBatch& operator=(const LogBatch&) = delete;
    ~LogBatch() { discard(); }

    [[nodiscard]] LogSend try_append(std::span<const std::byte> payload,
                                     std::uint64_t alignment = 16) noexcept;
    // Appends records of one size that lie side by side; returns how many went in.
    template <std::size_t kBytes>
    [[nodiscard]] std::uint64_t append_all(const void* payloads, std::uint64_t count) noexcept;
    void publish() noexcept;
    void discard() noexcept;

private:
    static constexpr std::uint64_t kPrefetchBytes = 1024;

    [[nodiscard]] LogSend make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept;
    void put(std::uint64_t word, std::uint64_t stride) noexcept;

    LogWriter& writer_;
    std::uint64_t end_;             // where the next record of the batch goes
    std::uint64_t sequence_;        // of that one
    std::uint64_t first_word_ = 0;  // of the first record: 0 while the batch is empty
};

// Death before W4: the word at tail_ is 0, so there is no record. After W4: it is sent.
inline void LogWriter::publish(std::uint64_t word, std::uint64_t stride) noexcept {
    const std::uint64_t tail = tail_;
    const std::uint64_t sequence = sequence_;
    const std::uint64_t next = tail + stride;
    STOA_CRASH_POINT("log.publish.written");
    // relaxed: W4 carries them. Without the 0 an old payload would be read as a ready word.
    head_at(next)->sequence.store(sequence + 1, kRelaxed);
    head_at(next)->ready.store(0, kRelaxed);
    STOA_CRASH_POINT("log.publish.cleared");
    // W4. Weaker would show the record before its payload.
    head_at(tail)->ready.store(word, kRelease);
    STOA_CRASH_POINT("log.publish.done");
    tail_ = next;
    sequence_ = sequence + 1;
    // If the next record is as long as this one, then its commit finds the line of the place behind
    // it here and need not wait for it. Only where that is a line which this record did not touch.
    const std::uint64_t ahead = next + stride;
    if ((stride >= kCacheLine || ahead % kCacheLine < stride) && ahead <= room_end_) {
        head_at(ahead)->ready.store(0, kRelaxed);
    }
}

template <std::size_t kBytes>
inline LogSend LogWriter::try_send(const void* payload) noexcept {
    constexpr std::uint64_t kStride = log_stride(kBytes);
    if (kBytes > max_record_bytes_) [[unlikely]]
        return LogSend::too_big;
    if (!fits(kBytes, kStride, 16)) [[unlikely]] {
        const LogSend placed = make_place(kBytes, 16);
        if (placed != LogSend::ok) return placed;
    }
    log_copy_in(ring_ + (tail_ & mask_) + kLogHeadBytes, static_cast<const std::byte*>(payload),
                kBytes);
    publish(LaneWord::make(LaneKind::record, kBytes, cpu_bits_), kStride);
    return LogSend::ok;
}

inline LogSend LogWriter::try_send(std::span<const std::byte> payload,
                                   std::uint64_t alignment) noexcept {
    std::span<std::byte> loan;
    const LogSend reserved = try_reserve(payload.size(), loan, alignment);
    if (reserved != LogSend::ok) [[unlikely]]
        return reserved;
    log_copy_in(loan.data(), payload.data(), payload.size());
    commit(payload.size());
    return LogSend::ok;
}

inline LogSend LogWriter::try_reserve(std::uint64_t bytes, std::span<std::byte>& loan,
                                      std::uint64_t alignment) noexcept {
    loan_bytes_ = kNoLoan;
    if (bytes > max_record_bytes_) [[unlikely]]
        return LogSend::too_big;
    const std::uint64_t stride = log_stride(bytes);
    if (!fits(bytes, stride, alignment)) [[unlikely]] {
        const LogSend placed = make_place(bytes, alignment);
        if (placed != LogSend::ok) return placed;
    }
    loan = {ring_ + (tail_ & mask_) + kLogHeadBytes, bytes};
    loan_bytes_ = bytes;
    return LogSend::ok;
}

inline void LogWriter::commit(std::uint64_t bytes) noexcept {
    STOA_CHECK(loan_bytes_ != kNoLoan && bytes <= loan_bytes_);
    loan_bytes_ = kNoLoan;
    publish(LaneWord::make(LaneKind::record, bytes, cpu_bits_), log_stride(bytes));
}

template <std::size_t kBytes>
std::uint64_t LogBatch::append_all(const void* payloads, std::uint64_t count) noexcept {
    constexpr std::uint64_t kStride = log_stride(kBytes);
    const std::uint64_t word = LaneWord::make(LaneKind::record, kBytes, writer_.cpu_bits_);
    const std::byte* from = static_cast<const std::byte*>(payloads);
    std::uint64_t done = 0;
    while (done < count) {
        if (make_place(kBytes, 16) != LogSend::ok) break;
        std::byte* to = writer_.ring_ + (end_ & writer_.mask_);
        // One check of the bounds for all that fit side by side.
        const std::uint64_t to_wrap = (writer_.mask_ + 1 - (end_ & writer_.mask_)) / kStride;
        const std::uint64_t to_full = (writer_.room_end_ - end_) / kStride;
        const std::uint64_t here =
            std::min({count - done, to_wrap, to_full, writer_.granted_ - sequence_});
        for (std::uint64_t i = 0; i < here; ++i, to += kStride, from += kBytes) {
            // The lines ahead are the subscribers': ask for several at a time.
            if constexpr (kStride >= kCacheLine) __builtin_prefetch(to + kPrefetchBytes, 1);
            LogHead* const head = log_head(to, UINT64_MAX, 0);
            log_copy_in(to + kLogHeadBytes, from, kBytes);
            head->sequence.store(sequence_ + i, kRelaxed);
            if (first_word_ == 0) [[unlikely]] {
                first_word_ = word;
            } else {
                head->ready.store(word, kRelaxed);
            }
        }
        sequence_ += here;
        end_ += here * kStride;
        done += here;
    }
    return done;
}

}  // namespace stoa
