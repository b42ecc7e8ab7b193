// An unbounded mailbox: never full, never beyond its quota, small again when it is drained.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <thread>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/namespaces.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1U << 20U;

using Numbers = Mailbox<std::uint64_t>;

class Unbounded : public ::testing::Test {
protected:
    [[nodiscard]] std::uint64_t memory() const { return look_at_mailbox("u").value().memory_bytes; }
    kit::TempDomain domain_;
};

TEST_F(Unbounded, SendsNeverWaitAndOrderIsKept) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    constexpr std::uint64_t kCount = 100'000;
    for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(box.try_send(i)) << i;
    const MailboxFacts full = look_at_mailbox("u").value();
    EXPECT_EQ(full.depth, kCount);
    EXPECT_GT(full.segments, 5U);
    for (std::uint64_t i = 0; i < kCount; ++i) {
        const auto got = box.try_receive();
        ASSERT_TRUE(got) << i;
        ASSERT_EQ(got->value(), i);
    }
    EXPECT_EQ(box.try_receive().error().code, Errc::empty);
    EXPECT_EQ(box.receive_for(1ms).error().code, Errc::timed_out);
}

TEST_F(Unbounded, WhatIsOverdueIsNothingToTheQuota) {
    RawMailbox box =
        RawMailbox::create("u",
                           {.capacity = unbounded(kMiB), .time_to_live = 1ns, .role = Role::sends})
            .value();
    constexpr std::uint64_t kCount = 20'000;  // many times the quota
    for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(box.try_send("overdue")) << i;
    EXPECT_GT(look_at_mailbox("u").value().expired, kCount / 2);
}

TEST_F(Unbounded, OverdueSegmentsGoAlsoWhereTheLastOneIsFullOfOthers) {
    RawMailbox box = RawMailbox::create(
                         "u", {.capacity = unbounded(kMiB), .receipts = true, .role = Role::sends})
                         .value();
    const auto fill = [&](std::chrono::nanoseconds time_to_live) {
        std::uint64_t count = 0;
        while (box.try_send("message", {.time_to_live = time_to_live})) ++count;
        return count;
    };
    const std::uint64_t room = fill(400ms);
    ASSERT_GT(room, 1000U);
    std::uint64_t later = 0;
    while (later < room / 2) later += fill({});  // as soon as those are overdue
    EXPECT_GT(look_at_mailbox("u").value().expired, room / 2);
}

TEST_F(Unbounded, GivesMemoryBackWhenDrained) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    ASSERT_TRUE(box.try_send(1));
    const std::uint64_t before = memory();
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t i = 0; i < 50'000; ++i) ASSERT_TRUE(box.try_send(i));
        EXPECT_GT(memory(), before + 2 * kMiB);
        while (box.try_receive()) {
        }
        EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
        EXPECT_LE(memory(), before + 64 * 1024) << round;
    }
}

TEST_F(Unbounded, TheQuotaIsAnErrorAtOnce) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(4 * kMiB)}).value();
    std::uint64_t sent = 0;
    Result<void> last;
    while ((last = box.send(sent))) ++sent;  // the blocking form
    EXPECT_EQ(last.error().code, Errc::quota_reached);
    EXPECT_EQ(box.try_send(0).error().code, Errc::quota_reached);
    EXPECT_EQ(box.send_for(0, 10s).error().code, Errc::quota_reached);
    EXPECT_GT(sent, 30'000U);
    EXPECT_LE(memory(), 4 * kMiB + 256 * 1024);
    for (std::uint64_t i = 0; i < sent; ++i) ASSERT_EQ(box.try_receive().value().value(), i);
    EXPECT_TRUE(box.try_send(7));  // it may grow again
    EXPECT_EQ(box.try_receive().value().value(), 7U);
}

TEST_F(Unbounded, PrioritiesHoldOverAllSegments) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB), .priorities = 4}).value();
    constexpr std::uint64_t kCount = 40'000;
    for (std::uint64_t i = 0; i < kCount; ++i) {
        ASSERT_TRUE(box.try_send(i, {.priority = static_cast<std::uint32_t>(i % 4)}));
    }
    ASSERT_GT(look_at_mailbox("u").value().segments, 2U);
    for (std::uint32_t level = 4; level-- > 0;) {
        for (std::uint64_t i = level; i < kCount; i += 4) {
            ASSERT_EQ(box.try_receive().value().value(), i);
        }
    }
    EXPECT_FALSE(box.try_receive());
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
}

