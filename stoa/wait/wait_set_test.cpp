#include "stoa/wait/wait_set.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "stoa/sys/epoll.hpp"
#include "stoa/sys/fd.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

// A thing in the memory of this process: ready when its flag is set. It counts how often it was
// asked and armed.
class Flag final : public WaitSource {
public:
    bool ready() noexcept override {
        ++looks;
        if (sets_while_arming && armed) is_set = true;
        return is_set;
    }
    void arm() noexcept override {
        ++arms;
        armed = true;
    }
    void disarm() noexcept override { armed = false; }
    Result<void> attach(Touched& touched) noexcept override {
        if (entry != nullptr) return fail(Errc::in_use, "flag");
        entry = &touched;
        return {};
    }
    void detach() noexcept override { entry = nullptr; }
    void set() {
        is_set = true;
        if (entry != nullptr) entry->touch();
    }

    bool is_set = false;
    bool armed = false;
    bool sets_while_arming = false;
    int looks = 0;
    int arms = 0;
    Touched* entry = nullptr;
};

bool is_readable(int fd) {
    pollfd request{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&request, 1, 0) == 1 && (request.revents & POLLIN) != 0;
}

sys::Fd make_event() {
    return sys::Fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
}

void write_to(const sys::Fd& event) {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(event.get(), &one, sizeof one), 8);
}

void read_from(const sys::Fd& event) {
    std::uint64_t value = 0;
    ASSERT_EQ(::read(event.get(), &value, sizeof value), 8);
}

TEST(WaitSet, ADescriptorIsReportedUntilItIsRead) {
    WaitSet set = WaitSet::create().value();
    const sys::Fd event = make_event();
    const WaitId id = set.add(FdReady{event.get(), EPOLLIN}, 7).value();
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    write_to(event);
    for (int i = 0; i < 3; ++i) {
        const auto ready = set.wait().value();
        ASSERT_EQ(ready.size(), 1U);
        EXPECT_EQ(ready[0].id, id);
        EXPECT_EQ(ready[0].tag, 7U);
        EXPECT_EQ(ready[0].events, std::uint32_t{EPOLLIN});
    }
    read_from(event);
    EXPECT_EQ(set.wait_for(1ms).error().code, Errc::timed_out);
}

TEST(WaitSet, TheSameDescriptorTwiceIsReportedToBoth) {
    WaitSet set = WaitSet::create().value();
    const sys::Fd event = make_event();
    const WaitId reads = set.add(FdReady{event.get(), EPOLLIN}).value();
    const WaitId writes = set.add(FdReady{event.get(), EPOLLOUT}).value();
    auto ready = set.wait().value();
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].id, writes);
    write_to(event);
    EXPECT_EQ(set.wait().value().size(), 2U);
    ASSERT_TRUE(set.remove(writes));
    ready = set.wait().value();
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].id, reads);
    ASSERT_TRUE(set.remove(reads));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
}

TEST(WaitSet, ANumberThatWasClosedAndOpenedAgainCanBeAddedAgain) {
    WaitSet set = WaitSet::create().value();
    sys::Fd event = make_event();
    const int number = event.get();
    ASSERT_TRUE(set.add(FdReady{number, EPOLLIN}, 1));
    event = {};  // not removed before
    event = make_event();
    ASSERT_EQ(event.get(), number);
    ASSERT_TRUE(set.add(FdReady{number, EPOLLIN}, 2));
    write_to(event);
    EXPECT_EQ(set.wait().value().size(), 2U);
}

