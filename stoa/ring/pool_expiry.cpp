#include "stoa/base/crash_point.hpp"
#include "stoa/ring/pool.hpp"

// Making room: what is overdue is taken out of its place by whoever needs that place.
//
// The take is marked as one that drops (pool_words.hpp), so that nobody calls it a delivery: who
// looks at the words of such a message says that it expired if its time to live is over by then.
// The note is read between slot word (or chunk word) and CAS: unchanged, it is of that message.
namespace stoa {

bool PoolRing::is_overdue(std::uint32_t index, std::uint64_t now_ns) const noexcept {
    if (!has_extras() || (chunk(index).flags.load(kRelaxed) & PoolChunk::kNoted) == 0) return false;
    const std::uint64_t expires_ns = note(index).expires_ns.load(kRelaxed);
    return expires_ns != 0 && now_ns >= expires_ns;
}

PoolStatus PoolRing::take_overdue_slot(std::uint32_t me, std::uint32_t index, std::uint64_t now_ns,
                                       PoolLoan& loan) noexcept {
    std::uint64_t seen = slot(index).load(kSeqCst);
    Slot now = codec_.unpack(seen);
    if (now.kind != SlotKind::full && now.kind != SlotKind::redeliver) return PoolStatus::empty;
    if (now.chunk >= geometry_.chunk_count) return PoolStatus::corrupt;
    if (now.takes >= kMaxTakes || !is_overdue(now.chunk, now_ns)) return PoolStatus::empty;
    now.takes = (now.takes + (now.kind == SlotKind::redeliver ? 1 : 0)) | kDropping;
    now.kind = SlotKind::taken;
    now.who = me;
    const std::uint64_t taken = codec_.pack(now);
    if (!slot(index).compare_exchange_strong(seen, taken, kSeqCst)) return PoolStatus::empty;
    STOA_CRASH_POINT("pool.expire.taken");
    return finish_take(me, index, taken, loan);
}

// One that came back from a receiver: it lies in its chunk only.
bool PoolRing::take_overdue_chunk(std::uint32_t me, std::uint32_t index, std::uint64_t now_ns,
                                  PoolLoan& loan) noexcept {
    std::uint64_t seen = chunk(index).word.load(kSeqCst);
    const ChunkWord now = unpack_chunk(seen);
    if (now.state != ChunkState::redeliver || now.takes == kRedriven) return false;
    if (!is_overdue(index, now_ns)) return false;
    const std::uint64_t mine = pack({.epoch = now.epoch + 1,
                                     .owner = me,
                                     .takes = kDropping,
                                     .count = now.count,
                                     .state = ChunkState::borrowed});
    if (!chunk(index).word.compare_exchange_strong(seen, mine, kSeqCst)) return false;
    STOA_CRASH_POINT("pool.expire.claimed");
    fill(loan, index, mine);
    return true;
}

PoolStatus PoolRing::take_overdue_head(std::uint32_t me, std::uint64_t now_ns,
                                       PoolLoan& loan) noexcept {
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        move_head_on(level);
        const Position head = Position::of(queues_[level].head.load(kSeqCst));
        if (head.index >= geometry_.slot_count) return PoolStatus::corrupt;
        const std::uint32_t index = first_slot(level) + head.index;
        const PoolStatus status = take_overdue_slot(me, index, now_ns, loan);
        if (status == PoolStatus::ok) move_head_on(level);
        if (status != PoolStatus::empty) return status;
    }
    return PoolStatus::empty;
}

PoolStatus PoolRing::take_overdue(std::uint32_t me, std::uint64_t now_ns, std::uint32_t& from,
                                  PoolLoan& loan) noexcept {
    for (; from < all_slots(); ++from) {
        const PoolStatus status = take_overdue_slot(me, from, now_ns, loan);
        if (status != PoolStatus::empty) return status;
    }
    if (!geometry_.redelivers_chunks()) return PoolStatus::empty;
    for (; from - all_slots() < geometry_.chunk_count; ++from) {
        if (take_overdue_chunk(me, from - all_slots(), now_ns, loan)) return PoolStatus::ok;
    }
    return PoolStatus::empty;
}

}  // namespace stoa