TEST_F(Unbounded, WhatIsGivenBackComesAgainFromOldSegments) {
    Numbers box =
        Numbers::create("u",
                        {.capacity = unbounded(64 * kMiB), .acknowledged = true, .loan_quota = 8})
            .value();
    constexpr std::uint64_t kCount = 30'000;
    for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(box.try_send(i));
    auto first = box.try_receive().value();
    for (std::uint64_t i = 1; i < kCount; ++i) {
        auto got = box.try_receive().value();
        ASSERT_EQ(got.value(), i);
        ASSERT_TRUE(got.ack());
    }
    EXPECT_FALSE(box.try_receive());
    EXPECT_EQ(look_at_mailbox("u").value().segments, 2U);  // one holds the lease
    ASSERT_TRUE(first.nack());
    auto again = box.receive_for(10s).value();
    EXPECT_EQ(again.value(), 0U);
    EXPECT_TRUE(again.redelivered());
    ASSERT_TRUE(again.ack());
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
}

TEST_F(Unbounded, ALoanIsSentInTheOrderOfItsSender) {
    RawMailbox box =
        RawMailbox::create("u", {.capacity = unbounded(64 * kMiB), .max_bytes = 8}).value();
    RawLoan loan = box.loan(8).value();
    const std::uint64_t late = UINT64_MAX;
    std::memcpy(loan.room().data(), &late, 8);
    constexpr std::uint64_t kCount = 20'000;
    for (std::uint64_t i = 0; i < kCount; ++i) {
        ASSERT_TRUE(box.try_send(std::as_bytes(std::span{&i, 1})));
    }
    ASSERT_TRUE(loan.commit(8));
    std::uint64_t value = 0;
    for (std::uint64_t i = 0; i <= kCount; ++i) {
        const RawMessage got = box.try_receive().value();
        std::memcpy(&value, got.bytes().data(), 8);
        ASSERT_EQ(value, i < kCount ? i : late);
    }
}

TEST_F(Unbounded, ALoanInASegmentThatItsSenderLeftComesInOrder) {
    RawMailbox box = RawMailbox::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    RawLoan loan = box.loan(8).value();
    const std::string big(65536, 'x');
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(box.try_send(big));  // a segment has room for two
    ASSERT_GT(look_at_mailbox("u").value().segments, 1U);
    std::memset(loan.room().data(), 'y', 8);
    ASSERT_TRUE(loan.commit(8));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(box.try_receive().value().text().size(), big.size());
    EXPECT_EQ(box.try_receive().value().text(), "yyyyyyyy");
}

TEST_F(Unbounded, ReceiptsOutliveTheBacklog) {
    Numbers box =
        Numbers::create("u", {.capacity = unbounded(64 * kMiB), .receipts = true}).value();
    std::optional<Receipt> receipt = box.send_with_receipt(1).value();
    std::optional<Receipt> withdrawn = box.send_with_receipt(2).value();
    for (std::uint64_t i = 3; i < 30'000; ++i) ASSERT_TRUE(box.try_send(i));
    EXPECT_EQ(withdrawn->withdraw().value().outcome, Outcome::withdrawn);
    EXPECT_EQ(box.try_receive().value().value(), 1U);
    while (box.try_receive()) {
    }
    EXPECT_EQ(look_at_mailbox("u").value().segments, 2U);  // the receipts hold one
    EXPECT_EQ(receipt->try_wait().value().outcome, Outcome::taken);
    receipt.reset();
    withdrawn.reset();
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
    EXPECT_EQ(look_at_mailbox("u").value().withdrawn, 1U);
}

TEST_F(Unbounded, WithoutReceiptsAreRefusedWithTheRemedy) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    EXPECT_EQ(box.send_with_receipt(1).error().code, Errc::not_supported);
    EXPECT_EQ(box.send(1, {.time_to_live = 1s}).error().code, Errc::bad_argument);
    Numbers other =
        Numbers::create("v", {.capacity = unbounded(64 * kMiB), .receipts = true}).value();
    EXPECT_TRUE(other.send(1, {.time_to_live = 1ns}));
    EXPECT_FALSE(other.receive_for(1ms));
    EXPECT_EQ(look_at_mailbox("v").value().expired, 1U);
}

