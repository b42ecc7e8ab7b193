#include "stoa/channel/codec.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include "stoa/channel/codec_test_types.hpp"
#include "tests/kit/allocations.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace codec_test;

struct WithPointer {
    std::string name;
    int* where;
};
struct WithView {
    std::string name;
    std::string_view text;
};
struct WithReference {
    std::string name;
    int& other;
};
struct WithConstant {
    std::string name;
    const int number = 0;
};
struct Base {
    std::string name;
};
struct WithBase : Base {
    int number;
};
enum Unfixed { one, two };
struct WithUnfixed {
    std::string name;
    Unfixed number;
};
struct Nothing {};
struct Unmakeable {
    explicit Unmakeable(int v) : value{v} {}
    int value;
};
class Hidden {
public:
    [[nodiscard]] int value() const { return value_; }

private:
    int value_ = 0;
};
struct HalfCodec {
    int* value;
};

}  // namespace

template <>
struct Codec<HalfCodec> {
    static constexpr std::string_view name = "half";
};

namespace {

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
    std::vector<std::byte> bytes(encoded_size(value));
    EXPECT_EQ(encode(value, bytes), bytes.size());
    return bytes;
}
std::vector<std::byte> bytes_in(std::initializer_list<int> numbers) {
    std::vector<std::byte> bytes;
    for (const int number : numbers) bytes.push_back(static_cast<std::byte>(number));
    return bytes;
}
template <typename T>
std::string why_not(const std::vector<std::byte>& bytes) {
    const Result<T> value = decode<T>(bytes);
    if (value) return "decoded";
    EXPECT_EQ(value.error().code, Errc::corrupt);
    return value.error().step;
}
template <typename T>
std::string text_of() {
    return std::string{type_info_of<T>().text};
}
template <typename T>
void expect_round_trip(const T& value) {
    const Result<T> again = decode<T>(bytes_of(value));
    ASSERT_TRUE(again) << describe(again.error());
    EXPECT_TRUE(*again == value);
}

Tree chain(int depth) {
    Tree top;
    Tree* at = &top;
    for (int i = 1; i < depth; ++i) at = &at->children.emplace_back();
    return top;
}

TEST(Codec, FieldsAreCountedWhateverTheyAre) {
    using detail::field_count;
    static_assert(field_count<Everything>() == 18 && field_count<Track>() == 3);
    static_assert(field_count<Exactly32>() == 32 && field_count<OneTooMany>() == 33);
    static_assert(field_count<Nothing>() == 0 && field_count<Tree>() == 2);
    struct Big {
        char text[5000];
        std::string name;
    };
    static_assert(field_count<Big>() == 2);
    struct Wrapped {
        Nothing nothing;
        std::array<int, 4> four;
        std::optional<Nothing> perhaps;
    };
    static_assert(field_count<Wrapped>() == 3);
}

TEST(Codec, TheTextNamesKindAndNameOfEachFieldInOrder) {
    EXPECT_EQ(text_of<std::string>(), "encoded string");
    EXPECT_EQ(text_of<std::vector<double>>(), "encoded list<f64>");
    EXPECT_EQ(text_of<Track>(), "encoded {string name;list<tuple<i32,i32>> points;bool open;}");
    EXPECT_EQ(text_of<Everything>(), kTextOfEverything);
    EXPECT_EQ(text_of<Tree>(), "encoded {string name;list<^1> children;}");
    EXPECT_EQ(text_of<Money>(), "encoded codec<money: i64 of cents>");
    EXPECT_EQ(text_of<std::vector<Stamp>>(), "encoded list<stamp:8>");
}

TEST(Codec, AnEncodedTypeHasAnotherFingerprintThanAFlatOne) {
    struct Flat {
        std::uint32_t count;
    };
    const TypeInfo info = type_info_of<std::vector<Flat>>();
    EXPECT_EQ(info.text, "encoded list<{u32 count;}>");
    EXPECT_EQ(info.size, 0U);
    EXPECT_FALSE(info.is_bytes());
    EXPECT_NE(info.fingerprint, type_info_of<Flat>().fingerprint);
    EXPECT_EQ(text_of<std::deque<Flat>>(), info.text);  // the same bytes
    EXPECT_NE(text_of<std::set<std::string>>(), text_of<std::vector<std::string>>());
}

