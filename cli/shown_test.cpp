#include "cli/shown.hpp"

#include <gtest/gtest.h>

namespace stoa::cli {
namespace {

TEST(Shown, PlainTextOfAnyLanguageStaysAsItIs) {
    for (const char* text : {"", "hello, world", "grüße", "日本語", "שלום", "🙂 ok"}) {
        EXPECT_EQ(shown(text), text);
    }
}

TEST(Shown, ControlsOfSevenAndEightBitsAreSpelledOut) {
    EXPECT_EQ(shown("\x1b[2Jgone"), "\\x1b[2Jgone");
    EXPECT_EQ(shown("a\nb\rc\td"), "a\\nb\\rc\\td");
    EXPECT_EQ(shown(std::string_view{"\0\x07\x7f", 3}), "\\x00\\x07\\x7f");
    EXPECT_EQ(shown("\xc2\x9b"
                    "31m"),
              "\\u009b31m");  // CSI as one character
    EXPECT_EQ(shown("\x9b"
                    "31m"),
              "\\x9b31m");  // and as one byte
}

TEST(Shown, NothingTurnsTheDirectionOrEndsTheLine) {
    EXPECT_EQ(shown("a\xe2\x80\xae"
                    "b"),
              "a\\u202eb");
    EXPECT_EQ(shown("\xe2\x80\xa8\xe2\x81\xa9"), "\\u2028\\u2069");
}

TEST(Shown, WhatIsNoUtf8IsShownByteByByte) {
    EXPECT_EQ(shown("\xff\xc0\x80"), "\\xff\\xc0\\x80");
    EXPECT_EQ(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
    EXPECT_EQ(shown("cut \xe6\x97"), "cut \\xe6\\x97");
    EXPECT_EQ(shown("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
}

TEST(Shown, ABackslashCanBeToldFromAnEscape) {
    EXPECT_EQ(shown("\\x1b"), "\\\\x1b");
}

TEST(Shown, NoByteThatATerminalActsOnIsLeft) {
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const char text[] = {static_cast<char>(first), static_cast<char>(second)};
            for (const char c : shown({text, 2})) {
                const auto byte = static_cast<unsigned char>(c);
                ASSERT_TRUE(byte >= 0x20 && byte != 0x7f) << first << " " << second;
            }
        }
    }
}

}  // namespace
}  // namespace stoa::cli