TEST_F(Unbounded, CloseEndsTheStreamAfterTheBacklog) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    for (std::uint64_t i = 0; i < 30'000; ++i) ASSERT_TRUE(box.try_send(i));
    ASSERT_TRUE(box.close());
    EXPECT_EQ(box.send(1).error().code, Errc::closed);
    for (std::uint64_t i = 0; i < 30'000; ++i) ASSERT_EQ(box.receive().value().value(), i);
    EXPECT_EQ(box.receive().error().code, Errc::end_of_stream);
}

TEST_F(Unbounded, EverySharingCarriesABacklog) {
    for (const Sharing sharing :
         {Sharing::any, Sharing::single_receiver, Sharing::pair, Sharing::round_robin,
          Sharing::least_loaded, Sharing::key_affine, Sharing::broadcast}) {
        const std::string name = "s" + std::to_string(static_cast<int>(sharing));
        Numbers to =
            Numbers::create(
                name, {.capacity = unbounded(64 * kMiB), .sharing = sharing, .role = Role::sends})
                .value();
        Numbers from = Numbers::open(name, {.role = Role::receives}).value();
        constexpr std::uint64_t kCount = 30'000;
        for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(to.try_send(i)) << name;
        for (std::uint64_t i = 0; i < kCount; ++i) {
            const auto got = from.try_receive();
            ASSERT_TRUE(got) << name << ' ' << i;
            ASSERT_EQ(got->value(), i);
        }
        EXPECT_FALSE(from.try_receive());
    }
}

TEST_F(Unbounded, SendersAndReceiversInThreadsLoseNothing) {
    Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    Numbers keep = Numbers::open("u").value();
    constexpr std::uint64_t kEach = 60'000;
    constexpr std::uint64_t kSenders = 3;
    std::array<std::vector<std::uint64_t>, 2> got;
    std::vector<std::thread> threads;
    for (std::uint64_t s = 0; s < kSenders; ++s) {
        threads.emplace_back([s] {
            Numbers box = Numbers::open("u", {.role = Role::sends}).value();
            for (std::uint64_t i = 0; i < kEach; ++i) ASSERT_TRUE(box.send(s << 32U | i));
        });
    }
    for (auto& mine : got) {
        threads.emplace_back([&mine] {
            Numbers box = Numbers::open("u", {.role = Role::receives}).value();
            while (auto message = box.receive_for(300ms)) mine.push_back(message->value());
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::map<std::uint64_t, std::uint64_t> count;
    for (const auto& mine : got) {
        std::map<std::uint64_t, std::uint64_t> next;  // per sender, at this receiver
        for (const std::uint64_t value : mine) {
            ++count[value];
            const std::uint64_t number = value & 0xffffffffU;
            ASSERT_GE(number + 1, next[value >> 32U] + 1);
            next[value >> 32U] = number;
        }
    }
    EXPECT_EQ(count.size(), kEach * kSenders);
    for (const auto& [value, times] : count) ASSERT_EQ(times, 1U) << value;
}

TEST_F(Unbounded, AKilledReceiverLeavesNothingBehind) {
    Numbers box =
        Numbers::create(
            "u", {.capacity = unbounded(64 * kMiB), .acknowledged = true, .role = Role::sends})
            .value();
    constexpr std::uint64_t kCount = 30'000;
    for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(box.try_send(i));
    kit::Child child{[] {
        Numbers mine = Numbers::open("u", {.role = Role::receives}).value();
        for (int i = 0; i < 12'000; ++i) (void)mine.receive().value().ack();
        [[maybe_unused]] const auto held = mine.receive().value();
        raise(SIGSTOP);
    }};
    ASSERT_TRUE(child.wait_stopped());
    child.kill_and_wait();
    Numbers heir = Numbers::open("u", {.role = Role::receives}).value();
    std::vector<std::uint64_t> rest;
    while (auto message = heir.receive_for(200ms)) {
        rest.push_back(message->value());
        (void)message->ack();
    }
    std::ranges::sort(rest);
    ASSERT_EQ(rest.size(), kCount - 12'000);
    EXPECT_EQ(rest.front(), 12'000U);
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
}

// What others do while one stands between two accesses: call_at() does it there.
class UnboundedRaces : public Unbounded {
public:
    void SetUp() override { begin(4 * kMiB); }
    void begin(std::uint64_t quota) {
        me_ = this;
        other_.reset();
        one_.reset();
        sent_ = drained_ = 0;
        name_ += "u";
        one_ = Numbers::create(name_, {.capacity = unbounded(quota)}).value();
        other_ = Numbers::open(name_).value();
    }
    [[nodiscard]] MailboxFacts facts() const { return look_at_mailbox(name_).value(); }
    // Until one more segment is there.
    void fill() {
        const std::uint32_t before = facts().segments;
        for (int i = 0; facts().segments == before; ++i) {
            ASSERT_LT(i, 1000);
            for (int k = 0; k < 64; ++k) ASSERT_TRUE(other_->try_send(sent_++));
        }
    }
    void drain() {
        while (other_->try_receive()) ++drained_;
    }
    static inline UnboundedRaces* me_ = nullptr;
    std::optional<Numbers> one_;
    std::optional<Numbers> other_;
    std::uint64_t sent_ = 0;
    std::uint64_t drained_ = 0;
    int rounds_ = 0;
    std::string name_;
};

TEST_F(UnboundedRaces, AListMissesNoneThatComesBeforeAnother) {
    for (int rounds = 0; rounds < 10; ++rounds) {
        begin(kMiB);
        rounds_ = rounds;
        fill();
        ASSERT_EQ(one_->try_receive().value().value(), 0U);
        drain();
        ASSERT_EQ(one_->try_receive().error().code, Errc::empty);  // it stays at the second one
        fill();
        // Entries go round: the place of the third one is taken again behind one that is new.
        kit::call_at("segments.list.bits", [] {
            for (int i = 0; i < me_->rounds_; ++i) {
                me_->fill();
                me_->drain();
            }
            me_->fill();
            me_->fill();
        });
        const auto first = one_->try_receive();
        ASSERT_TRUE(first);
        std::uint64_t value = first->value();
        for (auto got = one_->try_receive(); got; got = one_->try_receive()) {
            ASSERT_EQ(got->value(), ++value) << rounds;
        }
        EXPECT_EQ(value + 1, sent_);
        EXPECT_EQ(facts().depth, 0U) << rounds;
    }
}

TEST_F(UnboundedRaces, EmptyIsOnlyWhatIsTheLast) {
    ASSERT_TRUE(one_->try_send(sent_++));
    kit::call_at("segments.hold.pinned", [] {  // it knows of one ring, and is about to look there
        std::uint64_t in_first = 0;
        me_->fill();
        in_first = me_->sent_ - 64;
        while (me_->drained_ < in_first && me_->other_->try_receive()) ++me_->drained_;
        while (me_->facts().depth > 1) {
            ASSERT_TRUE(me_->other_->try_receive());
            ++me_->drained_;
        }
    });
    const auto got = one_->try_receive();  // at no time nothing waited
    ASSERT_TRUE(got);
    EXPECT_EQ(got->value() + 1, sent_);
}

TEST_F(UnboundedRaces, NothingIsSentAfterTheEndOfTheStream) {
    kit::call_at("segments.grow.claimed", [] {  // a sender found it full
        ASSERT_TRUE(me_->one_->close());
        while (me_->one_->try_receive()) {
        }
        EXPECT_EQ(me_->one_->receive().error().code, Errc::end_of_stream);
    });
    Result<void> last;
    while ((last = other_->try_send(sent_))) ++sent_;
    EXPECT_EQ(last.error().code, Errc::closed);
    EXPECT_EQ(one_->receive().error().code, Errc::end_of_stream);
    EXPECT_EQ(facts().depth, 0U);
}

TEST_F(Unbounded, AStoppedReceiverKeepsOnlyWhatItPins) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    for (std::uint64_t i = 0; i < 60'000; ++i) ASSERT_TRUE(box.try_send(i));
    kit::Child child{[] {
        Numbers mine = Numbers::open("u", {.role = Role::receives}).value();
        for (int i = 0; i < 20'000; ++i) (void)mine.receive();
        [[maybe_unused]] const auto held = mine.receive().value();
        raise(SIGSTOP);
        while (mine.try_receive()) {
        }
    }};
    ASSERT_TRUE(child.wait_stopped());
    std::uint64_t rest = 0;
    while (box.try_receive()) ++rest;
    EXPECT_EQ(rest, 60'000U - 20'001U);
    EXPECT_LE(look_at_mailbox("u").value().segments, 2U);  // the last, and where it stands
    child.resume();
    EXPECT_TRUE(child.wait().ok());
    EXPECT_EQ(box.receive_for(200ms).error().code, Errc::timed_out);  // it looks around
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
}

TEST_F(Unbounded, OneSegmentIsAQuotaToo) {
    const auto options = [](std::uint64_t quota) {
        return MailboxOptions{.capacity = unbounded(quota)};
    };
    std::uint64_t quota = 16 * 1024;
    while (!Numbers::create("u", options(quota))) quota += 16 * 1024;
    Numbers box = Numbers::open("u").value();
    for (int round = 0; round < 3; ++round) {
        std::uint64_t sent = 0;
        while (box.try_send(sent)) ++sent;
        EXPECT_EQ(box.try_send(sent).error().code, Errc::quota_reached);
        EXPECT_GT(sent, 0U);
        for (std::uint64_t i = 0; i < sent; ++i) ASSERT_EQ(box.try_receive().value().value(), i);
        EXPECT_EQ(box.try_receive().error().code, Errc::empty);
    }
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
}

TEST_F(Unbounded, AHandleMayCloseBeforeItsLoans) {
    std::optional<Numbers> box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    Numbers other = Numbers::open("u").value();
    for (std::uint64_t i = 0; i < 30'000; ++i) ASSERT_TRUE(other.try_send(i));
    auto held = box->try_receive().value();
    box.reset();
    while (other.try_receive()) {
    }
    EXPECT_EQ(held.value(), 0U);
    EXPECT_EQ(look_at_mailbox("u").value().segments, 2U);
    {
        const auto gone = std::move(held);
    }
    EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
}

TEST_F(Unbounded, AForkedChildTouchesNothing) {
    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
    for (std::uint64_t i = 0; i < 30'000; ++i) ASSERT_TRUE(box.try_send(i));
    auto held = box.try_receive().value();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    EXPECT_EQ(box.try_send(1).error().code, Errc::forked);
                    EXPECT_EQ(box.try_receive().error().code, Errc::forked);
                    {
                        const auto gone = std::move(held);
                    }
                }).ok());
    EXPECT_EQ(held.value(), 0U);
    for (std::uint64_t i = 1; i < 30'000; ++i) ASSERT_EQ(box.try_receive().value().value(), i);
    EXPECT_EQ(look_at_mailbox("u").value().segments, 2U);  // the loan is there still
}

TEST_F(Unbounded, EveryReceiverLearnsTheEndOnce) {
    for (const Sharing sharing : {Sharing::any, Sharing::round_robin, Sharing::broadcast}) {
        const std::string name = "s" + std::to_string(static_cast<int>(sharing));
        Numbers to = Numbers::create(name, {.capacity = unbounded(64 * kMiB),
                                            .sharing = sharing,
                                            .acknowledged = true,
                                            .role = Role::sends})
                         .value();
        std::vector<Numbers> from;
        for (int i = 0; i < 2; ++i) {
            from.push_back(Numbers::open(name, {.role = Role::receives}).value());
        }
        kit::Child child{[&] {
            Numbers mine = Numbers::open(name, {.role = Role::receives}).value();
            raise(SIGSTOP);
            [[maybe_unused]] const auto held = mine.receive().value();
            raise(SIGSTOP);
        }};
        ASSERT_TRUE(child.wait_stopped());
        constexpr std::uint64_t kCount = 30'000;
        for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(to.try_send(i));
        child.resume();
        ASSERT_TRUE(child.wait_stopped());
        child.kill_and_wait();  // with a lease, in the middle of a backlog
        ASSERT_TRUE(to.close());
        std::uint64_t got = 0;
        for (bool more = true; more;) {
            more = false;
            for (Numbers& mine : from) {
                auto message = mine.receive_for(50ms);
                if (message) (void)message->ack();
                if (message) ++got;
                more = more || message || message.error().code == Errc::timed_out;
            }
        }
        EXPECT_EQ(got, sharing == Sharing::broadcast ? 2 * kCount : kCount) << name;
        for (Numbers& mine : from) {
            EXPECT_EQ(mine.receive().error().code, Errc::end_of_stream);
        }
    }
}

TEST(UnboundedOnASmallTmpfs, FullIsOutOfSpaceAndNeverASignal) {
    const kit::TempDomain base;
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWNS);
                    kit::mount_tmpfs(base.path().c_str(), 4 << 20);
                    Numbers box = Numbers::create("u", {.capacity = unbounded(64 * kMiB)}).value();
                    for (int round = 0; round < 3; ++round) {
                        std::uint64_t sent = 0;
                        Result<void> last;
                        while ((last = box.try_send(sent))) ++sent;
                        EXPECT_EQ(last.error().code, Errc::out_of_space);
                        EXPECT_GT(sent, 0U);
                        for (std::uint64_t i = 0; i < sent; ++i) {
                            ASSERT_EQ(box.try_receive().value().value(), i);
                        }
                        EXPECT_FALSE(box.try_receive());
                        EXPECT_EQ(look_at_mailbox("u").value().segments, 1U);
                    }
                }).ok());
}

}  // namespace
}  // namespace stoa
