// What wakes a wait set when somebody dies, stops, forks or has no descriptor left; many mailboxes.
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;
using Numbers = Mailbox<std::uint64_t>;

class WaitDeath : public testing::Test {
protected:
    ~WaitDeath() override { g_wait_slice = kWaitSlice; }

    static Numbers make(const char* name, MailboxOptions options = {}) {
        options.role = Role::receives;
        return Numbers::create(name, options).value();
    }
    static Numbers sender(const char* name) {
        return Numbers::open(name, {.role = Role::sends, .domain = {}}).value();
    }
    static std::uint64_t taken(Numbers& from) {
        std::uint64_t value = 0;
        const Result<void> got = from.receive_into(value, Deadline::immediately());
        return got ? value : 0;
    }

    static bool runs(pid_t pid, const std::string& program) {
        std::ifstream file{"/proc/" + std::to_string(pid) + "/comm"};
        std::string name;
        return file >> name && name == program;
    }

    kit::TempDomain domain_;
};

// Its pidfd tells, without a tick.
TEST_F(WaitDeath, WhatADeadSenderDidNotRingForIsFoundByItsDeath) {
    for (const Sharing sharing : {Sharing::any, Sharing::pair, Sharing::single_receiver,
                                  Sharing::round_robin, Sharing::broadcast}) {
        for (const char* point :
             {"wait_board.ring.before", "wait_board.ring.slot", "wait_board.ring.summary"}) {
            g_wait_slice = 24h;
            Numbers in = make("m", {.sharing = sharing});
            WaitSet set = WaitSet::create().value();
            // It is there before the set is, so that the set knows it.
            int ready[2];
            int go[2];
            ASSERT_EQ(::pipe(ready) | ::pipe(go), 0);
            kit::Child child{[&] {
                Numbers out = sender("m");
                char byte = 0;
                ASSERT_EQ(::write(ready[1], &byte, 1), 1);
                ASSERT_EQ(::read(go[0], &byte, 1), 1);
                kit::kill_self_at(point);
                static_cast<void>(out.send(7));
            }};
            char byte = 0;
            ASSERT_EQ(::read(ready[0], &byte, 1), 1);
            ASSERT_TRUE(set.add(in.readable()));
            ASSERT_EQ(set.try_wait().error().code, Errc::empty);
            ASSERT_EQ(::write(go[1], &byte, 1), 1);
            std::uint64_t got = 0;
            for (int i = 0; got == 0 && i < 10; ++i) {
                const Result<std::span<const Ready>> woken = set.wait_for(20s);
                ASSERT_TRUE(woken) << point << describe(woken.error());
                got = taken(in);
            }
            EXPECT_EQ(got, 7U) << point;
            EXPECT_EQ(child.wait().signal, SIGKILL);
            for (const int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
            ASSERT_TRUE(Numbers::destroy("m"));
        }
    }
}

// Also when it comes after the set has looked who is there: it rings once its record is live. Where
// the set looks while the newcomer stands between the two, either of them would do.
TEST_F(WaitDeath, WhatADeadNewcomerDidNotRingForIsFoundByItsDeath) {
    g_wait_slice = 24h;
    for (const Sharing sharing : {Sharing::any, Sharing::pair, Sharing::single_receiver,
                                  Sharing::round_robin, Sharing::broadcast}) {
        for (const char* point : {"participants.join.before_live", "region_image.join.live"}) {
            Numbers in = make("m", {.sharing = sharing});
            kit::Child child{[point] {
                kit::stop_self_at(point);
                Numbers out = sender("m");
                kit::kill_self_at("wait_board.ring.before");
                static_cast<void>(out.send(7));
            }};
            ASSERT_TRUE(child.wait_stopped()) << point;
            WaitSet set = WaitSet::create().value();
            ASSERT_TRUE(set.add(in.readable()));
            ASSERT_TRUE(set.fd());  // it counts as asleep: it has looked who is there
            ASSERT_EQ(set.try_wait().error().code, Errc::empty);
            child.resume();
            std::uint64_t got = 0;
            for (int i = 0; got == 0 && i < 10; ++i) {
                const Result<std::span<const Ready>> woken = set.wait_for(20s);
                ASSERT_TRUE(woken) << point << describe(woken.error());
                got = taken(in);
            }
            EXPECT_EQ(got, 7U) << point;
            EXPECT_EQ(child.wait().signal, SIGKILL);
            ASSERT_TRUE(Numbers::destroy("m"));
        }
    }
}

TEST_F(WaitDeath, WhatAStoppedSenderDidNotRingForIsFoundByTheTick) {
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::broadcast}) {
        Numbers in = make("m", {.sharing = sharing});
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(in.readable()));
        ASSERT_EQ(set.try_wait().error().code, Errc::empty);
        kit::Child child{[] {
            Numbers out = sender("m");
            kit::stop_self_at("wait_board.ring.before");
            static_cast<void>(out.send(7));
        }};
        ASSERT_TRUE(child.wait_stopped());
        const Result<std::span<const Ready>> woken = set.wait_for(20s);
        ASSERT_TRUE(woken) << describe(woken.error());
        EXPECT_EQ(taken(in), 7U);
        child.resume();
        EXPECT_TRUE(child.wait().ok());
        ASSERT_TRUE(Numbers::destroy("m"));
    }
}

