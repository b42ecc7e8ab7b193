// The fields of an aggregate: how many, where they are, what they are called.
//
// Start here: field_count<T>(), fields_of(object), FieldType<T, i>, kFieldName<T, i>.
// Threads:    safe; all of it happens when it is compiled.
// Processes:  not applicable.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   fields_of borrows the object.
// Units:      fields; at most 32.
// Source:     taking aggregates apart as in Boost.PFR; names from what a compiler prints.
#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace stoa::detail {

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

// Initialisers that T takes when braces are left out: an array counts once per element. It stops at
// kMost.
template <typename T, std::size_t kMost, std::size_t kCount = 0>
consteval std::size_t flat_count() {
    if constexpr (kCount < kMost && takes_flat<T>(std::make_index_sequence<kCount + 1>{})) {
        return flat_count<T, kMost, kCount + 1>();
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

// Whether T takes that many empty braces: each field is made by one, an array too. No pack expands
// to empty braces, so each number has its line.
// allowed: function_length: a line per number of fields
template <typename T, std::size_t kCount>
consteval bool takes_braces() {
    if constexpr (kCount == 1) {
        return requires { T{{}}; };
    } else if constexpr (kCount == 2) {
        return requires { T{{}, {}}; };
    } else if constexpr (kCount == 3) {
        return requires { T{{}, {}, {}}; };
    } else if constexpr (kCount == 4) {
        return requires { T{{}, {}, {}, {}}; };
    } else if constexpr (kCount == 5) {
        return requires { T{{}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 6) {
        return requires { T{{}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 7) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 8) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 9) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 10) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 11) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 12) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 13) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 14) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 15) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 16) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 17) {
        return requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; };
    } else if constexpr (kCount == 18) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 19) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 20) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 21) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 22) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 23) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 24) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 25) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 26) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 27) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 28) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 29) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 30) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 31) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 32) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    } else if constexpr (kCount == 33) {
        return requires {
            T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
        };
    }
}

// The largest number of braces that T takes, between kLeast and kMost.
template <typename T, std::size_t kLeast = 0, std::size_t kMost = kMaxFields + 1>
consteval std::size_t count_braces() {
    if constexpr (kLeast == kMost) {
        return kLeast;
    } else {
        constexpr std::size_t kMiddle = (kLeast + kMost + 1) / 2;
        if constexpr (takes_braces<T, kMiddle>()) {
            return count_braces<T, kMiddle, kMost>();
        } else {
            return count_braces<T, kLeast, kMiddle - 1>();
        }
    }
}

// 33: more than may be.
template <typename T>
consteval std::size_t field_count() {
    if constexpr (requires { T{}; } && std::is_copy_constructible_v<T>) {
        return count_braces<T>();
    } else if constexpr (requires { T{}; }) {
        // What holds a lock cannot be copied. Braces do not make a field whose constructor wants
        // something, though it says itself what. A long array is left to the braces; a count that
        // is wrong does not compile in fields_of.
        constexpr std::size_t kMost = 2 * kMaxFields;
        constexpr std::size_t kBraces = count_braces<T>();
        constexpr std::size_t kFlat = flat_count<T, kMost>();
        if constexpr (kFlat > kBraces && kFlat < kMost) {
            constexpr std::size_t kFields = count_fields<T, kFlat>();
            return kFields > kBraces ? kFields : kBraces;
        } else {
            return kBraces;
        }
    } else {  // a field that braces do not make
        return count_fields<T, flat_count<T, 400>()>();
    }
}

template <typename T>
struct AnyBase {  // initialises a base class of T, and no field; never called
    template <typename U>
        requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>)
    constexpr operator U() const noexcept;  // NOLINT: implicit on purpose
};
template <typename T>
concept Derived = requires { T{AnyBase<T>{}}; };

// An aggregate whose fields have names: what can be taken apart.
template <typename T>
concept Fielded = std::is_class_v<T> && std::is_aggregate_v<T> && !Derived<T>;

// Pointers to the fields of an object, in order.
// allowed: function_length: a structured binding per number of fields
template <typename T>
constexpr auto fields_of(T& object) noexcept {
    constexpr std::size_t kCount = field_count<std::remove_const_t<T>>();
    static_assert(kCount <= kMaxFields, "more than 32 fields: specialise stoa::Codec or Layout");
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

// The fields of T as types, and the name of each.
template <typename T>
using FieldPointers = decltype(fields_of(std::declval<T&>()));
template <typename T, std::size_t kIndex>
using FieldType = std::remove_pointer_t<std::tuple_element_t<kIndex, FieldPointers<T>>>;
template <typename T, std::size_t kIndex>
inline constexpr std::string_view kFieldName =
    name_of_field<std::get<kIndex>(fields_of(g_unmade<T>.value))>();

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

}  // namespace stoa::detail
