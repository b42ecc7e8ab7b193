#include <algorithm>
#include <bit>

#include "stoa/base/crash_point.hpp"
#include "stoa/ring/pool.hpp"

// Several queues over the same chunks, one for each priority, and the sealing of queues.
//
// `levels` says which queues are worth a look. It is a hint, kept by the same two words as a bell:
//   sender    S2 slot = FULL        L1 read the bit, set it when it is down
//   receiver  L2 clear the bit      L3 look at the queue again, set the bit when it is not empty
// If L1 still saw the bit up, L2 came later, so L3 sees S2. A sender that dies or stops between S2
// and L1, like a receiver between L2 and L3, hides messages only from this hint: before a receiver
// sleeps it looks at every queue, and after so many takes as well.
//
// Sealing: the slot in which the next message would come, EMPTY, becomes SEALED by one CAS. It
// fails exactly when somebody sent there first; after it every send to that queue says `sealed`.
namespace stoa {

// Every level counts, also one that the hint hides: between L2 and L3 it hides as many as fit. A
// head hint that a dead or stopped receiver left behind must not make it look full for ever.
bool PoolRing::holds(std::uint64_t messages) noexcept {
    // Heads only grow: with those of an earlier look the depth comes out too big, but for a message
    // per level whose sender did not get to moving the tail. The receivers' lines stay theirs.
    const std::int64_t at_most = between(heads_seen_, sum_of(&PoolQueue::tail));
    const std::int64_t room = static_cast<std::int64_t>(messages) - geometry_.level_count;
    if (at_most >= 0 && at_most < room) [[likely]]
        return false;
    heads_seen_ = sum_of(&PoolQueue::head);
    if (depth() < messages) [[likely]]
        return false;
    for (std::uint32_t l = 0; l < geometry_.level_count; ++l) move_head_on(l);
    return depth() >= messages;
}

// Positions of all levels, added up as words: the indices in the low half, the laps in the high.
std::uint64_t PoolRing::sum_of(Atomic<std::uint64_t> PoolQueue::* end) const noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        sum += (queues_[level].*end).load(kSeqCst);
    }
    return sum;
}

// Messages between two such sums.
std::int64_t PoolRing::between(std::uint64_t from, std::uint64_t to) const noexcept {
    const Position a = Position::of(from);
    const Position b = Position::of(to);
    return std::int64_t{codec_.ahead(b.lap, a.lap)} * geometry_.slot_count + b.index - a.index;
}

void PoolRing::move_head_on(std::uint32_t level) noexcept {
    Atomic<std::uint64_t>& hint = queues_[level].head;
    for (std::uint32_t turn = 0; turn < geometry_.slot_count; ++turn) {
        std::uint64_t word = hint.load(kSeqCst);
        const Position head = Position::of(word);
        if (head.index >= geometry_.slot_count) return;
        const std::uint64_t seen = slot(first_slot(level) + head.index).load(kSeqCst);
        if (codec_.ahead(codec_.unpack(seen).lap, head.lap) <= 0) return;
        hint.compare_exchange_strong(word, next(head).word(), kSeqCst);
    }
}

std::uint64_t PoolRing::depth() const noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        const Position head = Position::of(queues_[level].head.load(kSeqCst));
        const Position tail = Position::of(queues_[level].tail.load(kSeqCst));
        const std::int64_t laps = codec_.ahead(tail.lap, head.lap);
        const std::int64_t waiting = laps * geometry_.slot_count + tail.index - head.index;
        sum += static_cast<std::uint64_t>(std::max<std::int64_t>(waiting, 0));
    }
    return sum;
}

// The queue to take from: the highest, or with ageing the one whose oldest message has the highest
// priority by now.
std::uint32_t PoolRing::best_level(std::uint64_t levels, std::uint64_t now_ns) const noexcept {
    std::uint32_t best = static_cast<std::uint32_t>(std::bit_width(levels)) - 1;
    if (geometry_.ageing_ns == 0 || notes_ == nullptr) return best;
    std::uint64_t best_rank = 0;
    for (std::uint64_t left = levels; left != 0; left &= left - 1) {
        const auto level = static_cast<std::uint32_t>(std::countr_zero(left));
        const std::uint64_t rank = this->rank(level, now_ns);
        if (rank < best_rank) continue;
        best_rank = rank;
        best = level;
    }
    return best;
}

