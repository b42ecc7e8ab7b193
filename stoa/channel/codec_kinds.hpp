// What a codec makes of a type: its kind, its parts, how few bytes it takes.
//
// Start here: kind_of<T>(), least_bytes<T>(); the public face is stoa/channel/codec.hpp.
// Threads:    safe; all of it happens when it is compiled.
// Processes:  not applicable.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   not applicable.
// Units:      bytes of the encoded form.
// Source:     stoa/base/fields.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "stoa/base/fingerprint.hpp"

namespace stoa {

// How deep containers and codecs may lie in each other: trees have to end.
inline constexpr std::uint32_t kMaxCodecDepth = 64;
// The size of a value that cannot be encoded: it fits nowhere. Sums of it do not overflow.
inline constexpr std::size_t kNoSize = std::size_t{1} << 60U;

namespace detail {

enum class Kind : std::uint8_t {
    none,
    own,   // Codec<T>
    flat,  // Layout<T>: its bytes
    boolean,
    number,
    enumeration,
    text,
    array,
    list,
    set,
    map,
    optional,
    variant,
    tuple,
    duration,
    aggregate,
};

// One family of class templates each.
template <typename T>
inline constexpr Kind kStandardKind = Kind::none;
template <typename Traits, typename Memory>
inline constexpr Kind kStandardKind<std::basic_string<char, Traits, Memory>> = Kind::text;
template <typename T, std::size_t kCount>
inline constexpr Kind kStandardKind<std::array<T, kCount>> = Kind::array;
template <typename T>
inline constexpr Kind kStandardKind<std::optional<T>> = Kind::optional;
template <typename... Ts>
inline constexpr Kind kStandardKind<std::variant<Ts...>> = Kind::variant;
template <typename A, typename B>
inline constexpr Kind kStandardKind<std::pair<A, B>> = Kind::tuple;
template <typename... Ts>
inline constexpr Kind kStandardKind<std::tuple<Ts...>> = Kind::tuple;
template <typename Rep, typename Period>
inline constexpr Kind kStandardKind<std::chrono::duration<Rep, Period>> = Kind::duration;

template <typename T>
inline constexpr bool kIsView = false;
template <typename Char, typename Traits>
inline constexpr bool kIsView<std::basic_string_view<Char, Traits>> = true;
template <typename T, std::size_t kExtent>
inline constexpr bool kIsView<std::span<T, kExtent>> = true;

// Containers by what they can do, so that nobody pays for headers of containers not in use.
template <typename T>
concept Container = requires(T& box, const T& whole) {
    typename T::value_type;
    box.clear();
    { whole.size() } -> std::convertible_to<std::size_t>;
    whole.begin() != whole.end();
};
template <typename T>
concept ListLike = Container<T> && requires(T& box) {
    box.emplace_back();
    box.back();
    box.resize(std::size_t{});
};
template <typename T>
concept MapLike = Container<T> && requires(T& box) {
    {
        box.emplace(std::declval<typename T::key_type>(), std::declval<typename T::mapped_type>())
            .second
    } -> std::convertible_to<bool>;
};
template <typename T>
concept SetLike = Container<T> && requires(T& box) {
    { box.emplace(std::declval<typename T::key_type>()).second } -> std::convertible_to<bool>;
};

template <typename T>
consteval Kind kind_of() {
    if constexpr (OwnCodec<T>) {
        return Kind::own;
    } else if constexpr (Named<T>) {
        return std::is_trivially_copyable_v<T> ? Kind::flat : Kind::none;
    } else if constexpr (std::is_same_v<T, bool>) {
        return Kind::boolean;
    } else if constexpr (std::is_enum_v<T>) {
        return Kind::enumeration;
    } else if constexpr (std::is_arithmetic_v<T>) {
        return Kind::number;
    } else if constexpr (std::is_bounded_array_v<T>) {
        return Kind::array;
    } else if constexpr (kStandardKind<T> != Kind::none) {
        return kStandardKind<T>;
    } else if constexpr (MapLike<T>) {
        return Kind::map;
    } else if constexpr (SetLike<T>) {
        return Kind::set;
    } else if constexpr (ListLike<T>) {
        return Kind::list;
    } else {
        return Fielded<T> ? Kind::aggregate : Kind::none;
    }
}

// Of a C array as well.
template <typename T>
using ElementOf = std::remove_cvref_t<decltype(*std::begin(std::declval<const T&>()))>;
template <typename T>
inline constexpr std::size_t kLength = 0;
template <typename T, std::size_t kCount>
inline constexpr std::size_t kLength<T[kCount]> = kCount;
template <typename T, std::size_t kCount>
inline constexpr std::size_t kLength<std::array<T, kCount>> = kCount;

// What a long double of x87 holds; the rest of it is padding.
template <typename T>
inline constexpr std::size_t kNumberBytes =
    std::is_same_v<T, long double> && std::numeric_limits<T>::digits == 64 ? 10 : sizeof(T);

// Calls visit.template operator()<Part>() for each type that a T has exactly one of, in order.
template <typename T, typename Visit>
constexpr void for_each_part(Visit&& visit) {
    constexpr Kind kKind = kind_of<T>();
    if constexpr (kKind == Kind::tuple) {
        [&]<std::size_t... kI>(std::index_sequence<kI...>) {
            (visit.template operator()<std::tuple_element_t<kI, T>>(), ...);
        }(std::make_index_sequence<std::tuple_size_v<T>>{});
    } else if constexpr (kKind == Kind::aggregate) {
        constexpr std::size_t kCount = field_count<T>() <= kMaxFields ? field_count<T>() : 0;
        [&]<std::size_t... kI>(std::index_sequence<kI...>) {
            (visit.template operator()<FieldType<T, kI>>(), ...);
        }(std::make_index_sequence<kCount>{});
    }
}
template <typename T, typename Visit>
constexpr void for_each_alternative(Visit&& visit) {
    [&]<std::size_t... kI>(std::index_sequence<kI...>) {
        (visit.template operator()<std::variant_alternative_t<kI, T>>(), ...);
    }(std::make_index_sequence<std::variant_size_v<T>>{});
}

// The least that a T inside another value takes.
template <typename T>
constexpr std::size_t least_bytes() {
    constexpr Kind kKind = kind_of<T>();
    if constexpr (kKind == Kind::number) {
        return kNumberBytes<T>;
    } else if constexpr (kKind == Kind::enumeration || kKind == Kind::flat) {
        return sizeof(T);
    } else if constexpr (kKind == Kind::boolean || kKind == Kind::optional) {
        return 1;
    } else if constexpr (kKind == Kind::array) {
        return kLength<T> * least_bytes<ElementOf<T>>();
    } else if constexpr (kKind == Kind::duration) {
        return least_bytes<typename T::rep>();
    } else if constexpr (kKind == Kind::variant) {
        std::size_t least = std::numeric_limits<std::size_t>::max();
        for_each_alternative<T>(
            [&]<typename Part>() { least = std::min(least, least_bytes<Part>()); });
        return 1 + least;
    } else if constexpr (kKind == Kind::tuple || kKind == Kind::aggregate) {
        std::size_t sum = 0;
        for_each_part<T>([&]<typename Part>() { sum += least_bytes<Part>(); });
        return sum;
    } else {
        return sizeof(std::uint32_t);  // a length comes first
    }
}

// Whether every T takes least_bytes.
template <typename T>
constexpr bool same_size() {
    constexpr Kind kKind = kind_of<T>();
    if constexpr (kKind == Kind::array) {
        return same_size<ElementOf<T>>();
    } else if constexpr (kKind == Kind::tuple || kKind == Kind::aggregate) {
        bool same = true;
        for_each_part<T>([&]<typename Part>() { same = same && same_size<Part>(); });
        return same;
    } else {
        return kKind == Kind::boolean || kKind == Kind::number || kKind == Kind::enumeration ||
               kKind == Kind::flat || kKind == Kind::duration;
    }
}

// Whether a T lies in memory as it is sent, any bytes are a T, and none is padding that we know of.
template <typename T>
consteval bool is_copied() {
    if constexpr (kind_of<T>() == Kind::enumeration) {
        return is_copied<std::underlying_type_t<T>>();
    } else if constexpr (kind_of<T>() == Kind::number) {
        return kNumberBytes<T> == sizeof(T);
    } else {
        return kind_of<T>() == Kind::flat;
    }
}
template <typename T>
concept CopiedWhole = is_copied<ElementOf<T>>() && requires(T& box) {
    { std::data(box) } -> std::same_as<ElementOf<T>*>;
};

// Until visit(element) is false. A std::apply that is quick to compile.
template <typename Tuple, typename Visit>
bool for_each_in(Tuple&& tuple, Visit&& visit) {
    return [&]<std::size_t... kI>(std::index_sequence<kI...>) {
        return (visit(std::get<kI>(tuple)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Tuple>>>{});
}

// How deep the codecs that called us are: one written by a user may call decode() again.
inline constinit thread_local std::uint32_t t_codec_depth = 0;
class DepthGuard {
public:
    explicit DepthGuard(std::uint32_t depth) noexcept
        : before_{std::exchange(t_codec_depth, depth)} {}
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;
    ~DepthGuard() { t_codec_depth = before_; }

private:
    std::uint32_t before_;
};

}  // namespace detail
}  // namespace stoa
