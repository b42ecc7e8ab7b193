// Allocator: a standard allocator over the heap of a region, for containers that live in it.
//
// Start here: Allocator<T>{heap}; boost::container::vector<int, Allocator<int>>.
// Threads:    as Heap.
// Processes:  lies in the region, within the container; each process uses its own Heap, that of its
//             membership (stoa/life/membership.hpp).
// Death:      as Heap: within a section, of Guarded say, allocations are taken back.
// Blocking:   never.
// Lifetime:   the region must stay mapped. A container is destroyed before its region.
// Units:      elements.
// Source:     ISO C++23 16.4.4.6 (allocator requirements).
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <type_traits>

#include "stoa/shm/heap.hpp"
#include "stoa/shm/offset_ptr.hpp"

namespace stoa {

// What a container is told when the region's heap cannot give what it asks for.
class HeapError : public std::bad_alloc {
public:
    explicit HeapError(const Error& error) noexcept : error_{error} {
        const std::string_view why = name(error.code);
        const std::string_view then = advice(error.code);
        std::size_t at = 0;
        for (const std::string_view part :
             {std::string_view{"stoa::Allocator: "}, why, std::string_view{": "}, then}) {
            const std::size_t bytes = std::min(part.size(), sizeof text_ - 1 - at);
            std::memcpy(text_ + at, part.data(), bytes);
            at += bytes;
        }
        text_[at] = 0;
    }
    [[nodiscard]] const char* what() const noexcept override { return text_; }
    [[nodiscard]] const Error& error() const noexcept { return error_; }

private:
    Error error_;
    char text_[160];
};

template <typename T>
class Allocator {
public:
    using value_type = T;
    using pointer = OffsetPtr<T>;
    using const_pointer = OffsetPtr<const T>;
    using void_pointer = OffsetPtr<void>;
    using const_void_pointer = OffsetPtr<const void>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using is_always_equal = std::false_type;
    template <typename U>
    struct rebind {
        using other = Allocator<U>;
    };

    explicit Allocator(const Heap& heap) noexcept : header_{heap.header()} {}
    template <typename U>
    Allocator(const Allocator<U>& other) noexcept : header_{other.header_} {}

    Allocator(const Allocator& other) noexcept = default;
    Allocator& operator=(const Allocator& other) noexcept = default;
    // Not trivial: Boost.Container 1.74 leaks the memory of a string that was moved from, if its
    // allocator is trivially destructible (it swaps, and then leaves the destructor out).
    ~Allocator() {}

    // Throws HeapError: full, or this process has not attached the region with its heap.
    [[nodiscard]] pointer allocate(size_type count) {
        static_assert(alignof(T) <= kPage);
        Heap* const heap = heap_here();
        if (heap == nullptr) throw HeapError{Error{Errc::not_found, 0, "allocate"}};
        if (count > max_size()) throw HeapError{Error{Errc::too_big, 0, "allocate"}};
        const Result<void*> block =
            heap->allocate(count * sizeof(T), std::max(alignof(T), Heap::kMinAlignment));
        if (!block) throw HeapError{block.error()};
        return pointer{static_cast<T*>(*block)};
    }
    void deallocate(const pointer& block, size_type /*count*/) noexcept {
        if (Heap* const heap = heap_here(); heap != nullptr) heap->free(block.get());
    }
    [[nodiscard]] static constexpr size_type max_size() noexcept {
        return std::numeric_limits<difference_type>::max() / sizeof(T);
    }
    template <typename U>
    [[nodiscard]] bool operator==(const Allocator<U>& other) const noexcept {
        return header_ == other.header_;
    }

private:
    template <typename U>
    friend class Allocator;

    [[nodiscard]] Heap* heap_here() const noexcept {
        return static_cast<Heap*>(here(header_.get()).heap);
    }

    OffsetPtr<const HeapHeader> header_;
};

}  // namespace stoa
