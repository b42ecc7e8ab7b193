#include "stoa/base/fingerprint.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace stoa {
namespace {

enum class Side : std::uint8_t { buy, sell };
struct Point {
    std::int32_t x;
    std::int32_t y;
};
struct Order {
    std::uint64_t id;
    double price[2];
    Side side;
    std::array<char, 3> code;
    Point at;
    bool open;
};
struct Grid {
    float cells[2][3];
    Point corners[2];
};
struct Renamed {
    std::int32_t x;
    std::int32_t z;
};
struct WithPointer {
    int* where;
};
struct WithView {
    std::string_view text;
};
struct NestedPointer {
    WithPointer inner;
};
struct WithReference {
    int& r;
};
class Private {
public:
    explicit Private(int v) : v_{v} {}
    [[nodiscard]] int value() const { return v_; }

private:
    int v_;
};
struct Empty {};

template <typename T>
std::string text_of() {
    return std::string{type_info_of<T>().text};
}

TEST(Fingerprint, TheTextNamesKindSizeOffsetAndNameOfEachField) {
    EXPECT_EQ(text_of<std::uint32_t>(), "u32");
    EXPECT_EQ(text_of<Point>(), "{i32 x@0;i32 y@4;}:8");
    EXPECT_EQ(text_of<Order>(),
              "{u64 id@0;f64[2] price@8;enum u8 side@24;char[3] code@25;"
              "{i32 x@0;i32 y@4;}:8 at@28;bool open@36;}:40");
    EXPECT_EQ(text_of<Grid>(), "{f32[3][2] cells@0;{i32 x@0;i32 y@4;}:8[2] corners@24;}:40");
    EXPECT_EQ(text_of<Empty>(), "{}:1");
}

TEST(Fingerprint, DifferentLayoutsHaveDifferentFingerprints) {
    EXPECT_NE(type_info_of<Point>().fingerprint, type_info_of<Renamed>().fingerprint);
    EXPECT_NE(type_info_of<int>().fingerprint, type_info_of<unsigned>().fingerprint);
    EXPECT_EQ(type_info_of<Point>().size, 8U);
}

TEST(Fingerprint, WhatMeansNothingElsewhereIsRefused) {
    static_assert(Sendable<Order> && Sendable<Grid> && Sendable<double>);
    static_assert(!Sendable<int*> && !Sendable<WithPointer> && !Sendable<NestedPointer>);
    static_assert(!Sendable<std::string_view> && !Sendable<WithView>);
    static_assert(!Sendable<std::span<int>> && !Sendable<std::vector<int>>);
    static_assert(!Sendable<Private> && !Sendable<const int> && !Sendable<WithReference>);
    static_assert(!Sendable<std::optional<int>> && !Sendable<void (*)()>);
}

}  // namespace
}  // namespace stoa
