#include "stoa/sys/mapping.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "stoa/base/atomic.hpp"
#include "stoa/sys/file.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::sys {
namespace {

Fd unnamed(const kit::TempDomain& domain) {
    const Fd folder = open_folder(domain.path().c_str()).value();
    return make_unnamed(folder, 0600).value();
}

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

TEST(Fd, ClosesOnceAndOnlyWhatItOwns) {
    Fd first{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int number = first.get();
    ASSERT_TRUE(is_open(number));
    Fd second = std::move(first);
    EXPECT_FALSE(
        first.valid());  // NOLINT(bugprone-use-after-move): moved-from is part of the contract
    EXPECT_EQ(second.get(), number);
    second = Fd{};
    EXPECT_FALSE(is_open(number));
}

TEST(Fd, ReleaseGivesTheNumberAway) {
    Fd owner{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int number = owner.release();
    EXPECT_FALSE(owner.valid());
    owner = Fd{};
    EXPECT_TRUE(is_open(number));
    const Fd closes{number};
}

TEST(Fd, ClosingKeepsErrno) {
    errno = EDOM;
    {
        const Fd wrong{1'000'000};
    }
    EXPECT_EQ(errno, EDOM);
}

TEST(Mapping, TwoMappingsOfOneFileShareTheirBytes) {
    const kit::TempDomain domain;
    const Fd file = unnamed(domain);
    ASSERT_TRUE(reserve(file, 0, kPage));
    const Mapping one = map_shared(file, kPage, Access::read_write).value();
    const Mapping other = map_shared(file, kPage, Access::read_only).value();
    one.bytes()[17] = std::byte{42};
    EXPECT_EQ(other.bytes()[17], std::byte{42});
    EXPECT_NE(one.bytes().data(), other.bytes().data());
}

TEST(Mapping, RangeBeyondTheFileIsUsableOnceTheFileHasGrown) {
    const kit::TempDomain domain;
    const Fd file = unnamed(domain);
    ASSERT_TRUE(reserve(file, 0, kPage));
    const std::uint64_t bytes = std::uint64_t{1} << 32;
    const Mapping mapping = map_shared(file, bytes, Access::read_write).value();
    ASSERT_EQ(mapping.bytes().size(), bytes);
    ASSERT_TRUE(reserve(file, 7 * kPage, kPage));
    mapping.bytes()[8 * kPage - 1] = std::byte{1};
    EXPECT_EQ(info(file)->bytes, 8 * kPage);
}

TEST(Mapping, TouchingBytesBeyondTheFileIsSigbus) {
    const kit::TempDomain domain;
    const Fd file = unnamed(domain);
    ASSERT_TRUE(reserve(file, 0, kPage));
    const Mapping mapping = map_shared(file, 2 * kPage, Access::read_write).value();
    const kit::Ending ending = kit::fork_and_run([&] {
        (void)std::signal(SIGBUS, SIG_DFL);  // a sanitizer would report instead
        mapping.bytes()[kPage] = std::byte{1};
    });
    EXPECT_EQ(ending.signal, SIGBUS);
}

TEST(Mapping, StaysValidWhenTheFileIsClosedAndUnlinked) {
    const kit::TempDomain domain;
    const Fd folder = open_folder(domain.path().c_str()).value();
    Mapping mapping;
    {
        const Fd file = make_unnamed(folder, 0600).value();
        ASSERT_TRUE(reserve(file, 0, kPage));
        ASSERT_TRUE(publish(file, folder, "name"));
        mapping = map_shared(file, kPage, Access::read_write).value();
    }
    ASSERT_TRUE(unlink(folder, "name"));
    mapping.bytes()[0] = std::byte{5};
    EXPECT_EQ(mapping.bytes()[0], std::byte{5});
}

TEST(Mapping, AnonymousMemoryIsZeroAndSharedWithAForkedChild) {
    const Mapping mapping = map_anonymous_shared(3 * kPage).value();
    EXPECT_EQ(mapping.bytes()[3 * kPage - 1], std::byte{0});
    ASSERT_TRUE(kit::fork_and_run([&] { mapping.bytes()[1] = std::byte{9}; }).ok());
    EXPECT_EQ(mapping.bytes()[1], std::byte{9});
}

TEST(Mapping, MovedFromIsEmptyAndTheRangeIsUnmappedOnce) {
    Mapping first = map_anonymous_shared(kPage).value();
    std::byte* const start = first.bytes().data();
    Mapping second = std::move(first);
    EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(second.bytes().data(), start);
    second = Mapping{};
    unsigned char resident = 0;
    EXPECT_EQ(::mincore(start, kPage, &resident), -1);  // ENOMEM: nothing is mapped there
}

TEST(Mapping, ImpossibleSizesAreErrorsWithAName) {
    const kit::TempDomain domain;
    const Fd file = unnamed(domain);
    EXPECT_EQ(map_anonymous_shared(0).error().code, Errc::bad_argument);
    EXPECT_EQ(map_shared(file, 0, Access::read_only).error().code, Errc::bad_argument);
    EXPECT_EQ(map_shared(file, std::uint64_t{1} << 62, Access::read_write).error().code,
              Errc::limit_reached);
    const Fd read_only{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(map_shared(read_only, kPage, Access::read_write).error().code, Errc::denied);
}

}  // namespace
}  // namespace stoa::sys
