// What a Region handle holds: memory, names, heap, and its place among those who are attached.
//
// Start here: RegionCore::enter; undo, settle and end say what becomes of an object's memory.
// Threads:    as Region.
// Processes:  each has its own, over the same memory.
// Death:      the word of an entry's section and two bits of its block tell how far it came:
//   constructing  section open: roll back. Nothing else was done.
//   complete      section open or decided: commit it.
//   destroying    the destructor's section ends as it is: what it freed is free. Then another
//                 section frees the block: E1 open, E2 free(block), E3 kFreed, E4 decided. An heir
//                 that finds it open takes E3 back, then rolls back, and begins again.
//   sweeping      a dead one is swept also in the ring of each buffer (buffer_ring.hpp). Its memory
//                 goes only when nobody can be at that any more, by the order of two words:
//                   destroyer  block |= kDestructed; who is sweeping?; free     (seq_cst, Dekker)
//                   sweeper    sweeping = dead;      block & kDestructed?; recover
//                 A sweeper that stands still for long costs the memory, which then leaks.
// Blocking:   the end of a buffer, while others sweep, for a slice at most.
// Lifetime:   of its handle.
// Units:      bytes.
// Source:     none.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "stoa/life/membership.hpp"
#include "stoa/shm/directory.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/shm/region_place.hpp"

namespace stoa::detail {

struct RegionCore final : ObjectMemory, Sweeper {
    // Of ObjectEntry::block.
    static constexpr std::uint64_t kHasRing = 4;     // it begins with a BufferLayout
    static constexpr std::uint64_t kDestructed = 2;  // its destructor is over
    static constexpr std::uint64_t kFreed = 1;
    static constexpr std::uint64_t kMarks = kHasRing | kDestructed | kFreed;

    RegionCore(RegionImage of, RegionPlace there, Access how) noexcept
        : image{std::move(of)}, place{std::move(there)}, access{how} {}
    RegionCore(const RegionCore&) = delete;
    RegionCore& operator=(const RegionCore&) = delete;
    ~RegionCore();

    // Errors: bad_layout, wrong_version, no_free_place, out_of_space
    [[nodiscard]] Result<void> enter();
    [[nodiscard]] Here here() const noexcept { return stoa::here(image.content().data()); }
    [[nodiscard]] bool is_forked() const noexcept;
    std::uint32_t sweep() noexcept override;
    void recover_rings(std::uint32_t dead) noexcept;

    [[nodiscard]] std::byte* at(std::uint64_t block) const noexcept {
        return heap_memory().data() + (block & ~kMarks);
    }
    [[nodiscard]] std::uint64_t offset_of(const void* memory) const noexcept {
        return static_cast<std::uint64_t>(static_cast<const std::byte*>(memory) -
                                          heap_memory().data());
    }
    [[nodiscard]] std::span<std::byte> heap_memory() const noexcept {
        return image.content().subspan(directory->heap_offset());
    }

    // Whether an entry leads into the heap: not so when it was scribbled over.
    [[nodiscard]] bool holds(const stoa::Named& seen) const noexcept {
        const std::uint64_t all = heap_memory().size();
        const std::uint64_t block = seen.block & ~kMarks;
        return block % Heap::kMinAlignment == 0 && block <= all && seen.bytes <= all - block &&
               seen.text_bytes <= all - block - seen.bytes;
    }

    // Errors: not_found, bad_layout
    [[nodiscard]] Result<stoa::Named> find(std::string_view name) const noexcept;

    void undo(ObjectEntry& entry) noexcept override;
    void settle(ObjectEntry& entry) noexcept override;
    void end(ObjectEntry& entry) noexcept override;

    RegionImage image;
    RegionPlace place;
    Access access;
    bool owns = false;  // it ends with this handle
    std::optional<Directory> directory;
    std::unique_ptr<Heap> heap;
    std::uint32_t index = 0;
    std::optional<Membership> membership;
    std::uint64_t generation = 0;
    // One thread of this process at a time sweeps, or ends an object: its place has one word that
    // tells others whom it sweeps.
    std::recursive_mutex sweeping;

private:
    [[nodiscard]] bool ring_is_unused() const noexcept;
    // Of a block that kHasRing marks; null: its place is damaged.
    [[nodiscard]] BufferLayout* buffer(std::uint64_t block) const noexcept;
};

}  // namespace stoa::detail