// Wherever one stands still: the others' rings are heard, without a tick.
TEST_F(WaitDeath, ASenderThatStandsStillInItsRingHoldsBackNobodyElses) {
    g_wait_slice = 24h;
    for (const char* point : {"wait_board.ring.before", "wait_board.ring.slot",
                              "wait_board.ring.summary", "wait_board.ring.byte"}) {
        Numbers in = make("m");
        Numbers other = make("other");
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(in.readable(), 1));
        ASSERT_TRUE(set.add(other.readable(), 2));
        ASSERT_TRUE(set.fd());  // it counts as asleep, so that they come to their byte
        ASSERT_EQ(set.try_wait().error().code, Errc::empty);
        kit::Child stopped{[&] {
            Numbers out = sender("m");
            ::raise(SIGSTOP);
            kit::stop_self_at(point);
            static_cast<void>(out.send(7));
        }};
        ASSERT_TRUE(stopped.wait_stopped());
        ASSERT_EQ(set.try_wait().error().code, Errc::empty);  // it knows that one, and sleeps
        stopped.resume();
        ASSERT_TRUE(stopped.wait_stopped()) << point;
        while (set.try_wait()) static_cast<void>(taken(in));
        kit::Child sends{[] { ASSERT_TRUE(sender("other").send(8)); }};
        std::uint64_t got = 0;
        while (got == 0) {
            const Result<std::span<const Ready>> woken = set.wait_for(20s);
            if (!woken) break;
            static_cast<void>(taken(in));  // a wait that spins sees it
            got = taken(other);
        }
        EXPECT_EQ(got, 8U) << point;
        EXPECT_TRUE(sends.wait().ok());
        stopped.resume();
        EXPECT_TRUE(stopped.wait().ok());
        ASSERT_TRUE(Numbers::destroy("m"));
        ASSERT_TRUE(Numbers::destroy("other"));
    }
}

TEST_F(WaitDeath, ASenderWithoutADescriptorLeftIsFoundByTheTick) {
    Numbers in = make("m");
    kit::Child child{[] {
        Numbers out = sender("m");
        ::raise(SIGSTOP);  // a set that is there when it opens would have its board opened
        const int next = ::dup(0);
        ASSERT_GE(next, 0);
        ::close(next);
        const rlimit none{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = 4096};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
        ASSERT_TRUE(out.send(7));
        ::pause();
    }};
    ASSERT_TRUE(child.wait_stopped());
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(in.readable()));
    ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    child.resume();
    const Result<std::span<const Ready>> woken = set.wait_for(20s);
    ASSERT_TRUE(woken) << describe(woken.error());
    EXPECT_EQ(taken(in), 7U);
    EXPECT_EQ(child.kill_and_wait().signal, SIGKILL);
}

