#include "stoa/ring/log_writer.hpp"

#include "stoa/ring/log_checks.hpp"

namespace stoa {

LogWriter::LogWriter(LogLayout* layout, const LogGeometry& geometry, LaneFence fence) noexcept
    : ring_{reinterpret_cast<std::byte*>(layout) + sizeof(LogLayout)},
      mask_{geometry.ring_bytes - 1},
      max_record_bytes_{geometry.max_record_bytes},
      layout_{layout},
      max_waiting_{geometry.max_waiting},
      stride_messages_{std::max<std::uint64_t>(max_waiting_ / kMessageStrides, 1)},
      mark_messages_{max_waiting_ == 0
                         ? UINT64_MAX
                         : std::max<std::uint64_t>(max_waiting_ / kMessageStrides, 1)},
      subscribers_{geometry.subscribers},
      fence_{fence} {}

Result<LogWriter> LogWriter::attach(std::span<std::byte> memory, LaneFence fence) noexcept {
    const Result<LogChecked> checked = check_log(memory, "log.attach_writer");
    if (!checked) return std::unexpected(checked.error());
    LogWriter writer{checked->layout, checked->geometry, fence};
    if (const Result<void> adopted = writer.adopt(); !adopted) {
        return std::unexpected(adopted.error());
    }
    return writer;
}

// Walks from the floor to the first place that is not ready. Behind it nothing is known: the dead
// one may have written payload, words of a batch, or early clears there.
Result<void> LogWriter::adopt() noexcept {
    const std::uint64_t ring_bytes = mask_ + 1;
    tail_ = layout_->writer.floor.load(kAcquire);  // W5
    if (tail_ % kLogHeadBytes != 0 || tail_ > kLogLastPosition) {
        return fail(Errc::corrupt, "log.attach_writer");
    }
    sequence_ = head_at(tail_)->sequence.load(kRelaxed);
    floor_ = {tail_, sequence_};
    note_mark();
    const std::uint64_t end = tail_ + ring_bytes - kLogHeadBytes;
    while (const std::uint64_t word = head_at(tail_)->ready.load(kAcquire)) {  // W5
        const std::uint64_t stride =
            log_stride_of(word, tail_ & mask_, ring_bytes, max_record_bytes_);
        if (stride == 0 || stride > end - tail_) return fail(Errc::corrupt, "log.attach_writer");
        tail_ += stride;
        if (LaneWord::kind(word) == LaneKind::record) ++sequence_;
        note_mark();
    }
    if (head_at(tail_)->sequence.load(kRelaxed) != sequence_) {
        return fail(Errc::corrupt, "log.attach_writer");
    }
    mark_awake();
    return {};
}

// --- room -------------------------------------------------------------------------------------

LogWriter::Want LogWriter::next_want(std::uint64_t bytes, std::uint64_t alignment) const noexcept {
    const std::uint64_t pad = log_pad(tail_ & mask_, bytes, alignment, mask_ + 1);
    return {tail_ + (pad != 0 ? pad : log_stride(bytes)), sequence_, pad == 0};
}

// Each pad is a record of its own, published by itself: a record and its pad together may be larger
// than the ring.
LogSend LogWriter::make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    for (;;) {
        const Want want = next_want(bytes, alignment);
        if (want.end > room_end_ || (want.is_message && sequence_ >= granted_)) {
            const LogSend room = look_for_room(want);
            if (room != LogSend::ok) return room;
        }
        if (want.is_message) return LogSend::ok;
        publish_pad(want.end - tail_);
    }
}

void LogWriter::publish_pad(std::uint64_t stride) noexcept {
    const std::uint64_t next = tail_ + stride;
    head_at(next)->sequence.store(sequence_, kRelaxed);
    head_at(next)->ready.store(0, kRelaxed);
    STOA_CRASH_POINT("log.pad.cleared");
    head_at(tail_)->ready.store(LaneWord::make(LaneKind::pad, stride, 0), kRelease);  // W4
    tail_ = next;
}

// Candidates for the floor: the ends of records, one for each stride of the ring or of the bound.
void LogWriter::note_mark() noexcept {
    if (mark_count_ > 0) {
        const Mark& last = mark_at(mark_count_ - 1);
        if (mark_count_ == kMaxMarks || (tail_ - last.position < (mask_ + 1) / kStrides &&
                                         sequence_ - last.sequence < mark_messages_)) {
            return;
        }
    }
    mark_at(mark_count_++) = {tail_, sequence_};
}

