// Values that own memory, as bytes: strings, lists, maps, optionals, aggregates of those, and
// whatever has a Codec.
//
// Start here: Mailbox<T> does it by itself; encoded_size(), encode(), decode<T>() do it by hand.
// Threads:    safe; a value must not change while it is encoded.
// Processes:  the bytes mean the same in each that agrees on type_info_of<T>().
// Death:      nothing here outlives a call.
// Blocking:   never.
// Lifetime:   decoded values own what they hold.
// Units:      bytes.
// Source:     aggregates are taken apart by stoa/base/fields.hpp; own format:
//             docs/guide/values.md.
//
// Nothing has to be written for numbers, bool, enums with a fixed underlying type, std::string,
// list-like, set-like and map-like containers, std::array, std::optional, std::variant, std::pair,
// std::tuple, std::chrono::duration and aggregates of up to 32 fields of those. Another type has a
//
//   template <>
//   struct stoa::Codec<Money> {
//       static constexpr std::string_view name = "money: i64 of cents";  // changes with the bytes
//       static std::size_t size(const Money&) { return sizeof(std::int64_t); }
//       static void encode(const Money& money, std::span<std::byte> to) {  // exactly size(money)
//           stoa::encode(money.cents(), to);
//       }
//       static stoa::Result<Money> decode(stoa::Bytes from) {  // any bytes: Errc::corrupt
//           const auto cents = stoa::decode<std::int64_t>(from);
//           if (!cents) return std::unexpected(cents.error());
//           return Money{*cents};
//       }
//   };
//
// and is then encoded by it everywhere, also where it could have been sent as it lies in memory.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stoa/channel/codec_decode.hpp"
#include "stoa/channel/codec_encode.hpp"
#include "stoa/channel/codec_kinds.hpp"
#include "stoa/channel/codec_refusal.hpp"

