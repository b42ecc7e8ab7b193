#include <cstring>

#include "stoa/ring/pool.hpp"

// Looking at what waits, without taking it: where a message lies, and its bytes if it still lies
// there afterwards.
namespace stoa {

bool PoolRing::look_at_marked(std::uint32_t& from, PoolGlimpse& found) const noexcept {
    for (; from < all_slots();) {
        const std::uint32_t index = (slot_cursor_ + from++) % all_slots();
        const std::uint64_t seen = slot(index).load(kSeqCst);
        const Slot now = codec_.unpack(seen);
        if (now.kind != SlotKind::redeliver || now.takes >= kMaxTakes) continue;
        if (now.chunk >= geometry_.chunk_count) continue;
        found = {.chunk = now.chunk, .slot = index, .seen = seen};
        return true;
    }
    while (geometry_.redelivers_chunks() && from - all_slots() < geometry_.chunk_count) {
        const std::uint32_t n = from++ - all_slots();
        const std::uint32_t index = (chunk_cursor_ + n) % geometry_.chunk_count;
        if (look_at_chunk(index, ChunkState::redeliver, found)) return true;
    }
    return false;
}

bool PoolRing::look_at_letter(std::uint32_t& from, PoolGlimpse& found) const noexcept {
    while (from < geometry_.chunk_count) {
        if (look_at_chunk(from++, ChunkState::dead_letter, found)) return true;
    }
    return false;
}

bool PoolRing::look_at_chunk(std::uint32_t index, ChunkState state,
                             PoolGlimpse& found) const noexcept {
    const std::uint64_t seen = chunk(index).word.load(kSeqCst);
    const ChunkWord now = unpack_chunk(seen);
    if (now.state != state) return false;
    found = {.chunk = index,
             .seen = seen,
             .redriven = state == ChunkState::redeliver && now.takes == kRedriven};
    return true;
}

bool PoolRing::look_at_level(PoolWalk& walk, PoolGlimpse& found) const noexcept {
    if (walk.looked == 0) walk.at = Position::of(queues_[walk.level].head.load(kSeqCst));
    while (walk.looked < geometry_.slot_count && walk.at.index < geometry_.slot_count) {
        const Position at = walk.at;
        const std::uint32_t index = first_slot(walk.level) + at.index;
        const std::uint64_t seen = slot(index).load(kSeqCst);
        const Slot now = codec_.unpack(seen);
        const std::int32_t ahead = codec_.ahead(now.lap, at.lap);
        if (ahead == 0 && now.kind == SlotKind::empty) break;
        ++walk.looked;
        walk.at = next(at);
        // Out of turn: taken from the middle, or of the last lap and to be delivered again.
        if (ahead != 0 || now.kind != SlotKind::full) continue;
        if (now.chunk >= geometry_.chunk_count) break;
        found = {.chunk = now.chunk, .slot = index, .seen = seen};
        return true;
    }
    walk.looked = geometry_.slot_count;
    return false;
}

std::uint64_t PoolRing::sent_at(const PoolGlimpse& what) const noexcept {
    return geometry_.ageing_ns == 0 || notes_ == nullptr ? 0
                                                         : note(what.chunk).sent_ns.load(kRelaxed);
}

bool PoolRing::will_expire(const PoolGlimpse& what, std::uint64_t now_ns) const noexcept {
    return !what.redriven && is_overdue(what.chunk, now_ns);
}

Result<std::uint32_t> PoolRing::copy(const PoolGlimpse& what,
                                     std::span<std::byte> to) const noexcept {
    const PoolChunk& from = chunk(what.chunk);
    const std::uint32_t length =
        std::min(from.length.load(kRelaxed), class_of(what.chunk).payload_bytes);
    if (length > 0) std::memcpy(to.data(), &from + 1, std::min<std::size_t>(length, to.size()));
    // Taken meanwhile, it is perhaps written over.
    const std::uint64_t now =
        what.slot == kNoSlot ? from.word.load(kSeqCst) : slot(what.slot).load(kSeqCst);
    if (now != what.seen) return fail(Errc::empty, "peek");
    return length;
}

}  // namespace stoa
