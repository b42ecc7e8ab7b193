// What a type looks like in memory, as text and as a hash: the same from every compiler.
//
// Start here: type_info_of<T>(); Sendable says which types qualify; Layout<T> describes the others.
// Threads:    safe.
// Processes:  two programs agree on a type when kind, size, offset and name of every field agree.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   the text lives as long as the program.
// Units:      bytes.
// Source:     aggregate field counting as in Boost.PFR; own canonical text; FNV-1a.
//
// The text of struct Order { std::uint64_t id; double price[2]; } is
//   {u64 id@0;f64[2] price@8}:24
// Pointers, references, views and spans are refused: they mean nothing in another process, although
// they are trivially copyable. A type that is no aggregate of such fields (private members, more
// than 32 fields) names itself: template <> struct stoa::Layout<T> { static constexpr
// std::string_view name = "..."; }; and promises by that name that its layout never changes.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "stoa/channel/type_info.hpp"

namespace stoa {

template <typename T>
struct Layout;  // specialise it for a type that cannot be taken apart

namespace detail {

template <typename T>
concept Named = requires { std::string_view{Layout<T>::name}; };

template <typename T>
inline constexpr bool kIsStdArray = false;
template <typename T, std::size_t kCount>
inline constexpr bool kIsStdArray<std::array<T, kCount>> = true;

struct AnyField {  // initialises a field of whatever type; never called
    template <typename T>
    constexpr operator T() const noexcept;  // NOLINT: implicit on purpose
};
template <std::size_t>
using AnyFieldAt = AnyField;

template <typename T, std::size_t... kI>
consteval bool takes_flat(std::index_sequence<kI...>) {
    return requires { T{AnyFieldAt<kI>{}...}; };
}
template <typename T, std::size_t... kL, std::size_t... kN, std::size_t... kR>
consteval bool takes_nested(std::index_sequence<kL...>, std::index_sequence<kN...>,
                            std::index_sequence<kR...>) {
    return requires { T{AnyFieldAt<kL>{}..., {AnyFieldAt<kN>{}...}, AnyFieldAt<kR>{}...}; };
}

// Initialisers that T takes when braces are left out: an array counts once per element.
template <typename T, std::size_t kCount = 0>
consteval std::size_t flat_count() {
    if constexpr (takes_flat<T>(std::make_index_sequence<kCount + 1>{})) {
        return flat_count<T, kCount + 1>();
    } else {
        return kCount;
    }
}

// How many of `kFlat` initialisers the field at `kAt` takes: more than one for an array only. An
// array fills up, so one initialiser more on its right is too many; a struct in braces leaves room.
template <typename T, std::size_t kFlat, std::size_t kAt, std::size_t kSize>
consteval std::size_t width_at() {
    if constexpr (kSize <= 1) {
        return 1;
    } else {
        constexpr auto kLeft = std::make_index_sequence<kAt>{};
        constexpr auto kNest = std::make_index_sequence<kSize>{};
        if constexpr (takes_nested<T>(kLeft, kNest,
                                      std::make_index_sequence<kFlat - kAt - kSize>{}) &&
                      !takes_nested<T>(kLeft, kNest,
                                       std::make_index_sequence<kFlat - kAt - kSize + 1>{})) {
            return kSize;
        } else {
            return width_at<T, kFlat, kAt, kSize - 1>();
        }
    }
}

template <typename T, std::size_t kFlat, std::size_t kAt = 0>
consteval std::size_t count_fields() {
    if constexpr (kAt >= kFlat) {
        return 0;
    } else {
        return 1 + count_fields<T, kFlat, kAt + width_at<T, kFlat, kAt, kFlat - kAt>()>();
    }
}

inline constexpr std::size_t kMaxFields = 32;

// Pointers to the fields of an object, in order.
// allowed: function_length: a structured binding per number of fields
template <typename T>
constexpr auto fields_of(T& object) noexcept {
    constexpr std::size_t kCount =
        count_fields<std::remove_const_t<T>, flat_count<std::remove_const_t<T>>()>();
    static_assert(kCount <= kMaxFields, "more than 32 fields: specialise stoa::Layout<T>");
    if constexpr (kCount == 0) {
        return std::tuple<>{};
    } else if constexpr (kCount == 1) {
        auto& [f1] = object;
        return std::tuple{&f1};
    } else if constexpr (kCount == 2) {
        auto& [f1, f2] = object;
        return std::tuple{&f1, &f2};
    } else if constexpr (kCount == 3) {
        auto& [f1, f2, f3] = object;
        return std::tuple{&f1, &f2, &f3};
    } else if constexpr (kCount == 4) {
        auto& [f1, f2, f3, f4] = object;
        return std::tuple{&f1, &f2, &f3, &f4};
    } else if constexpr (kCount == 5) {
        auto& [f1, f2, f3, f4, f5] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5};
    } else if constexpr (kCount == 6) {
        auto& [f1, f2, f3, f4, f5, f6] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6};
    } else if constexpr (kCount == 7) {
        auto& [f1, f2, f3, f4, f5, f6, f7] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7};
    } else if constexpr (kCount == 8) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7, &f8};
    } else if constexpr (kCount == 9) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7, &f8, &f9};
    } else if constexpr (kCount == 10) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7, &f8, &f9, &f10};
    } else if constexpr (kCount == 11) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7, &f8, &f9, &f10, &f11};
    } else if constexpr (kCount == 12) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7, &f8, &f9, &f10, &f11, &f12};
    } else if constexpr (kCount == 13) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = object;
        return std::tuple{&f1, &f2, &f3, &f4, &f5, &f6, &f7, &f8, &f9, &f10, &f11, &f12, &f13};
    } else if constexpr (kCount == 14) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = object;
        return std::tuple{&f1, &f2, &f3,  &f4,  &f5,  &f6,  &f7,
                          &f8, &f9, &f10, &f11, &f12, &f13, &f14};
    } else if constexpr (kCount == 15) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] = object;
        return std::tuple{&f1, &f2,  &f3,  &f4,  &f5,  &f6,  &f7, &f8,
                          &f9, &f10, &f11, &f12, &f13, &f14, &f15};
    } else if constexpr (kCount == 16) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16] = object;
        return std::tuple{&f1, &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,
                          &f9, &f10, &f11, &f12, &f13, &f14, &f15, &f16};
    } else if constexpr (kCount == 17) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8, &f9,
                          &f10, &f11, &f12, &f13, &f14, &f15, &f16, &f17};
    } else if constexpr (kCount == 18) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18] =
            object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,
                          &f10, &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18};
    } else if constexpr (kCount == 19) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18,
               f19] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9, &f10,
                          &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19};
    } else if constexpr (kCount == 20) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10,
                          &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20};
    } else if constexpr (kCount == 21) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10, &f11,
                          &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20, &f21};
    } else if constexpr (kCount == 22) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10, &f11,
                          &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20, &f21, &f22};
    } else if constexpr (kCount == 23) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10, &f11, &f12,
                          &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20, &f21, &f22, &f23};
    } else if constexpr (kCount == 24) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10, &f11, &f12,
                          &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20, &f21, &f22, &f23, &f24};
    } else if constexpr (kCount == 25) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,
                          &f10, &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18,
                          &f19, &f20, &f21, &f22, &f23, &f24, &f25};
    } else if constexpr (kCount == 26) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,
                          &f10, &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18,
                          &f19, &f20, &f21, &f22, &f23, &f24, &f25, &f26};
    } else if constexpr (kCount == 27) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26, f27] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,
                          &f10, &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18,
                          &f19, &f20, &f21, &f22, &f23, &f24, &f25, &f26, &f27};
    } else if constexpr (kCount == 28) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26, f27, f28] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10,
                          &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20,
                          &f21, &f22, &f23, &f24, &f25, &f26, &f27, &f28};
    } else if constexpr (kCount == 29) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26, f27, f28, f29] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10,
                          &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20,
                          &f21, &f22, &f23, &f24, &f25, &f26, &f27, &f28, &f29};
    } else if constexpr (kCount == 30) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10,
                          &f11, &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20,
                          &f21, &f22, &f23, &f24, &f25, &f26, &f27, &f28, &f29, &f30};
    } else if constexpr (kCount == 31) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10, &f11,
                          &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20, &f21, &f22,
                          &f23, &f24, &f25, &f26, &f27, &f28, &f29, &f30, &f31};
    } else if constexpr (kCount == 32) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32] = object;
        return std::tuple{&f1,  &f2,  &f3,  &f4,  &f5,  &f6,  &f7,  &f8,  &f9,  &f10, &f11,
                          &f12, &f13, &f14, &f15, &f16, &f17, &f18, &f19, &f20, &f21, &f22,
                          &f23, &f24, &f25, &f26, &f27, &f28, &f29, &f30, &f31, &f32};
    }
}

