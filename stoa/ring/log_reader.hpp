// The reading side of a log: one subscriber (see stoa/ring/log.hpp for the whole).
//
// Start here: LogReader::subscribe; try_take and release in place (reliable), try_copy (both).
// Threads:    a reader serves one thread at a time; the writer may be anywhere.
// Processes:  one reader per cursor; the layer above owns who holds which (LogSeats).
// Death:      at any instruction: nothing to repair. Its cursor holds the writer until a sweeper
//             that has proven the death drops it (LogSeats::drop).
// Blocking:   never; no system calls. Spinning, sleeping and waking belong to the layer above.
// Lifetime:   borrows the mapping, which must outlive it; a loan is valid until its release.
// Units:      bytes; positions count ring bytes, sequences count records; neither wraps.
// Source:     as log_writer.hpp.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/base/error.hpp"
#include "stoa/ring/lane_sender.hpp"
#include "stoa/ring/log_layout.hpp"

namespace stoa {

// Where a subscriber begins. `oldest_kept`: at the floor. The writer keeps at least the records of
// the last 15/16 of the ring less the largest one; in a log that bounds what waits, at most
// max_waiting of them and at least 7/8 of that.
enum class LogStart : std::uint8_t { now, oldest_kept };

// Hot path, one byte. `too_small`: the message has more bytes than the buffer and stays first.
// `corrupt`: the writer broke the format; the log is lost. `empty` may also come after many pads.
enum class LogTake : std::uint8_t { ok, empty, too_small, too_many_loans, corrupt };

struct LogRecord {  // a loan
    std::span<const std::byte> payload;
    std::uint64_t sequence = 0;
    std::uint32_t loan = 0;  // for release()
};

struct LogCopy {
    std::uint64_t bytes = 0;
    std::uint64_t sequence = 0;
    std::uint64_t missed = 0;
};

class alignas(kCacheLine) LogReader {
public:
    static constexpr std::uint32_t kMaxLoans = 64;

    // Joins at cursor `index`, which the caller holds (LogSeats::claim) and nobody uses.
    // Errors: bad_layout, wrong_version, bad_argument (no such cursor), corrupt
    [[nodiscard]] static Result<LogReader> subscribe(std::span<std::byte> memory,
                                                     std::uint32_t index, LogMode mode,
                                                     LogStart start,
                                                     LaneFence fence = LaneFence::full) noexcept;
    // Takes the cursor on which it was enrolled (LogSeats::enroll), from the first record on.
    // Errors: as subscribe; bad_argument: nobody is subscribed there
    [[nodiscard]] static Result<LogReader> resume(std::span<std::byte> memory, std::uint32_t index,
                                                  LaneFence fence = LaneFence::full) noexcept;

    LogReader(LogReader&&) noexcept = default;
    LogReader& operator=(LogReader&&) noexcept = default;

    // --- receiving --------------------------------------------------------------------------
    // reliable: lends the next message in place; it is not overwritten until it is released.
    [[nodiscard]] LogTake try_take(LogRecord& record) noexcept;
    // In any order; space returns up to the oldest loan.
    void release(const LogRecord& record) noexcept;
    [[nodiscard]] std::uint32_t loans() const noexcept {
        return static_cast<std::uint32_t>(std::popcount(held_));
    }
    // Copies the next message. latest: holds nobody back; what was overwritten meanwhile is copied
    // no further and counts as missed.
    [[nodiscard]] LogTake try_copy(std::span<std::byte> to, LogCopy& copy) noexcept;
    // The same with a buffer of kBytes, quick for messages that have just so many.
    template <std::size_t kBytes>
    [[nodiscard]] LogTake try_copy(void* to, LogCopy& copy) noexcept;

    // Leaves: from now on it holds nobody back and its loans are void. The layer above wakes the
    // writer (sleeper_to_wake), then gives the seat up.
    void unsubscribe() noexcept;