TEST(Codec, TheBytesAreLittleEndianWithoutPadding) {
    const Track track{.name = "ab", .points = {{1, -1}}, .open = true};
    EXPECT_EQ(bytes_of(track),
              bytes_in({2, 0, 0, 0, 'a', 'b', 1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 1}));
    EXPECT_EQ(bytes_of(std::string{"ab"}), bytes_in({'a', 'b'}));  // the message says how long
    EXPECT_EQ(bytes_of(std::optional<Side>{Side::sell}), bytes_in({1, 1}));
    EXPECT_EQ(bytes_of(std::variant<bool, std::string>{"x"}), bytes_in({1, 1, 0, 0, 0, 'x'}));
}

TEST(Codec, ValuesOfEveryKindComeBack) {
    expect_round_trip(everything());
    expect_round_trip(Everything{});
    expect_round_trip(std::vector<Everything>{everything(), {}, everything()});
    expect_round_trip(std::vector<bool>{true, false, true});
    expect_round_trip(std::list<std::deque<std::string>>{{}, {"a"}, {"", "b"}});
    expect_round_trip(std::tuple<>{});
    expect_round_trip(std::vector<long double>{1.5L, -0.0L});
    expect_round_trip(std::array<std::optional<std::string>, 3>{"x", std::nullopt, ""});
    expect_round_trip(Exactly32{.f1 = "first", .f32 = {32}});
    expect_round_trip(std::optional<std::unordered_map<std::string, std::vector<Point>>>{
        {{"a", {{1, 2}}}, {"b", {}}}});
}

TEST(Codec, EmptyAndHugeStringsComeBack) {
    expect_round_trip(std::string{});
    expect_round_trip(std::vector<std::string>(1000));
    std::string huge(16 << 20, 'x');
    huge[huge.size() / 2] = '\0';
    expect_round_trip(huge);
    expect_round_trip(std::pair{huge, huge + "y"});
}

TEST(Codec, EveryTruncationIsAnError) {
    const std::vector<std::byte> whole = bytes_of(everything());
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Result<Everything> value = decode<Everything>(Bytes{whole}.first(length));
        ASSERT_FALSE(value) << length;
        ASSERT_EQ(value.error().code, Errc::corrupt) << length;
    }
    std::vector<std::byte> longer = whole;
    longer.emplace_back();
    EXPECT_EQ(why_not<Everything>(longer), "decode (bytes are left over)");
}

TEST(Codec, DamagedBytesAreAValueOrAnErrorAndAskForNoMoreMemoryThanTheyHold) {
    const std::vector<std::byte> whole = bytes_of(everything());
    std::mt19937 random{7};
    int decoded = 0;
    for (int turn = 0; turn < 20'000; ++turn) {
        std::vector<std::byte> bytes = whole;
        for (int i = 0; i < 1 + turn % 4; ++i) {
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        }
        kit::forget_allocations();
        const Result<Everything> value = decode<Everything>(bytes);
        ASSERT_LE(kit::largest_allocation(), 16 * bytes.size()) << turn;
        if (!value) continue;
        ++decoded;
        const std::vector<std::byte> again = bytes_of(*value);
        const Result<Everything> same = decode<Everything>(again);
        ASSERT_TRUE(same) << turn;
        ASSERT_EQ(bytes_of(*same), again) << turn;
    }
    EXPECT_GT(decoded, 0);
    EXPECT_LT(decoded, 20'000);
    for (int turn = 0; turn < 20'000; ++turn) {
        std::vector<std::byte> bytes(random() % 200);
        const auto most = static_cast<std::uint32_t>(turn % 256 + 1);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() % most);
        kit::forget_allocations();
        decoded += decode<Everything>(bytes).has_value() ? 1 : 0;
        decoded += decode<std::vector<Tree>>(bytes).has_value() ? 1 : 0;
        ASSERT_LE(kit::largest_allocation(), 16 * bytes.size() + 512) << turn;
    }
}