// Raises the floor over what must go, with a stride to spare, so that we come back rarely.
void LogWriter::move_floor(const Want& want) noexcept {
    note_mark();
    const std::uint64_t ring_bytes = mask_ + 1;
    const std::uint64_t furthest = tail_ + ring_bytes - kLogHeadBytes;
    const std::uint64_t ahead = std::min(want.end + ring_bytes / kStrides, furthest);
    const std::uint64_t written = ahead + kLogHeadBytes;
    const std::uint64_t from_position = written - std::min(written, ring_bytes);
    const std::uint64_t granted = want.sequence + (want.is_message ? stride_messages_ : 0);
    const std::uint64_t from_sequence =
        max_waiting_ == 0 ? 0 : granted - std::min(granted, max_waiting_);
    const auto must_go = [&](const Mark& mark) {
        return mark.position < from_position || mark.sequence < from_sequence;
    };
    Mark gone = floor_;
    while (mark_count_ > 0 && must_go(mark_at(0))) {
        gone = mark_at(0);
        ++first_mark_;
        --mark_count_;
    }
    Mark floor = mark_count_ > 0 ? mark_at(0) : Mark{tail_, sequence_};
    // A batch has no marks inside: then from record to record, so that it does not go as a whole.
    while (floor.sequence - gone.sequence > mark_messages_ && must_go(gone)) {
        const std::uint64_t word = head_at(gone.position)->ready.load(kRelaxed);
        const std::uint64_t stride =
            log_stride_of(word, gone.position & mask_, ring_bytes, max_record_bytes_);
        if (stride == 0 || stride > floor.position - gone.position) break;
        gone.position += stride;
        if (LaneWord::kind(word) == LaneKind::record) ++gone.sequence;
        if (!must_go(gone)) floor = gone;
    }
    if (floor.position <= floor_.position) return;
    floor_ = floor;
    STOA_CRASH_POINT("log.floor.before");
    layout_->writer.recent.store(tail_, kRelease);
    layout_->writer.floor.store(floor.position, kSeqCst);  // W1
    log_store_fence();                                     // what we overwrite now comes after it
    STOA_CRASH_POINT("log.floor.moved");
}

// False: nobody is held back for this cursor's sake.
bool LogWriter::look_at(std::uint32_t index, Seen& seen) const noexcept {
    const LogCursor& cursor = layout_->cursors[index];
    if (LogState::mode(cursor.state.load(kSeqCst)) != LogMode::reliable) return false;  // W2
    if (cursor.seat.load(kSeqCst) == 0) return false;
    seen.hold = cursor.hold.load(kAcquire);    // W3
    seen.taken = cursor.taken.load(kAcquire);  // W3
    return true;
}

LogWriter::Slowest LogWriter::slowest() const noexcept {
    Slowest slowest;
    for (std::uint32_t i = 0; i < subscribers_; ++i) {
        Seen seen{};
        if (!look_at(i, seen)) continue;
        if (seen.hold > tail_ || seen.taken > sequence_) slowest.is_corrupt = true;
        slowest.hold = std::min(slowest.hold, seen.hold);
        slowest.taken = std::min(slowest.taken, seen.taken);
    }
    return slowest;
}

// The cold half of making a place: asks all cursors.
LogSend LogWriter::look_for_room(const Want& want) noexcept {
    move_floor(want);
    const Slowest slow = slowest();
    if (slow.is_corrupt) return LogSend::corrupt;
    const std::uint64_t ring_bytes = mask_ + 1;
    const std::uint64_t room = std::min(floor_.position, slow.hold) + ring_bytes - kLogHeadBytes;
    room_end_ = std::min(room, want.end + ring_bytes / kStrides);  // and then note a mark
    granted_ = UINT64_MAX;
    if (max_waiting_ != 0) {
        const std::uint64_t behind = std::min(slow.taken, floor_.sequence);
        granted_ = std::min(behind + max_waiting_, want.sequence + stride_messages_);
    }
    const bool has_place = !want.is_message || want.sequence < granted_;
    lacks_place_ = want.end <= room && !has_place;
    return want.end <= room && has_place ? LogSend::ok : LogSend::full;
}