// The next set has the numbers of the last one: what a sender keeps of that is not believed.
TEST_F(WaitDeath, ASetWithTheNumbersOfAnEarlierOneIsRung) {
    g_wait_slice = 24h;
    Numbers in = make("m");
    Numbers back = make("back");
    kit::Child child{[] {
        Numbers from = Numbers::open("back", {.role = Role::both, .domain = {}}).value();
        Numbers out = sender("m");
        std::uint64_t value = 0;
        while (from.receive_into(value) && value != 0) ASSERT_TRUE(out.send(value));
    }};
    Numbers to = sender("back");
    for (std::uint64_t i = 1; i <= 50; ++i) {
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(in.readable()));
        ASSERT_EQ(set.try_wait().error().code, Errc::empty);
        ASSERT_TRUE(to.send(i));
        std::uint64_t got = 0;
        while (got == 0) {
            const Result<std::span<const Ready>> woken = set.wait_for(20s);
            ASSERT_TRUE(woken) << describe(woken.error());
            got = taken(in);
        }
        ASSERT_EQ(got, i);
    }
    ASSERT_TRUE(to.send(0));
    EXPECT_TRUE(child.wait().ok());
}

// A call of the owner marks a lane anew. A sender that had looked at the set's mark, and finds the
// call's, answers to neither; the call takes one message, and tells the set that there may be more.
TEST_F(WaitDeath, WhatACallOfItsOwnerLeavesIsTold) {
    g_wait_slice = 24h;
    for (const Sharing sharing : {Sharing::pair, Sharing::single_receiver}) {
        ASSERT_TRUE(Numbers::create("m", {.sharing = sharing, .role = Role::none}));
        kit::Child receiver{[] {
            Numbers in = Numbers::open("m", {.role = Role::receives, .domain = {}}).value();
            WaitSet set = WaitSet::create().value();
            ASSERT_TRUE(set.add(in.readable()));
            while (taken(in) != 1) ASSERT_TRUE(set.wait_for(20s));
            ASSERT_EQ(set.try_wait().error().code, Errc::empty);
            kit::stop_self_at("lane_engine.in.before_mark");
            std::uint64_t value = 0;
            ASSERT_TRUE(in.receive_into(value));
            EXPECT_EQ(value, 2U);
            ::raise(SIGSTOP);
            ASSERT_TRUE(set.wait_for(20s));
            EXPECT_EQ(taken(in), 3U);
        }};
        kit::Child sends{[] {
            Numbers out = sender("m");
            ASSERT_TRUE(out.send(1));
            ::raise(SIGSTOP);
            kit::stop_self_at("lane.mark.seen");
            constexpr std::uint64_t kMore[] = {2, 3};
            ASSERT_TRUE(out.send_all(kMore));
        }};
        ASSERT_TRUE(sends.wait_stopped());
        ASSERT_TRUE(receiver.wait_stopped());  // it looked, and found nothing
        sends.resume();
        ASSERT_TRUE(sends.wait_stopped());  // it has sent, and looked at the set's mark
        receiver.resume();
        ASSERT_TRUE(receiver.wait_stopped());
        sends.resume();
        EXPECT_TRUE(sends.wait().ok());
        receiver.resume();
        EXPECT_TRUE(receiver.wait().ok()) << static_cast<int>(sharing);
        ASSERT_TRUE(Numbers::destroy("m"));
    }
}

