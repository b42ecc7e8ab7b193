// What a type looks like in memory, as text and as a hash: the same from every compiler.
//
// Start here: type_info_of<T>(); Sendable says which types qualify; Layout<T> describes the others.
// Threads:    safe.
// Processes:  two programs agree on a type when kind, size, offset and name of every field agree.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   the text lives as long as the program.
// Units:      bytes.
// Source:     stoa/base/fields.hpp; own canonical text; FNV-1a.
//
// The text of struct Order { std::uint64_t id; double price[2]; } is
//   {u64 id@0;f64[2] price@8}:24
// Pointers, references, views and spans are refused: they mean nothing in another process, although
// they are trivially copyable. A type that is no aggregate of such fields (private members, more
// than 32 fields) names itself: template <> struct stoa::Layout<T> { static constexpr
// std::string_view name = "..."; }; and promises by that name that its layout never changes.
// Types that own memory (strings, vectors) travel through a codec: stoa/channel/codec.hpp.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "stoa/base/fields.hpp"
#include "stoa/base/type_info.hpp"

namespace stoa {

template <typename T>
struct Codec;  // specialise it for a type that is not sent as its bytes: codec.hpp

namespace detail {

template <typename T>
concept Named = requires { std::string_view{Layout<T>::name}; };
// Templates say their text themselves: static void append(std::string& text);
template <typename T>
concept Described = requires(std::string& text) { Layout<T>::append(text); };
template <typename T>
concept OwnCodec = requires { sizeof(Codec<T>); };

template <typename T>
inline constexpr bool kIsStdArray = false;
template <typename T, std::size_t kCount>
inline constexpr bool kIsStdArray<std::array<T, kCount>> = true;

template <typename T>
consteval bool sendable();

template <typename T, std::size_t... kI>
consteval bool fields_sendable(std::index_sequence<kI...>) {
    return (sendable<FieldType<T, kI>>() && ...);
}

template <typename T>
consteval bool sendable() {
    if constexpr (OwnCodec<T>) {  // NOLINT(bugprone-branch-clone): the rest is not looked at
        return false;
    } else if constexpr (Named<T>) {
        return std::is_trivially_copyable_v<T>;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        return true;
    } else if constexpr (std::is_array_v<T>) {
        return sendable<std::remove_extent_t<T>>();
    } else if constexpr (kIsStdArray<T>) {
        return sendable<typename T::value_type>();
    } else if constexpr (Fielded<T> && std::is_trivially_copyable_v<T> &&
                         std::is_copy_assignable_v<T>) {
        constexpr std::size_t kCount = field_count<T>();
        if constexpr (kCount > kMaxFields || (kCount == 0 && !std::is_empty_v<T>)) {
            return false;
        } else {
            return fields_sendable<T>(std::make_index_sequence<kCount>{});
        }
    } else {
        return false;
    }
}

template <typename T>
inline constexpr bool kIsAtomic = false;
template <typename T>
inline constexpr bool kIsAtomic<std::atomic<T>> = std::atomic<T>::is_always_lock_free;

template <typename T>
consteval bool shareable();

template <typename T, std::size_t... kI>
consteval bool fields_shareable(std::index_sequence<kI...>) {
    return (shareable<FieldType<T, kI>>() && ...);
}

template <typename T>
consteval bool shareable() {
    if constexpr (sendable<T>() || Named<T> || Described<T>) {
        return true;
    } else if constexpr (kIsAtomic<T>) {
        return sendable<typename T::value_type>();
    } else if constexpr (std::is_array_v<T>) {
        return shareable<std::remove_extent_t<T>>();
    } else if constexpr (kIsStdArray<T>) {
        return shareable<typename T::value_type>();
    } else if constexpr (Fielded<T>) {
        constexpr std::size_t kCount = field_count<T>();
        if constexpr (kCount > kMaxFields || (kCount == 0 && !std::is_empty_v<T>)) {
            return false;
        } else {
            return fields_shareable<T>(std::make_index_sequence<kCount>{});
        }
    } else {
        return false;
    }
}

template <typename T>
void append_type(std::string& text);

inline void append_number(std::string& text, std::size_t number) {
    text += std::to_string(number);
}

template <typename T, std::size_t... kI>
void append_fields(std::string& text, std::index_sequence<kI...>) {
    alignas(T) std::byte memory[sizeof(T)]{};
    T& object = *reinterpret_cast<T*>(memory);  // only addresses of its fields are taken
    const auto fields = fields_of(object);
    [[maybe_unused]] const auto append = [&]<std::size_t kIndex>() {
        auto* field = std::get<kIndex>(fields);
        append_type<FieldType<T, kIndex>>(text);
        text += ' ';
        text += kFieldName<T, kIndex>;
        text += '@';
        append_number(text, static_cast<std::size_t>(reinterpret_cast<std::byte*>(field) - memory));
        text += ';';
    };
    (append.template operator()<kI>(), ...);
}

template <typename T>
void append_type(std::string& text) {
    if constexpr (Named<T>) {
        text += Layout<T>::name;
        text += ':';
        append_number(text, sizeof(T));
    } else if constexpr (Described<T>) {
        Layout<T>::append(text);
        text += ':';
        append_number(text, sizeof(T));
    } else if constexpr (kIsAtomic<T>) {
        text += "atomic ";
        append_type<typename T::value_type>(text);
    } else if constexpr (std::is_same_v<T, bool>) {
        text += "bool";
    } else if constexpr (std::is_same_v<T, char>) {
        text += "char";
    } else if constexpr (std::is_enum_v<T>) {
        text += "enum ";
        append_type<std::underlying_type_t<T>>(text);
    } else if constexpr (std::is_arithmetic_v<T>) {
        text += std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
        append_number(text, sizeof(T) * 8);
    } else if constexpr (std::is_array_v<T>) {
        append_type<std::remove_extent_t<T>>(text);
        text += '[';
        append_number(text, std::extent_v<T>);
        text += ']';
    } else if constexpr (kIsStdArray<T>) {
        append_type<typename T::value_type>(text);
        text += '[';
        append_number(text, std::tuple_size_v<T>);
        text += ']';
    } else {
        text += '{';
        append_fields<T>(text, std::make_index_sequence<field_count<T>()>{});
        text += "}:";
        append_number(text, sizeof(T));
    }
}

}  // namespace detail

// A type whose bytes mean the same in every process.
template <typename T>
concept Sendable = std::is_object_v<T> && !std::is_const_v<T> && detail::sendable<T>();

// A type that means the same to every process that has it mapped: also one that stays where it is,
// as locks and containers do.
template <typename T>
concept Shareable = std::is_object_v<T> && !std::is_const_v<T> && detail::shareable<T>();

// The hash that stands for a text; never 0.
[[nodiscard]] constexpr std::uint64_t fingerprint_of(std::string_view text) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211ULL;
    return hash != 0 ? hash : 1;
}

// What an object of a region is.
template <Shareable T>
[[nodiscard]] TypeInfo object_type_of() {
    static const std::string text = [] {
        std::string made;
        detail::append_type<T>(made);
        return made;
    }();
    static const std::uint64_t hash = fingerprint_of(text);
    return {.fingerprint = hash,
            .size = static_cast<std::uint32_t>(sizeof(T)),
            .alignment = alignof(T) > 16 ? static_cast<std::uint32_t>(alignof(T)) : 16U,
            .text = text};
}

// What a message is that is sent as its bytes.
template <Sendable T>
[[nodiscard]] TypeInfo type_info_of() {
    return object_type_of<T>();
}

}  // namespace stoa
