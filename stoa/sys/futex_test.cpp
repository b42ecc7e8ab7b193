#include "stoa/sys/futex.hpp"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <limits>
#include <string>

#include "stoa/base/layout.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/mapping.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::sys {
namespace {

using namespace std::chrono_literals;
using Word = Atomic<std::uint32_t>;

constexpr std::chrono::nanoseconds kForever = std::chrono::hours{24};

Word& word_in(const Mapping& mapping, std::uint64_t offset = 0) {
    return *layout_at<Word>(mapping.bytes(), offset);
}

// The kernel says which call a process sleeps in.
bool sleeps_in_futex(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/syscall"};
    long number = -1;
    return file >> number && number == SYS_futex;
}

TEST(Futex, WordThatChangedIsNotWaitedFor) {
    const Word word{1};
    EXPECT_EQ(futex_wait(word, 0, kForever), FutexWait::changed);
}

TEST(Futex, TimesOutWhenNobodyWakes) {
    const Word word{0};
    EXPECT_EQ(futex_wait(word, 0, 1ms), FutexWait::timed_out);
    EXPECT_EQ(futex_wait(word, 0, 0ns), FutexWait::timed_out);
    EXPECT_EQ(futex_wait(word, 0, -5s), FutexWait::timed_out);
}

TEST(Futex, WakesASleeperInAnotherProcessThroughAnotherMapping) {
    const kit::TempDomain domain;
    const Fd folder = open_folder(domain.path().c_str()).value();
    const Fd file = make_unnamed(folder, 0600).value();
    ASSERT_TRUE(reserve(file, 0, kPage));
    const Mapping mapping = map_shared(file, kPage, Access::read_write).value();
    kit::Child sleeper{[&] {
        const Mapping own = map_shared(file, kPage, Access::read_only).value();
        EXPECT_EQ(futex_wait(word_in(own), 0, kForever), FutexWait::woken);
    }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps_in_futex(sleeper.pid()); }));
    EXPECT_TRUE(kit::wait_until([&] { return futex_wake(word_in(mapping), 1) == 1; }));
    EXPECT_TRUE(sleeper.wait().ok());
}

TEST(Futex, WakesNoMoreThanAsked) {
    const Mapping mapping = map_anonymous_shared(kPage).value();
    const auto sleep = [&] {
        EXPECT_EQ(futex_wait(word_in(mapping), 0, kForever), FutexWait::woken);
    };
    kit::Child one{sleep};
    kit::Child two{sleep};
    ASSERT_TRUE(
        kit::wait_until([&] { return sleeps_in_futex(one.pid()) && sleeps_in_futex(two.pid()); }));
    EXPECT_EQ(futex_wake(word_in(mapping), 0), 0);
    EXPECT_TRUE(kit::wait_until([&] { return futex_wake(word_in(mapping), 1) == 1; }));
    EXPECT_TRUE(kit::wait_until(
        [&] { return futex_wake(word_in(mapping), std::numeric_limits<int>::max()) == 1; }));
    EXPECT_TRUE(one.wait().ok());
    EXPECT_TRUE(two.wait().ok());
}

TEST(Futex, SleeperThatWasKilledIsNotCounted) {
    const Mapping mapping = map_anonymous_shared(kPage).value();
    kit::Child sleeper{[&] { (void)futex_wait(word_in(mapping), 0, kForever); }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps_in_futex(sleeper.pid()); }));
    sleeper.kill_and_wait();
    EXPECT_EQ(futex_wake(word_in(mapping), 1), 0);
}

TEST(Futex, SignalHandlerInterruptsTheWait) {
    const Mapping mapping = map_anonymous_shared(kPage).value();
    kit::Child sleeper{[&] {
        struct sigaction action{};
        action.sa_handler = [](int) {};
        ASSERT_EQ(::sigaction(SIGUSR1, &action, nullptr), 0);
        EXPECT_EQ(futex_wait(word_in(mapping), 0, kForever), FutexWait::interrupted);
    }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps_in_futex(sleeper.pid()); }));
    sleeper.send_signal(SIGUSR1);
    EXPECT_TRUE(sleeper.wait().ok());
}

TEST(Futex, StopAndContinueDoNotEndTheWait) {
    const Mapping mapping = map_anonymous_shared(kPage).value();
    kit::Child sleeper{
        [&] { EXPECT_EQ(futex_wait(word_in(mapping), 0, kForever), FutexWait::woken); }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps_in_futex(sleeper.pid()); }));
    sleeper.stop();
    sleeper.resume();
    EXPECT_TRUE(kit::wait_until([&] { return futex_wake(word_in(mapping), 1) == 1; }));
    EXPECT_TRUE(sleeper.wait().ok());
}

TEST(Futex, WordOfATruncatedFileIsBrokenAndNoSignal) {
    const kit::TempDomain domain;
    const Fd folder = open_folder(domain.path().c_str()).value();
    const Fd file = make_unnamed(folder, 0600).value();
    ASSERT_TRUE(reserve(file, 0, 2 * kPage));
    const Mapping mapping = map_shared(file, 2 * kPage, Access::read_write).value();
    ASSERT_TRUE(set_size(file, kPage));
    EXPECT_EQ(futex_wait(word_in(mapping, kPage), 0, kForever), FutexWait::broken);
    EXPECT_EQ(futex_wake(word_in(mapping, kPage), 1), 0);
}

TEST(Futex, KeepsErrno) {
    const Word word{0};
    errno = EDOM;
    (void)futex_wait(word, 1, kForever);
    (void)futex_wait(word, 0, 0ns);
    EXPECT_EQ(errno, EDOM);
}

}  // namespace
}  // namespace stoa::sys