namespace stoa {

// A type that is sent encoded. A Sendable one is sent as it lies in memory.
template <typename T>
concept Encodable = std::is_object_v<T> && !std::is_array_v<T> && !Sendable<T> &&
                    detail::refusal<T>() == detail::Refusal::none;

// Types that encode() takes: on their own Sendable ones lie in memory as they are, inside of others
// they are encoded.
template <typename T>
concept Codable = !std::is_array_v<T> && detail::refusal<T>() == detail::Refusal::none;

// How many bytes encode() fills; kNoSize for what has no encoding: containers nested deeper than
// kMaxCodecDepth, a variant without a value.
template <Codable T>
[[nodiscard]] std::size_t encoded_size(const T& value) {
    detail::Sizer sizer;
    detail::put_whole(sizer, value);
    return sizer.total();
}

// Fills `to`, which has at least encoded_size(value) bytes; how many.
template <Codable T>
std::size_t encode(const T& value, std::span<std::byte> to) {
    detail::Writer writer{to};
    detail::put_whole(writer, value);
    return to.size() - writer.left();
}

// Any bytes are a value or an error. Memory is taken for what has arrived, at most twice as much.
// Errors: corrupt, with what is wrong; what a Codec<T> says
template <Codable T>
[[nodiscard]] Result<T> decode(Bytes from) {
    T value{};
    if (Result<void> good = detail::get_message(from, value); !good) {
        return std::unexpected(good.error());
    }
    return value;
}
// Decodes into a value and uses its memory again. On an error it holds part of the message.
template <Codable T>
[[nodiscard]] Result<void> decode_into(Bytes from, T& value) {
    return detail::get_message(from, value);
}

namespace detail {

// The aggregates around the one that is written, innermost first.
struct OpenType {
    const void* type;
    const OpenType* up;
};
template <typename T>
inline constexpr char kTypeTag = 0;
// How many levels above it was opened, from 1; 0: it is not open.
inline std::size_t levels_up(const OpenType* open, const void* type) noexcept {
    std::size_t level = 1;
    for (; open != nullptr; open = open->up, ++level) {
        if (open->type == type) return level;
    }
    return 0;
}

template <typename T>
void append_wire(std::string& text, const OpenType* open);

template <typename T, std::size_t... kI>
void append_wire_fields(std::string& text, const OpenType* open, std::index_sequence<kI...>) {
    [[maybe_unused]] const auto append = [&]<std::size_t kIndex>() {
        append_wire<FieldType<T, kIndex>>(text, open);
        text += ' ';
        text += kFieldName<T, kIndex>;
        text += ';';
    };
    (append.template operator()<kI>(), ...);
}

template <typename T>
void append_wire_aggregate(std::string& text, const OpenType* open) {
    if (const std::size_t levels = levels_up(open, &kTypeTag<T>); levels > 0) {
        text += '^';  // itself, that many braces out
        append_number(text, levels);
        return;
    }
    const OpenType here{&kTypeTag<T>, open};
    text += '{';
    append_wire_fields<T>(text, &here, std::make_index_sequence<field_count<T>()>{});
    text += '}';
}

// The parts of a template, with commas between.
template <typename T>
auto wire_parts(std::string& text, const OpenType* open) {
    return [&text, open, first = true]<typename Part>() mutable {
        if (!std::exchange(first, false)) text += ',';
        append_wire<Part>(text, open);
    };
}

template <typename T>
void append_wire_template(std::string& text, const OpenType* open) {
    constexpr Kind kKind = kind_of<T>();
    auto append = wire_parts<T>(text, open);
    if constexpr (kKind == Kind::tuple) {
        text += "tuple<";
        for_each_part<T>(append);
    } else if constexpr (kKind == Kind::variant) {
        text += "one_of<";
        for_each_alternative<T>(append);
    } else if constexpr (kKind == Kind::map) {
        text += "map<";
        append.template operator()<typename T::key_type>();
        append.template operator()<typename T::mapped_type>();
    } else if constexpr (kKind == Kind::duration) {
        text += "duration<";
        append.template operator()<typename T::rep>();
        text += ',';
        append_number(text, static_cast<std::size_t>(T::period::num));
        text += '/';
        append_number(text, static_cast<std::size_t>(T::period::den));
    } else {
        text += kKind == Kind::optional ? "optional<" : kKind == Kind::set ? "set<" : "list<";
        append.template operator()<typename T::value_type>();
    }
    text += '>';
}

template <typename T>
void append_wire(std::string& text, const OpenType* open) {
    constexpr Kind kKind = kind_of<T>();
    if constexpr (kKind == Kind::own) {
        text += "codec<";
        text += Codec<T>::name;
        text += '>';
    } else if constexpr (kKind == Kind::text) {
        text += "string";
    } else if constexpr (kKind == Kind::array) {
        append_wire<ElementOf<T>>(text, open);
        text += '[';
        append_number(text, kLength<T>);
        text += ']';
    } else if constexpr (kKind == Kind::aggregate) {
        append_wire_aggregate<T>(text, open);
    } else if constexpr (std::is_same_v<T, long double>) {
        text += 'f';
        append_number(text, kNumberBytes<T> * 8);
    } else if constexpr (kKind == Kind::boolean || kKind == Kind::number ||
                         kKind == Kind::enumeration || kKind == Kind::flat) {
        append_type<T>(text);
    } else {
        append_wire_template<T>(text, open);
    }
}

}  // namespace detail

// The text of an encoded type names its fields in order, without offsets:
//   encoded {string name;list<u32> marks;optional<{f64 x;f64 y;}> at;}
template <Encodable T>
[[nodiscard]] TypeInfo type_info_of() {
    static const std::string text = [] {
        std::string made = "encoded ";
        detail::append_wire<T>(made, nullptr);
        return made;
    }();
    static const std::uint64_t hash = fingerprint_of(text);
    return {.fingerprint = hash, .size = 0, .alignment = 16, .text = text};
}

}  // namespace stoa