    // --- for the layer that waits -----------------------------------------------------------
    // Whether a call is worth a try: a record or a pad is there, or it was left behind.
    [[nodiscard]] bool ready() const noexcept;
    // Gives back all space that it can now. An empty try_take does so too.
    void free_now() noexcept;
    // After each call that may take or give space back: the word on which the writer sleeps, to be
    // woken, or nullptr. Says it once per sleep.
    [[nodiscard]] const Atomic<std::uint32_t>* sleeper_to_wake() noexcept;
    // Pauses to make before the next look, once, after a long streak of records that ended.
    [[nodiscard]] std::uint32_t back_off_pauses() noexcept;
    [[nodiscard]] std::uint64_t last_bytes() const noexcept { return LaneWord::bytes(last_word_); }
    // Where the writer of the last record ran; kLaneUnknownCpu if unknown.
    [[nodiscard]] std::uint32_t writer_cpu() const noexcept { return LaneWord::cpu(last_word_); }

    [[nodiscard]] LogMode mode() const noexcept { return mode_; }
    [[nodiscard]] std::uint64_t max_record_bytes() const noexcept { return max_record_bytes_; }
    // Bytes that lie behind it since the log was made, heads and pads included.
    [[nodiscard]] std::uint64_t position() const noexcept { return head_; }
    // Of the next message, as far as this side knows; and how many it skipped since it joined.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return next_; }
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

private:
    static constexpr std::uint64_t kLongStreak = 16;  // records
    static constexpr std::uint32_t kBackOffPauses = 150;
    static constexpr int kTurnsPerCall = 64;  // bounds what a hostile writer can make us do

    LogReader(LogLayout* layout, const LogGeometry& geometry, std::uint32_t index, LogMode mode,
              LaneFence fence) noexcept;

    [[nodiscard]] LogHead* head_at(std::uint64_t position) const noexcept {
        return log_head(ring_, mask_, position);
    }
    [[nodiscard]] std::uint64_t stride_of(std::uint64_t word,
                                          std::uint64_t position) const noexcept {
        return log_stride_of(word, position & mask_, mask_ + 1, max_record_bytes_);
    }
    [[nodiscard]] std::uint64_t floor() const noexcept {
        return layout_->writer.floor.load(kAcquire);  // R4
    }
    [[nodiscard]] bool find_start(LogStart start) noexcept;
    [[nodiscard]] Result<void> join(LogStart start) noexcept;
    // What stands at head_; ok: a record that last_word_ and last_stride_ describe.
    [[nodiscard]] LogTake look() noexcept;
    [[nodiscard]] LogTake settle(std::uint64_t word) noexcept;
    [[nodiscard]] LogTake look_at_latest(std::uint64_t& word) noexcept;
    [[nodiscard]] bool is_sound(bool was_copied) noexcept;
    void count_missed(std::uint64_t sequence) noexcept;
    void delivered(std::uint64_t head, std::uint64_t stride) noexcept;
    [[nodiscard]] std::uint64_t oldest_in_use() const noexcept;
    void free_in_strides() noexcept;
    [[nodiscard]] const Atomic<std::uint32_t>* look_at_mark(std::uint32_t mark) noexcept;

