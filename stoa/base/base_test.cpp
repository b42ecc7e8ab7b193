#include <gtest/gtest.h>

#include <array>

#include "stoa/base/atomic.hpp"
#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/layout.hpp"
#include "stoa/base/size.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

TEST(Errors, EveryCodeHasANameAndAnAdvice) {
    for (int code = 1; code <= static_cast<int>(Errc::os); ++code) {
        EXPECT_NE(name(static_cast<Errc>(code)), "unknown") << code;
        EXPECT_FALSE(advice(static_cast<Errc>(code)).empty()) << code;
    }
    EXPECT_EQ(name(static_cast<Errc>(250)), "unknown");
}

TEST(Errors, ValueOfAFailedResultThrowsTheSentence) {
    const Result<int> failed = fail(Errc::in_use, "join");
    try {
        static_cast<void>(failed.value());
        FAIL() << "it has no value";
    } catch (const std::bad_expected_access<Error>& thrown) {
        EXPECT_EQ(thrown.what(), describe(failed.error()));
        EXPECT_EQ(thrown.error().code, Errc::in_use);
    }
    const Result<void> nothing = fail(Errc::denied, "open", EACCES);
    EXPECT_THROW(nothing.value(), std::bad_expected_access<void>);
}

TEST(Errors, DescribeSaysStepCauseAndRemedy) {
    const std::string text = describe(Error{Errc::denied, EACCES, "open"});
    EXPECT_EQ(text,
              "open: denied (Permission denied): no permission; ask its owner for the right or run "
              "as its owner");
}

TEST(Deadlines, NeverDoesNotPassAndImmediatelyHas) {
    EXPECT_FALSE(Deadline::never().passed());
    EXPECT_TRUE(Deadline::immediately().passed());
    EXPECT_FALSE(Deadline::after(1h).passed());
    EXPECT_TRUE(Deadline::after(std::chrono::nanoseconds::max()).is_never());
    EXPECT_EQ(Deadline::never().left(100ms), 100ms);
    EXPECT_EQ(Deadline::immediately().left(100ms), 0ms);
}

TEST(Sizes, OverflowIsNoticed) {
    EXPECT_FALSE(checked_mul(UINT64_MAX, 2));
    EXPECT_FALSE(checked_add(UINT64_MAX, 1));
    EXPECT_EQ(checked_mul(3, 4), 12U);
    EXPECT_EQ(align_up(65, 64), 128U);
    EXPECT_EQ(bits_for(1), 1U);
    EXPECT_EQ(bits_for(1024), 10U);
    EXPECT_EQ(bits_for(1025), 11U);
}

TEST(Layouts, CastRefusesWhatDoesNotFit) {
    alignas(64) std::array<std::byte, 64> memory{};
    const std::span<std::byte> bytes{memory};
    EXPECT_NE(layout_at<std::uint64_t>(bytes, 56), nullptr);
    EXPECT_EQ(layout_at<std::uint64_t>(bytes, 57), nullptr);
    EXPECT_EQ(layout_at<std::uint64_t>(bytes, 4), nullptr);
    EXPECT_EQ(layout_at<std::uint64_t>(bytes, 0, UINT64_MAX), nullptr);
    EXPECT_EQ(layout_at<std::uint64_t>(bytes, UINT64_MAX), nullptr);
    static_assert(magic_of("STOAMBX1") == 0x3158424d414f5453U);
}

}  // namespace
}  // namespace stoa
