// Values to bytes and back: what encoded_size(), encode() and decode() are made of.
//
// Start here: put(sink, value), get(reader, value); the public face is stoa/channel/codec.hpp.
// Threads:    each sink and reader serves one.
// Processes:  the bytes mean the same in each: little-endian, no padding, lengths of 32 bits.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   sinks and readers borrow their bytes.
// Units:      bytes.
// Source:     own format: docs/guide/values.md.
//
// A reader trusts nothing: bytes may be of another program, cut off, or change while they are read.
// Each number is loaded once, checked, then used; no count asks for more elements than the bytes
// that are left can hold; lists in lists end at kMaxCodecDepth.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "stoa/base/check.hpp"
#include "stoa/base/error.hpp"
#include "stoa/channel/codec_kinds.hpp"
#include "stoa/channel/pool_engine.hpp"

namespace stoa {

// How deep containers and codecs may lie in each other: trees have to end.
inline constexpr std::uint32_t kMaxCodecDepth = 64;
// The size of a value that cannot be encoded: it fits nowhere. Sums of it do not overflow.
inline constexpr std::size_t kNoSize = std::size_t{1} << 60U;

namespace detail {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");

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

// Counts.
class Sizer {
public:
    static constexpr bool kCounts = true;
    [[nodiscard]] std::size_t total() const noexcept { return total_; }
    void refuse() noexcept { total_ = kNoSize; }
    void skip(std::size_t bytes) noexcept {
        total_ = bytes < kNoSize - total_ ? total_ + bytes : kNoSize;
    }
    void skip_all(std::size_t count, std::size_t bytes) noexcept {
        std::size_t all = 0;
        skip(__builtin_mul_overflow(count, bytes, &all) ? kNoSize : all);
    }
    void raw(const void* /*from*/, std::size_t bytes) noexcept { skip(bytes); }
    [[nodiscard]] bool enter() noexcept {
        if (depth_ < kMaxCodecDepth) return ++depth_, true;
        refuse();
        return false;
    }
    void leave() noexcept { --depth_; }
    template <typename T>
    void own(const T& value) {
        if (!enter()) return;
        const DepthGuard deeper{depth_};
        skip(Codec<T>::size(value));
        leave();
    }

private:
    std::size_t total_ = 0;
    std::uint32_t depth_ = t_codec_depth;
};

// Fills bytes that a Sizer has counted.
class Writer {
public:
    static constexpr bool kCounts = false;
    explicit Writer(std::span<std::byte> room) noexcept : room_{room} {}
    [[nodiscard]] std::size_t left() const noexcept { return room_.size(); }
    void raw(const void* from, std::size_t bytes) noexcept {
        if (bytes > 0) std::memcpy(take(bytes).data(), from, bytes);
    }
    [[nodiscard]] bool enter() noexcept { return true; }
    void leave() noexcept {}
    template <typename T>
    void own(const T& value) {
        Codec<T>::encode(value, take(Codec<T>::size(value)));
    }

private:
    // A value that changes between counting and filling, or a size() that is wrong, ends here.
    std::span<std::byte> take(std::size_t bytes) noexcept {
        STOA_CHECK(bytes <= room_.size());
        const std::span<std::byte> taken = room_.first(bytes);
        room_ = room_.subspan(bytes);
        return taken;
    }
    std::span<std::byte> room_;
};

// Until visit(element) is false. A std::apply that is quick to compile.
template <typename Tuple, typename Visit>
bool for_each_in(Tuple&& tuple, Visit&& visit) {
    return [&]<std::size_t... kI>(std::index_sequence<kI...>) {
        return (visit(std::get<kI>(tuple)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Tuple>>>{});
}

template <typename Sink>
void put_length(Sink& sink, std::size_t length) {
    const auto stored = static_cast<std::uint32_t>(length);  // longer ones fit in no message
    sink.raw(&stored, sizeof stored);
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

template <typename Sink, typename T>
void put(Sink& sink, const T& value);

template <typename Sink, typename T>
void put_elements(Sink& sink, const T& box) {
    using Element = ElementOf<T>;
    if constexpr (Sink::kCounts && same_size<Element>()) {
        sink.skip_all(std::size(box), least_bytes<Element>());
    } else if constexpr (CopiedWhole<T>) {
        sink.raw(std::data(box), std::size(box) * sizeof(Element));
    } else {
        for (const auto& element : box) put<Sink, Element>(sink, element);
    }
}

template <typename Sink, typename T>
void put_container(Sink& sink, const T& box) {
    put_length(sink, box.size());
    if (!sink.enter()) return;
    if constexpr (kind_of<T>() == Kind::map) {
        for (const auto& [key, mapped] : box) {
            put(sink, key);
            put(sink, mapped);
        }
    } else {
        put_elements(sink, box);
    }
    sink.leave();
}

template <typename Sink, typename T>
void put_variant(Sink& sink, const T& value) {
    if (value.valueless_by_exception()) {
        if constexpr (Sink::kCounts) sink.refuse();
        return;
    }
    const auto index = static_cast<std::uint8_t>(value.index());
    sink.raw(&index, 1);
    std::visit([&](const auto& held) { put(sink, held); }, value);
}

// What has its length before it inside another value, and needs none where it is the message.
template <typename Sink, typename T>
void put_whole(Sink& sink, const T& value) {
    if constexpr (kind_of<T>() == Kind::own) {
        sink.own(value);
    } else if constexpr (kind_of<T>() == Kind::text) {
        sink.raw(value.data(), value.size());
    } else {
        put(sink, value);
    }
}

template <typename T>
std::size_t whole_size(const T& value) {
    Sizer sizer;
    put_whole(sizer, value);
    return sizer.total();
}

template <typename Sink, typename T>
void put(Sink& sink, const T& value) {
    constexpr Kind kKind = kind_of<T>();
    if constexpr (kKind == Kind::boolean) {
        const std::uint8_t stored = value ? 1 : 0;
        sink.raw(&stored, 1);
    } else if constexpr (kKind == Kind::enumeration) {
        put(sink, static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (kKind == Kind::number) {
        sink.raw(&value, kNumberBytes<T>);
    } else if constexpr (kKind == Kind::flat) {
        sink.raw(&value, sizeof value);
    } else if constexpr (kKind == Kind::text) {
        put_length(sink, value.size());
        sink.raw(value.data(), value.size());
    } else if constexpr (kKind == Kind::own) {
        put_length(sink, Sink::kCounts ? 0 : Codec<T>::size(value));
        sink.own(value);
    } else if constexpr (kKind == Kind::array) {
        put_elements(sink, value);
    } else if constexpr (kKind == Kind::duration) {
        put(sink, value.count());
    } else if constexpr (kKind == Kind::optional) {
        put(sink, value.has_value());
        if (value) put(sink, *value);
    } else if constexpr (kKind == Kind::variant) {
        put_variant(sink, value);
    } else if constexpr (kKind == Kind::tuple) {
        for_each_in(value, [&](const auto& part) { return put(sink, part), true; });
    } else if constexpr (kKind == Kind::aggregate) {
        for_each_in(fields_of(value), [&](const auto* field) { return put(sink, *field), true; });
    } else {
        put_container(sink, value);
    }
}

// Takes bytes one after the other; the first thing that is wrong ends it.
class Reader {
public:
    explicit Reader(Bytes bytes) noexcept : bytes_{bytes} {}
    [[nodiscard]] std::size_t left() const noexcept { return bytes_.size(); }
    [[nodiscard]] const Error& error() const noexcept { return error_; }
    bool refuse(const char* why) noexcept { return refuse(Error{Errc::corrupt, 0, why}); }
    bool refuse(const Error& error) noexcept {
        error_ = error;
        return false;
    }
    bool take(std::size_t bytes, Bytes& taken) noexcept {
        if (bytes > bytes_.size()) return refuse("decode (the message is cut off)");
        taken = bytes_.first(bytes);
        bytes_ = bytes_.subspan(bytes);
        return true;
    }
    bool raw(void* to, std::size_t bytes) noexcept {
        Bytes taken;
        if (!take(bytes, taken)) return false;
        if (bytes > 0) std::memcpy(to, taken.data(), bytes);
        return true;
    }
    template <typename Number>
    bool number(Number& value) noexcept {
        if (!raw(&value, sizeof value)) return false;
        asm("" : "+r"(value));  // from here on it is ours: never loaded a second time
        return true;
    }
    // How many follow, of which each takes at least that many bytes.
    bool count(std::uint32_t& value, std::size_t least) noexcept {
        if (!number(value)) return false;
        if (value > left() / least) return refuse("decode (a count that its bytes cannot hold)");
        return true;
    }
    bool enter() noexcept {
        if (depth_ >= kMaxCodecDepth) return refuse("decode (nested deeper than 64)");
        ++depth_;
        return true;
    }
    void leave() noexcept { --depth_; }
    template <typename T>
    bool own(Bytes bytes, T& value) {
        if (!enter()) return false;
        const DepthGuard deeper{depth_};
        Result<T> decoded = Codec<T>::decode(bytes);
        if (!decoded) return refuse(decoded.error());
        value = std::move(*decoded);
        leave();
        return true;
    }

private:
    Bytes bytes_;
    Error error_{};
    std::uint32_t depth_ = t_codec_depth;
};

template <typename T>
bool get(Reader& from, T& value);

template <typename T>
bool get_elements(Reader& from, T& box) {
    if constexpr (CopiedWhole<T>) {
        return from.raw(std::data(box), std::size(box) * sizeof(ElementOf<T>));
    } else {
        for (auto& element : box) {
            if (!get(from, element)) return false;
        }
        return true;
    }
}

// What is there already is filled again, so that its memory is used again. Room is made in advance
// for no more bytes than are left to read.
template <typename T>
bool get_list(Reader& from, T& list, std::uint32_t count) {
    using Element = typename T::value_type;
    if constexpr (std::is_same_v<Element, bool>) {
        list.clear();
        for (bool element = false; count > 0; --count) {
            if (!get(from, element)) return false;
            list.push_back(element);
        }
        return true;
    } else if constexpr (CopiedWhole<T>) {
        list.resize(count);  // the bytes are there: count() has seen to it
        return get_elements(from, list);
    } else {
        if (list.size() > count) list.resize(count);
        if constexpr (requires { list.reserve(count); }) {
            list.reserve(std::min<std::size_t>(count, from.left() / sizeof(Element)));
        }
        if (!get_elements(from, list)) return false;
        while (list.size() < count) {
            list.emplace_back();
            if (!get(from, list.back())) return false;
        }
        return true;
    }
}

template <typename T>
bool get_keys(Reader& from, T& box, std::uint32_t count) {
    box.clear();
    for (; count > 0; --count) {
        typename T::key_type key{};
        if (!get(from, key)) return false;
        bool is_new = false;
        if constexpr (kind_of<T>() == Kind::map) {
            typename T::mapped_type mapped{};
            if (!get(from, mapped)) return false;
            is_new = box.emplace(std::move(key), std::move(mapped)).second;
        } else {
            is_new = box.emplace(std::move(key)).second;
        }
        if (!is_new) return from.refuse("decode (a key twice)");
    }
    return true;
}

template <typename T>
bool get_container(Reader& from, T& box) {
    std::uint32_t count = 0;
    if (!from.enter()) return false;
    bool good = false;
    if constexpr (kind_of<T>() == Kind::map) {
        constexpr std::size_t kLeast =
            least_bytes<typename T::key_type>() + least_bytes<typename T::mapped_type>();
        good = from.count(count, kLeast) && get_keys(from, box, count);
    } else {
        good = from.count(count, least_bytes<typename T::value_type>());
        if constexpr (kind_of<T>() == Kind::set) {
            good = good && get_keys(from, box, count);
        } else {
            good = good && get_list(from, box, count);
        }
    }
    from.leave();
    return good;
}

template <typename T, std::size_t kIndex = 0>
bool get_alternative(Reader& from, T& value, std::size_t index) {
    if constexpr (kIndex < std::variant_size_v<T>) {
        if (index != kIndex) return get_alternative<T, kIndex + 1>(from, value, index);
        if (value.index() != kIndex) value.template emplace<kIndex>();
        return get(from, *std::get_if<kIndex>(&value));
    } else {
        return from.refuse("decode (no such alternative)");
    }
}

template <typename T>
bool get_text(Bytes bytes, T& text) {
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
}

template <typename T>
bool get_duration(Reader& from, T& value) {
    typename T::rep count{};
    if (!get(from, count)) return false;
    value = T{count};
    return true;
}

template <typename T>
bool get_flag_and_value(Reader& from, T& value) {
    bool there = false;
    if (!get(from, there)) return false;
    if (!there) return value.reset(), true;
    if (!value) value.emplace();
    return get(from, *value);
}

// Of text and of codecs that users wrote.
template <typename T>
bool get_whole(Reader& from, Bytes bytes, T& value) {
    if constexpr (kind_of<T>() == Kind::own) {
        return from.own(bytes, value);
    } else {
        return get_text(bytes, value);
    }
}

template <typename T>
bool get(Reader& from, T& value) {
    constexpr Kind kKind = kind_of<T>();
    if constexpr (kKind == Kind::boolean) {
        std::uint8_t stored = 0;
        if (!from.number(stored)) return false;
        if (stored > 1) return from.refuse("decode (a bool that is neither 0 nor 1)");
        value = stored == 1;
        return true;
    } else if constexpr (kKind == Kind::enumeration) {
        std::underlying_type_t<T> stored{};
        if (!get(from, stored)) return false;
        value = static_cast<T>(stored);
        return true;
    } else if constexpr (kKind == Kind::number) {
        return from.raw(&value, kNumberBytes<T>);
    } else if constexpr (kKind == Kind::flat) {
        return from.raw(&value, sizeof value);
    } else if constexpr (kKind == Kind::text || kKind == Kind::own) {
        std::uint32_t length = 0;
        Bytes bytes;
        return from.number(length) && from.take(length, bytes) && get_whole(from, bytes, value);
    } else if constexpr (kKind == Kind::array) {
        return get_elements(from, value);
    } else if constexpr (kKind == Kind::duration) {
        return get_duration(from, value);
    } else if constexpr (kKind == Kind::optional) {
        return get_flag_and_value(from, value);
    } else if constexpr (kKind == Kind::variant) {
        std::uint8_t index = 0;
        return from.number(index) && get_alternative(from, value, index);
    } else if constexpr (kKind == Kind::tuple) {
        return for_each_in(value, [&](auto& part) { return get(from, part); });
    } else if constexpr (kKind == Kind::aggregate) {
        return for_each_in(fields_of(value), [&](auto* field) { return get(from, *field); });
    } else {
        return get_container(from, value);
    }
}

template <typename T>
Result<void> get_message(Bytes bytes, T& value) {
    Reader from{bytes};
    bool good = false;
    if constexpr (kind_of<T>() == Kind::text || kind_of<T>() == Kind::own) {
        Bytes all;
        good = from.take(bytes.size(), all) && get_whole(from, all, value);
    } else {
        good = get(from, value);
    }
    if (good && from.left() > 0) good = from.refuse("decode (bytes are left over)");
    if (!good) return std::unexpected(from.error());
    return {};
}

}  // namespace detail
}  // namespace stoa
