// OffsetPtr: a pointer that holds the distance from itself, so it means the same in every mapping.
//
// Start here: OffsetPtr<T>, used as T*; to_address(p) or p.get() where a T* is asked for.
// Threads:    as a T*.
// Processes:  in memory that others map at other addresses: valid in each of them, as long as what
//             it points at lies in the same mapping. A copy points at the same object.
// Death:      a store of it is one store of 8 bytes.
// Blocking:   never.
// Lifetime:   as a T*.
// Units:      none.
// Source:     Boost.Interprocess's offset_ptr; null is 1, for a pointer to itself is 0.
//
// All arithmetic is on integers: the difference of two pointers into different objects has no
// meaning in C++, and compilers make use of that from -O1 on.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <type_traits>

#include "stoa/base/type_info.hpp"

namespace stoa {

template <typename T>
class OffsetPtr {
    template <typename U>
    static constexpr bool kFrom = std::is_convertible_v<U*, T*>;
    template <typename U>
    static constexpr bool kCastFrom = !kFrom<U> && requires(U* from) { static_cast<T*>(from); };

public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = std::add_lvalue_reference_t<T>;
    using iterator_category = std::random_access_iterator_tag;
    template <typename U>
    using rebind = OffsetPtr<U>;

    OffsetPtr() noexcept = default;
    OffsetPtr(T* to) noexcept { set(to); }  // as a T* would: containers rely on it
    OffsetPtr(const OffsetPtr& other) noexcept { set(other.get()); }
    template <typename U>
        requires kFrom<U>
    OffsetPtr(const OffsetPtr<U>& other) noexcept {
        set(other.get());
    }
    template <typename U>
        requires kCastFrom<U>
    explicit OffsetPtr(const OffsetPtr<U>& other) noexcept {
        set(static_cast<T*>(other.get()));
    }
    OffsetPtr& operator=(const OffsetPtr& other) noexcept {
        set(other.get());
        return *this;
    }
    OffsetPtr& operator=(T* to) noexcept {
        set(to);
        return *this;
    }
    ~OffsetPtr() = default;

    [[nodiscard]] T* get() const noexcept {
        if (offset_ == kNull) return nullptr;
        return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(this) + offset_);
    }
    [[nodiscard]] T* operator->() const noexcept { return get(); }
    [[nodiscard]] reference operator*() const noexcept
        requires(!std::is_void_v<T>)
    {
        return *get();
    }
    [[nodiscard]] reference operator[](difference_type index) const noexcept
        requires(!std::is_void_v<T>)
    {
        return get()[index];
    }
    [[nodiscard]] explicit operator bool() const noexcept { return offset_ != kNull; }
    [[nodiscard]] bool operator!() const noexcept { return offset_ == kNull; }
    template <typename U = T>
        requires(!std::is_void_v<U>)
    [[nodiscard]] static OffsetPtr pointer_to(U& object) noexcept {
        return OffsetPtr{std::addressof(object)};
    }

    OffsetPtr& operator+=(difference_type by) noexcept {
        set(get() + by);
        return *this;
    }
    OffsetPtr& operator-=(difference_type by) noexcept {
        set(get() - by);
        return *this;
    }
    OffsetPtr& operator++() noexcept { return *this += 1; }
    OffsetPtr& operator--() noexcept { return *this -= 1; }
    OffsetPtr operator++(int) noexcept {
        const OffsetPtr before{*this};
        ++*this;
        return before;
    }
    OffsetPtr operator--(int) noexcept {
        const OffsetPtr before{*this};
        --*this;
        return before;
    }
    [[nodiscard]] friend OffsetPtr operator+(const OffsetPtr& p, difference_type by) noexcept {
        return OffsetPtr{p.get() + by};
    }
    [[nodiscard]] friend OffsetPtr operator+(difference_type by, const OffsetPtr& p) noexcept {
        return OffsetPtr{p.get() + by};
    }
    [[nodiscard]] friend OffsetPtr operator-(const OffsetPtr& p, difference_type by) noexcept {
        return OffsetPtr{p.get() - by};
    }
    [[nodiscard]] friend difference_type operator-(const OffsetPtr& a,
                                                   const OffsetPtr& b) noexcept {
        return a.get() - b.get();
    }

private:
    static constexpr std::uint64_t kNull = 1;

    void set(T* to) noexcept {
        offset_ = to == nullptr ? kNull
                                : reinterpret_cast<std::uintptr_t>(to) -
                                      reinterpret_cast<std::uintptr_t>(this);
    }

    std::uint64_t offset_ = kNull;
};

template <typename T, typename U>
    requires std::equality_comparable_with<T*, U*>
[[nodiscard]] bool operator==(const OffsetPtr<T>& a, const OffsetPtr<U>& b) noexcept {
    return a.get() == b.get();
}
template <typename T>
[[nodiscard]] bool operator==(const OffsetPtr<T>& a, std::nullptr_t) noexcept {
    return !a;
}
template <typename T, typename U>
    requires std::three_way_comparable_with<T*, U*>
[[nodiscard]] std::strong_ordering operator<=>(const OffsetPtr<T>& a,
                                               const OffsetPtr<U>& b) noexcept {
    return reinterpret_cast<std::uintptr_t>(a.get()) <=> reinterpret_cast<std::uintptr_t>(b.get());
}

// The same object seen as another type.
template <typename T, typename U>
[[nodiscard]] OffsetPtr<T> static_pointer_cast(const OffsetPtr<U>& p) noexcept {
    return OffsetPtr<T>{static_cast<T*>(p.get())};
}
template <typename T, typename U>
[[nodiscard]] OffsetPtr<T> const_pointer_cast(const OffsetPtr<U>& p) noexcept {
    return OffsetPtr<T>{const_cast<T*>(p.get())};
}

static_assert(sizeof(OffsetPtr<int>) == 8);

// What it points at is not told: that may hold an OffsetPtr to its own kind.
template <typename T>
struct Layout<OffsetPtr<T>> {
    static constexpr std::string_view name = "stoa.offset_ptr 1";
};

}  // namespace stoa

template <typename T>
struct std::hash<stoa::OffsetPtr<T>> {
    std::size_t operator()(const stoa::OffsetPtr<T>& p) const noexcept {
        return std::hash<T*>{}(p.get());
    }
};
