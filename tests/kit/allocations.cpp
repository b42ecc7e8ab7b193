#include "tests/kit/allocations.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace stoa::kit {
namespace {

thread_local std::size_t t_largest_bytes = 0;

}  // namespace

void forget_allocations() noexcept {
    t_largest_bytes = 0;
}
std::size_t largest_allocation() noexcept {
    return t_largest_bytes;
}

}  // namespace stoa::kit

void* operator new(std::size_t bytes) {
    using stoa::kit::t_largest_bytes;
    t_largest_bytes = std::max(t_largest_bytes, bytes);
    if (void* memory = std::malloc(std::max<std::size_t>(bytes, 1))) return memory;
    throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
    std::free(memory);
}