TEST(WaitSet, AFileOfADiskIsAlwaysReady) {
    WaitSet set = WaitSet::create().value();
    const sys::Fd file{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
    const WaitId id = set.add(FdReady{file.get(), EPOLLIN}).value();
    for (int i = 0; i < 2; ++i) {
        const auto ready = set.wait().value();
        ASSERT_EQ(ready.size(), 1U);
        EXPECT_EQ(ready[0].events, std::uint32_t{EPOLLIN});
    }
    ASSERT_TRUE(set.remove(id));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
}

TEST(WaitSet, WhatCannotBeWaitedForIsRefusedAndLeavesNothing) {
    WaitSet set = WaitSet::create().value();
    EXPECT_EQ(set.add(FdReady{-1, EPOLLIN}).error().code, Errc::bad_argument);
    EXPECT_EQ(set.add(FdReady{999'999, EPOLLIN}).error().code, Errc::bad_argument);
    const sys::Fd event = make_event();
    EXPECT_EQ(set.add(FdReady{event.get(), EPOLLIN | EPOLLET}).error().code, Errc::bad_argument);
    for (const int number : {0, 65, SIGKILL, SIGSTOP, 32, 33}) {
        EXPECT_EQ(set.add(Signal{number}).error().code, Errc::bad_argument) << number;
    }
    EXPECT_EQ(set.add(Timer::every(0ns)).error().code, Errc::bad_argument);
    EXPECT_EQ(set.add(Timer::every(-1s)).error().code, Errc::bad_argument);
    EXPECT_EQ(set.add(std::shared_ptr<WaitSource>{}).error().code, Errc::bad_argument);
    EXPECT_EQ(set.add(Error{Errc::gone, 0, "thing"}).error().code, Errc::gone);
    EXPECT_EQ(set.size(), 0U);
    EXPECT_EQ(set.wait().error().code, Errc::bad_argument) << "it would never end";
}

TEST(WaitSet, AThingIsReportedWhileItIsReadyAndArmedOnceItIsNot) {
    WaitSet set = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    ASSERT_TRUE(set.add(flag, 3));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    EXPECT_EQ(flag->arms, 1);
    flag->set();
    EXPECT_EQ(set.wait().value()[0].tag, 3U);
    EXPECT_EQ(set.wait().value()[0].tag, 3U);
    EXPECT_EQ(flag->arms, 1);
    flag->is_set = false;
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    EXPECT_EQ(flag->arms, 2);
}

TEST(WaitSet, AThingThatBecomesReadyWhileItIsArmedIsReported) {
    WaitSet set = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    flag->sets_while_arming = true;
    ASSERT_TRUE(set.add(flag));
    EXPECT_EQ(set.wait().value().size(), 1U);
}

TEST(WaitSet, AWaitLooksOnlyAtThingsThatWereTouched) {
    WaitSet set = WaitSet::create().value();
    std::vector<std::shared_ptr<Flag>> flags;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        flags.push_back(std::make_shared<Flag>());
        ASSERT_TRUE(set.add(flags.back(), i));
    }
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    for (const auto& flag : flags) flag->looks = 0;
    flags[321]->set();
    EXPECT_EQ(set.wait().value()[0].tag, 321U);
    int looks = 0;
    for (const auto& flag : flags) looks += flag->looks;
    EXPECT_EQ(looks, 1);
}

TEST(WaitSet, AThingServesOneSetAtATime) {
    WaitSet one = WaitSet::create().value();
    WaitSet other = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    const WaitId id = one.add(flag).value();
    EXPECT_EQ(other.add(flag).error().code, Errc::in_use);
    ASSERT_TRUE(one.remove(id));
    EXPECT_TRUE(other.add(flag));
}

TEST(WaitSet, RemovalWhileReadyEndsTheReports) {
    WaitSet set = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    flag->is_set = true;
    const WaitId id = set.add(flag).value();
    EXPECT_EQ(set.wait().value().size(), 1U);
    ASSERT_TRUE(set.remove(id));
    EXPECT_EQ(flag->entry, nullptr);
    EXPECT_EQ(set.remove(id).error().code, Errc::not_found);
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    // Its place is taken by another one, whose id differs.
    const auto next = std::make_shared<Flag>();
    EXPECT_NE(set.add(next).value(), id);
    EXPECT_EQ(set.remove(id).error().code, Errc::not_found);
}

TEST(WaitSet, AnArmedThingIsDisarmedWhenItLeaves) {
    const auto flag = std::make_shared<Flag>();
    WaitSet set = WaitSet::create().value();
    const WaitId id = set.add(flag).value();
    EXPECT_FALSE(set.try_wait());
    EXPECT_TRUE(flag->armed);
    ASSERT_TRUE(set.remove(id));
    EXPECT_FALSE(flag->armed);
}

TEST(WaitSet, AClosedThingLeavesByItself) {
    WaitSet set = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    const WaitId id = set.add(flag).value();
    EXPECT_FALSE(set.try_wait());
    flag->entry->close();
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    EXPECT_EQ(set.size(), 0U);
    EXPECT_EQ(set.remove(id).error().code, Errc::not_found);
}

TEST(WaitSet, AWaitForWhatIsClosedDoesNotLastForEver) {
    WaitSet set = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    ASSERT_TRUE(set.add(flag));
    flag->entry->close();
    EXPECT_EQ(set.wait().error().code, Errc::bad_argument);
}

TEST(WaitSet, SignalsArriveWithValueAndSender) {
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(Signal{SIGRTMIN + 1}, 5));
    kit::Child child{[parent = sys::self().value()] {
        EXPECT_TRUE(sys::send_signal(parent, SIGRTMIN + 1, 77));
    }};
    const auto ready = set.wait().value();
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].tag, 5U);
    EXPECT_EQ(ready[0].signal.number, SIGRTMIN + 1);
    EXPECT_EQ(ready[0].signal.value, 77U);
    EXPECT_EQ(ready[0].signal.pid, static_cast<std::uint32_t>(child.pid()));
    EXPECT_EQ(ready[0].signal.uid, ::getuid());
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    EXPECT_TRUE(child.wait().ok());
}