template <typename T>
struct Unmade {  // an object to point into; it is declared and never made
    T value;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <typename T>
extern const Unmade<T> g_unmade;

template <auto kPointer>
consteval const char* printed() {
    return __PRETTY_FUNCTION__;
}

// The name of a field: the last word of what the compiler prints for a pointer to it. g++ ends with
// "...value.Point::x)]", clang with "&g_unmade.value.x]".
template <auto kPointer>
consteval std::string_view name_of_field() {
    constexpr std::string_view kPrinted = printed<kPointer>();
    constexpr auto kIsName = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    std::size_t to = kPrinted.size();
    while (to > 0 && !kIsName(kPrinted[to - 1])) --to;
    std::size_t from = to;
    while (from > 0 && kIsName(kPrinted[from - 1])) --from;
    return kPrinted.substr(from, to - from);
}

template <typename T>
consteval bool sendable();

template <typename T, std::size_t... kI>
consteval bool fields_sendable(std::index_sequence<kI...>) {
    using Fields = decltype(fields_of(std::declval<T&>()));
    return (sendable<std::remove_pointer_t<std::tuple_element_t<kI, Fields>>>() && ...);
}

template <typename T>
consteval bool sendable() {
    if constexpr (Named<T>) {
        return std::is_trivially_copyable_v<T>;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        return true;
    } else if constexpr (std::is_array_v<T>) {
        return sendable<std::remove_extent_t<T>>();
    } else if constexpr (kIsStdArray<T>) {
        return sendable<typename T::value_type>();
    } else if constexpr (std::is_aggregate_v<T> && std::is_trivially_copyable_v<T> &&
                         std::is_copy_assignable_v<T> && !std::is_union_v<T>) {
        return fields_sendable<T>(
            std::make_index_sequence<std::tuple_size_v<decltype(fields_of(std::declval<T&>()))>>{});
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
        append_type<std::remove_pointer_t<decltype(field)>>(text);
        text += ' ';
        text += name_of_field<std::get<kIndex>(fields_of(g_unmade<T>.value))>();
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
        append_fields<T>(
            text,
            std::make_index_sequence<std::tuple_size_v<decltype(fields_of(std::declval<T&>()))>>{});
        text += "}:";
        append_number(text, sizeof(T));
    }
}

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

}  // namespace detail

// A type whose bytes mean the same in every process.
template <typename T>
concept Sendable = std::is_object_v<T> && !std::is_const_v<T> && detail::sendable<T>();

template <Sendable T>
[[nodiscard]] TypeInfo type_info_of() {
    static const std::string text = [] {
        std::string made;
        detail::append_type<T>(made);
        return made;
    }();
    static const std::uint64_t hash = [] {
        std::uint64_t h = 14695981039346656037ULL;
        for (const char c : text) h = (h ^ static_cast<std::uint8_t>(c)) * 1099511628211ULL;
        return h != 0 ? h : 1;
    }();
    return {.fingerprint = hash,
            .size = static_cast<std::uint32_t>(sizeof(T)),
            .alignment = alignof(T) > 16 ? static_cast<std::uint32_t>(alignof(T)) : 16U,
            .text = text};
}

}  // namespace stoa
