#include "tests/crash/scenarios/look.hpp"

#include "stoa/ring/pool_words.hpp"
#include "tests/crash/scenarios/ledger.hpp"

namespace stoa::crash {

WaitingMessages waiting_in_pool(std::span<std::byte> memory, const PoolGeometry& geometry) {
    const SlotCodec codec{geometry.chunk_count};
    const auto* slots = layout_at<Atomic<std::uint64_t>>(memory, geometry.slots_offset);
    std::set<std::uint32_t> queued;
    for (std::uint32_t k = 0; k < geometry.slot_count * geometry.level_count; ++k) {
        const Slot slot = codec.unpack(slots[k].load());
        if (slot.kind != SlotKind::empty) queued.insert(slot.chunk);
    }
    WaitingMessages found;
    for (std::uint32_t k = 0; k < geometry.class_count; ++k) {
        const PoolClass& c = geometry.classes[k];
        for (std::uint32_t n = 0; n < c.count; ++n) {
            const std::uint64_t offset = c.first_offset + std::uint64_t{n} * c.stride;
            const auto& chunk = *layout_at<PoolChunk>(memory, offset);
            const ChunkWord word = unpack_chunk(chunk.word.load());
            const ChunkState state = word.state;
            const bool in_slot = queued.contains(c.first_chunk + n);
            const bool overdue = word.dropping() && geometry.redelivers_chunks();  // it is kept
            const bool leased = overdue || (geometry.acknowledged && state == ChunkState::borrowed);
            const bool marked = state == ChunkState::redeliver;
            const bool letter = state == ChunkState::dead_letter;
            if (!leased && !marked && !letter && !in_slot) continue;
            const std::uint64_t number =
                read_payload(memory.subspan(offset + sizeof(PoolChunk), chunk.length));
            found.numbers.insert(number);
            if (!in_slot && word.takes != kRedriven) found.delivered_before.insert(number);
            if (letter && !in_slot) found.letters.insert(number);
        }
    }
    return found;
}

WaitingMessages waiting_in_lane(std::span<std::byte> memory, std::uint64_t end) {
    const auto* layout = layout_at<LaneLayout>(memory, 0);
    const std::uint64_t ring_bytes = layout->header.ring_bytes;
    std::uint64_t position = layout->receiver.delivered;
    WaitingMessages found;
    while (position < end) {
        const std::uint64_t at = sizeof(LaneLayout) + position % ring_bytes;
        const std::uint64_t word = layout_at<LaneHead>(memory, at)->ready.load();
        const std::uint64_t bytes = LaneWord::bytes(word);
        switch (LaneWord::kind(word)) {
            case LaneKind::not_ready:
            case LaneKind::end: return found;
            case LaneKind::pad: position += bytes; break;
            case LaneKind::record:
                found.numbers.insert(
                    read_payload(memory.subspan(at + lane_payload_offset(bytes), bytes)));
                position += lane_stride(bytes);
                break;
        }
    }
    return found;
}

}  // namespace stoa::crash
