#include "stoa/ring/pool.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "stoa/base/crash_point.hpp"

// How a message goes, one word at a time (the words: pool_words.hpp):
//   send     S1 CAS chunk FREE -> LOANED(me)      S2 CAS slot EMPTY(lap) -> FULL(lap, chunk): sent
//   receive  R1 CAS slot FULL -> TAKEN(me)        R2 CAS chunk -> BORROWED(me): adopted
//            R3 CAS slot TAKEN -> EMPTY(lap + 1): delivered     R4 store chunk FREE: given back
//   help     a sender that meets last lap's TAKEN(k) performs R2 and R3 for k
// Death: before S2 the chunk is LOANED and in no slot, recover() frees it. Before R1 nothing
// happened; from R1 to R3 the slot names the dead one, recover() marks it for redelivery; after R3
// the message was delivered and the chunk, in no slot, is freed (acknowledged: delivered again).
//
// Orders: every access to a slot word, a chunk word and the flag is seq_cst, because the argument
// (and the checker, tests/model) is about one total order. On x86 each is a locked instruction or a
// plain load anyway. What a weaker order would allow, as a litmus test:
//   receiver  R2: chunk = BORROWED(me); R3: slot = EMPTY       (two words, two writes)
//   recover   reads chunk, then slot: must not see EMPTY with a chunk word older than R2
// Payloads are plain memory: written before S2 (release), read after R1 (acquire of S2), written
// again after S1 of the next lender (acquire of R4).
namespace stoa {

Result<void> PoolRing::create(std::span<std::byte> memory, const PoolGeometry& g) noexcept {
    PoolLayout* layout = layout_at<PoolLayout>(memory, 0);
    if (layout == nullptr || g.used_bytes > memory.size()) {
        return fail(Errc::bad_argument, "pool.create");
    }
    layout->magic = kPoolMagic;
    layout->version = kPoolVersion;
    layout->slot_count = g.slot_count;
    layout->chunk_count = g.chunk_count;
    layout->class_count = g.class_count;
    layout->acknowledged = g.acknowledged ? 1 : 0;
    layout->level_count = g.level_count;
    layout->receipt_count = g.receipt_count;
    layout->dead_letter_after = g.dead_letter_after;
    layout->dead_letter_quota = g.dead_letter_quota;
    layout->ageing_ns = g.ageing_ns;
    layout->extra_bytes = g.extra_bytes;
    layout->hints_offset = g.hints_offset;
    layout->slots_offset = g.slots_offset;
    layout->total_bytes = g.total_bytes;
    std::copy_n(g.classes.begin(), kPoolMaxClasses, layout->classes);
    auto* hints = layout_at<Atomic<std::uint64_t>>(memory, g.hints_offset);
    for (std::uint32_t i = 0; i < g.class_count; ++i) {
        for (std::uint32_t bit = 0; bit < g.classes[i].count; ++bit) {
            hints[g.classes[i].first_hint + bit / 64].fetch_or(1ULL << bit % 64, kRelaxed);
        }
    }
    return {};
}

Result<PoolRing> PoolRing::attach(std::span<std::byte> memory,
                                  std::span<std::byte> extras) noexcept {
    Result<PoolGeometry> geometry = PoolGeometry::read(memory);
    if (!geometry) return std::unexpected(geometry.error());
    PoolRing ring;
    ring.geometry_ = *geometry;
    ring.codec_ = SlotCodec{geometry->chunk_count};
    ring.layout_ = layout_at<PoolLayout>(memory, 0);
    ring.base_ = memory.data();
    ring.hints_ = layout_at<Atomic<std::uint64_t>>(memory, geometry->hints_offset);
    ring.slots_ = layout_at<Atomic<std::uint64_t>>(memory, geometry->slots_offset);
    ring.slots_in_all_ = geometry->level_count * geometry->slot_count;
    ring.queues_ = layout_at<PoolQueue>(memory, sizeof(PoolLayout));
    if (extras.size() >= geometry->extra_bytes) {
        ring.notes_ = layout_at<PoolNote>(extras, 0);
        ring.receipt_hints_ =
            layout_at<Atomic<std::uint64_t>>(extras, geometry->receipt_hints_offset());
        ring.receipts_ = layout_at<PoolReceipt>(extras, geometry->receipts_offset());
    }
    return ring;
}

const PoolClass& PoolRing::class_of(std::uint32_t chunk) const noexcept {
    const PoolClass* c = &geometry_.classes[geometry_.class_count - 1];
    while (chunk < c->first_chunk) --c;
    return *c;
}

PoolChunk& PoolRing::chunk(std::uint32_t chunk) const noexcept {
    const PoolClass& c = class_of(chunk);
    const std::uint64_t offset = c.first_offset + std::uint64_t{chunk - c.first_chunk} * c.stride;
    return *reinterpret_cast<PoolChunk*>(base_ + offset);
}

Position PoolRing::next(Position position) const noexcept {
    if (position.index + 1 < geometry_.slot_count) return {position.lap, position.index + 1};
    return {codec_.next_lap(position.lap), 0};
}

void PoolRing::set_hint(std::uint32_t chunk) noexcept {
    const PoolClass& c = class_of(chunk);
    const std::uint32_t bit = chunk - c.first_chunk;
    hints_[c.first_hint + bit / 64].fetch_or(1ULL << bit % 64, kSeqCst);
}

bool PoolRing::claim_hint(const PoolClass& c, std::uint32_t word, std::uint64_t& bits,
                          std::uint32_t me, PoolLoan& loan) noexcept {
    // Start at another bit for each endpoint: two senders rarely want the same chunk.
    const int turn = static_cast<int>(me * 11U % 64U);
    const int picked = (std::countr_zero(std::rotr(bits, turn)) + turn) % 64;
    const std::uint64_t bit = 1ULL << picked;
    bits &= ~bit;
    // The hint goes first: taken late, it could hide a chunk that was freed meanwhile.
    if ((hints_[c.first_hint + word].fetch_and(~bit, kSeqCst) & bit) == 0) return false;
    STOA_CRASH_POINT("pool.claim.hint_taken");
    const std::uint32_t index = c.first_chunk + word * 64 + static_cast<std::uint32_t>(picked);
    if (index >= c.first_chunk + c.count) return false;  // a bit that names nothing
    Atomic<std::uint64_t>& chunk_word = chunk(index).word;
    std::uint64_t seen = chunk_word.load(kSeqCst);
    const ChunkWord now = unpack_chunk(seen);
    if (now.state != ChunkState::free) return false;  // a stale hint
    const std::uint64_t mine =
        pack({.epoch = now.epoch + 1, .owner = me, .state = ChunkState::loaned});
    if (!chunk_word.compare_exchange_strong(seen, mine, kSeqCst)) return false;  // S1
    STOA_CRASH_POINT("pool.claim.loaned");
    loan = {.chunk = index, .word = mine};
    return true;
}

bool PoolRing::claim_in(const PoolClass& c, std::uint32_t me, PoolLoan& loan) noexcept {
    const std::uint32_t words = (c.count + 63) / 64;
    std::uint32_t& cursor = hint_cursor_[&c - geometry_.classes.data()];
    for (std::uint32_t i = 0; i < words; ++i) {
        const std::uint32_t word = cursor + i < words ? cursor + i : cursor + i - words;
        std::uint64_t bits = hints_[c.first_hint + word].load(kSeqCst);
        while (bits != 0) {  // at most 64 turns: each takes a bit out of the private copy
            if (claim_hint(c, word, bits, me, loan)) {
                cursor = word;
                return true;
            }
        }
    }
    return false;
}

PoolStatus PoolRing::claim(std::uint32_t me, std::uint32_t bytes, PoolLoan& loan) noexcept {
    for (std::uint32_t i = 0; i < geometry_.class_count; ++i) {
        const PoolClass& c = geometry_.classes[i];
        if (bytes <= c.payload_bytes && claim_in(c, me, loan)) return PoolStatus::ok;
    }
    return PoolStatus::no_memory;
}

bool PoolRing::seems_to_have_chunk(std::uint64_t bytes) const noexcept {
    for (std::uint32_t i = 0; i < geometry_.class_count; ++i) {
        const PoolClass& c = geometry_.classes[i];
        if (bytes > c.payload_bytes) continue;
        for (std::uint32_t word = 0; word < (c.count + 63) / 64; ++word) {
            if (hints_[c.first_hint + word].load(kSeqCst) != 0) return true;
        }
    }
    return false;
}

std::span<std::byte> PoolRing::room(const PoolLoan& loan) noexcept {
    const bool received = unpack_chunk(loan.word).state == ChunkState::borrowed;
    auto* payload = reinterpret_cast<std::byte*>(&chunk(loan.chunk) + 1);
    return {payload, received ? loan.length : class_of(loan.chunk).payload_bytes};
}

PoolStatus PoolRing::publish(const PoolLoan& loan, const PoolSend& how, Position* at) noexcept {
    PoolChunk& sent = chunk(loan.chunk);
    sent.length.store(how.length, kRelaxed);
    sent.flags.store(how.noted ? PoolChunk::kNoted : 0, kRelaxed);
    if (geometry_.level_count == 1) [[likely]]
        return publish_at(loan, how, at);
    if (holds(geometry_.slot_count)) return PoolStatus::full;
    const PoolStatus status = publish_at(loan, how, at);
    // The message is there; the hint follows. Whoever is about to sleep looks at every level.
    const std::uint64_t bit = 1ULL << how.level;
    if (status == PoolStatus::ok && (layout_->levels.load(kSeqCst) & bit) == 0) {
        STOA_CRASH_POINT("pool.publish.before_level");
        layout_->levels.fetch_or(bit, kSeqCst);
    }
    return status;
}

PoolStatus PoolRing::publish_at(const PoolLoan& loan, const PoolSend& how, Position* at) noexcept {
    Atomic<std::uint64_t>& tail_hint = queues_[how.level].tail;
    const std::uint32_t first = first_slot(how.level);
    for (std::uint64_t turn = 0; turn < most_turns(); ++turn) {
        std::uint64_t tail_word = tail_hint.load(kSeqCst);
        const Position tail = Position::of(tail_word);
        if (tail.index >= geometry_.slot_count) return PoolStatus::corrupt;
        std::uint64_t seen = slot(first + tail.index).load(kSeqCst);
        const Slot now = codec_.unpack(seen);
        const std::int32_t ahead = codec_.ahead(now.lap, tail.lap);
        if (ahead == 0 && now.kind == SlotKind::empty) {
            if (!now.open()) return PoolStatus::sealed;
            const std::uint64_t full =
                codec_.pack({.lap = now.lap, .chunk = loan.chunk, .kind = SlotKind::full});
            STOA_CRASH_POINT("pool.publish.before");
            if (!slot(first + tail.index).compare_exchange_strong(seen, full, kSeqCst)) continue;
            STOA_CRASH_POINT("pool.publish.sent");  // S2
            tail_hint.compare_exchange_strong(tail_word, next(tail).word(), kSeqCst);
            if (at != nullptr) *at = tail;
            return PoolStatus::ok;
        }
        if (ahead >= 0) {  // somebody sent here and did not get to moving the tail
            tail_hint.compare_exchange_strong(tail_word, next(tail).word(), kSeqCst);
        } else if (now.kind == SlotKind::taken) {
            if (!help_taken(first + tail.index, seen)) return PoolStatus::corrupt;
        } else if (tail_hint.load(kSeqCst) == tail_word) {
            return now.kind == SlotKind::empty ? PoolStatus::corrupt : PoolStatus::full;
        }
    }
    return PoolStatus::corrupt;
}

// R2 for the taker that slot word `seen` names. The chunk word is read first, then the slot again:
// if the slot still says `seen`, that chunk word belongs to this take and to no later one.
PoolRing::Adopt PoolRing::adopt_for(std::uint32_t index, std::uint64_t seen) noexcept {
    const Slot taken = codec_.unpack(seen);
    if (taken.chunk >= geometry_.chunk_count) return Adopt::corrupt;
    Atomic<std::uint64_t>& word = chunk(taken.chunk).word;
    for (;;) {
        std::uint64_t before = word.load(kSeqCst);
        if (slot(index).load(kSeqCst) != seen) return Adopt::slot_changed;
        const ChunkWord now = unpack_chunk(before);
        if (now.state == ChunkState::borrowed && now.owner == taken.who &&
            now.takes == taken.takes) {
            return Adopt::done;  // exactly this take was adopted already
        }
        if (now.state != ChunkState::loaned && now.state != ChunkState::borrowed) {
            return Adopt::corrupt;
        }
        const std::uint64_t after = pack({.epoch = now.epoch + 1,
                                          .owner = taken.who,
                                          .takes = taken.takes,
                                          .count = now.count,
                                          .state = ChunkState::borrowed});
        if (word.compare_exchange_strong(before, after, kSeqCst)) return Adopt::done;  // R2
    }
}

bool PoolRing::settle_slot(std::uint32_t index, std::uint64_t seen) noexcept {
    const Slot taken = codec_.unpack(seen);
    return slot(index).compare_exchange_strong(
        seen, codec_.pack({.lap = codec_.next_lap(taken.lap)}), kSeqCst);  // R3
}

bool PoolRing::help_taken(std::uint32_t index, std::uint64_t seen) noexcept {
    switch (adopt_for(index, seen)) {
        case Adopt::done: settle_slot(index, seen); return true;
        case Adopt::slot_changed: return true;
        case Adopt::corrupt:
            return slot(index).load(kSeqCst) != seen;  // it moved on under our eyes
    }
    return false;
}

void PoolRing::fill(PoolLoan& loan, std::uint32_t index, std::uint64_t word) const noexcept {
    const ChunkWord now = unpack_chunk(word);
    loan.chunk = index;
    loan.word = word;
    loan.deliveries = now.count;
    loan.redelivered = (now.takes > 0 && !now.dropping()) || now.count > 0;
    loan.noted = (chunk(index).flags.load(kRelaxed) & PoolChunk::kNoted) != 0 && has_extras();
    loan.length = std::min(chunk(index).length.load(kRelaxed), class_of(index).payload_bytes);
    if (loan.redelivered) layout_->redelivered.fetch_add(1, kRelaxed);
}

// R2 and R3 of a slot that is TAKEN(me). While this endpoint lives only helpers change the slot,
// and only to what is done here, so the take cannot fail.
PoolStatus PoolRing::finish_take(std::uint32_t me, std::uint32_t index, std::uint64_t taken,
                                 PoolLoan& loan) noexcept {
    const Slot now = codec_.unpack(taken);
    if (adopt_for(index, taken) == Adopt::corrupt && slot(index).load(kSeqCst) == taken) {
        return PoolStatus::corrupt;
    }
    STOA_CRASH_POINT("pool.take.adopted");
    settle_slot(index, taken);
    STOA_CRASH_POINT("pool.take.delivered");
    const std::uint64_t word = chunk(now.chunk).word.load(kSeqCst);
    const ChunkWord lent = unpack_chunk(word);
    if (lent.state != ChunkState::borrowed || lent.owner != me) return PoolStatus::corrupt;
    fill(loan, now.chunk, word);
    return PoolStatus::ok;
}

PoolStatus PoolRing::take(std::uint32_t me, PoolLoan& loan, std::uint64_t now_ns) noexcept {
    if ((layout_->flag.load(kSeqCst) & 1U) != 0) [[unlikely]] {
        const PoolStatus status = take_redelivery(me, loan);
        if (status != PoolStatus::empty) return status;
    }
    if (geometry_.level_count == 1) [[likely]]
        return take_level(me, 0, loan);
    return take_ranked(me, loan, now_ns);
}

PoolStatus PoolRing::take_level(std::uint32_t me, std::uint32_t level, PoolLoan& loan,
                                const OnlyWhile* drops) noexcept {
    Atomic<std::uint64_t>& head_hint = queues_[level].head;
    const std::uint32_t first = first_slot(level);
    for (std::uint64_t turn = 0; turn < most_turns(); ++turn) {
        std::uint64_t head_word = head_hint.load(kSeqCst);
        const Position head = Position::of(head_word);
        if (head.index >= geometry_.slot_count) return PoolStatus::corrupt;
        Atomic<std::uint64_t>& here = slot(first + head.index);
        std::uint64_t seen = here.load(kSeqCst);
        Slot now = codec_.unpack(seen);
        const std::int32_t ahead = codec_.ahead(now.lap, head.lap);
        if (ahead == 0 && now.kind == SlotKind::full) {
            if (now.chunk >= geometry_.chunk_count) return PoolStatus::corrupt;
            now.kind = SlotKind::taken;
            now.who = me;
            if (drops != nullptr) [[unlikely]] {
                STOA_CRASH_POINT("pool.drop.before");
                if (!drops->holds()) return PoolStatus::empty;
                now.takes |= kDropping;
            }
            const std::uint64_t taken = codec_.pack(now);
            STOA_CRASH_POINT("pool.take.before");
            if (!here.compare_exchange_strong(seen, taken, kSeqCst)) continue;  // R1
            STOA_CRASH_POINT("pool.take.taken");
            const PoolStatus status = finish_take(me, first + head.index, taken, loan);
            head_hint.compare_exchange_strong(head_word, next(head).word(), kSeqCst);
            return status;
        }
        if (ahead > 0 || (ahead == 0 && now.kind != SlotKind::empty)) {
            head_hint.compare_exchange_strong(head_word, next(head).word(), kSeqCst);
        } else if (head_hint.load(kSeqCst) == head_word) {
            return ahead == 0 && !now.open() ? PoolStatus::sealed : PoolStatus::empty;
        }
    }
    return PoolStatus::corrupt;
}

bool PoolRing::release(const PoolLoan& loan) noexcept {
    Atomic<std::uint64_t>& word = chunk(loan.chunk).word;
    if (word.load(kRelaxed) != loan.word) return false;
    // R4. A store: while the owner lives nobody else changes the word of a chunk lent to it.
    word.store(pack({.epoch = unpack_chunk(loan.word).epoch + 1}), kSeqCst);
    STOA_CRASH_POINT("pool.release.freed");
    set_hint(loan.chunk);
    return true;
}

bool PoolRing::nack(const PoolLoan& loan) noexcept {
    if (chunk(loan.chunk).word.load(kRelaxed) != loan.word) return false;
    bring_back(loan.chunk, loan.word, nullptr);
    STOA_CRASH_POINT("pool.nack.marked");
    raise();
    return true;
}

PoolCounts PoolRing::counts() const noexcept {
    const auto total = [&](const Atomic<std::uint64_t>& word) {
        const Position at = Position::of(word.load(kSeqCst));
        return std::uint64_t{at.lap} * geometry_.slot_count + at.index;
    };
    PoolCounts counts;
    for (std::uint32_t level = 0; level < geometry_.level_count; ++level) {
        counts.received += total(queues_[level].head);
        counts.sent += total(queues_[level].tail);
    }
    counts.redelivered = layout_->redelivered.load(kRelaxed);
    counts.dropped_oldest = layout_->dropped_oldest.load(kRelaxed);
    counts.dropped_newest = layout_->dropped_newest.load(kRelaxed);
    counts.expired = layout_->expired.load(kRelaxed);
    counts.withdrawn = layout_->withdrawn.load(kRelaxed);
    std::uint64_t queued_loaned = 0;  // a sent chunk keeps its sender's mark until it is taken
    std::uint64_t queued_borrowed = 0;
    for (std::uint32_t i = 0; i < all_slots(); ++i) {
        const Slot now = codec_.unpack(slot(i).load(kSeqCst));
        if (now.kind == SlotKind::empty || now.chunk >= geometry_.chunk_count) continue;
        const PoolChunk& c = chunk(now.chunk);
        const ChunkState state = unpack_chunk(c.word.load(kSeqCst)).state;
        queued_loaned += state == ChunkState::loaned ? 1 : 0;
        queued_borrowed += state == ChunkState::borrowed ? 1 : 0;
        ++counts.depth;
        counts.queued_bytes += c.length.load(kRelaxed);
    }
    for (std::uint32_t i = 0; i < geometry_.chunk_count; ++i) {
        const PoolChunk& c = chunk(i);
        switch (unpack_chunk(c.word.load(kSeqCst)).state) {
            case ChunkState::done:
            case ChunkState::free: ++counts.free_chunks; break;
            case ChunkState::loaned: ++counts.loaned; break;
            case ChunkState::borrowed: ++counts.leased; break;
            case ChunkState::dead_letter: ++counts.dead_letters; break;
            case ChunkState::redeliver:
                ++counts.depth;
                counts.queued_bytes += c.length.load(kRelaxed);
                break;
        }
    }
    counts.loaned -= std::min(counts.loaned, queued_loaned);
    counts.leased -= std::min(counts.leased, queued_borrowed);
    const std::uint64_t unmet = layout_->unmet.load(kRelaxed);
    counts.sent -= std::min(counts.sent, unmet);
    const std::uint64_t not_received =
        counts.dropped_oldest + counts.withdrawn + counts.expired + unmet;
    counts.received -= std::min(counts.received, not_received);
    return counts;
}

}  // namespace stoa
