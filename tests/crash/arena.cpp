#include "tests/crash/arena.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "stoa/base/check.hpp"
#include "stoa/base/size.hpp"

namespace stoa::crash {
namespace {

alignas(64) constinit std::array<std::byte, std::size_t{1} << 20U> g_arena{};
constinit std::size_t g_used = 0;
constinit bool g_active = false;

void* take(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t at = align_up(g_used, alignment);
    STOA_CHECK(bytes <= g_arena.size() - at);
    g_used = at + bytes;
    return g_arena.data() + at;
}

bool from_arena(const void* memory) noexcept {
    return memory >= g_arena.data() && memory < g_arena.data() + g_arena.size();
}

void* allocate(std::size_t bytes, std::size_t alignment) {
    if (g_active) return take(bytes, alignment);
    void* memory = std::aligned_alloc(alignment, align_up(bytes, alignment));
    if (memory == nullptr) throw std::bad_alloc{};
    return memory;
}

void give_back(void* memory) noexcept {
    if (!from_arena(memory)) std::free(memory);
}

}  // namespace

void allocate_from_arena() noexcept {
    g_active = true;
}

}  // namespace stoa::crash

void* operator new(std::size_t bytes) {
    return stoa::crash::allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return stoa::crash::allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    stoa::crash::give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    stoa::crash::give_back(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    stoa::crash::give_back(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    stoa::crash::give_back(memory);
}
