#include "stoa/ring/pool_geometry.hpp"

#include <algorithm>

#include "stoa/base/size.hpp"

namespace stoa {
namespace {

constexpr std::uint32_t kMaxMessageBytes = 1U << 30U;
constexpr std::uint64_t kMaxReserveBytes = 1ULL << 40U;
constexpr std::uint32_t kMaxDeliveries = 255;  // what a chunk word can count
constexpr std::uint32_t kAlignedFrom = 240;    // payloads from here on begin on a cache line

// The header lies 16 bytes before the payload; big or over-aligned payloads start on a line.
constexpr std::uint64_t lead_of(std::uint32_t payload_bytes, std::uint32_t align) noexcept {
    return payload_bytes > kAlignedFrom || align > 16 ? kCacheLine - sizeof(PoolChunk) : 0;
}

constexpr std::uint32_t stride_of(std::uint32_t payload_bytes) noexcept {
    return static_cast<std::uint32_t>(align_up(payload_bytes + sizeof(PoolChunk), kCacheLine));
}

void add_class(PoolGeometry& geometry, std::uint32_t payload_bytes, std::uint64_t count) noexcept {
    PoolClass& added = geometry.classes[geometry.class_count++];
    added.payload_bytes = payload_bytes;
    added.stride = stride_of(payload_bytes);
    added.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, kPoolMaxChunks));
}

void share_out(PoolGeometry& geometry, const PoolDemand& demand, std::uint64_t wanted) noexcept {
    std::array<std::uint32_t, kPoolMaxClasses> sizes{};
    std::uint32_t count = 0;
    for (std::uint64_t bytes = 48; bytes < demand.max_bytes / 2 && count < kPoolMaxClasses - 1;
         bytes = (bytes + sizeof(PoolChunk)) * 4 - sizeof(PoolChunk)) {
        sizes[count++] = static_cast<std::uint32_t>(bytes);
    }
    sizes[count++] = demand.max_bytes;
    std::uint64_t left_bytes = demand.reserve_bytes;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t share = left_bytes / (count - i);
        // A user who names a capacity wants room for so many messages, if they are small: what
        // that takes beyond a fair share of the reserve comes on top of it.
        const std::uint64_t least = i == 0 ? wanted : i + 1 == count ? 2 : 1;
        const std::uint64_t chunks =
            std::clamp<std::uint64_t>(share / stride_of(sizes[i]), least, wanted);
        add_class(geometry, sizes[i], chunks);
        // What a class does not need goes to the larger ones.
        left_bytes -= std::min(i == 0 ? share : left_bytes, chunks * stride_of(sizes[i]));
    }
}

std::uint32_t chunks_of(const PoolGeometry& geometry) noexcept {
    std::uint64_t chunks = 0;
    for (const PoolClass& c : geometry.classes) chunks += c.count;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(chunks, kPoolMaxChunks));
}

// Lays the classes out behind each other; fills every derived field.
bool place(PoolGeometry& geometry, std::uint32_t align) noexcept {
    std::uint64_t chunks = 0;
    std::uint64_t hint_words = 0;
    for (std::uint32_t i = 0; i < geometry.class_count; ++i) {
        PoolClass& c = geometry.classes[i];
        c.first_chunk = static_cast<std::uint32_t>(chunks);
        c.first_hint = static_cast<std::uint32_t>(hint_words);
        chunks += c.count;
        hint_words += (std::uint64_t{c.count} + 63) / 64;
    }
    if (chunks > kPoolMaxChunks) return false;
    geometry.chunk_count = static_cast<std::uint32_t>(chunks);
    geometry.hints_offset = sizeof(PoolLayout) + geometry.level_count * sizeof(PoolQueue);
    geometry.slots_offset = align_up(geometry.hints_offset + hint_words * 8, kCacheLine);
    const std::uint64_t slots = std::uint64_t{geometry.level_count} * geometry.slot_count;
    std::uint64_t end = align_up(geometry.slots_offset + slots * 8, kCacheLine);
    for (std::uint32_t i = 0; i < geometry.class_count; ++i) {
        PoolClass& c = geometry.classes[i];
        c.first_offset = end + lead_of(c.payload_bytes, align);
        end = align_up(c.first_offset + std::uint64_t{c.stride} * c.count, kCacheLine);
    }
    geometry.used_bytes = end;
    geometry.total_bytes = align_up(end, kPage);
    geometry.extra_bytes =
        align_up(geometry.receipts_offset() + geometry.receipt_count * sizeof(PoolReceipt), kPage);
    return true;
}

// What is given, not derived, beside slots and classes.
bool ranks_sound(const PoolGeometry& g) noexcept {
    return g.level_count >= 1 && g.level_count <= kPoolMaxLevels &&
           g.dead_letter_after <= kMaxDeliveries && g.dead_letter_quota <= kPoolMaxSlots &&
           g.receipt_count >= 1 && g.receipt_count <= kPoolMaxReceipts;
}

