#include "stoa/shm/region_core.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "stoa/base/crash_point.hpp"
#include "stoa/shm/buffer_ring.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/fork_guard.hpp"

namespace stoa::detail {
bool RegionCore::is_forked() const noexcept {
    return sys::current_generation() != generation;
}

Result<void> RegionCore::enter() {
    const auto reserve = [](void* context, std::uint64_t offset, std::uint64_t bytes) {
        return static_cast<RegionCore*>(context)->image.reserve(offset, bytes);
    };
    const auto reserve_heap = [](void* context, std::uint64_t offset, std::uint64_t bytes) {
        auto& core = *static_cast<RegionCore*>(context);
        return core.image.reserve(core.directory->heap_offset() + offset, bytes);
    };
    Result<Directory> names = Directory::attach(image.content(), reserve, this);
    if (!names) return std::unexpected(names.error());
    directory = *names;
    directory->keep_memory_with(*this);
    Result<std::unique_ptr<Heap>> blocks = Heap::attach(heap_memory(), reserve_heap, this);
    if (!blocks) return std::unexpected(blocks.error());
    heap = std::move(*blocks);
    generation = sys::own_generation();
    if (access == Access::read_only) {
        membership.emplace(image.memory(), image.participants());
        return {};
    }
    Result<std::uint32_t> joined = image.join(stoa::Role::none);
    if (!joined) {
        // Every place is taken, by the dead perhaps: from one that is kept for this they go.
        const Result<std::uint32_t> kept = image.participants().join_kept();
        if (!kept) return std::unexpected(joined.error());
        index = *kept;
        membership.emplace(image.memory(), image.participants(), index, heap.get(), this);
        sweep();
        membership.reset();
        image.participants().leave(index);
        joined = image.join(stoa::Role::none);
    }
    if (!joined) return std::unexpected(joined.error());
    index = *joined;
    membership.emplace(image.memory(), image.participants(), index, heap.get(), this);
    return {};
}

RegionCore::~RegionCore() {
    if (!membership) return;
    membership.reset();
    if (is_forked() || access == Access::read_only) return;
    if (owns) image.end_ownership();
    image.participants().leave(index);
}

std::uint32_t RegionCore::sweep() noexcept {
    const std::lock_guard guard{sweeping};
    const auto recover = [](void* context, std::uint32_t dead) {
        auto& core = *static_cast<RegionCore*>(context);
        core.directory->recover(core.here(), dead);
        core.recover_rings(dead);
    };
    const std::uint32_t freed = image.participants().sweep_all(index, recover, this);
    heap->recover();
    return freed;
}

void RegionCore::recover_rings(std::uint32_t dead) noexcept {
    directory->for_each_block([&](std::uint64_t block) {
        if ((block & kHasRing) == 0 || (block & kDestructed) != 0) return;
        if (BufferLayout* const layout = buffer(block); layout != nullptr) {
            recover_buffer(*heap, *layout, dead);
        }
    });
}

BufferLayout* RegionCore::buffer(std::uint64_t block) const noexcept {
    return layout_at<BufferLayout>(heap_memory(), block & ~kMarks);
}

// Nobody who sweeps can still be at a ring whose object says kDestructed.
bool RegionCore::ring_is_unused() const noexcept {
    const Deadline patience =
        Deadline::after(std::min<std::chrono::nanoseconds>(g_wait_slice, kWaitSlice));
    while (image.participants().others_sweep(index)) {
        if (patience.passed()) return false;
        std::this_thread::yield();
    }
    return true;
}

Result<stoa::Named> RegionCore::find(std::string_view name) const noexcept {
    Result<stoa::Named> seen = directory->find(name);
    if (seen && !holds(*seen)) return fail(Errc::bad_layout, "object (its entry is damaged)");
    return seen;
}

void RegionCore::undo(ObjectEntry& entry) noexcept {
    if (current_section(heap.get()) == &entry.section) leave_section(entry.section);
    if (entry.section.load(kSeqCst) != 0) heap->roll_back(entry.section);
}

void RegionCore::settle(ObjectEntry& entry) noexcept {
    if (current_section(heap.get()) == &entry.section) leave_section(entry.section);
    const std::uint64_t word = entry.section.fetch_and(~kSectionOpen, kSeqCst);
    if ((word & ~kSectionOpen) != 0) heap->commit(entry.section);
}

void RegionCore::end(ObjectEntry& entry) noexcept {
    const std::lock_guard guard{sweeping};
    std::uint64_t block = entry.block.load(kSeqCst);
    if ((block & kDestructed) == 0) {
        settle(entry);
        block |= kDestructed;
        entry.block.store(block, kSeqCst);
    }
    STOA_CRASH_POINT("region.object.destructed");
    if ((entry.section.load(kSeqCst) & kSectionOpen) != 0) {
        block &= ~kFreed;
        entry.block.store(block, kSeqCst);
        heap->roll_back(entry.section);
    } else if (entry.section.load(kSeqCst) != 0) {
        heap->commit(entry.section);
    }
    if ((block & kFreed) != 0 || heap->bytes_of(at(block)) == 0) return;  // 0: it was damaged
    const bool with_ring = (block & kHasRing) != 0 && ring_is_unused();
    begin_section(*heap, entry.section);  // E1
    if (const BufferLayout* const layout = with_ring ? buffer(block) : nullptr; layout != nullptr) {
        for (std::uint32_t i = 0; i < kBufferRings; ++i) {
            heap->free(buffer_ring(*heap, *layout, i).data());
        }
    }
    heap->free(at(block));                       // E2
    entry.block.store(block | kFreed, kSeqCst);  // E3
    end_section(*heap, entry.section);           // E4
}

}  // namespace stoa::detail
