#include "stoa/shm/offset_ptr.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>
#include <numeric>

namespace stoa {
namespace {

struct Base {
    int base = 1;
};
struct Derived : Base {
    int derived = 2;
};

static_assert(std::random_access_iterator<OffsetPtr<int>>);
static_assert(std::random_access_iterator<OffsetPtr<const int>>);
static_assert(std::is_convertible_v<OffsetPtr<int>, OffsetPtr<const int>>);
static_assert(!std::is_convertible_v<OffsetPtr<const int>, OffsetPtr<int>>);
static_assert(!std::is_constructible_v<OffsetPtr<int>, OffsetPtr<const int>>);
static_assert(std::is_convertible_v<OffsetPtr<Derived>, OffsetPtr<Base>>);
static_assert(!std::is_convertible_v<OffsetPtr<Base>, OffsetPtr<Derived>>);
static_assert(std::is_constructible_v<OffsetPtr<Derived>, OffsetPtr<Base>>);
static_assert(std::is_convertible_v<OffsetPtr<int>, OffsetPtr<void>>);
static_assert(!std::is_convertible_v<OffsetPtr<void>, OffsetPtr<int>>);
static_assert(std::is_constructible_v<OffsetPtr<int>, OffsetPtr<void>>);
static_assert(!std::is_convertible_v<const int*, OffsetPtr<int>>);
static_assert(std::is_same_v<std::pointer_traits<OffsetPtr<int>>::rebind<char>, OffsetPtr<char>>);
static_assert(std::is_same_v<std::pointer_traits<OffsetPtr<const int>>::element_type, const int>);
static_assert(std::is_nothrow_default_constructible_v<OffsetPtr<void>>);

TEST(OffsetPtr, IsNullUntilItIsToldOtherwise) {
    const OffsetPtr<int> none;
    EXPECT_FALSE(none);
    EXPECT_EQ(none, nullptr);
    EXPECT_EQ(none.get(), nullptr);
    int one = 1;
    OffsetPtr<int> some{&one};
    EXPECT_TRUE(some);
    EXPECT_EQ(*some, 1);
    some = nullptr;
    EXPECT_TRUE(!some);
    EXPECT_EQ(OffsetPtr<const int>{some}, nullptr);
}

TEST(OffsetPtr, MayPointAtItself) {
    OffsetPtr<void> self;
    self = OffsetPtr<void>{&self};
    EXPECT_TRUE(self);
    EXPECT_EQ(self.get(), &self);
}

TEST(OffsetPtr, ACopyPointsAtTheSameObject) {
    std::array<int, 4> values{1, 2, 3, 4};
    OffsetPtr<int> first{values.data()};
    const OffsetPtr<int> copy{first};
    auto far = std::make_unique<OffsetPtr<int>>(copy);
    EXPECT_EQ(far->get(), values.data());
    OffsetPtr<const int> constant{*far};
    EXPECT_EQ(&constant[3], &values[3]);
    std::swap(first, *far);
    EXPECT_EQ(first, copy);
}

// As another mapping sees it: the same bytes at another address.
TEST(OffsetPtr, MeansTheSameWhereverTheBytesLie) {
    struct Part {
        OffsetPtr<int> to;
        OffsetPtr<Part> self;
        int value;
    };
    alignas(Part) std::byte here_bytes[sizeof(Part)];
    alignas(Part) std::byte there_bytes[sizeof(Part)];
    Part* const here = new (here_bytes) Part{.to = {}, .self = {}, .value = 7};
    here->to = &here->value;
    here->self = here;
    std::memcpy(there_bytes, here_bytes, sizeof(Part));
    Part* const there = std::launder(reinterpret_cast<Part*>(there_bytes));
    EXPECT_EQ(there->to.get(), &there->value);
    EXPECT_EQ(there->self.get(), there);
    *there->to = 8;
    EXPECT_EQ(here->value, 7);
    EXPECT_EQ(there->value, 8);
}

TEST(OffsetPtr, WalksAsAnIterator) {
    std::array<int, 100> values{};
    const OffsetPtr<int> begin{values.data()};
    const OffsetPtr<int> end = begin + 100;
    std::iota(begin, end, 0);
    EXPECT_EQ(values[99], 99);
    EXPECT_EQ(end - begin, 100);
    EXPECT_EQ(*(3 + begin), 3);
    EXPECT_LT(begin, end);
    EXPECT_GE(end, begin);
    std::sort(begin, end, std::greater<>{});
    EXPECT_EQ(begin[0], 99);
    OffsetPtr<int> at = begin;
    EXPECT_EQ(*at++, 99);
    EXPECT_EQ(*at, 98);
    EXPECT_EQ(*--at, 99);
    EXPECT_EQ(*(at += 5), 94);
    EXPECT_EQ(*(at -= 2), 96);
    EXPECT_EQ(at--, begin + 3);
    EXPECT_EQ(std::to_address(at), values.data() + 2);
    EXPECT_EQ(std::pointer_traits<OffsetPtr<int>>::pointer_to(values[5]), begin + 5);
    EXPECT_EQ(std::hash<OffsetPtr<int>>{}(begin), std::hash<int*>{}(values.data()));
}

TEST(OffsetPtr, IsCastAsAPointerIs) {
    Derived object;
    const OffsetPtr<Derived> derived{&object};
    const OffsetPtr<Base> base = derived;
    EXPECT_EQ(base->base, 1);
    EXPECT_EQ(static_cast<OffsetPtr<Derived>>(base)->derived, 2);
    EXPECT_EQ(static_pointer_cast<Derived>(base), derived);
    const OffsetPtr<void> bytes = base;
    EXPECT_EQ(static_cast<OffsetPtr<Base>>(bytes), base);
    const OffsetPtr<const Base> constant = base;
    EXPECT_EQ(const_pointer_cast<Base>(constant), base);
}

}  // namespace
}  // namespace stoa