TEST(Codec, ACountThatTheBytesCannotHoldAllocatesNothing) {
    const auto lying = bytes_in({255, 255, 255, 127, 1, 0, 0, 0});
    kit::forget_allocations();
    EXPECT_EQ(why_not<std::vector<double>>(lying), "decode (a count that its bytes cannot hold)");
    EXPECT_EQ(why_not<std::vector<bool>>(lying), "decode (a count that its bytes cannot hold)");
    EXPECT_EQ(why_not<std::vector<std::string>>(lying),
              "decode (a count that its bytes cannot hold)");
    EXPECT_EQ(why_not<std::tuple<std::string>>(lying), "decode (the message is cut off)");
    EXPECT_LT(kit::largest_allocation(), 64U);
    // One byte each in the message, thousands in memory: only what has come is made.
    struct Wide {
        std::optional<std::array<std::uint64_t, 1000>> numbers;
    };
    std::vector<std::byte> flags(4 + 100, std::byte{2});
    flags[0] = std::byte{100};
    flags[1] = flags[2] = flags[3] = std::byte{0};
    EXPECT_EQ(why_not<std::vector<Wide>>(flags), "decode (a bool that is neither 0 nor 1)");
    EXPECT_LT(kit::largest_allocation(), 2 * sizeof(Wide));
}

TEST(Codec, APeerThatScribblesWhileItIsReadHarmsNothing) {
    const std::vector<std::byte> whole = bytes_of(std::vector<Everything>(3, everything()));
    const kit::TempRegion shared{whole.size()};
    kit::Child peer{[&] {
        for (std::mt19937 random{11};;) {
            const std::size_t at = random() % whole.size();
            shared.bytes()[at] = static_cast<std::byte>(random());
            shared.bytes()[(at * 7) % whole.size()] = whole[(at * 7) % whole.size()];
        }
    }};
    for (int refused = 0; refused < 5'000;) {
        std::memcpy(shared.bytes().data(), whole.data(), whole.size());
        kit::forget_allocations();
        const auto value = decode<std::vector<Everything>>(shared.bytes().first(whole.size()));
        ASSERT_LE(kit::largest_allocation(), 32 * whole.size());
        if (value) {
            static_cast<void>(bytes_of(*value));
        } else {
            ++refused;
        }
    }
    peer.kill_and_wait();
}

TEST(Codec, WhatIsNoValueIsRefused) {
    EXPECT_EQ(why_not<std::vector<bool>>(bytes_in({1, 0, 0, 0, 2})),
              "decode (a bool that is neither 0 nor 1)");
    EXPECT_EQ(why_not<std::tuple<YesNo>>(bytes_in({2})), "decode (a bool that is neither 0 nor 1)");
    EXPECT_EQ(why_not<std::optional<Side>>(bytes_in({2, 0})),
              "decode (a bool that is neither 0 nor 1)");
    using Either = std::variant<Side, std::string>;
    EXPECT_EQ(why_not<Either>(bytes_in({2, 0})), "decode (no such alternative)");
    EXPECT_EQ(why_not<Either>(bytes_in({255, 0})), "decode (no such alternative)");
    EXPECT_EQ(why_not<std::set<Side>>(bytes_in({2, 0, 0, 0, 1, 1})), "decode (a key twice)");
    using Map = std::map<Side, bool>;
    EXPECT_EQ(why_not<Map>(bytes_in({2, 0, 0, 0, 1, 1, 1, 0})), "decode (a key twice)");
}

TEST(Codec, TreesEndAtSixtyFourLevelsOnBothSides) {
    const Tree deepest = chain(kMaxCodecDepth);
    expect_round_trip(deepest);
    EXPECT_EQ(encoded_size(chain(kMaxCodecDepth + 1)), kNoSize);
    std::vector<std::byte> bytes;
    for (int i = 0; i < 100'000; ++i) {  // an empty name, one child
        for (const int b : {0, 0, 0, 0, 1, 0, 0, 0}) bytes.push_back(static_cast<std::byte>(b));
    }
    EXPECT_EQ(why_not<Tree>(bytes), "decode (nested deeper than 64)");
}

