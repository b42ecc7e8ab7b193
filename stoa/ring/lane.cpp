#include "stoa/ring/lane.hpp"

namespace stoa {
namespace {

// Positions beyond this are nobody's: at 10 GB/s it takes 14 years to get there.
constexpr std::uint64_t kLastPosition = std::uint64_t{1} << 62U;

struct Checked {
    LaneLayout* layout;
    LaneGeometry geometry;
};

// Loads each word of the header once and checks that copy.
Result<Checked> check_header(std::span<std::byte> memory, const char* step) noexcept {
    LaneLayout* layout = layout_at<LaneLayout>(memory, 0);
    if (layout == nullptr) return fail(Errc::bad_layout, step);
    const LaneHeaderPage& header = layout->header;
    if (header.magic.load(kRelaxed) != kLaneMagic) return fail(Errc::bad_layout, step);
    if (header.version.load(kRelaxed) != kLaneVersion) return fail(Errc::wrong_version, step);
    const LaneGeometry geometry{header.ring_bytes.load(kRelaxed),
                                header.max_record_bytes.load(kRelaxed)};
    if (header.data_offset.load(kRelaxed) != sizeof(LaneLayout) || !geometry.valid() ||
        geometry.bytes_needed() > memory.size()) {
        return fail(Errc::bad_layout, step);
    }
    return Checked{layout, geometry};
}

// Both cursors of the receiver, loaded once each, `freed` first: it never overtakes.
struct Cursors {
    std::uint64_t freed;
    std::uint64_t delivered;

