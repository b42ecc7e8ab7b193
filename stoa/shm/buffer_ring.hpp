// The pool rings of a buffer: made in the heap of a region, recovered by its sweeps.
//
// Start here: make_buffer_ring() while the object is constructed; recover_buffer() in a sweep.
// Threads:    safe; make_buffer_ring is for who constructs it.
// Processes:  any number.
// Death:      in make_buffer_ring: what it allocated goes with the section of the constructor. In
//             recover_buffer: the next sweep goes on.
// Blocking:   never.
// Lifetime:   of the object.
// Units:      bytes.
// Source:     stoa/ring/pool.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/ring/pool.hpp"
#include "stoa/shm/buffer_layout.hpp"
#include "stoa/shm/heap.hpp"

namespace stoa {

// The first one. Errors: bad_argument (capacity, size of a message, quota), out_of_space, too_big
[[nodiscard]] Result<void> make_buffer_ring(Heap& heap, BufferLayout& layout) noexcept;

// Where one lies, as far as it may reach; empty: there is none, or the words are damaged.
[[nodiscard]] std::span<std::byte> buffer_ring(const Heap& heap, const BufferLayout& layout,
                                               std::uint32_t which) noexcept;
// Errors: not_found (there is none), bad_layout, wrong_version
[[nodiscard]] Result<PoolRing> attach_buffer_ring(const Heap& heap, const BufferLayout& layout,
                                                  std::uint32_t which) noexcept;
// Without a bound: makes the ring behind `last`, which is full, unless it is there. Whoever dies in
// it may leave its memory, which leaks. Errors: quota_reached, out_of_space
[[nodiscard]] Result<void> grow_buffer(Heap& heap, BufferLayout& layout,
                                       std::uint32_t last) noexcept;

// Brings back what a dead participant held in it, and wakes all who wait. In an announced sweep.
void recover_buffer(const Heap& heap, BufferLayout& layout, std::uint32_t dead) noexcept;

}  // namespace stoa