TEST(WaitSet, SignalsAreBlockedExactlyWhileTheyAreInASet) {
    const auto is_blocked = [](int number) {
        sigset_t mask;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        return ::sigismember(&mask, number) == 1;
    };
    WaitSet set = WaitSet::create().value();
    const WaitId both = set.add(Signals{SIGUSR1, SIGUSR2}).value();
    const WaitId one = set.add(Signal{SIGUSR1}).value();
    EXPECT_TRUE(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
    ASSERT_TRUE(set.remove(both));
    EXPECT_TRUE(is_blocked(SIGUSR1));
    EXPECT_FALSE(is_blocked(SIGUSR2));
    ASSERT_TRUE(set.remove(one));
    EXPECT_FALSE(is_blocked(SIGUSR1));
    EXPECT_EQ(set.size(), 0U);
}

TEST(WaitSet, ATimerThatFiredOnceLeaves) {
    WaitSet set = WaitSet::create().value();
    const WaitId id = set.add(Timer::once(1ms), 1).value();
    const auto ready = set.wait().value();
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].id, id);
    EXPECT_EQ(ready[0].count, 1U);
    EXPECT_EQ(set.size(), 0U);
    EXPECT_EQ(set.remove(id).error().code, Errc::not_found);
}

TEST(WaitSet, APeriodicTimerCountsWhatWasMissed) {
    WaitSet set = WaitSet::create().value();
    const auto began = Deadline::Clock::now();
    ASSERT_TRUE(set.add(Timer::every(1ms)));
    std::uint64_t ticks = 0;
    while (ticks < 20) {
        const auto all = set.wait().value();
        for (const Ready& ready : all) ticks += ready.count;
        // Somebody is slow here: until three periods passed.
        const auto slow = Deadline::Clock::now() + 3ms;
        ASSERT_TRUE(kit::wait_until([&] { return Deadline::Clock::now() >= slow; }));
    }
    const auto took = Deadline::Clock::now() - began;
    EXPECT_LE(ticks, static_cast<std::uint64_t>(took / 1ms));
    const auto last = set.wait().value();
    ticks += last[0].count;
    EXPECT_GE(ticks, 21U);
}

