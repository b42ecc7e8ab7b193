// What a mailbox or a region knows of a type.
#pragma once

#include <cstdint>
#include <string_view>

namespace stoa {

// Specialise it for a type that cannot be taken apart: static constexpr std::string_view name; or,
// for a template, static void append(std::string& text). See fingerprint.hpp.
template <typename T>
struct Layout;

struct TypeInfo {
    std::uint64_t fingerprint = 0;  // hash of `text`; 0: bytes of any length
    std::uint32_t size = 0;         // 0: it varies, up to max_bytes of the mailbox
    std::uint32_t alignment = 16;
    std::string_view text = "bytes";

    [[nodiscard]] constexpr bool is_bytes() const noexcept { return fingerprint == 0; }
};

}  // namespace stoa
