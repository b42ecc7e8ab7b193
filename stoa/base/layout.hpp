// The one cast from mapped bytes to a layout, and the magic words that layouts begin with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace stoa {

// Eight readable bytes in a hex dump: product, kind, major version.
consteval std::uint64_t magic_of(const char (&tag)[9]) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) {
        value = value << 8U | static_cast<std::uint8_t>(tag[i]);
    }
    return value;
}

// Sees `T` at `offset`. nullptr when it does not fit or is not aligned. The memory holds a T
// because its creator wrote one there, or because every byte pattern is a T (checked by the
// reader).
template <typename T>
[[nodiscard]] T* layout_at(std::span<std::byte> memory, std::uint64_t offset,
                           std::uint64_t count = 1) noexcept {
    static_assert(std::is_standard_layout_v<T> && std::is_trivially_destructible_v<T>);
    if (offset > memory.size() || count > (memory.size() - offset) / sizeof(T)) return nullptr;
    std::byte* at = memory.data() + offset;
    if (reinterpret_cast<std::uintptr_t>(at) % alignof(T) != 0) return nullptr;
    return reinterpret_cast<T*>(at);
}

}  // namespace stoa