std::uint64_t PoolRing::rank(std::uint32_t level, std::uint64_t now_ns) const noexcept {
    if (geometry_.ageing_ns == 0 || notes_ == nullptr) return level;
    const Position head = Position::of(queues_[level].head.load(kSeqCst));
    if (head.index >= geometry_.slot_count) return level;
    const Slot now = codec_.unpack(slot(first_slot(level) + head.index).load(kSeqCst));
    if (now.kind != SlotKind::full || now.chunk >= geometry_.chunk_count) return level;
    const std::uint64_t sent_ns = note(now.chunk).sent_ns.load(kRelaxed);
    return level + (now_ns > sent_ns ? (now_ns - sent_ns) / geometry_.ageing_ns : 0);
}

// The queue seemed empty: its bit goes, unless a message came meanwhile.
void PoolRing::lower(std::uint32_t level) noexcept {
    layout_->levels.fetch_and(~(1ULL << level), kSeqCst);  // L2
    STOA_CRASH_POINT("pool.level.lowered");
    if (!level_seems_empty(level)) layout_->levels.fetch_or(1ULL << level, kSeqCst);  // L3
}

PoolStatus PoolRing::take_ranked(std::uint32_t me, PoolLoan& loan, std::uint64_t now_ns) noexcept {
    constexpr std::uint32_t kTakesByHint = 64;
    if (++takes_by_hint_ >= kTakesByHint) {  // the hint may have been left down for ever
        takes_by_hint_ = 0;
        const std::uint64_t missed = levels_with_messages() & ~layout_->levels.load(kSeqCst);
        if (missed != 0) layout_->levels.fetch_or(missed, kSeqCst);
    }
    for (std::uint64_t turn = 0; turn < most_turns(); ++turn) {
        const std::uint64_t levels = layout_->levels.load(kSeqCst) & all_levels();
        if (levels == 0) {  // the hint knows of none: the truth decides
            const std::uint64_t missed = levels_with_messages();
            if (missed == 0) return all_sealed() ? PoolStatus::sealed : PoolStatus::empty;
            layout_->levels.fetch_or(missed, kSeqCst);
            continue;
        }
        const std::uint32_t level = best_level(levels, now_ns);
        const PoolStatus status = take_level(me, level, loan);
        if (status == PoolStatus::ok || status == PoolStatus::corrupt) return status;
        lower(level);
    }
    return PoolStatus::corrupt;
}

// Where the next message would come waits one of the last lap, to be delivered again: it is the
// oldest, and to drop any other would make no room.
PoolStatus PoolRing::take_in_the_way(std::uint32_t me, std::uint32_t level, PoolLoan& loan,
                                     const OnlyWhile& still) noexcept {
    const Position tail = Position::of(queues_[level].tail.load(kSeqCst));
    if (tail.index >= geometry_.slot_count) return PoolStatus::corrupt;
    const std::uint32_t index = first_slot(level) + tail.index;
    std::uint64_t seen = slot(index).load(kSeqCst);
    Slot now = codec_.unpack(seen);
    if (now.kind != SlotKind::redeliver || codec_.ahead(now.lap, tail.lap) >= 0) {
        return PoolStatus::empty;
    }
    if (now.chunk >= geometry_.chunk_count) return PoolStatus::corrupt;
    if (now.takes >= kMaxTakes) return PoolStatus::empty;  // whoever takes it next buries it
    now.kind = SlotKind::taken;
    now.who = me;
    now.takes = (now.takes + 1) | kDropping;
    const std::uint64_t taken = codec_.pack(now);
    if (!still.holds()) return PoolStatus::empty;
    if (!slot(index).compare_exchange_strong(seen, taken, kSeqCst)) return PoolStatus::empty;
    STOA_CRASH_POINT("pool.drop.taken");
    return finish_take(me, index, taken, loan);
}

PoolStatus PoolRing::take_lowest(std::uint32_t me, std::uint32_t level, PoolLoan& loan,
                                 const OnlyWhile& still) noexcept {
    for (std::uint32_t l = 0; l <= level && l < geometry_.level_count; ++l) {
        PoolStatus status = take_in_the_way(me, l, loan, still);
        if (status == PoolStatus::empty) status = take_level(me, l, loan, &still);
        if (status == PoolStatus::ok || status == PoolStatus::corrupt) return status;
    }
    return PoolStatus::empty;
}

