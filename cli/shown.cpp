#include "cli/shown.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace stoa::cli {
namespace {

struct Character {
    std::uint32_t code = 0;
    std::size_t bytes = 0;  // 0: no UTF-8
};

Character first_of(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
        return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0U;
    };
    const std::uint32_t head = byte(0);
    if (head < 0x80) return {head, 1};
    const std::size_t bytes = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : 2;
    if (head < 0xc2 || head > 0xf4) return {};
    std::uint32_t code = head & (0xffU >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) return {};
        code = code << 6U | (byte(i) & 0x3fU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < kLeast[bytes] || code > 0x10ffff || surrogate) return {};
    return {code, bytes};
}

bool is_harmless(std::uint32_t code) noexcept {
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    const bool direction = code == 0x061c || code == 0x200e || code == 0x200f ||
                           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return !direction && code != 0x2028 && code != 0x2029 && code != 0xfeff;
}

std::string escaped(std::uint32_t code) {
    switch (code) {
        case '\n': return "\\n";
        case '\r': return "\\r";
        case '\t': return "\\t";
        default: break;
    }
    return code < 0x80 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{:04x}", code);
}

}  // namespace

std::string shown(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character next = first_of(text);
        if (next.bytes == 0) {
            out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text.front()));
            text.remove_prefix(1);
            continue;
        }
        if (next.code == '\\') {
            out += "\\\\";
        } else if (is_harmless(next.code)) {
            out += text.substr(0, next.bytes);
        } else {
            out += escaped(next.code);
        }
        text.remove_prefix(next.bytes);
    }
    return out;
}

}  // namespace stoa::cli
