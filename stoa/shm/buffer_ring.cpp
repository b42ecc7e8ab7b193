#include "stoa/shm/buffer_ring.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/section.hpp"

namespace stoa {
namespace {

// Chunks beside the capacity, for who fills or reads one at the moment: so many may stand still in
// a call, and as many messages as the capacity says wait nevertheless.
std::uint32_t loans_of(std::uint32_t capacity) noexcept {
    return std::clamp<std::uint32_t>(capacity / 4, 4, 64);
}

Result<PoolGeometry> geometry_of(const BufferLayout& layout, std::uint32_t capacity) noexcept {
    return PoolGeometry::plan({.capacity = capacity,
                               .max_bytes = layout.message_bytes,
                               .reserve_bytes = 1ULL << 40U,  // whatever it takes: one size
                               .loans = loans_of(capacity),
                               .payload_align = layout.message_align,
                               .receipts = 1});
}

// What must be zero before a ring is made: all but the payloads.
void clear(std::byte* memory, const PoolGeometry& geometry) noexcept {
    const PoolClass& chunks = geometry.classes[0];
    std::memset(memory, 0, chunks.first_offset);
    for (std::uint32_t i = 0; i < chunks.count; ++i) {
        const std::uint64_t at = chunks.first_offset + std::uint64_t{i} * chunks.stride;
        std::memset(memory + at, 0, sizeof(PoolChunk));
    }
}

// An empty one, which no word leads to yet.
Result<std::byte*> make_ring(Heap& heap, const PoolGeometry& geometry) noexcept {
    const Result<void*> memory = heap.allocate(geometry.used_bytes, kCacheLine);
    if (!memory) return std::unexpected(memory.error());
    auto* const ring = static_cast<std::byte*>(*memory);
    clear(ring, geometry);
    if (const Result<void> made = PoolRing::create({ring, geometry.used_bytes}, geometry); !made) {
        return std::unexpected(made.error());
    }
    return ring;
}

std::uint64_t away(const std::byte* ring, const Atomic<std::uint64_t>& word) noexcept {
    return reinterpret_cast<std::uintptr_t>(ring) - reinterpret_cast<std::uintptr_t>(&word);
}

// The largest one of at most `capacity` messages and so many bytes, at least of `least` messages.
Result<PoolGeometry> largest(const BufferLayout& layout, std::uint32_t capacity,
                             std::uint32_t least, std::uint64_t bytes) noexcept {
    for (; capacity >= least; capacity /= 2) {
        Result<PoolGeometry> geometry = geometry_of(layout, capacity);
        if (!geometry || geometry->used_bytes <= bytes) return geometry;
    }
    return fail(Errc::quota_reached, "send");
}

// While it lives this thread allocates what no section takes back: rings are everybody's.
class OutsideOfSections {
public:
    OutsideOfSections() noexcept : count_{std::exchange(detail::t_open_sections.count, 0)} {}
    OutsideOfSections(const OutsideOfSections&) = delete;
    OutsideOfSections& operator=(const OutsideOfSections&) = delete;
    ~OutsideOfSections() { detail::t_open_sections.count = count_; }

private:
    std::uint32_t count_;
};

}  // namespace

Result<void> make_buffer_ring(Heap& heap, BufferLayout& layout) noexcept {
    Result<PoolGeometry> geometry = geometry_of(layout, layout.capacity);
    if (geometry && layout.quota_bytes != 0) {
        geometry = largest(layout, layout.capacity, 1, layout.quota_bytes);
        if (!geometry && geometry.error().code == Errc::quota_reached) {
            return fail(Errc::bad_argument, "quota (not one message fits)");
        }
    }
    if (!geometry) return std::unexpected(geometry.error());
    const Result<std::byte*> ring = make_ring(heap, *geometry);
    if (!ring) return std::unexpected(ring.error());
    layout.capacity = geometry->slot_count;
    layout.rings[0].store(away(*ring, layout.rings[0]), kSeqCst);
    return {};
}

std::span<std::byte> buffer_ring(const Heap& heap, const BufferLayout& layout,
                                 std::uint32_t which) noexcept {
    const std::uint64_t word = layout.rings[which].load(kSeqCst);
    const std::span<std::byte> blocks = heap.backed();
    const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(&layout.rings[which]) + word -
                                 reinterpret_cast<std::uintptr_t>(blocks.data());
    if (word == 0 || offset >= blocks.size()) return {};
    return blocks.subspan(offset, heap.bytes_of(blocks.data() + offset));
}

Result<PoolRing> attach_buffer_ring(const Heap& heap, const BufferLayout& layout,
                                    std::uint32_t which) noexcept {
    if (layout.magic != kBufferMagic) return fail(Errc::bad_layout, "buffer");
    if (layout.version != kBufferVersion) return fail(Errc::wrong_version, "buffer");
    if (which >= kBufferRings || layout.rings[which].load(kSeqCst) == 0) {
        return fail(Errc::not_found, "buffer");
    }
    return PoolRing::attach(buffer_ring(heap, layout, which));
}

Result<void> grow_buffer(Heap& heap, BufferLayout& layout, std::uint32_t last) noexcept {
    if (last + 1 >= kBufferRings) return fail(Errc::quota_reached, "send");
    Atomic<std::uint64_t>& next = layout.rings[last + 1];
    if (next.load(kSeqCst) != 0) return {};
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i <= last; ++i) bytes += buffer_ring(heap, layout, i).size();
    const Result<PoolRing> full = attach_buffer_ring(heap, layout, last);
    if (!full) return std::unexpected(full.error());
    const std::uint64_t left = layout.quota_bytes - std::min(layout.quota_bytes, bytes);
    // Not a smaller one: what the others took is not used again.
    const std::uint32_t least = full->geometry().slot_count;
    const Result<PoolGeometry> geometry =
        largest(layout, std::min(least * 2, kPoolMaxSlots), least, left);
    if (!geometry) return std::unexpected(geometry.error());
    const OutsideOfSections outside;
    const Result<std::byte*> ring = make_ring(heap, *geometry);
    if (!ring) return std::unexpected(ring.error());
    STOA_CRASH_POINT("buffer.grow.before");
    std::uint64_t none = 0;
    if (!next.compare_exchange_strong(none, away(*ring, next), kSeqCst)) heap.free(*ring);
    return {};
}

void recover_buffer(const Heap& heap, BufferLayout& layout, std::uint32_t dead) noexcept {
    for (std::uint32_t i = 0; i < kBufferRings; ++i) {
        Result<PoolRing> ring = attach_buffer_ring(heap, layout, i);
        if (!ring) break;
        ring->recover({.index = dead});
    }
    STOA_CRASH_POINT("buffer.recovered");
    std::uint64_t again = layout.again.load(kSeqCst);
    // A new generation, so that a receiver that is still looking cannot lower it.
    while (!layout.again.compare_exchange_weak(again, ((again >> 1U) + 1) << 1U | 1U, kSeqCst)) {
    }
    ring_bell_for_all(layout.bells.messages);
    ring_bell_for_all(layout.bells.space);
}

}  // namespace stoa