bool LogWriter::has_room(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    return look_for_room(next_want(bytes, alignment)) != LogSend::full;
}

// --- sleeping ---------------------------------------------------------------------------------

// The number first: who sees the mark counts on, so a sleep on the old number ends at once. What
// the mark says is missing may change until we sleep; the look after the mark tells.
LaneSleep LogWriter::mark_asleep() noexcept {
    const std::uint32_t rung = layout_->bell.rung.load(kSeqCst);
    Atomic<std::uint32_t>& mark = layout_->writer.mark;
    const std::uint32_t what = lacks_place_ ? LaneMark::kForPlace : 0;
    mark.store(LaneMark::next(mark.load(kRelaxed), LaneMark::kAsleep | what), kRelease);
    if (fence_ == LaneFence::full) full_fence();
    return {&layout_->bell.rung, rung};
}

bool LogWriter::still_lacks() const noexcept {
    const std::uint32_t mark = layout_->writer.mark.load(kRelaxed);
    return ((mark & LaneMark::kForPlace) != 0) == lacks_place_;
}

void LogWriter::mark_awake() noexcept {
    Atomic<std::uint32_t>& mark = layout_->writer.mark;
    mark.store(LaneMark::next(mark.load(kRelaxed), 0), kRelease);
}

// --- LogBatch ---------------------------------------------------------------------------------

LogBatch::LogBatch(LogWriter& writer) noexcept
    : writer_{writer}, end_{writer.tail_}, sequence_{writer.sequence_} {
    writer_.abandon();
}

LogSend LogBatch::make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    const std::uint64_t mask = writer_.mask_;
    for (;;) {
        const std::uint64_t pad = log_pad(end_ & mask, bytes, alignment, mask + 1);
        const std::uint64_t stride = pad != 0 ? pad : log_stride(bytes);
        if (end_ + stride > writer_.room_end_ || (pad == 0 && sequence_ >= writer_.granted_)) {
            const LogSend room = writer_.look_for_room({end_ + stride, sequence_, pad == 0});
            if (room != LogSend::ok) return room;
        }
        if (pad == 0) return LogSend::ok;
        writer_.head_at(end_)->sequence.store(sequence_, kRelaxed);
        put(LaneWord::make(LaneKind::pad, pad, 0), pad);
    }
}

// relaxed: the first record's W4 carries all of them.
void LogBatch::put(std::uint64_t word, std::uint64_t stride) noexcept {
    if (first_word_ == 0) {
        first_word_ = word;
    } else {
        writer_.head_at(end_)->ready.store(word, kRelaxed);
    }
    end_ += stride;
}

LogSend LogBatch::try_append(std::span<const std::byte> payload, std::uint64_t alignment) noexcept {
    if (payload.size() > writer_.max_record_bytes_) return LogSend::too_big;
    const LogSend placed = make_place(payload.size(), alignment);
    if (placed != LogSend::ok) return placed;
    std::byte* const place = writer_.ring_ + (end_ & writer_.mask_);
    log_copy_in(place + kLogHeadBytes, payload.data(), payload.size());
    writer_.head_at(end_)->sequence.store(sequence_++, kRelaxed);
    put(LaneWord::make(LaneKind::record, payload.size(), writer_.cpu_bits_),
        log_stride(payload.size()));
    return LogSend::ok;
}

// Death before W4: the first place is not ready, so nothing of the batch exists.
void LogBatch::publish() noexcept {
    if (first_word_ == 0) return;
    STOA_CRASH_POINT("log.batch.written");
    writer_.head_at(end_)->sequence.store(sequence_, kRelaxed);
    writer_.head_at(end_)->ready.store(0, kRelaxed);
    STOA_CRASH_POINT("log.batch.cleared");
    writer_.head_at(writer_.tail_)->ready.store(first_word_, kRelease);  // W4
    STOA_CRASH_POINT("log.batch.done");
    writer_.tail_ = end_;
    writer_.sequence_ = sequence_;
    first_word_ = 0;
}

void LogBatch::discard() noexcept {
    end_ = writer_.tail_;
    sequence_ = writer_.sequence_;
    first_word_ = 0;
}

}  // namespace stoa
