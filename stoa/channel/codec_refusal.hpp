// Why a type has no codec.
//
// Start here: refusal<T>(); the public face is stoa/channel/codec.hpp.
// Threads:    safe; all of it happens when it is compiled.
// Processes:  not applicable.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   not applicable.
// Units:      none.
// Source:     stoa/channel/codec_kinds.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "stoa/base/error.hpp"
#include "stoa/channel/codec_kinds.hpp"

namespace stoa::detail {

enum class Refusal : std::uint8_t {
    none,
    unknown,      // no kind
    codec,        // a Codec<T> that lacks something
    address,      // a pointer, reference, iterator
    view,         // string_view, span
    constant,     // cannot be decoded into
    not_made,     // T{} does not compile, or a T cannot be moved
    base,         // an aggregate with a base class
    fields,       // more than 32
    enumeration,  // without a fixed underlying type: some bytes would be no value of it
    nothing,      // a container of values that take no bytes
};

template <typename T>
concept CompleteCodec =
    requires(const T& value, std::span<std::byte> room, std::span<const std::byte> bytes) {
        std::string_view{Codec<T>::name};
        { Codec<T>::size(value) } -> std::convertible_to<std::size_t>;
        Codec<T>::encode(value, room);
        { Codec<T>::decode(bytes) } -> std::same_as<Result<T>>;
    };

template <typename T, typename... Open>
constexpr Refusal refusal();

template <typename T, typename... Open>
constexpr Refusal refusal_of_parts() {
    constexpr Kind kKind = kind_of<T>();
    Refusal found = Refusal::none;
    const auto look = [&]<typename Part>() {
        if (found == Refusal::none) found = refusal<Part, Open...>();
    };
    if constexpr (kKind == Kind::array) {
        look.template operator()<ElementOf<T>>();
    } else if constexpr (kKind == Kind::duration) {
        look.template operator()<typename T::rep>();
    } else if constexpr (kKind == Kind::variant) {
        if (std::variant_size_v<T> > 255) return Refusal::unknown;  // one byte says which
        for_each_alternative<T>(look);
    } else if constexpr (kKind == Kind::map) {
        look.template operator()<typename T::key_type>();
        look.template operator()<typename T::mapped_type>();
    } else if constexpr (kKind == Kind::optional || kKind == Kind::set || kKind == Kind::list) {
        look.template operator()<typename T::value_type>();
    } else {
        for_each_part<T>(look);
    }
    // However many there are, no bytes would tell: a short message could ask for any number.
    if constexpr (kKind == Kind::list || kKind == Kind::set) {
        if (least_bytes<typename T::value_type>() == 0) return Refusal::nothing;
    } else if constexpr (kKind == Kind::map) {
        if (least_bytes<typename T::key_type>() == 0) return Refusal::nothing;
    }
    return found;
}

template <typename T>
constexpr Refusal refusal_without_kind() {
    if constexpr (std::is_pointer_v<T> || std::is_member_pointer_v<T> ||
                  std::is_null_pointer_v<T> ||
                  requires { typename std::iterator_traits<T>::iterator_category; }) {
        return Refusal::address;
    } else if constexpr (kIsView<T>) {
        return Refusal::view;
    } else if constexpr (std::is_class_v<T> && std::is_aggregate_v<T>) {
        return Refusal::base;
    } else {
        return Refusal::unknown;
    }
}

// Why T has no codec. `Open`: the aggregates around it; a tree ends where it meets itself.
template <typename T, typename... Open>
constexpr Refusal refusal() {
    if constexpr (std::is_reference_v<T> || std::is_void_v<T> || std::is_function_v<T>) {
        return Refusal::address;
    } else if constexpr (std::is_const_v<T>) {
        return Refusal::constant;
    } else if constexpr (kind_of<T>() == Kind::none) {
        return refusal_without_kind<T>();
    } else if constexpr (!std::is_bounded_array_v<T> &&
                         !(std::is_default_constructible_v<T> && std::movable<T>)) {
        return Refusal::not_made;
    } else if constexpr (kind_of<T>() == Kind::own) {
        return CompleteCodec<T> ? Refusal::none : Refusal::codec;
    } else if constexpr (kind_of<T>() == Kind::enumeration) {
        return requires { T{std::underlying_type_t<T>{}}; } ? Refusal::none : Refusal::enumeration;
    } else if constexpr (kind_of<T>() == Kind::aggregate) {
        if constexpr (field_count<T>() > kMaxFields) {
            return Refusal::fields;
        } else if constexpr ((std::is_same_v<T, Open> || ...)) {
            return Refusal::none;
        } else {
            return refusal_of_parts<T, T, Open...>();
        }
    } else {
        return refusal_of_parts<T, Open...>();
    }
}

}  // namespace stoa::detail