TEST_F(WaitDeath, AForkedChildHasNoPartInASet) {
    g_wait_slice = 24h;
    Numbers in = make("m");
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(in.readable()));
    ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    EXPECT_TRUE(kit::fork_and_run([&] {
                    EXPECT_EQ(set.try_wait().error().code, Errc::forked);
                    EXPECT_EQ(set.add(in.readable()).error().code, Errc::forked);
                    const WaitSet dropped = std::move(set);
                }).ok());
    kit::Child child{[] { ASSERT_TRUE(sender("m").send(7)); }};
    ASSERT_TRUE(set.wait_for(20s));
    EXPECT_EQ(taken(in), 7U);
    EXPECT_TRUE(child.wait().ok());
}

// The process lives on without its set: its marks stand in the mailbox, and its descriptors have
// the numbers of the set's. Who has its board open from before rings for nobody.
TEST_F(WaitDeath, AProcessThatExecsHangsNobodyAndItsHeirIsTold) {
    g_wait_slice = 24h;
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver, Sharing::pair,
                                  Sharing::round_robin, Sharing::broadcast}) {
        ASSERT_TRUE(Numbers::create("m", {.sharing = sharing, .role = Role::none}));
        int ready[2];
        ASSERT_EQ(::pipe(ready), 0);
        kit::Child child{[&ready] {
            Numbers in = Numbers::open("m", {.role = Role::receives, .domain = {}}).value();
            WaitSet set = WaitSet::create().value();
            ASSERT_TRUE(set.add(in.readable()));
            ASSERT_EQ(::write(ready[1], "x", 1), 1);
            while (taken(in) == 0) ASSERT_TRUE(set.wait_for(20s));
            ASSERT_EQ(set.try_wait().error().code, Errc::empty);
            constexpr int kNumbers = 64;
            for (int fd = 3; fd < kNumbers; ++fd) ::dup2(ready[0], fd);
            ::execl("/bin/sleep", "sleep", "100", nullptr);
        }};
        char byte = 0;
        ASSERT_EQ(::read(ready[0], &byte, 1), 1);
        Numbers out = sender("m");
        ASSERT_TRUE(out.send(1));
        ASSERT_TRUE(kit::wait_until([&] { return runs(child.pid(), "sleep"); }));
        for (std::uint64_t i = 2; i < 5; ++i) {
            ASSERT_TRUE(out.send(i)) << static_cast<int>(sharing);
            if (sharing == Sharing::pair) continue;
            EXPECT_TRUE(kit::fork_and_run([] { ASSERT_TRUE(sender("m").send(9)); }).ok());
        }
        EXPECT_EQ(child.kill_and_wait().signal, SIGKILL);
        for (const int fd : ready) ::close(fd);
        ASSERT_TRUE(sweep_mailbox("m"));  // so that the heir has its very place
        Numbers heir = Numbers::open("m", {.role = Role::receives, .domain = {}}).value();
        while (taken(heir) != 0) {
        }
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(heir.readable()));
        ASSERT_EQ(set.try_wait().error().code, Errc::empty);
        ASSERT_TRUE(out.send(20));
        ASSERT_TRUE(set.try_wait()) << static_cast<int>(sharing);
        EXPECT_EQ(taken(heir), 20U);
        ASSERT_TRUE(Numbers::destroy("m"));
    }
}

TEST_F(WaitDeath, ADeadWaiterIsInNobodysWay) {
    ASSERT_TRUE(Numbers::create("m", {.role = Role::none}));
    EXPECT_EQ(kit::fork_and_run([] {
                  Numbers in = Numbers::open("m", {.role = Role::receives, .domain = {}}).value();
                  WaitSet set = WaitSet::create().value();
                  ASSERT_TRUE(set.add(in.readable()));
                  ASSERT_EQ(set.try_wait().error().code, Errc::empty);
                  ::raise(SIGKILL);
              }).signal,
              SIGKILL);
    Numbers out = sender("m");
    for (std::uint64_t i = 1; i < 10; ++i) ASSERT_TRUE(out.send(i));
    Numbers in = Numbers::open("m", {.role = Role::receives, .domain = {}}).value();
    EXPECT_EQ(taken(in), 1U);
}