    std::byte* ring_;
    std::uint64_t mask_;
    std::uint64_t head_ = 0;     // position of the next record
    std::uint64_t next_ = 0;     // its sequence
    std::uint64_t freed_ = 0;    // the position that we last stored in hold
    std::uint64_t free_at_ = 0;  // position from which on space is given back
    std::uint64_t free_stride_;
    LogCursor* cursor_;
    LogLayout* layout_;
    std::uint64_t last_word_ = LaneWord::make(LaneKind::record, 0);
    std::uint64_t last_stride_ = log_stride(0);
    std::uint64_t held_ = 0;         // one bit per place in held_from_
    std::uint64_t streak_from_ = 0;  // where the reader last found nothing
    std::uint64_t missed_ = 0;
    std::uint64_t missed_now_ = 0;  // to be told with the next message
    std::uint64_t max_record_bytes_;
    std::uint32_t woken_mark_ = 0;     // the sleep of the writer that we ended
    std::uint64_t told_ = UINT64_MAX;  // what we had freed when we rang last
    std::uint64_t joined_ = 0;         // our subscription: the cursor's state until it ends
    LogMode mode_;
    LaneFence fence_;
    bool is_left_ = false;
    std::array<std::uint64_t, kMaxLoans> held_from_{};  // positions of the loans
};

// The order "take or free, then look at the mark" meets "mark, then look at the cursors": with a
// full barrier between the two steps on both sides, one of the two sees the other.
inline const Atomic<std::uint32_t>* LogReader::sleeper_to_wake() noexcept {
    if (fence_ == LaneFence::full) full_fence();
    std::atomic_signal_fence(kSeqCst);  // the compiler must not load before R2, R3
    const std::uint32_t mark = layout_->writer.mark.load(kRelaxed);
    if (!LaneMark::asleep(mark) || mark == woken_mark_) [[likely]]
        return nullptr;
    return look_at_mark(mark);
}

inline void LogReader::free_in_strides() noexcept {
    if (head_ >= free_at_) [[unlikely]]
        free_now();
}

// The message at head_ is ours. Death before R2: it was not delivered, and the sweep drops all.
inline void LogReader::delivered(std::uint64_t head, std::uint64_t stride) noexcept {
    head_ = head + stride;
    const std::uint64_t next = next_ + 1;
    next_ = next;
    STOA_CRASH_POINT("log.take.copied");
    cursor_->taken.store(next, kRelease);  // R2
    STOA_CRASH_POINT("log.take.taken");
}

inline LogTake LogReader::look() noexcept {
    // R1. Weaker would read the payload of a record before it was written.
    const std::uint64_t word = head_at(head_)->ready.load(kAcquire);
    // A branch that guesses another record like the last one: what follows, the address of the next
    // ready word above all, then does not wait for this load.
    if (word != last_word_ || (head_ & mask_) + last_stride_ > mask_ + 1) [[unlikely]]
        return settle(word);
    return LogTake::ok;
}

inline LogTake LogReader::try_take(LogRecord& record) noexcept {
    STOA_CHECK(mode_ == LogMode::reliable);
    const std::uint64_t held = held_;
    if (held == UINT64_MAX) [[unlikely]]
        return LogTake::too_many_loans;
    const LogTake looked = look();
    if (looked != LogTake::ok) [[unlikely]]
        return looked;
    const std::uint64_t head = head_;
    const std::uint64_t bytes = LaneWord::bytes(last_word_);
    const auto loan = static_cast<std::uint32_t>(std::countr_one(held));
    held_ = held | std::uint64_t{1} << loan;
    held_from_[loan] = head;
    record = {{ring_ + (head & mask_) + kLogHeadBytes, bytes}, next_, loan};
    delivered(head, last_stride_);
    return LogTake::ok;
}

inline void LogReader::release(const LogRecord& record) noexcept {
    STOA_CHECK(record.loan < kMaxLoans && (held_ >> record.loan & 1U) != 0);
    held_ &= ~(std::uint64_t{1} << record.loan);
    free_in_strides();
}

template <std::size_t kBytes>
inline LogTake LogReader::try_copy(void* to, LogCopy& copy) noexcept {
    std::byte* const out = static_cast<std::byte*>(to);
    if (mode_ == LogMode::reliable) [[likely]] {
        const LogTake looked = look();
        if (looked != LogTake::ok) [[unlikely]]
            return looked;
        if (LaneWord::bytes(last_word_) == kBytes) [[likely]] {
            const std::uint64_t head = head_;
            std::memcpy(out, ring_ + (head & mask_) + kLogHeadBytes, kBytes);
            copy = {kBytes, next_, 0};
            delivered(head, log_stride(kBytes));
            free_in_strides();
            return LogTake::ok;
        }
    } else if (mode_ == LogMode::latest && head_at(head_)->ready.load(kAcquire) == last_word_ &&
               LaneWord::bytes(last_word_) == kBytes &&
               (head_ & mask_) + log_stride(kBytes) <= mask_ + 1) [[likely]] {
        const std::uint64_t head = head_;
        const std::uint64_t sequence = head_at(head)->sequence.load(kRelaxed);
        log_copy_out(out, ring_ + (head & mask_) + kLogHeadBytes, kBytes);
        log_load_fence();
        if (floor() <= head && sequence == next_) [[likely]] {
            copy = {kBytes, sequence, std::exchange(missed_now_, 0)};
            delivered(head, log_stride(kBytes));
            return LogTake::ok;
        }
    }
    return try_copy(std::span<std::byte>{out, kBytes}, copy);
}

}  // namespace stoa