bool sound(PoolGeometry& g, std::uint64_t memory_bytes) noexcept {
    if (g.slot_count < 1 || g.slot_count > kPoolMaxSlots || g.class_count < 1 ||
        g.class_count > kPoolMaxClasses || !ranks_sound(g)) {
        return false;
    }
    PoolGeometry again = g;  // the derived fields must be what place() makes of the given ones
    for (std::uint32_t i = 0; i < g.class_count; ++i) {
        const PoolClass& c = g.classes[i];
        if (c.count < 1 || c.count > kPoolMaxChunks || c.payload_bytes < 1 ||
            c.payload_bytes > kMaxMessageBytes || c.stride != stride_of(c.payload_bytes) ||
            (i > 0 && c.payload_bytes <= g.classes[i - 1].payload_bytes)) {
            return false;
        }
    }
    const std::uint32_t align = g.classes[0].first_offset % kCacheLine != 0 ? 64 : 16;
    if (!place(again, align)) return false;
    if (again.chunk_count != g.chunk_count || again.hints_offset != g.hints_offset ||
        again.slots_offset != g.slots_offset || again.total_bytes != g.total_bytes ||
        again.extra_bytes != g.extra_bytes || again.used_bytes > memory_bytes) {
        return false;
    }
    g.used_bytes = again.used_bytes;
    for (std::uint32_t i = 0; i < g.class_count; ++i) {
        const PoolClass& a = again.classes[i];
        const PoolClass& b = g.classes[i];
        if (a.first_offset != b.first_offset || a.first_chunk != b.first_chunk ||
            a.first_hint != b.first_hint) {
            return false;
        }
    }
    return true;
}

}  // namespace

Result<PoolGeometry> PoolGeometry::plan(const PoolDemand& demand) noexcept {
    if (demand.capacity < 1 || demand.capacity > kPoolMaxSlots) {
        return fail(Errc::bad_argument, "capacity (1 to 1048576)");
    }
    if (demand.max_bytes < 1 || demand.max_bytes > kMaxMessageBytes) {
        return fail(Errc::bad_argument, "max_bytes (1 to 1 GiB)");
    }
    if (demand.payload_align > kCacheLine)
        return fail(Errc::bad_argument, "alignment (at most 64)");
    if (demand.reserve_bytes > kMaxReserveBytes) return fail(Errc::bad_argument, "reserve (1 TiB)");
    PoolGeometry geometry;
    geometry.slot_count = demand.capacity;
    geometry.acknowledged = demand.acknowledged;
    geometry.level_count = demand.levels;
    geometry.ageing_ns = demand.ageing_ns;
    geometry.dead_letter_after = demand.dead_letter_after;
    geometry.dead_letter_quota = demand.dead_letter_quota;
    geometry.receipt_count = demand.receipts;
    if (!ranks_sound(geometry)) {
        return fail(Errc::bad_argument, "priorities (1 to 32) or dead_letter_after (0 to 255)");
    }
    const std::uint64_t wanted =
        std::uint64_t{demand.capacity} + demand.loans + demand.dead_letter_quota;
    if (wanted * stride_of(demand.max_bytes) <= demand.reserve_bytes) {
        add_class(geometry, demand.max_bytes, wanted);
    } else {
        share_out(geometry, demand, wanted);
    }
    if (demand.slot_per_chunk) geometry.slot_count = std::min(chunks_of(geometry), kPoolMaxSlots);
    if (!place(geometry, demand.payload_align)) return fail(Errc::bad_argument, "reserve");
    return geometry;
}

Result<PoolGeometry> PoolGeometry::read(std::span<std::byte> memory) noexcept {
    const PoolLayout* layout = layout_at<PoolLayout>(memory, 0);
    if (layout == nullptr || layout->magic != kPoolMagic) return fail(Errc::bad_layout, "pool");
    if (layout->version != kPoolVersion) return fail(Errc::wrong_version, "pool");
    PoolGeometry g;
    g.slot_count = layout->slot_count;
    g.chunk_count = layout->chunk_count;
    g.class_count = layout->class_count;
    g.acknowledged = layout->acknowledged == 1;
    g.level_count = layout->level_count;
    g.ageing_ns = layout->ageing_ns;
    g.dead_letter_after = layout->dead_letter_after;
    g.dead_letter_quota = layout->dead_letter_quota;
    g.receipt_count = layout->receipt_count;
    g.extra_bytes = layout->extra_bytes;
    g.hints_offset = layout->hints_offset;
    g.slots_offset = layout->slots_offset;
    g.total_bytes = layout->total_bytes;
    std::copy_n(layout->classes, kPoolMaxClasses, g.classes.begin());
    if (layout->acknowledged > 1 || !sound(g, memory.size())) return fail(Errc::bad_layout, "pool");
    return g;
}

std::uint64_t PoolGeometry::receipt_hints_offset() const noexcept {
    return chunk_count * sizeof(PoolNote);
}

std::uint64_t PoolGeometry::receipts_offset() const noexcept {
    return align_up(receipt_hints_offset() + (std::uint64_t{receipt_count} + 63) / 64 * 8,
                    kCacheLine);
}

std::uint64_t PoolGeometry::payload_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < class_count; ++i) {
        sum += std::uint64_t{classes[i].count} * classes[i].payload_bytes;
    }
    return sum;
}

}  // namespace stoa