    [[nodiscard]] bool valid(std::uint64_t ring_bytes) const noexcept {
        return (freed | delivered) % kLaneHeadBytes == 0 && delivered <= kLastPosition &&
               freed <= delivered && delivered - freed <= ring_bytes - kLaneHeadBytes;
    }
};

Cursors load_cursors(const LaneReceiverPage& receiver) noexcept {
    const std::uint64_t freed = receiver.freed.load(kAcquire);  // S1, R5
    return {freed, receiver.delivered.load(kAcquire)};          // S3, R5
}

// What a ready word takes of the ring; 0: no sender writes such a word there.
std::uint64_t stride_of(std::uint64_t word, std::uint64_t offset,
                        const LaneGeometry& geometry) noexcept {
    const std::uint64_t bytes = LaneWord::bytes(word);
    std::uint64_t stride = 0;
    if (LaneWord::kind(word) == LaneKind::record) {
        if (bytes > geometry.max_record_bytes) return 0;
        stride = lane_stride(bytes);
    } else if (LaneWord::kind(word) == LaneKind::pad && bytes % kLaneHeadBytes == 0) {
        stride = bytes;
    }
    return stride <= geometry.ring_bytes - offset ? stride : 0;
}

}  // namespace

Result<void> create_lane(std::span<std::byte> memory, const LaneGeometry& geometry) noexcept {
    if (!geometry.valid()) return fail(Errc::bad_argument, "lane.create");
    LaneLayout* layout = layout_at<LaneLayout>(memory, 0);
    if (layout == nullptr || geometry.bytes_needed() > memory.size()) {
        return fail(Errc::wrong_size, "lane.create");
    }
    layout->header.version.store(kLaneVersion, kRelaxed);
    layout->header.data_offset.store(sizeof(LaneLayout), kRelaxed);
    layout->header.ring_bytes.store(geometry.ring_bytes, kRelaxed);
    layout->header.max_record_bytes.store(geometry.max_record_bytes, kRelaxed);
    layout->receiver.delivered.store(0, kRelaxed);
    layout->receiver.freed.store(0, kRelaxed);
    layout->receiver.cpu.store(kLaneUnknownCpu, kRelaxed);
    layout->receiver.mark.store(0, kRelaxed);
    layout->sender.mark.store(0, kRelaxed);
    layout_at<LaneHead>(memory, sizeof(LaneLayout))->ready.store(0, kRelaxed);
    layout->header.magic.store(kLaneMagic, kRelaxed);
    return {};
}

namespace {

// Calls see(payload) for each record from `delivered` to the first place that is not ready, until
// it says false. Some turns over: begin() comes first in each. What the last turn saw is right if
// nothing from its start on was freed meanwhile, for only then the sender may have written over it.
template <typename Begin, typename See>
Result<void> walk_waiting(std::span<std::byte> memory, std::uint64_t end, Begin&& begin,
                          See&& see) noexcept {
    const Result<Checked> checked = check_header(memory, "lane.look");
    if (!checked) return std::unexpected(checked.error());
    const auto& [layout, geometry] = *checked;
    constexpr int kTurns = 16;
    for (int turn = 0; turn < kTurns; ++turn) {
        const Cursors cursors = load_cursors(layout->receiver);
        begin();
        if (!cursors.valid(geometry.ring_bytes)) {
            if (layout->receiver.freed.load(kAcquire) == cursors.freed) {
                return fail(Errc::corrupt, "lane.look");
            }
            continue;  // they are of two moments, far apart
        }
        bool goes_on = true;
        for (std::uint64_t walked = 0; goes_on && walked < geometry.ring_bytes;) {
            if (cursors.delivered + walked >= end) break;
            const std::uint64_t offset = (cursors.delivered + walked) & (geometry.ring_bytes - 1);
            const std::uint64_t at = sizeof(LaneLayout) + offset;
            const LaneHead* head = layout_at<LaneHead>(memory, at);
            const std::uint64_t word = head->ready.load(kAcquire);  // as S4
            const std::uint64_t stride = stride_of(word, offset, geometry);
            if (stride == 0) break;
            if (LaneWord::kind(word) == LaneKind::record) {
                const std::uint64_t bytes = LaneWord::bytes(word);
                goes_on = see(memory.subspan(at + lane_payload_offset(bytes), bytes));
            }
            walked += stride;
        }
        if (layout->receiver.freed.load(kAcquire) <= cursors.delivered) break;
    }
    return {};
}

}  // namespace

Result<LaneCounts> count_lane(std::span<std::byte> memory, std::uint64_t end) noexcept {
    LaneCounts counts;
    const Result<void> walked = walk_waiting(
        memory, end, [&] { counts = {}; },
        [&](std::span<const std::byte> payload) {
            ++counts.depth;
            counts.payload_bytes += payload.size();
            return true;
        });
    if (!walked) return std::unexpected(walked.error());
    return counts;
}

Result<std::uint64_t> peek_lane(std::span<std::byte> memory, std::uint64_t skip,
                                std::span<std::byte> to, std::uint64_t end) noexcept {
    std::uint64_t left = skip;
    Result<std::uint64_t> length = fail(Errc::empty, "peek");
    const Result<void> walked = walk_waiting(
        memory, end,
        [&] {
            left = skip;
            length = fail(Errc::empty, "peek");
        },
        [&](std::span<const std::byte> payload) {
            if (left-- > 0) return true;
            length = payload.size();
            std::ranges::copy(payload.first(std::min(payload.size(), to.size())), to.begin());
            return false;
        });
    if (!walked) return std::unexpected(walked.error());
    return length;
}

// --- LaneSender -------------------------------------------------------------------------------

LaneSender::LaneSender(LaneLayout* layout, const LaneGeometry& geometry, LaneFence fence) noexcept
    : ring_{reinterpret_cast<std::byte*>(layout) + sizeof(LaneLayout)},
      mask_{geometry.ring_bytes - 1},
      layout_{layout},
      fence_{fence},
      max_record_bytes_{geometry.max_record_bytes} {}

Result<LaneSender> LaneSender::attach(std::span<std::byte> memory, LaneFence fence) noexcept {
    const Result<Checked> checked = check_header(memory, "lane.attach_sender");
    if (!checked) return std::unexpected(checked.error());
    LaneSender sender{checked->layout, checked->geometry, fence};
    if (const Result<void> adopted = sender.adopt(); !adopted) {
        return std::unexpected(adopted.error());
    }
    return sender;
}

// Walks from `delivered` to the first place that is not ready. Behind it nothing is known: the
// dead one may have written payload, words of a batch, or early clears there.
Result<void> LaneSender::adopt() noexcept {
    const std::uint64_t ring_bytes = mask_ + 1;
    const Cursors cursors = load_cursors(layout_->receiver);
    if (!cursors.valid(ring_bytes)) return fail(Errc::corrupt, "lane.attach_sender");
    freed_seen_ = cursors.freed;
    room_end_ = freed_seen_ + ring_bytes - kLaneHeadBytes;
    tail_ = cursors.delivered;
    while (true) {
        const std::uint64_t word = head_at(tail_)->ready.load(kAcquire);  // S4
        if (word == 0) break;
        if (LaneWord::kind(word) == LaneKind::end) {
            closed_ = true;
            room_end_ = 0;
            break;
        }
        const std::uint64_t stride = stride_of(word, tail_ & mask_, geometry());
        if (stride == 0 || stride > room_end_ - tail_) {
            return fail(Errc::corrupt, "lane.attach_sender");
        }
        tail_ += stride;
    }
    mark_awake();
    return {};
}

// The cold half of make_place: is there room for a place behind us at `position`?
LaneSend LaneSender::make_room(std::uint64_t position) noexcept {
    if (closed_) return LaneSend::closed;
    // S1. Weaker would let our next stores overtake the receiver's reads of what it freed.
    const std::uint64_t freed = layout_->receiver.freed.load(kAcquire);
    if (freed - freed_seen_ > tail_ - freed_seen_ || freed % kLaneHeadBytes != 0) {
        return LaneSend::corrupt;  // it went back, or beyond what we sent
    }
    freed_seen_ = freed;
    room_end_ = freed + mask_ + 1 - kLaneHeadBytes;
    return position <= room_end_ ? LaneSend::ok : LaneSend::full;
}

// Each pad is a record of its own, published and freed by itself: a record and its pad together
// may be larger than the ring.
LaneSend LaneSender::make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    while (true) {
        const std::uint64_t pad = lane_pad(tail_ & mask_, bytes, alignment, mask_ + 1);
        const std::uint64_t stride = pad != 0 ? pad : lane_stride(bytes);
        if (tail_ + stride > room_end_) {
            const LaneSend room = make_room(tail_ + stride);
            if (room != LaneSend::ok) return room;
        }
        if (pad == 0) return LaneSend::ok;
        publish(known(), LaneWord::make(LaneKind::pad, pad, 0), pad);
    }
}

