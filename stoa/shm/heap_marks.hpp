// Which blocks of a heap are reached from some memory, by a cautious look.
//
// Start here: Heap::Marks::from(); part of heap.cpp's inside.
// Threads:    one; others may use the heap meanwhile, then it is a look.
// Processes:  private memory.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   a value.
// Units:      blocks.
// Source:     conservative marking: Boehm, Weiser 1988, for self-relative pointers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stoa/shm/heap.hpp"

namespace stoa {

struct Heap::Marks {
    // Marks what these roots reach. May throw std::bad_alloc.
    void from(const Heap& heap, std::span<const std::span<const std::byte>> roots);
    void keep_all() noexcept { all_ = true; }
    [[nodiscard]] bool has(bool large, std::uint64_t where) const noexcept;

private:
    void look_in(const Heap& heap, std::span<const std::byte> memory);
    bool mark(const Heap& heap, std::uint64_t offset);

    bool all_ = false;
    std::vector<bool> small_;
    std::vector<bool> large_;
    std::vector<std::span<const std::byte>> to_look_in_;
};

}  // namespace stoa
