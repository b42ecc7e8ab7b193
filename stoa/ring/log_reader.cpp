#include "stoa/ring/log_reader.hpp"

#include "stoa/ring/log_checks.hpp"

namespace stoa {

LogReader::LogReader(LogLayout* layout, const LogGeometry& geometry, std::uint32_t index,
                     LogMode mode, LaneFence fence) noexcept
    : ring_{reinterpret_cast<std::byte*>(layout) + sizeof(LogLayout)},
      mask_{geometry.ring_bytes - 1},
      free_stride_{geometry.ring().free_stride()},
      cursor_{&layout->cursors[index]},
      layout_{layout},
      max_record_bytes_{geometry.max_record_bytes},
      mode_{mode},
      fence_{fence} {}

// --- joining ----------------------------------------------------------------------------------

Result<LogReader> LogReader::subscribe(std::span<std::byte> memory, std::uint32_t index,
                                       LogMode mode, LogStart start, LaneFence fence) noexcept {
    const Result<LogChecked> checked = check_log(memory, "log.subscribe");
    if (!checked) return std::unexpected(checked.error());
    if (index >= checked->geometry.subscribers || mode == LogMode::idle) {
        return fail(Errc::bad_argument, "log.subscribe");
    }
    LogReader reader{checked->layout, checked->geometry, index, mode, fence};
    if (const Result<void> joined = reader.join(start); !joined) {
        return std::unexpected(joined.error());
    }
    return reader;
}

Result<LogReader> LogReader::resume(std::span<std::byte> memory, std::uint32_t index,
                                    LaneFence fence) noexcept {
    const Result<LogChecked> checked = check_log(memory, "log.resume");
    if (!checked) return std::unexpected(checked.error());
    if (index >= checked->geometry.subscribers) return fail(Errc::bad_argument, "log.resume");
    const std::uint64_t state = checked->layout->cursors[index].state.load(kSeqCst);
    const LogMode mode = LogState::mode(state);
    if (mode == LogMode::idle) return fail(Errc::bad_argument, "log.resume");
    LogReader reader{checked->layout, checked->geometry, index, mode, fence};
    reader.joined_ = state;
    return reader;
}

// One look for a place to begin: head_ and next_. False: the writer went past it meanwhile.
bool LogReader::find_start(LogStart start) noexcept {
    const LogWriterPage& writer = layout_->writer;
    head_ = (start == LogStart::now ? writer.recent : writer.floor).load(kAcquire);
    if (head_ % kLogHeadBytes != 0 || head_ > kLogLastPosition) return false;
    for (std::uint64_t walked = 0; walked <= mask_;) {
        next_ = head_at(head_)->sequence.load(kRelaxed);
        const std::uint64_t word = head_at(head_)->ready.load(kAcquire);  // R1
        log_load_fence();
        if (floor() > head_) return false;
        if (start == LogStart::oldest_kept || word == 0) return true;
        const std::uint64_t stride = stride_of(word, head_);
        if (stride == 0) return false;
        head_ += stride;
        walked += stride;
    }
    return false;
}

// Each turn that fails saw the floor move, so the writer got on meanwhile.
Result<void> LogReader::join(LogStart start) noexcept {
    const std::uint64_t before = cursor_->state.load(kSeqCst);
    const std::uint64_t joined = LogState::make(mode_, LogState::generation(before) + 1);
    cursor_->missed.store(0, kRelaxed);
    for (int turn = 0; turn < 1'000'000; ++turn) {
        if (!find_start(start)) continue;
        cursor_->hold.store(head_, kRelaxed);
        cursor_->taken.store(next_, kRelaxed);
        STOA_CRASH_POINT("log.join.before");
        cursor_->state.store(joined, kSeqCst);  // J1
        joined_ = joined;
        STOA_CRASH_POINT("log.join.pinned");
        if (layout_->writer.floor.load(kSeqCst) <= head_) {  // J2
            freed_ = head_;
            free_at_ = head_ + free_stride_;
            streak_from_ = head_;
            return {};
        }
        cursor_->state.store(LogState::ended(joined), kSeqCst);
    }
    return fail(Errc::corrupt, "log.subscribe");
}

// Our subscription and no other: it may have been dropped, and the cursor be somebody else's.
void LogReader::unsubscribe() noexcept {
    is_left_ = true;
    held_ = 0;
    std::uint64_t mine = joined_;
    STOA_CRASH_POINT("log.leave.before");
    cursor_->state.compare_exchange_strong(mine, LogState::ended(joined_), kSeqCst);
    STOA_CRASH_POINT("log.leave.done");
}

// --- reliable ---------------------------------------------------------------------------------

// What stands at head_, if it is not what the caller guessed: skips pads, explains the rest.
LogTake LogReader::settle(std::uint64_t word) noexcept {
    for (int turn = 0; turn < kTurnsPerCall && word != 0; ++turn) {
        const std::uint64_t stride = stride_of(word, head_);
        if (stride == 0) return LogTake::corrupt;
        if (LaneWord::kind(word) == LaneKind::record) {
            last_word_ = word;
            last_stride_ = stride;
            return LogTake::ok;
        }
        head_ += stride;
        word = head_at(head_)->ready.load(kAcquire);  // R1
    }
    free_now();  // the caller may wait now, and the writer wait for this room
    return LogTake::empty;
}

void LogReader::count_missed(std::uint64_t sequence) noexcept {
    missed_ += sequence - next_;
    missed_now_ += sequence - next_;
    next_ = sequence;
    cursor_->missed.store(missed_, kRelaxed);
}

// The position up to which nothing is lent.
std::uint64_t LogReader::oldest_in_use() const noexcept {
    std::uint64_t oldest = head_;
    for (std::uint64_t held = held_; held != 0; held &= held - 1) {
        oldest = std::min(oldest, held_from_[static_cast<std::size_t>(std::countr_zero(held))]);
    }
    return oldest;
}

void LogReader::free_now() noexcept {
    if (mode_ != LogMode::reliable || is_left_) return;
    const std::uint64_t oldest = oldest_in_use();
    free_at_ = oldest + free_stride_;
    if (oldest == freed_) return;
    freed_ = oldest;
    STOA_CRASH_POINT("log.free.before");
    // R3. Weaker would let the writer overwrite what we still read.
    cursor_->hold.store(oldest, kRelease);
    STOA_CRASH_POINT("log.free.done");
}

// --- latest -----------------------------------------------------------------------------------

// Whether what was read at head_ was not overwritten meanwhile. If it was: goes on at the oldest
// record that is kept, or, when even a copy could not keep up, at a recent one.
bool LogReader::is_sound(bool was_copied) noexcept {
    log_load_fence();
    const std::uint64_t kept = floor();  // R4
    if (kept <= head_) return true;
    const std::uint64_t to = was_copied ? layout_->writer.recent.load(kAcquire) : kept;
    head_ = std::max(kept, to) & ~(kLogHeadBytes - 1);
    return false;
}

LogTake LogReader::look_at_latest(std::uint64_t& word) noexcept {
    for (int turn = 0; turn < kTurnsPerCall; ++turn) {
        word = head_at(head_)->ready.load(kAcquire);  // R1
        if (!is_sound(false)) continue;
        if (word == 0) return LogTake::empty;
        const std::uint64_t stride = stride_of(word, head_);
        if (stride == 0) return LogTake::corrupt;
        last_stride_ = stride;
        if (LaneWord::kind(word) == LaneKind::record) return LogTake::ok;
        head_ += stride;
    }
    return LogTake::empty;
}

LogTake LogReader::try_copy(std::span<std::byte> to, LogCopy& copy) noexcept {
    if (mode_ == LogMode::reliable) {
        LogRecord record;
        const LogTake looked = held_ == UINT64_MAX ? LogTake::too_many_loans : look();
        if (looked != LogTake::ok) return looked;
        if (LaneWord::bytes(last_word_) > to.size()) {
            copy.bytes = LaneWord::bytes(last_word_);
            free_now();
            return LogTake::too_small;
        }
        if (const LogTake taken = try_take(record); taken != LogTake::ok) return taken;
        copy = {record.payload.size(), record.sequence, 0};
        if (!record.payload.empty()) {
            std::memcpy(to.data(), record.payload.data(), record.payload.size());
        }
        release(record);
        return LogTake::ok;
    }
    for (int turn = 0; turn < kTurnsPerCall; ++turn) {
        std::uint64_t word = 0;
        const LogTake looked = look_at_latest(word);
        if (looked != LogTake::ok) return looked;
        const std::uint64_t bytes = LaneWord::bytes(word);
        const std::uint64_t sequence = head_at(head_)->sequence.load(kRelaxed);
        const bool fits = bytes <= to.size();
        if (fits) log_copy_out(to.data(), ring_ + (head_ & mask_) + kLogHeadBytes, bytes);
        STOA_CRASH_POINT("log.copy.copied");
        if (!is_sound(fits)) continue;
        if (!fits) {
            copy.bytes = bytes;
            return LogTake::too_small;
        }
        if (sequence != next_) count_missed(sequence);
        last_word_ = word;
        copy = {bytes, sequence, std::exchange(missed_now_, 0)};
        delivered(head_, last_stride_);
        return LogTake::ok;
    }
    return LogTake::empty;
}

// --- for the layer that waits -----------------------------------------------------------------

bool LogReader::ready() const noexcept {
    if (head_at(head_)->ready.load(kAcquire) != 0) return true;
    return mode_ == LogMode::latest && floor() > head_;
}

// A writer that lacks a place is rung at each delivery, one that lacks room when room came back:
// in strides, or it would wake for each record.
const Atomic<std::uint32_t>* LogReader::look_at_mark(std::uint32_t mark) noexcept {
    if ((mark & LaneMark::kForPlace) == 0 && told_ == freed_ && !is_left_) return nullptr;
    told_ = freed_;
    woken_mark_ = mark;
    layout_->bell.rung.fetch_add(1, kSeqCst);
    return &layout_->bell.rung;
}

std::uint32_t LogReader::back_off_pauses() noexcept {
    const bool was_long = head_ - streak_from_ >= kLongStreak * last_stride_;
    streak_from_ = head_;
    return was_long ? kBackOffPauses : 0;
}

}  // namespace stoa