bool LaneSender::has_room(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    const std::uint64_t pad = lane_pad(tail_ & mask_, bytes, alignment, mask_ + 1);
    return make_room(tail_ + (pad != 0 ? pad : lane_stride(bytes))) != LaneSend::full;
}

void LaneSender::close() noexcept {
    if (closed_) return;
    closed_ = true;
    room_end_ = 0;
    loan_bytes_ = kNoLoan;
    // S2. The place at tail_ is ours already and nothing goes behind it.
    head_at(tail_)->ready.store(LaneWord::make(LaneKind::end, 0, cpu_bits_), kRelease);
}

void LaneSender::reopen() noexcept {
    if (!closed_) return;
    closed_ = false;  // room_end_ is 0, so the next send looks at `freed`
    head_at(tail_)->ready.store(0, kRelease);
}

const Atomic<std::uint32_t>* LaneSender::look_at_mark(std::uint32_t mark) noexcept {
    STOA_CRASH_POINT("lane.mark.seen");
    // S5. It sleeps where it stands, perhaps on a record that a dead predecessor published.
    if (LaneMark::asleep(mark) && layout_->receiver.mark.load(kAcquire) == mark) {
        const std::uint64_t delivered = layout_->receiver.delivered.load(kAcquire);
        const Atomic<std::uint64_t>& ready = head_at(delivered & ~(kLaneHeadBytes - 1))->ready;
        // It took all there is and falls asleep for what comes next: that one must wake it. To wake
        // it now may be too early, and noted as done it would be the last.
        if (ready.load(kRelaxed) == 0) return nullptr;
        woken_mark_ = mark;
        return &low_half(ready);
    }
    woken_mark_ = mark;
    return nullptr;
}

void LaneSender::mark_asleep(Await what) noexcept {
    Atomic<std::uint32_t>& mark = layout_->sender.mark;
    const std::uint32_t where = what == Await::delivery ? LaneMark::kForPlace : 0;
    mark.store(LaneMark::next(mark.load(kRelaxed), LaneMark::kAsleep | where), kRelease);
    if (fence_ == LaneFence::full) full_fence();
}

