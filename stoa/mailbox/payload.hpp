// What a mailbox of bytes takes: text, or anything contiguous of trivially copyable elements.
//
// Start here: box.send("text"), box.send(vector): they become a Payload by themselves.
// Threads:    values; safe everywhere.
// Processes:  the elements travel as bytes; pointers are refused when it is compiled.
// Death:      nothing here outlives a call.
// Blocking:   never.
// Lifetime:   borrows text or range for one call.
// Units:      bytes; a text literal travels without its final zero.
// Source:     none.
#pragma once

#include <concepts>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

#include "stoa/channel/pool_engine.hpp"

namespace stoa {

template <typename T>
concept Text = std::convertible_to<const T&, std::string_view> && !std::is_array_v<T>;

// Pointers mean nothing in another process.
template <typename T>
concept PlainRange = !Text<T> && !std::same_as<std::remove_extent_t<T>, char> &&
                     std::ranges::contiguous_range<const T> && std::ranges::sized_range<const T> &&
                     std::is_trivially_copyable_v<std::ranges::range_value_t<const T>> &&
                     !std::is_pointer_v<std::ranges::range_value_t<const T>>;

// Implicit, so that strings, arrays, vectors and spans need no ceremony.
class Payload {
public:
    Payload(Bytes bytes) noexcept : bytes_{bytes} {}  // NOLINT(google-explicit-constructor)
    template <Text T>
    Payload(const T& text) noexcept  // NOLINT(google-explicit-constructor)
        : bytes_{std::as_bytes(std::span{std::string_view{text}})} {}
    // A literal, without its final zero; a zero inside it is no end.
    template <std::size_t kSize>
    Payload(const char (&literal)[kSize]) noexcept  // NOLINT(google-explicit-constructor)
        : bytes_{std::as_bytes(std::span{literal, kSize - (literal[kSize - 1] == 0 ? 1 : 0)})} {}
    // A buffer: all of it.
    template <std::size_t kSize>
    Payload(char (&buffer)[kSize]) noexcept  // NOLINT(google-explicit-constructor)
        : bytes_{std::as_bytes(std::span{buffer})} {}
    template <PlainRange T>
    Payload(const T& range) noexcept  // NOLINT(google-explicit-constructor)
        : bytes_{std::as_bytes(std::span{std::ranges::data(range), std::ranges::size(range)})} {}

    [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }

private:
    Bytes bytes_;
};

}  // namespace stoa
