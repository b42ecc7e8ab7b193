#include "stoa/ring/log.hpp"

#include "stoa/ring/log_checks.hpp"

namespace stoa {

Result<LogChecked> check_log(std::span<std::byte> memory, const char* step) noexcept {
    LogLayout* layout = layout_at<LogLayout>(memory, 0);
    if (layout == nullptr) return fail(Errc::bad_layout, step);
    const LogHeaderPage& header = layout->header;
    if (header.magic.load(kRelaxed) != kLogMagic) return fail(Errc::bad_layout, step);
    if (header.version.load(kRelaxed) != kLogVersion) return fail(Errc::wrong_version, step);
    const LogGeometry geometry{.ring_bytes = header.ring_bytes.load(kRelaxed),
                               .max_record_bytes = header.max_record_bytes.load(kRelaxed),
                               .max_waiting = header.max_waiting.load(kRelaxed),
                               .subscribers = header.subscribers.load(kRelaxed)};
    if (header.data_offset.load(kRelaxed) != sizeof(LogLayout) || !geometry.valid() ||
        geometry.bytes_needed() > memory.size()) {
        return fail(Errc::bad_layout, step);
    }
    return LogChecked{layout, geometry};
}

Result<void> create_log(std::span<std::byte> memory, const LogGeometry& geometry) noexcept {
    if (!geometry.valid()) return fail(Errc::bad_argument, "log.create");
    LogLayout* layout = layout_at<LogLayout>(memory, 0);
    if (layout == nullptr || geometry.bytes_needed() > memory.size()) {
        return fail(Errc::wrong_size, "log.create");
    }
    layout->header.version.store(kLogVersion, kRelaxed);
    layout->header.data_offset.store(sizeof(LogLayout), kRelaxed);
    layout->header.ring_bytes.store(geometry.ring_bytes, kRelaxed);
    layout->header.max_record_bytes.store(geometry.max_record_bytes, kRelaxed);
    layout->header.max_waiting.store(geometry.max_waiting, kRelaxed);
    layout->header.subscribers.store(geometry.subscribers, kRelaxed);
    layout->writer.floor.store(0, kRelaxed);
    layout->writer.recent.store(0, kRelaxed);
    layout->writer.mark.store(0, kRelaxed);
    layout->bell.rung.store(0, kRelaxed);
    for (LogCursor& cursor : layout->cursors) {
        cursor.seat.store(0, kRelaxed);
        cursor.state.store(LogState::make(LogMode::idle, 0), kRelaxed);
        cursor.hold.store(0, kRelaxed);
        cursor.taken.store(0, kRelaxed);
        cursor.missed.store(0, kRelaxed);
    }
    LogHead* first = layout_at<LogHead>(memory, sizeof(LogLayout));
    first->sequence.store(0, kRelaxed);
    first->ready.store(0, kRelaxed);
    layout->header.magic.store(kLogMagic, kRelaxed);
    return {};
}

// --- LogSeats ---------------------------------------------------------------------------------
//
//   claim     seat 0 -> holder by CAS; then subscribe stores hold, taken, then state (J1)
//   leave     the state that it made -> idle, same generation, by CAS; seat holder -> 0 by CAS
//   drop      D1 read state   D2 seat == dead   D3 state read in D1 -> idle by CAS   D4 seat -> 0
// What D1 read is the dead one's: it was dead before, or leaves, and who comes next makes a new
// generation, so D3 of a sweeper that was stopped hits nobody else. A cursor without a holder
// counts for nothing, which is what enroll leaves when its holder was dropped in the middle of it.

Result<LogSeats> LogSeats::open(std::span<std::byte> memory) noexcept {
    const Result<LogChecked> checked = check_log(memory, "log.seats");
    if (!checked) return std::unexpected(checked.error());
    return LogSeats{checked->layout, checked->geometry.subscribers};
}

std::uint64_t LogSeats::holder(std::uint32_t index) const noexcept {
    return index < count_ ? layout_->cursors[index].seat.load(kSeqCst) : 0;
}

LogClaim LogSeats::claim(std::uint32_t index, std::uint64_t holder) noexcept {
    if (index >= count_ || holder == 0) return LogClaim::busy;
    std::uint64_t seen = 0;
    if (layout_->cursors[index].seat.compare_exchange_strong(seen, holder, kSeqCst)) {
        return LogClaim::claimed;
    }
    return seen == holder ? LogClaim::ours : LogClaim::busy;
}

bool LogSeats::enroll(std::uint32_t index, std::uint64_t holder, LogMode mode) noexcept {
    if (claim(index, holder) == LogClaim::busy) return false;
    STOA_CRASH_POINT("log.enroll.claimed");
    LogCursor& cursor = layout_->cursors[index];
    std::uint64_t seen = LogState::make(LogMode::idle, 0);
    const std::uint64_t enrolled = LogState::make(mode, 1);
    // hold and taken are 0 already: the first record. It may be there already, for it subscribed.
    if (!cursor.state.compare_exchange_strong(seen, enrolled, kSeqCst)) return true;
    if (cursor.seat.load(kSeqCst) == holder) return true;
    seen = enrolled;  // dropped meanwhile
    cursor.state.compare_exchange_strong(seen, LogState::ended(enrolled), kSeqCst);
    return false;
}

void LogSeats::give_up(std::uint32_t index, std::uint64_t holder) noexcept {
    if (index >= count_) return;
    layout_->cursors[index].seat.compare_exchange_strong(holder, 0, kSeqCst);
}

bool LogSeats::drop(std::uint32_t index, std::uint64_t dead) noexcept {
    if (index >= count_ || dead == 0) return false;
    LogCursor& cursor = layout_->cursors[index];
    std::uint64_t state = cursor.state.load(kSeqCst);     // D1
    if (cursor.seat.load(kSeqCst) != dead) return false;  // D2
    STOA_CRASH_POINT("log.drop.looked");
    cursor.state.compare_exchange_strong(state, LogState::ended(state), kSeqCst);  // D3
    STOA_CRASH_POINT("log.drop.ended");
    cursor.seat.compare_exchange_strong(dead, 0, kSeqCst);  // D4
    STOA_CRASH_POINT("log.drop.freed");
    layout_->bell.rung.fetch_add(1, kSeqCst);
    return true;
}

// --- LogCounts --------------------------------------------------------------------------------

Result<LogCounts> count_log(std::span<std::byte> memory) noexcept {
    const Result<LogChecked> checked = check_log(memory, "log.count");
    if (!checked) return std::unexpected(checked.error());
    const auto& [layout, geometry] = *checked;
    std::byte* const ring = memory.data() + sizeof(LogLayout);
    const std::uint64_t mask = geometry.ring_bytes - 1;
    LogCounts counts;
    std::uint64_t slowest = UINT64_MAX;
    for (std::uint32_t i = 0; i < geometry.subscribers; ++i) {
        const LogCursor& cursor = layout->cursors[i];
        const LogMode mode = LogState::mode(cursor.state.load(kSeqCst));
        if (mode == LogMode::idle || cursor.seat.load(kSeqCst) == 0) continue;
        ++(mode == LogMode::reliable ? counts.reliable : counts.latest);
        counts.missed += cursor.missed.load(kRelaxed);
        counts.behind[i] = cursor.taken.load(kAcquire) + 1;  // its place, until the end is known
        if (mode != LogMode::reliable) continue;
        slowest = std::min(slowest, counts.behind[i] - 1);
    }
    std::uint64_t position = layout->writer.recent.load(kAcquire);
    for (std::uint64_t steps = 0; steps < geometry.ring_bytes / kLogHeadBytes; ++steps) {
        const LogHead* const head = log_head(ring, mask, position & ~(kLogHeadBytes - 1));
        const std::uint64_t word = head->ready.load(kAcquire);
        const std::uint64_t sequence = head->sequence.load(kRelaxed);
        log_load_fence();
        const std::uint64_t recent = layout->writer.recent.load(kAcquire);
        if (layout->writer.floor.load(kAcquire) > position) {
            position = recent;  // overwritten while we walked
            continue;
        }
        counts.sent = sequence;
        if (word == 0) break;
        const std::uint64_t stride =
            log_stride_of(word, position & mask, geometry.ring_bytes, geometry.max_record_bytes);
        if (stride == 0) return fail(Errc::corrupt, "log.count");
        position += stride;
    }
    counts.waiting = counts.sent - std::min(slowest, counts.sent);
    for (std::uint64_t& behind : counts.behind) {
        if (behind != 0) behind = counts.sent - std::min(behind - 1, counts.sent);
    }
    return counts;
}

Result<std::uint64_t> peek_log(std::span<std::byte> memory, std::uint64_t skip,
                               std::span<std::byte> to) noexcept {
    const Result<LogChecked> checked = check_log(memory, "log.peek");
    if (!checked) return std::unexpected(checked.error());
    const auto& [layout, geometry] = *checked;
    std::byte* const ring = memory.data() + sizeof(LogLayout);
    const std::uint64_t mask = geometry.ring_bytes - 1;
    std::uint64_t wanted = UINT64_MAX;
    for (std::uint32_t i = 0; i < geometry.subscribers; ++i) {
        const LogCursor& cursor = layout->cursors[i];
        const LogMode mode = LogState::mode(cursor.state.load(kSeqCst));
        if (mode != LogMode::reliable || cursor.seat.load(kSeqCst) == 0) continue;
        wanted = std::min(wanted, cursor.taken.load(kAcquire));
    }
    if (wanted == UINT64_MAX || skip >= UINT64_MAX - wanted) return fail(Errc::empty, "peek");
    wanted += skip;
    std::uint64_t position = layout->writer.floor.load(kAcquire);
    for (std::uint64_t steps = 0; steps < geometry.ring_bytes / kLogHeadBytes; ++steps) {
        const std::uint64_t offset = position & mask & ~(kLogHeadBytes - 1);
        const LogHead* const head = log_head(ring, mask, offset);
        const std::uint64_t word = head->ready.load(kAcquire);
        const std::uint64_t sequence = head->sequence.load(kRelaxed);
        const std::uint64_t stride =
            log_stride_of(word, offset, geometry.ring_bytes, geometry.max_record_bytes);
        const std::uint64_t bytes = LaneWord::bytes(word);
        const bool found = word != 0 && stride != 0 && LaneWord::kind(word) == LaneKind::record &&
                           sequence >= wanted;
        const std::uint64_t fits = std::min<std::uint64_t>(bytes, to.size());
        if (found) log_copy_out(to.data(), ring + offset + kLogHeadBytes, fits);
        log_load_fence();
        const std::uint64_t floor = layout->writer.floor.load(kAcquire);
        if (floor > position) {
            position = floor;  // overwritten while we walked
            continue;
        }
        if (word == 0) break;
        if (stride == 0) return fail(Errc::corrupt, "log.peek");
        if (found) return bytes;
        position += stride;
    }
    return fail(Errc::empty, "peek");
}

}  // namespace stoa
