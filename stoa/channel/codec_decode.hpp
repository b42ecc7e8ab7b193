// Bytes to values: what decode() is made of.
//
// Start here: get_message(bytes, value); the public face is stoa/channel/codec.hpp.
// Threads:    each reader serves one.
// Processes:  the bytes may be of any process, damaged, or change while they are read.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   a reader borrows its bytes; values own what they hold.
// Units:      bytes.
// Source:     own format: docs/guide/values.md.
//
// A reader trusts nothing. Each number is loaded once, checked, then used; no count asks for more
// elements than the bytes that are left can hold; containers in containers end at kMaxCodecDepth.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "stoa/base/error.hpp"
#include "stoa/channel/codec_kinds.hpp"
#include "stoa/channel/pool_engine.hpp"

namespace stoa::detail {

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

}  // namespace stoa::detail
