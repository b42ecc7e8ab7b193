#include "cli/units.hpp"

#include <gtest/gtest.h>

namespace stoa::cli {
namespace {

using namespace std::chrono_literals;

TEST(Units, SizesAreReadAsPeopleWriteThem) {
    EXPECT_EQ(parse_bytes("0"), 0U);
    EXPECT_EQ(parse_bytes("4096"), 4096U);
    EXPECT_EQ(parse_bytes("4096b"), 4096U);
    for (const char* text : {"64k", "64K", "64KB", "64KiB", "64 kib", "0.0625M"}) {
        EXPECT_EQ(parse_bytes(text), 65536U) << text;
    }
    EXPECT_EQ(parse_bytes("1.5MiB"), 1572864U);
    EXPECT_EQ(parse_bytes("3G"), 3U << 30U);
    EXPECT_EQ(parse_bytes("2t"), 2ULL << 40U);
}

TEST(Units, WhatIsNoSizeIsRefused) {
    for (const char* text : {"", " ", "k", "-1", "-0", "1e9", "0x10", "12 apples", "1.3", "1kk",
                             "1k1", "nan", "inf", "99999999T", "1 000"}) {
        EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
    }
}

TEST(Units, TimesAreSecondsUnlessTheySayOtherwise) {
    EXPECT_EQ(parse_time("2"), 2s);
    EXPECT_EQ(parse_time("0.25"), 250ms);
    EXPECT_EQ(parse_time("0"), 0s);
    EXPECT_EQ(parse_time("0.0000000001"), 1ns);  // 0 would be for ever
    EXPECT_GT(parse_time("99999999999999999999"), 24h);
    EXPECT_GT(parse_time("99999999999999999999h"), 24h);
    for (const char* text : {"1.5s", "1.5 s", "1500ms", "1500000us", "0.025min", "0.025m"}) {
        EXPECT_EQ(parse_time(text), 1500ms) << text;
    }
    EXPECT_EQ(parse_time("2h"), 2h);
}

TEST(Units, WhatIsNoTimeIsRefused) {
    for (const char* text : {"", "s", "soon", "-1", "-0", "-1s", "nan", "inf", "1e3", "1S", "1Ms",
                             "1 s ago", "1d", "1s2"}) {
        EXPECT_EQ(parse_time(text), std::nullopt) << text;
    }
}

TEST(Units, SizesAndCountsAreShownShort) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(1023), "1023 B");
    EXPECT_EQ(human_bytes(65536), "64 KiB");
    EXPECT_EQ(human_bytes(1572864), "1.5 MiB");
    EXPECT_EQ(human_seconds(250ms), "0.25 s");
    EXPECT_EQ(counted(1, "message", "messages"), "1 message");
    EXPECT_EQ(counted(2, "message", "messages"), "2 messages");
}

}  // namespace
}  // namespace stoa::cli
