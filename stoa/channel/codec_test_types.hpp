// Types that the tests of codecs share; two compilers must say the same of them.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "stoa/channel/codec.hpp"

namespace stoa::codec_test {

enum class Side : std::uint8_t { buy, sell };
enum class YesNo : bool { no, yes };

struct Point {
    std::int32_t x;
    std::int32_t y;
    bool operator==(const Point&) const = default;
};

struct Track {
    std::string name;
    std::vector<std::pair<int, int>> points;
    bool open = false;
    bool operator==(const Track&) const = default;
};

struct Tree {
    std::string name{};
    std::vector<Tree> children{};
    bool operator==(const Tree&) const = default;
};

struct Money {
    std::int64_t cents = 0;
    bool operator==(const Money&) const = default;
};

// No aggregate that can be taken apart; names itself.
class Stamp {
public:
    bool operator==(const Stamp&) const = default;

private:
    std::uint64_t ticks_ = 0;
};

// Its codec holds one that holds one.
struct Onion {
    int layers = 0;
    bool operator==(const Onion&) const = default;
};

struct Everything {
    bool flag;
    char letter;
    std::int16_t small;
    double real;
    Side side;
    YesNo answer;
    std::string text;
    std::vector<std::uint16_t> numbers;
    std::vector<Track> tracks;
    std::optional<Point> at;
    char code[3];
    std::array<std::string, 2> pair;
    float grid[2][3];
    std::map<std::string, Point> named;
    std::set<std::string> words;
    std::variant<std::monostate, std::string, Point> either;
    std::chrono::milliseconds wait;
    Tree tree;
    bool operator==(const Everything&) const = default;
};

inline constexpr std::string_view kTextOfEverything =
    "encoded {bool flag;char letter;i16 small;f64 real;enum u8 side;enum bool answer;string text;"
    "list<u16> numbers;list<{string name;list<tuple<i32,i32>> points;bool open;}> tracks;"
    "optional<{i32 x;i32 y;}> at;char[3] code;string[2] pair;f32[3][2] grid;"
    "map<string,{i32 x;i32 y;}> named;set<string> words;one_of<{},string,{i32 x;i32 y;}> either;"
    "duration<i64,1/1000> wait;{string name;list<^1> children;} tree;}";

inline Everything everything() {
    return {.flag = true,
            .letter = 'q',
            .small = -2,
            .real = 0.125,
            .side = Side::sell,
            .answer = YesNo::yes,
            .text = "some text",
            .numbers = {1, 2, 65535},
            .tracks = {{"first", {{1, 2}, {3, 4}}, true}, {}},
            .at = Point{5, -6},
            .code = {'a', 'b', 'c'},
            .pair = {"left", ""},
            .grid = {{1, 2, 3}, {4, 5, 6}},
            .named = {{"origin", {0, 0}}, {"end", {7, 8}}},
            .words = {"one", "two"},
            .either = "perhaps",
            .wait = std::chrono::milliseconds{250},
            .tree = {"root", {{"leaf", {}}, {"branch", {{"twig", {}}}}}}};
}

struct Exactly32 {
    std::string f1;
    int f2{};
    int f3{};
    int f4{};
    int f5{};
    int f6{};
    int f7{};
    int f8{};
    int f9{};
    int f10{};
    int f11{};
    int f12{};
    int f13{};
    int f14{};
    int f15{};
    int f16{};
    int f17{};
    int f18{};
    int f19{};
    int f20{};
    int f21{};
    int f22{};
    int f23{};
    int f24{};
    int f25{};
    int f26{};
    int f27{};
    int f28{};
    int f29{};
    int f30{};
    int f31{};
    std::vector<int> f32;
    bool operator==(const Exactly32&) const = default;
};
struct OneTooMany {
    std::string f1;
    int f2{};
    int f3{};
    int f4{};
    int f5{};
    int f6{};
    int f7{};
    int f8{};
    int f9{};
    int f10{};
    int f11{};
    int f12{};
    int f13{};
    int f14{};
    int f15{};
    int f16{};
    int f17{};
    int f18{};
    int f19{};
    int f20{};
    int f21{};
    int f22{};
    int f23{};
    int f24{};
    int f25{};
    int f26{};
    int f27{};
    int f28{};
    int f29{};
    int f30{};
    int f31{};
    std::vector<int> f32;
    int f33;
};

}  // namespace stoa::codec_test

template <>
struct stoa::Layout<stoa::codec_test::Stamp> {
    static constexpr std::string_view name = "stamp";
};

template <>
struct stoa::Codec<stoa::codec_test::Money> {
    using Money = stoa::codec_test::Money;
    static constexpr std::string_view name = "money: i64 of cents";
    static std::size_t size(const Money& /*money*/) { return sizeof(std::int64_t); }
    static void encode(const Money& money, std::span<std::byte> to) {
        stoa::encode(money.cents, to);
    }
    static Result<Money> decode(Bytes from) {
        if (from.size() != sizeof(std::int64_t)) return fail(Errc::wrong_size, "money");
        return Money{*stoa::decode<std::int64_t>(from)};
    }
};

template <>
struct stoa::Codec<stoa::codec_test::Onion> {
    using Onion = stoa::codec_test::Onion;
    using Inside = std::tuple<Onion>;
    static constexpr std::string_view name = "onion";
    static std::size_t size(const Onion& onion) {
        return onion.layers == 0 ? 0 : encoded_size(Inside{{onion.layers - 1}});
    }
    static void encode(const Onion& onion, std::span<std::byte> to) {
        if (onion.layers > 0) stoa::encode(Inside{{onion.layers - 1}}, to);
    }
    static Result<Onion> decode(Bytes from) {
        if (from.empty()) return Onion{};
        const Result<Inside> inside = stoa::decode<Inside>(from);
        if (!inside) return std::unexpected(inside.error());
        return Onion{std::get<0>(*inside).layers + 1};
    }
};