TEST(Codec, ACodecOfOnesOwnIsBoundedAsWellAndItsErrorsArePassedOn) {
    expect_round_trip(Money{-5});
    EXPECT_EQ(bytes_of(Money{5}).size(), 8U);
    EXPECT_EQ(bytes_of(std::optional<Money>{{5}}).size(), 1U + 4U + 8U);
    expect_round_trip(std::vector<Money>{{1}, {2}});
    const auto forged = bytes_in({1, 0, 0, 0, 2, 0, 0, 0, 1, 1});
    EXPECT_EQ(decode<std::vector<Money>>(forged).error().code, Errc::wrong_size);
    expect_round_trip(Onion{3});
    EXPECT_EQ(encoded_size(Onion{100}), kNoSize);
    std::vector<std::byte> bytes(40'000);
    for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
        const auto left = static_cast<std::uint32_t>(bytes.size() - i - 4);
        std::memcpy(bytes.data() + i, &left, 4);
    }
    EXPECT_EQ(why_not<Onion>(bytes), "decode (nested deeper than 64)");
}

TEST(Codec, DecodingIntoAValueUsesItsMemoryAgain) {
    Track track{.name = std::string(100, 'x'), .points = std::vector<std::pair<int, int>>(100)};
    const std::vector<std::byte> bytes = bytes_of(track);
    const void* const name = track.name.data();
    const void* const points = track.points.data();
    kit::forget_allocations();
    ASSERT_TRUE(decode_into(bytes, track));
    EXPECT_EQ(kit::largest_allocation(), 0U);
    EXPECT_EQ(track.name.data(), name);
    EXPECT_EQ(track.points.data(), points);
    std::vector<std::string> names{"a", "b", "c"};
    ASSERT_TRUE(decode_into(bytes_of(std::vector<std::string>{"d"}), names));
    EXPECT_EQ(names, std::vector<std::string>{"d"});
}

TEST(Codec, ATypeWithACodecOfItsOwnIsNeverSentAsItLiesInMemory) {
    struct Holder {
        Money money;
    };
    static_assert(Encodable<Money> && !Sendable<Money>);
    static_assert(Encodable<Holder> && !Sendable<Holder>);
    static_assert(Sendable<Stamp> && !Encodable<Stamp> && Codable<Stamp>);
}

TEST(Codec, WhatMeansNothingElsewhereIsRefused) {
    using detail::refusal;
    using detail::Refusal;
    static_assert(refusal<int*>() == Refusal::address);
    static_assert(refusal<std::vector<std::string>::iterator>() == Refusal::address);
    static_assert(refusal<WithPointer>() == Refusal::address);
    static_assert(refusal<std::map<int, WithPointer>>() == Refusal::address);
    static_assert(refusal<std::optional<void (*)()>>() == Refusal::address);
    static_assert(refusal<WithView>() == Refusal::view);
    static_assert(refusal<std::vector<std::string_view>>() == Refusal::view);
    static_assert(refusal<std::pair<int, std::span<int>>>() == Refusal::view);
    static_assert(refusal<WithReference>() == Refusal::not_made);
    static_assert(refusal<WithConstant>() != Refusal::none);
    static_assert(refusal<std::vector<Unmakeable>>() == Refusal::unknown);
    static_assert(refusal<WithBase>() == Refusal::base);
    static_assert(refusal<OneTooMany>() == Refusal::fields);
    static_assert(refusal<WithUnfixed>() == Refusal::enumeration);
    static_assert(refusal<std::vector<Nothing>>() == Refusal::nothing);
    static_assert(refusal<std::set<std::tuple<>>>() == Refusal::nothing);
    static_assert(refusal<std::tuple<Nothing, int>>() == Refusal::none);
    static_assert(refusal<HalfCodec>() == Refusal::codec);
    static_assert(refusal<Hidden>() == Refusal::unknown);
    static_assert(refusal<std::unique_ptr<int>>() == Refusal::unknown);
    static_assert(!Encodable<WithPointer> && !Encodable<OneTooMany> && !Encodable<std::string[2]>);
    static_assert(!Sendable<OneTooMany> && !Sendable<WithBase>);
}

}  // namespace
}  // namespace stoa