TEST_F(WaitDeath, AHandleThatIsClosedLeavesItsSet) {
    WaitSet set = WaitSet::create().value();
    {
        Numbers in = make("m");
        ASSERT_TRUE(set.add(in.readable()));
        EXPECT_EQ(set.size(), 1U);
        ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    }
    EXPECT_FALSE(set.try_wait());
    EXPECT_EQ(set.size(), 0U);
}

TEST_F(WaitDeath, AReceiptIsDecidedInASet) {
    g_wait_slice = 24h;
    Numbers out = Numbers::create("m", {.receipts = true, .role = Role::sends}).value();
    Receipt receipt = out.send_with_receipt(7).value();
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(receipt.decided()));
    ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    kit::Child child{[] {
        Numbers in = Numbers::open("m", {.role = Role::receives, .domain = {}}).value();
        ASSERT_EQ(in.receive()->value(), 7U);
    }};
    const Result<std::span<const Ready>> woken = set.wait_for(20s);
    ASSERT_TRUE(woken) << describe(woken.error());
    EXPECT_EQ(receipt.try_wait()->outcome, Outcome::taken);
    EXPECT_TRUE(child.wait().ok());
}

// Who stands by is told when the place is free, who takes turns when it is his.
TEST_F(WaitDeath, WhoStandsByIsToldOfAFreeSeat) {
    g_wait_slice = 24h;
    ASSERT_TRUE(Numbers::create("m", {.sharing = Sharing::single_receiver, .role = Role::none}));
    auto first = std::make_unique<Numbers>(
        Numbers::open("m", {.role = Role::receives, .domain = {}}).value());
    Numbers second =
        Numbers::open("m", {.role = Role::receives, .domain = {}, .stand_by = true}).value();
    WaitSet set = WaitSet::create().value();
    ASSERT_TRUE(set.add(second.readable()));
    ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    ASSERT_TRUE(sender("m").send(7));
    ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    first.reset();
    ASSERT_TRUE(set.wait_for(20s));
    EXPECT_EQ(taken(second), 7U);
}

TEST_F(WaitDeath, OneOfThousandsIsToldAlone) {
    g_wait_slice = 24h;
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    const std::size_t count = limit.rlim_max > 11'000 ? 10'000 : limit.rlim_max / 2;
    std::vector<Numbers> all;
    WaitSet set = WaitSet::create().value();
    for (std::size_t i = 0; i < count; ++i) {
        MailboxOptions options{.capacity = bounded(1), .reserve_bytes = 64, .loan_quota = 1};
        Result<Numbers> made = Numbers::create_anonymous(options);
        ASSERT_TRUE(made) << i << " " << describe(made.error());
        all.push_back(std::move(*made));
    }
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(set.add(all[i].readable(), i));
    ASSERT_EQ(set.try_wait().error().code, Errc::empty);
    kit::Child child{[&] {
        for (const std::size_t i : {std::size_t{0}, count / 2, count - 1}) {
            Numbers out = Numbers::attach(sys::Fd{::dup(all[i].raw().file().get())}).value();
            ASSERT_TRUE(out.send(i + 1));
        }
    }};
    std::size_t found = 0;
    while (found < 3) {
        const Result<std::span<const Ready>> ready = set.wait_for(20s);
        ASSERT_TRUE(ready) << describe(ready.error());
        ASSERT_LE(ready->size(), 3U);
        const std::vector<Ready> seen{ready->begin(), ready->end()};
        for (const Ready& one : seen) {
            const std::uint64_t got = taken(all[one.tag]);
            if (got != 0) ++found;
            EXPECT_TRUE(got == 0 || got == one.tag + 1);
        }
    }
    EXPECT_TRUE(child.wait().ok());
    limit.rlim_cur = before;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

}  // namespace
}  // namespace stoa