bool PoolRing::level_seems_empty(std::uint32_t level) const noexcept {
    const Position head = Position::of(queues_[level].head.load(kSeqCst));
    if (head.index >= geometry_.slot_count) return false;
    const Slot now = codec_.unpack(slot(first_slot(level) + head.index).load(kSeqCst));
    const std::int32_t ahead = codec_.ahead(now.lap, head.lap);
    return ahead < 0 || (ahead == 0 && now.kind == SlotKind::empty);
}

std::uint64_t PoolRing::levels_with_messages() const noexcept {
    std::uint64_t levels = 0;
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        if (!level_seems_empty(level)) levels |= 1ULL << level;
    }
    return levels;
}

bool PoolRing::all_sealed() const noexcept {
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        const Position head = Position::of(queues_[level].head.load(kSeqCst));
        if (head.index >= geometry_.slot_count) return false;
        const Slot now = codec_.unpack(slot(first_slot(level) + head.index).load(kSeqCst));
        const bool sealed = now.kind == SlotKind::empty && !now.open();
        if (!sealed || codec_.ahead(now.lap, head.lap) != 0) return false;
    }
    return true;
}

bool PoolRing::seems_empty() const noexcept {
    if ((layout_->flag.load(kSeqCst) & 1U) != 0) return false;
    return levels_with_messages() == 0 && !all_sealed();
}

bool PoolRing::seal_level(std::uint32_t level) noexcept {
    for (std::uint64_t turn = 0; turn < most_turns(); ++turn) {
        move_head_on(level);
        const Position head = Position::of(queues_[level].head.load(kSeqCst));
        if (head.index >= geometry_.slot_count) return false;
        const std::uint32_t index = first_slot(level) + head.index;
        std::uint64_t seen = slot(index).load(kSeqCst);
        Slot now = codec_.unpack(seen);
        const std::int32_t ahead = codec_.ahead(now.lap, head.lap);
        if (ahead > 0) continue;  // the head moved on meanwhile
        if (ahead < 0) {          // last lap's message here is not settled yet
            if (now.kind != SlotKind::taken || !help_taken(index, seen)) return false;
            continue;
        }
        if (now.kind != SlotKind::empty) return false;  // a message waits, or is being taken
        if (!now.open()) return true;
        now.takes = 1;
        STOA_CRASH_POINT("pool.seal.before");
        if (slot(index).compare_exchange_strong(seen, codec_.pack(now), kSeqCst)) return true;
    }
    return false;
}

bool PoolRing::is_blocked(std::uint32_t level) const noexcept {
    const Position head = Position::of(queues_[level].head.load(kSeqCst));
    if (head.index >= geometry_.slot_count) return true;
    const Slot now = codec_.unpack(slot(first_slot(level) + head.index).load(kSeqCst));
    return now.kind == SlotKind::redeliver && codec_.ahead(now.lap, head.lap) < 0;
}

// Scanned once: in a sealed ring nothing is sent, so a message only goes from a slot to a chunk.
bool PoolRing::may_come_back(std::uint32_t me) noexcept {
    bool marked = false;
    for (std::uint32_t i = 0; i < all_slots(); ++i) {
        const std::uint64_t seen = slot(i).load(kSeqCst);
        if (codec_.unpack(seen).kind == SlotKind::taken) static_cast<void>(help_taken(i, seen));
        marked |= codec_.unpack(slot(i).load(kSeqCst)).kind != SlotKind::empty;
    }
    bool lent = false;
    for (std::uint32_t i = 0; geometry_.redelivers_chunks() && i < geometry_.chunk_count; ++i) {
        const ChunkWord now = unpack_chunk(chunk(i).word.load(kSeqCst));
        lent |= geometry_.acknowledged && now.state == ChunkState::borrowed && now.owner != me;
        marked |= now.state == ChunkState::redeliver;
    }
    if (marked) raise();  // who marked it may have stopped before he said so
    return marked || lent;
}

bool PoolRing::is_done_with() const noexcept {
    if (!all_sealed()) return false;
    for (std::uint32_t i = 0; i < geometry_.chunk_count; ++i) {
        const std::uint64_t word = chunk(i).word.load(kSeqCst);
        if (unpack_chunk(word).state != ChunkState::free) return false;
    }
    for (std::uint32_t i = 0; has_extras() && i < geometry_.receipt_count; ++i) {
        const std::uint64_t word = receipts_[i].word.load(kSeqCst);
        if (unpack_chunk(word).state != ChunkState::free) return false;
    }
    return true;
}

bool PoolRing::seal() noexcept {
    bool all = true;
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        all = seal_level(level) && all;
    }
    return all;
}

}  // namespace stoa