TEST(WaitSet, TimersFireInOrderHoweverManyThereAre) {
    WaitSet set = WaitSet::create().value();
    std::vector<WaitId> removed;
    for (std::uint64_t i = 0; i < 200; ++i) {
        const std::uint64_t shuffled = i * 77 % 200;
        const WaitId id =
            set.add(Timer::once(std::chrono::microseconds{shuffled * 20}), shuffled).value();
        if (shuffled % 3 == 0) removed.push_back(id);
    }
    for (const WaitId id : removed) ASSERT_TRUE(set.remove(id));
    std::vector<std::uint64_t> fired;
    while (set.size() > 0) {
        const auto all = set.wait().value();
        for (const Ready& ready : all) fired.push_back(ready.tag);
    }
    EXPECT_EQ(fired.size(), 200U - removed.size());
    for (const std::uint64_t tag : fired) EXPECT_NE(tag % 3, 0U);
}

TEST(WaitSet, TheDeathOfAChildIsReportedUntilItIsRemoved) {
    WaitSet set = WaitSet::create().value();
    kit::Child child{[] { ::pause(); }};
    const WaitId id = set.add(Death::of_child(child.pid()), 9).value();
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
    child.stop();
    EXPECT_EQ(set.wait_for(1ms).error().code, Errc::timed_out) << "stopped is not dead";
    child.kill();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(set.wait().value()[0].tag, 9U);
    (void)child.wait();
    EXPECT_EQ(set.wait().value()[0].tag, 9U);
    ASSERT_TRUE(set.remove(id));
    EXPECT_EQ(set.try_wait().error().code, Errc::empty);
}

TEST(WaitSet, TheDeathOfOneWhoIsDeadAlreadyIsReportedAtOnce) {
    WaitSet set = WaitSet::create().value();
    sys::Identity dead = sys::self().value();
    dead.start_ticks -= 1;
    dead.pidfs_id += 1'000'000'000;
    ASSERT_TRUE(set.add(Death{dead}, 4));
    EXPECT_EQ(set.wait().value()[0].tag, 4U);
}

TEST(WaitSet, AForkedChildsCopySaysSo) {
    WaitSet set = WaitSet::create().value();
    const sys::Fd event = make_event();
    const WaitId id = set.add(FdReady{event.get(), EPOLLIN}).value();
    const auto flag = std::make_shared<Flag>();
    ASSERT_TRUE(set.add(flag));
    const kit::Ending ending = kit::fork_and_run([&] {
        EXPECT_EQ(set.try_wait().error().code, Errc::forked);
        EXPECT_EQ(set.wait().error().code, Errc::forked);
        EXPECT_EQ(set.add(Timer::once(1s)).error().code, Errc::forked);
        EXPECT_EQ(set.remove(id).error().code, Errc::forked);
        EXPECT_EQ(set.fd().error().code, Errc::forked);
        const WaitSet ends_here = std::move(set);
    });
    EXPECT_TRUE(ending.ok());
    write_to(event);
    EXPECT_EQ(set.wait().value().size(), 1U) << "the child took nothing away";
}