void LaneSender::mark_awake() noexcept {
    Atomic<std::uint32_t>& mark = layout_->sender.mark;
    mark.store(LaneMark::next(mark.load(kRelaxed), 0), kRelease);
}

LaneSleep LaneSender::room_sleep() const noexcept {
    return {&low_half(layout_->receiver.freed), static_cast<std::uint32_t>(freed_seen_)};
}

LaneSleep LaneSender::delivery_sleep(std::uint64_t delivered) const noexcept {
    return {&low_half(layout_->receiver.delivered), static_cast<std::uint32_t>(delivered)};
}

// --- LaneBatch --------------------------------------------------------------------------------

LaneBatch::LaneBatch(LaneSender& sender) noexcept : sender_{sender}, end_{sender.tail_} {
    sender_.abandon();
    sender_.cleared_ = LaneSender::kNoPlace;  // the batch will write over it
}

LaneSend LaneBatch::make_place(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    const std::uint64_t mask = sender_.mask_;
    while (true) {
        const std::uint64_t pad = lane_pad(end_ & mask, bytes, alignment, mask + 1);
        const std::uint64_t stride = pad != 0 ? pad : lane_stride(bytes);
        if (end_ + stride > sender_.room_end_) {
            const LaneSend room = sender_.make_room(end_ + stride);
            if (room != LaneSend::ok) return room;
        }
        if (pad == 0) return LaneSend::ok;
        put(LaneWord::make(LaneKind::pad, pad, 0), pad);
    }
}

// relaxed: the first record's S2 carries all of them.
void LaneBatch::put(std::uint64_t word, std::uint64_t stride) noexcept {
    if (first_word_ == 0) {
        first_word_ = word;
    } else {
        sender_.head_at(end_)->ready.store(word, kRelaxed);
    }
    end_ += stride;
}

LaneSend LaneBatch::try_reserve(std::uint64_t bytes, std::span<std::byte>& loan,
                                std::uint64_t alignment) noexcept {
    if (bytes > sender_.max_record_bytes_) return LaneSend::too_big;
    const LaneSend placed = make_place(bytes, alignment);
    if (placed != LaneSend::ok) return placed;
    loan = {sender_.ring_ + (end_ & sender_.mask_) + lane_payload_offset(bytes), bytes};
    loan_bytes_ = bytes;
    return LaneSend::ok;
}

void LaneBatch::commit(std::uint64_t bytes) noexcept {
    STOA_CHECK(loan_bytes_ != LaneSender::kNoLoan && bytes <= loan_bytes_);
    sender_.move_inline(end_, loan_bytes_, bytes);
    loan_bytes_ = LaneSender::kNoLoan;
    put(LaneWord::make(LaneKind::record, bytes, sender_.cpu_bits_), lane_stride(bytes));
}

LaneSend LaneBatch::try_append(std::span<const std::byte> payload) noexcept {
    std::span<std::byte> loan;
    const LaneSend reserved = try_reserve(payload.size(), loan);
    if (reserved != LaneSend::ok) return reserved;
    if (!payload.empty()) std::memcpy(loan.data(), payload.data(), payload.size());
    commit(payload.size());
    return LaneSend::ok;
}

// Death before S2: the first place is not ready, so nothing of the batch exists.
void LaneBatch::publish() noexcept {
    if (first_word_ == 0) return;
    STOA_CRASH_POINT("lane.batch.written");
    sender_.head_at(end_)->ready.store(0, kRelaxed);
    STOA_CRASH_POINT("lane.batch.cleared");
    sender_.head_at(sender_.tail_)->ready.store(first_word_, kRelease);  // S2
    STOA_CRASH_POINT("lane.batch.done");
    sender_.tail_ = end_;
    first_word_ = 0;
}

void LaneBatch::discard() noexcept {
    end_ = sender_.tail_;
    first_word_ = 0;
    loan_bytes_ = LaneSender::kNoLoan;
}

// --- LaneReceiver -----------------------------------------------------------------------------

LaneReceiver::LaneReceiver(LaneLayout* layout, const LaneGeometry& geometry,
                           LaneFence fence) noexcept
    : ring_{reinterpret_cast<std::byte*>(layout) + sizeof(LaneLayout)},
      mask_{geometry.ring_bytes - 1},
      free_stride_{geometry.free_stride()},
      layout_{layout},
      fence_{fence},
      max_record_bytes_{geometry.max_record_bytes} {}

