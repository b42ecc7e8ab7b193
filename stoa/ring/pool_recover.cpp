#include "stoa/base/crash_point.hpp"
#include "stoa/ring/pool.hpp"

// What brings a dead endpoint's messages back, and what delivers them again.
//
// recover(d), any number of times and by several at once:
//   1 each slot TAKEN(d) becomes REDELIVER, with the same takes
//   2 then each chunk that d owns and that lies in no slot is freed (acknowledged and borrowed:
//     marked REDELIVER in its own word)
//   3 then the flag is raised, with a new generation also when it is up already
// The reverse orders lose, leak or strand: after step 1 no slot can begin to name d, so a chunk of
// d's that step 2 finds in no slot is in none for good. A recoverer that dies leaves every word in
// a state from which the next one goes on.
namespace stoa {

void PoolRing::raise() noexcept {
    std::uint64_t flag = layout_->flag.load(kSeqCst);
    // {generation, up}: a new generation, so that a receiver that is still looking cannot lower it.
    while (!layout_->flag.compare_exchange_weak(flag, ((flag >> 1U) + 1) << 1U | 1U, kSeqCst)) {
    }
}

void PoolRing::recover_slots(std::uint32_t dead) noexcept {
    for (std::uint32_t i = 0; i < all_slots(); ++i) {
        std::uint64_t seen = slot(i).load(kSeqCst);
        Slot now = codec_.unpack(seen);
        if (now.kind != SlotKind::taken || now.who != dead) continue;
        now.kind = SlotKind::redeliver;
        now.takes &= ~kDropping;  // it was not dropped yet
        now.who = 0;
        STOA_CRASH_POINT("pool.recover.slot");
        slot(i).compare_exchange_strong(seen, codec_.pack(now),
                                        kSeqCst);  // lost: a helper settled it
    }
}

// A chunk in no slot whose word was `seen` goes to whoever may have it next. `dead`: who held it;
// null: its holder, alive, gives it back.
void PoolRing::bring_back(std::uint32_t index, std::uint64_t seen, const PoolDead* dead) noexcept {
    const ChunkWord now = unpack_chunk(seen);
    // One that was overdue and is to be kept: whoever finds it next does that.
    const bool expires = now.dropping() && dead != nullptr && geometry_.redelivers_chunks() &&
                         is_overdue(index, dead->now_ns);
    const bool again =
        geometry_.acknowledged && now.state == ChunkState::borrowed && !now.dropping();
    ChunkWord after{.epoch = now.epoch + 1};
    if (expires) {
        after.count = now.count;
        after.state = ChunkState::redeliver;
    } else if (again) {
        after.count = now.count < 255 ? now.count + 1 : 255;
        const bool too_often =
            geometry_.dead_letter_after != 0 && after.count >= geometry_.dead_letter_after;
        after.state = too_often && dead_letters() < geometry_.dead_letter_quota
                          ? ChunkState::dead_letter
                          : ChunkState::redeliver;
        after.takes = now.takes == kRedriven ? kRedriven : 0;
        if (after.state == ChunkState::dead_letter) {
            after.takes = static_cast<std::uint32_t>(dead != nullptr ? Cause::receiver_died
                                                                     : Cause::returned);
        }
        if (dead != nullptr) note_death(index, *dead);
    } else if (dead != nullptr) {
        tell_before_freeing(index, seen, *dead);
    }
    if (!chunk(index).word.compare_exchange_strong(seen, pack(after), kSeqCst)) return;
    STOA_CRASH_POINT("pool.recover.chunk");
    if (!again && !expires) set_hint(index);
}

void PoolRing::recover_chunks(const PoolDead& dead) noexcept {
    constexpr std::uint32_t kBatch = 64;
    std::uint32_t index = 0;
    while (index < geometry_.chunk_count) {
        std::uint32_t listed[kBatch];
        std::uint64_t words[kBatch];
        std::uint32_t count = 0;
        for (; index < geometry_.chunk_count && count < kBatch; ++index) {
            const std::uint64_t word = chunk(index).word.load(kSeqCst);
            const ChunkWord now = unpack_chunk(word);
            if (now.state == ChunkState::free) {
                set_hint(index);  // a sender may have died between taking the hint and the chunk
            } else if ((now.state == ChunkState::loaned || now.state == ChunkState::borrowed ||
                        now.state == ChunkState::done) &&
                       now.owner == dead.index) {
                listed[count] = index;
                words[count++] = word;
            }
        }
        for (std::uint32_t i = 0; count > 0 && i < all_slots(); ++i) {
            const Slot now = codec_.unpack(slot(i).load(kSeqCst));
            if (now.kind == SlotKind::empty) continue;
            for (std::uint32_t k = 0; k < count; ++k) {
                if (listed[k] == now.chunk) listed[k] = kNoChunk;  // queued: it stays
            }
        }
        for (std::uint32_t k = 0; k < count; ++k) {
            if (listed[k] != kNoChunk) bring_back(listed[k], words[k], &dead);
        }
    }
}

void PoolRing::recover(const PoolDead& dead) noexcept {
    recover_slots(dead.index);
    STOA_CRASH_POINT("pool.recover.slots_done");
    recover_chunks(dead);
    STOA_CRASH_POINT("pool.recover.chunks_done");
    if (has_extras()) recover_receipts(dead.index);
    raise();
}

// A message that was taken too often ends here: kept, counted, delivered to nobody. Several may be
// at it; whoever finds the chunk a dead letter already goes on with the slot, for the one that made
// it so may have stopped, and a slot that stays marked would block the ring at the wrap.
void PoolRing::bury(std::uint32_t index, std::uint64_t seen) noexcept {
    const Slot marked = codec_.unpack(seen);
    Atomic<std::uint64_t>& chunk_word = chunk(marked.chunk).word;
    for (;;) {
        std::uint64_t word = chunk_word.load(kSeqCst);
        if (slot(index).load(kSeqCst) != seen) return;
        const ChunkWord now = unpack_chunk(word);
        if (now.state == ChunkState::dead_letter) break;
        const std::uint64_t after =
            pack({.epoch = now.epoch + 1, .count = now.count, .state = ChunkState::dead_letter});
        if (chunk_word.compare_exchange_strong(word, after, kSeqCst)) break;
    }
    STOA_CRASH_POINT("pool.bury.marked");
    settle_slot(index, seen);
}

PoolStatus PoolRing::take_marked_slot(std::uint32_t me, PoolLoan& loan) noexcept {
    for (std::uint32_t n = 0; n < all_slots(); ++n) {
        std::uint32_t i = slot_cursor_ + n;
        if (i >= all_slots()) i -= all_slots();
        std::uint64_t seen = slot(i).load(kSeqCst);
        Slot now = codec_.unpack(seen);
        if (now.kind != SlotKind::redeliver) continue;
        if (now.chunk >= geometry_.chunk_count) return PoolStatus::corrupt;
        if (now.takes == kMaxTakes) {
            bury(i, seen);
            continue;
        }
        now.kind = SlotKind::taken;
        now.who = me;
        ++now.takes;  // the word of this take differs from every earlier one
        const std::uint64_t taken = codec_.pack(now);
        if (!slot(i).compare_exchange_strong(seen, taken, kSeqCst)) continue;
        STOA_CRASH_POINT("pool.redeliver.taken");
        slot_cursor_ = i;
        return finish_take(me, i, taken, loan);
    }
    return PoolStatus::empty;
}

// Acknowledged mode: a message that is in no slot waits in its own chunk word; one CAS claims it.
bool PoolRing::take_marked_chunk(std::uint32_t me, PoolLoan& loan) noexcept {
    for (std::uint32_t n = 0; n < geometry_.chunk_count; ++n) {
        std::uint32_t i = chunk_cursor_ + n;
        if (i >= geometry_.chunk_count) i -= geometry_.chunk_count;
        Atomic<std::uint64_t>& word = chunk(i).word;
        std::uint64_t seen = word.load(kSeqCst);
        const ChunkWord now = unpack_chunk(seen);
        if (now.state != ChunkState::redeliver) continue;
        const std::uint64_t mine = pack({.epoch = now.epoch + 1,
                                         .owner = me,
                                         .takes = now.takes,
                                         .count = now.count,
                                         .state = ChunkState::borrowed});
        if (!word.compare_exchange_strong(seen, mine, kSeqCst)) continue;
        STOA_CRASH_POINT("pool.redeliver.claimed");
        chunk_cursor_ = i;
        fill(loan, i, mine);
        loan.redriven = now.takes == kRedriven;
        return true;
    }
    return false;
}

PoolStatus PoolRing::take_redelivery(std::uint32_t me, PoolLoan& loan) noexcept {
    std::uint64_t flag = layout_->flag.load(kSeqCst);
    const PoolStatus status = take_marked_slot(me, loan);
    if (status != PoolStatus::empty) return status;
    if (geometry_.redelivers_chunks() && take_marked_chunk(me, loan)) return PoolStatus::ok;
    // Nothing was found: lower the flag, unless somebody raised it again while we looked.
    if ((flag & 1U) != 0) layout_->flag.compare_exchange_strong(flag, flag & ~1ULL, kSeqCst);
    return PoolStatus::empty;
}

}  // namespace stoa