TEST(WaitSet, WithoutDescriptorsLeftTheErrorSaysHowManyAreNeeded) {
    const kit::Ending ending = kit::fork_and_run([] {
        WaitSet set = WaitSet::create().value();
        const sys::Identity self = sys::self().value();
        const sys::Fd lowest{::dup(0)};  // below it all are taken
        const auto least = static_cast<rlim_t>(lowest.get());
        for (rlim_t left = 0; left < 3; ++left) {
            const rlimit limit{.rlim_cur = least + 1 + left, .rlim_max = 4096};
            ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
            const Result<WaitSet> refused = WaitSet::create();
            ASSERT_FALSE(refused);
            EXPECT_EQ(refused.error().code, Errc::limit_reached);
            const std::string text = describe(refused.error());
            EXPECT_NE(text.find("needs"), std::string::npos) << text;
            EXPECT_NE(text.find("ulimit -n"), std::string::npos) << text;
        }
        const rlimit none{.rlim_cur = least, .rlim_max = 4096};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
        EXPECT_EQ(set.add(Signal{SIGUSR1}).error().code, Errc::limit_reached);
        EXPECT_EQ(set.add(Death{self}).error().code, Errc::limit_reached);
        EXPECT_TRUE(set.add(Timer::once(0ns))) << "timers need none of their own";
        EXPECT_TRUE(set.wait());
        EXPECT_EQ(set.size(), 0U);
    });
    EXPECT_TRUE(ending.ok());
}

// --- the descriptor of a set ---------------------------------------------------------------------

TEST(WaitSet, ItsDescriptorIsReadableExactlyWhileSomethingIsReady) {
    WaitSet set = WaitSet::create().value();
    const int fd = set.fd().value();
    const sys::Fd event = make_event();
    const auto flag = std::make_shared<Flag>();
    ASSERT_TRUE(set.add(FdReady{event.get(), EPOLLIN}));
    ASSERT_TRUE(set.add(flag));
    EXPECT_TRUE(is_readable(fd)) << "what was just added must be looked at";
    EXPECT_FALSE(set.try_wait());
    EXPECT_FALSE(is_readable(fd));
    write_to(event);
    EXPECT_TRUE(is_readable(fd));
    EXPECT_EQ(set.try_wait().value().size(), 1U);
    EXPECT_TRUE(is_readable(fd)) << "level-triggered";
    read_from(event);
    EXPECT_FALSE(is_readable(fd));
    flag->set();
    EXPECT_TRUE(is_readable(fd));
    EXPECT_EQ(set.try_wait().value().size(), 1U);
    EXPECT_TRUE(is_readable(fd));
    flag->is_set = false;
    EXPECT_FALSE(set.try_wait());
    EXPECT_FALSE(is_readable(fd));
}

TEST(WaitSet, ItsDescriptorWakesAnEpollThatItLiesIn) {
    WaitSet set = WaitSet::create().value();
    const sys::Epoll outer = sys::Epoll::create().value();
    ASSERT_TRUE(outer.add(set.fd().value(), EPOLLIN, 1));
    ASSERT_TRUE(set.add(Timer::every(2ms), 8));
    std::array<epoll_event, 4> events;
    for (std::uint64_t ticks = 0; ticks < 5;) {
        ASSERT_EQ(outer.wait(events, Deadline::after(kit::kWatchdog)).value(), 1U);
        if (const auto ready = set.try_wait()) ticks += (*ready)[0].count;
    }
    kit::Child child{[] { ::pause(); }};
    ASSERT_TRUE(set.add(Death::of_child(child.pid()), 9));
    child.kill();
    bool died = false;
    while (!died) {
        ASSERT_EQ(outer.wait(events, Deadline::after(kit::kWatchdog)).value(), 1U);
        if (const auto ready = set.try_wait()) {
            for (const Ready& one : *ready) died = died || one.tag == 9;
        }
    }
}

TEST(WaitSet, ASetLiesInAnotherSet) {
    WaitSet inner = WaitSet::create().value();
    WaitSet outer = WaitSet::create().value();
    const auto flag = std::make_shared<Flag>();
    ASSERT_TRUE(inner.add(flag));
    ASSERT_TRUE(outer.add(FdReady{inner.fd().value(), EPOLLIN}, 2));
    EXPECT_FALSE(inner.try_wait());
    EXPECT_EQ(outer.try_wait().error().code, Errc::empty);
    flag->set();
    EXPECT_EQ(outer.wait().value()[0].tag, 2U);
    EXPECT_EQ(inner.wait().value().size(), 1U);
}

}  // namespace
}  // namespace stoa