Result<LaneReceiver> LaneReceiver::attach(std::span<std::byte> memory, LaneFence fence) noexcept {
    const Result<Checked> checked = check_header(memory, "lane.attach_receiver");
    if (!checked) return std::unexpected(checked.error());
    LaneReceiver receiver{checked->layout, checked->geometry, fence};
    if (const Result<void> adopted = receiver.adopt(); !adopted) {
        return std::unexpected(adopted.error());
    }
    return receiver;
}

Result<void> LaneReceiver::adopt() noexcept {
    const Cursors cursors = load_cursors(layout_->receiver);
    if (!cursors.valid(mask_ + 1)) return fail(Errc::corrupt, "lane.attach_receiver");
    head_ = cursors.delivered;
    freed_ = cursors.freed;
    streak_from_ = head_;
    mark_awake();
    free_now();
    return {};
}

// What stands at head_, if it is not what the caller guessed: skips pads, explains the rest.
// `word` is what was loaded there. ok: it is a sound record, described by last_word_.
LaneTake LaneReceiver::settle(std::uint64_t word) noexcept {
    for (int pads = 0; pads < kPadsPerCall && word != 0; ++pads) {
        const LaneKind kind = LaneWord::kind(word);
        if (kind == LaneKind::end) return LaneTake::end_of_stream;
        const std::uint64_t stride = stride_of(word, head_ & mask_, geometry());
        if (stride == 0) return LaneTake::corrupt;
        if (kind == LaneKind::record) {
            last_word_ = word;
            last_stride_ = stride;
            return LaneTake::ok;
        }
        advance(head_, stride);
        word = head_at(head_)->ready.load(kAcquire);  // R1
    }
    free_now();  // the caller may wait now, and the sender wait for this room
    return LaneTake::empty;
}

// The position up to which nothing is lent.
std::uint64_t LaneReceiver::oldest_in_use() const noexcept {
    std::uint64_t oldest = head_;
    for (std::uint64_t held = held_; held != 0; held &= held - 1) {
        oldest = std::min(oldest, held_from_[static_cast<std::size_t>(std::countr_zero(held))]);
    }
    return oldest;
}

void LaneReceiver::free_now() noexcept {
    const std::uint64_t oldest = oldest_in_use();
    free_at_ = oldest + free_stride_;
    if (oldest == freed_) return;
    freed_ = oldest;
    layout_->receiver.cpu.store(cpu_, kRelaxed);
    STOA_CRASH_POINT("lane.free.before");
    // R3. Weaker would let the sender overwrite what we still read.
    layout_->receiver.freed.store(oldest, kRelease);
    STOA_CRASH_POINT("lane.free.done");
}

// A sleeper that saw the present value sleeps on; one that did not finds it or is woken, once.
const Atomic<std::uint32_t>* LaneReceiver::look_at_mark(std::uint32_t mark) noexcept {
    seen_mark_ = mark;
    if ((mark & LaneMark::kForPlace) != 0) return &low_half(layout_->receiver.delivered);
    if (told_ == freed_) return nullptr;
    told_ = freed_;
    return &low_half(layout_->receiver.freed);
}

void LaneReceiver::mark_asleep() noexcept {
    free_now();
    Atomic<std::uint32_t>& mark = layout_->receiver.mark;
    mark.store(LaneMark::next(mark.load(kRelaxed), LaneMark::kAsleep), kRelease);  // R4
    if (fence_ == LaneFence::full) full_fence();
}

void LaneReceiver::mark_awake() noexcept {
    Atomic<std::uint32_t>& mark = layout_->receiver.mark;
    mark.store(LaneMark::next(mark.load(kRelaxed), 0), kRelease);
}

std::uint32_t LaneReceiver::back_off_pauses() noexcept {
    const bool was_long = head_ - streak_from_ >= kLongStreak * last_stride_;
    streak_from_ = head_;
    return was_long ? kBackOffPauses : 0;
}

LaneSleep LaneReceiver::ready_sleep() const noexcept {
    return {&low_half(head_at(head_)->ready), 0};
}

}  // namespace stoa
