// Values to bytes: what encoded_size() and encode() are made of.
//
// Start here: put(sink, value); the public face is stoa/channel/codec.hpp.
// Threads:    each sink serves one.
// Processes:  the bytes mean the same in each: little-endian, no padding, lengths of 32 bits.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   a Writer borrows its bytes.
// Units:      bytes.
// Source:     own format: docs/guide/values.md.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "stoa/base/check.hpp"
#include "stoa/channel/codec_kinds.hpp"

namespace stoa::detail {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");

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
    template <typename T>
    void framed(const T& value) {
        skip(sizeof(std::uint32_t));
        own(value);
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
    template <typename T>
    void framed(const T& value) {
        const std::size_t bytes = Codec<T>::size(value);
        const auto stored = static_cast<std::uint32_t>(bytes);
        raw(&stored, sizeof stored);
        Codec<T>::encode(value, take(bytes));
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

template <typename Sink>
void put_length(Sink& sink, std::size_t length) {
    const auto stored = static_cast<std::uint32_t>(length);  // longer ones fit in no message
    sink.raw(&stored, sizeof stored);
}

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
        sink.framed(value);
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

}  // namespace stoa::detail
