#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/memfd.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string text_of(const RawMessage& message) {
    const Bytes bytes = message.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool sleeps(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string stat;
    std::getline(file, stat);
    return stat.contains(") S");
}

// What holds for every mailbox, whatever carries it.
class AnyMailbox : public testing::TestWithParam<std::tuple<Sharing, bool>> {
protected:
    [[nodiscard]] static MailboxOptions options() {
        const auto [sharing, acknowledged] = GetParam();
        return {.capacity = bounded(64), .sharing = sharing, .acknowledged = acknowledged};
    }
    RawMailbox create(Role role = Role::receives) {
        MailboxOptions chosen = options();
        chosen.role = role;
        return RawMailbox::create("m", chosen).value();
    }
    static RawMailbox open(Role role) { return RawMailbox::open("m", {.role = role}).value(); }

    kit::TempDomain domain_;
};

TEST_P(AnyMailbox, DeliversInOrderWhatWasSent) {
    RawMailbox in = create();
    RawMailbox out = open(Role::sends);
    for (int i = 0; i < 1000; ++i) {
        const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(i), 'x');
        ASSERT_TRUE(out.send(bytes_of(text)));
        Result<RawMessage> message = in.receive();
        ASSERT_TRUE(message);
        EXPECT_EQ(text_of(*message), text);
        EXPECT_TRUE(message->ack());
    }
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
    EXPECT_EQ(in.receive_for(1ms).error().code, Errc::timed_out);
}

TEST_P(AnyMailbox, ASendSurvivesItsKilledSender) {
    RawMailbox in = create();
    for (int round = 0; round < 5; ++round) {
        kit::fork_and_run([&] {
            RawMailbox out = open(Role::sends);
            for (int i = 0; i < 3; ++i) ASSERT_TRUE(out.send(bytes_of(std::to_string(i))));
            raise(SIGKILL);
        });
    }
    for (int i = 0; i < 15; ++i) {
        Result<RawMessage> message = in.receive_for(10s);
        ASSERT_TRUE(message);
        EXPECT_EQ(text_of(*message), std::to_string(i % 3));
        EXPECT_TRUE(message->ack());
    }
}

TEST_P(AnyMailbox, AReceiverThatWasKilledLeavesTheRestToItsHeir) {
    RawMailbox out = create(Role::sends);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(out.send(bytes_of(std::to_string(i))));
    kit::fork_and_run([&] {
        RawMailbox in = open(Role::receives);
        for (int i = 0; i < 4; ++i) (void)in.receive().value().ack();
        const Result<RawMessage> held = in.receive();
        raise(SIGKILL);
    });
    RawMailbox in = open(Role::receives);
    const bool acknowledged = std::get<1>(GetParam());
    for (int i = acknowledged ? 4 : 5; i < 10; ++i) {
        Result<RawMessage> message = in.receive_for(10s);
        ASSERT_TRUE(message);
        EXPECT_EQ(text_of(*message), std::to_string(i));
        EXPECT_EQ(message->redelivered(), i == 4);
        EXPECT_TRUE(message->ack());
    }
    EXPECT_FALSE(in.try_receive());
}

TEST_P(AnyMailbox, WaitingCallsAreWokenAcrossProcesses) {
    RawMailbox in = create();
    kit::Child echo{[&] {
        RawMailbox out = open(Role::sends);
        for (int i = 0; i < 2000; ++i) ASSERT_TRUE(out.send(bytes_of(std::to_string(i))));
    }};
    for (int i = 0; i < 2000; ++i) {
        Result<RawMessage> message = in.receive_for(20s);
        ASSERT_TRUE(message) << describe(message.error());
        ASSERT_EQ(text_of(*message), std::to_string(i));
        ASSERT_TRUE(message->ack());
    }
    EXPECT_TRUE(echo.wait().ok());
}

TEST_P(AnyMailbox, LoansAreFilledInPlaceAndAbandonedOnesLeaveNoTrace) {
    RawMailbox in = create();
    RawMailbox out = open(Role::sends);
    for (int i = 0; i < 200; ++i) {
        RawLoan abandoned = out.loan(100).value();
        abandoned.abandon();
        RawLoan loan = out.loan(5000).value();
        std::memset(loan.room().data(), 'a' + i % 26, 5000);
        ASSERT_TRUE(loan.commit(4000));
        Result<RawMessage> message = in.receive_for(10s);
        ASSERT_TRUE(message);
        EXPECT_EQ(text_of(*message), std::string(4000, static_cast<char>('a' + i % 26)));
        EXPECT_TRUE(message->ack());
    }
}

TEST_P(AnyMailbox, MessagesOutliveTheirHandle) {
    RawMailbox out = create(Role::sends);
    ASSERT_TRUE(out.send(bytes_of("kept")));
    Result<RawMessage> message = [] {
        RawMailbox in = open(Role::receives);
        return in.receive();
    }();
    ASSERT_TRUE(message);
    EXPECT_EQ(text_of(*message), "kept");
    EXPECT_TRUE(message->ack());
}

TEST_P(AnyMailbox, LimitsAreErrorsThatSaySo) {
    RawMailbox in = create();
    RawMailbox out = open(Role::sends);
    EXPECT_EQ(out.try_send(Bytes{}).has_value(), true);
    const std::string big(64 * 1024 + 1, 'b');
    EXPECT_EQ(out.send(bytes_of(big)).error().code, Errc::too_big);
    EXPECT_TRUE(out.try_send(bytes_of(big.substr(1))));
    EXPECT_EQ(out.receive().error().code, Errc::bad_argument);
    EXPECT_EQ(in.send(bytes_of("x")).error().code, Errc::bad_argument);
    EXPECT_EQ(RawMailbox::create("m", options()).error().code, Errc::exists);
    EXPECT_EQ(RawMailbox::open("none").error().code, Errc::not_found);
}

TEST_P(AnyMailbox, HoldsExactlyItsCapacityAlsoForHeirs) {
    RawMailbox in = create();
    int sent = 0;
    int received = 0;
    for (const int drained : {64, 1, 5, 30, 64}) {  // each round with a new sender
        RawMailbox out = open(Role::sends);
        while (out.try_send(bytes_of(std::to_string(sent)))) ++sent;
        EXPECT_EQ(sent - received, 64);
        EXPECT_EQ(out.send_for(bytes_of("x"), 1ms).error().code, Errc::timed_out);
        for (int i = 0; i < drained; ++i) {
            Result<RawMessage> message = in.receive();
            EXPECT_EQ(text_of(message.value()), std::to_string(received++));
            EXPECT_TRUE(message->ack());
            if (i == 2) {
                EXPECT_TRUE(out.try_send(bytes_of(std::to_string(sent))));
                ++sent;
            }
        }
    }
}

TEST_P(AnyMailbox, ALoanQuotaIsHeld) {
    RawMailbox in = create();
    RawMailbox out = open(Role::sends);
    std::vector<RawMessage> held;
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(out.send(bytes_of(std::to_string(i))));
    for (int i = 0; i < 4; ++i) held.push_back(in.receive().value());
    EXPECT_EQ(in.receive().error().code, Errc::too_many_loans);
    EXPECT_TRUE(held.front().ack());
    EXPECT_TRUE(in.receive());
}

TEST_P(AnyMailbox, AForkedChildIsToldSo) {
    RawMailbox in = create(Role::both);
    const kit::Ending ending = kit::fork_and_run([&] {
        EXPECT_EQ(in.try_receive().error().code, Errc::forked);
        EXPECT_EQ(in.send(bytes_of("x")).error().code, Errc::forked);
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
}

TEST_P(AnyMailbox, DestroyWakesWhoWaits) {
    const kit::TempRegion shared{kPage};
    auto* opened = new (shared.bytes().data()) Atomic<std::uint32_t>{0};
    RawMailbox out = create(Role::sends);
    kit::Child waiter{[&] {
        RawMailbox in = open(Role::receives);
        opened->store(1);
        EXPECT_EQ(in.receive().error().code, Errc::gone);
    }};
    ASSERT_TRUE(kit::wait_until([&] { return opened->load() == 1; }));
    EXPECT_TRUE(RawMailbox::destroy("m"));
    EXPECT_TRUE(waiter.wait().ok());
    EXPECT_EQ(out.send(bytes_of("x")).error().code, Errc::gone);
    EXPECT_TRUE(domain_.entries().empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnyMailbox,
                         testing::Combine(testing::Values(Sharing::any, Sharing::single_receiver,
                                                          Sharing::pair),
                                          testing::Bool()));

class NamedMailbox : public testing::Test {
protected:
    kit::TempDomain domain_;
};

TEST_F(NamedMailbox, ASecondReceiverOfASingleReceiverIsRefusedUntilTheFirstIsGone) {
    RawMailbox out =
        RawMailbox::create("s", {.sharing = Sharing::single_receiver, .role = Role::sends}).value();
    {
        const RawMailbox in = RawMailbox::open("s", {.role = Role::receives}).value();
        EXPECT_EQ(RawMailbox::open("s", {.role = Role::receives}).error().code, Errc::in_use);
    }
    EXPECT_TRUE(RawMailbox::open("s", {.role = Role::receives}));
}

TEST_F(NamedMailbox, ACreatorHasItsRoleBeforeOthersFindTheMailbox) {
    static int looks = 0;
    for (const char* point : {"participants.join.before_claim", "region.create.before_publish"}) {
        kit::call_at(point, [] {
            ++looks;
            EXPECT_EQ(RawMailbox::open("m", {.role = Role::receives}).error().code,
                      Errc::not_found);
        });
        const RawMailbox mine =
            RawMailbox::create("m", {.sharing = Sharing::single_receiver, .role = Role::receives})
                .value();
        EXPECT_EQ(RawMailbox::open("m", {.role = Role::receives}).error().code, Errc::in_use);
        EXPECT_TRUE(RawMailbox::destroy("m"));
    }
    EXPECT_EQ(looks, 2);
}

TEST_F(NamedMailbox, OneThatIsDestroyedWhileItIsOpenedIsCreatedAgain) {
    const RawMailbox before = RawMailbox::create("m").value();
    kit::call_at("participants.join.before_claim", [] { EXPECT_TRUE(RawMailbox::destroy("m")); });
    EXPECT_TRUE(RawMailbox::open_or_create("m"));
    EXPECT_TRUE(RawMailbox::open("m").value().try_send(bytes_of("a")));
    EXPECT_TRUE(RawMailbox::destroy("m"));
}

// Where receivers sleep on a bell; a lane of a pair has none, its receiver looks after each slice.
TEST_F(NamedMailbox, DestroyEndsASleepOnABellWithoutASlice) {
    for (const auto& [sharing, acknowledged] : {std::pair{Sharing::any, false},
                                                {Sharing::any, true},
                                                {Sharing::single_receiver, false},
                                                {Sharing::single_receiver, true},
                                                {Sharing::pair, true}}) {
        ASSERT_TRUE(RawMailbox::create(
            "m", {.sharing = sharing, .acknowledged = acknowledged, .role = Role::none}));
        kit::Child waiter{[] {
            g_wait_slice = 24h;
            RawMailbox in =
                RawMailbox::open("m", {.role = Role::receives, .waiting = Waiting::park}).value();
            EXPECT_EQ(in.receive().error().code, Errc::gone);
        }};
        ASSERT_TRUE(kit::wait_until([&] { return sleeps(waiter.pid()); }));
        EXPECT_TRUE(RawMailbox::destroy("m"));
        EXPECT_TRUE(waiter.wait().ok());
    }
}

TEST_F(NamedMailbox, ALoanShowsAsManyBytesAsWereAskedFor) {
    for (const Sharing sharing : {Sharing::any, Sharing::single_receiver}) {
        RawMailbox box = RawMailbox::create("m", {.sharing = sharing, .max_bytes = 100}).value();
        RawLoan loan = box.loan(50).value();
        EXPECT_EQ(loan.room().size(), 50U);
        EXPECT_EQ(loan.commit(51).error().code, Errc::too_big);
        EXPECT_TRUE(loan.commit(50));
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(NamedMailbox, AChildThatASignalHandlerForkedInAWaitDoesNotReceive) {
    ASSERT_TRUE(RawMailbox::create("m", {.role = Role::none}));
    kit::Child waiter{[] {
        static pid_t forked = -1;
        RawMailbox in =
            RawMailbox::open("m", {.role = Role::receives, .waiting = Waiting::park}).value();
        g_wait_slice = 24h;
        std::signal(SIGUSR1, [](int) {
            forked = ::fork();
            if (forked == 0) ::alarm(10);
        });
        const Result<RawMessage> got = in.receive();
        if (forked == 0) ::_exit(!got && got.error().code == Errc::forked ? 0 : 1);
        EXPECT_TRUE(got);
        int status = -1;
        EXPECT_EQ(::waitpid(forked, &status, 0), forked);
        EXPECT_EQ(status, 0);
    }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps(waiter.pid()); }));
    waiter.send_signal(SIGUSR1);
    const std::string children = "/proc/" + std::to_string(waiter.pid()) + "/task/" +
                                 std::to_string(waiter.pid()) + "/children";
    ASSERT_TRUE(kit::wait_until([&] {
        std::string child;
        return !(std::ifstream{children} >> child).fail();
    }));
    EXPECT_TRUE(RawMailbox::open("m", {.role = Role::sends}).value().send("to the parent"));
    EXPECT_TRUE(waiter.wait().ok());
}

TEST_F(NamedMailbox, APairIsTwoWayAndNobodyReceivesHisOwn) {
    for (const bool acknowledged : {false, true}) {
        RawMailbox one =
            RawMailbox::create("p", {.sharing = Sharing::pair, .acknowledged = acknowledged})
                .value();
        RawMailbox two = RawMailbox::open("p").value();
        EXPECT_EQ(RawMailbox::open("p").error().code, Errc::in_use);
        ASSERT_TRUE(one.send(bytes_of("to two")));
        EXPECT_EQ(one.try_receive().error().code, Errc::empty);
        EXPECT_EQ(text_of(two.receive().value()), "to two");
        ASSERT_TRUE(two.send(bytes_of("to one")));
        EXPECT_EQ(text_of(one.receive().value()), "to one");
        ASSERT_TRUE(RawMailbox::destroy("p"));
    }
}

TEST_F(NamedMailbox, ManySendersInARowNeedOneLaneAndStayInOrder) {
    MailboxOptions options{.sharing = Sharing::single_receiver, .role = Role::receives};
    RawMailbox in = RawMailbox::create("s", options).value();
    for (int i = 0; i < 100; ++i) {
        RawMailbox out = RawMailbox::open("s", {.role = Role::sends}).value();
        ASSERT_TRUE(out.send(bytes_of(std::to_string(i))));
    }
    EXPECT_EQ(in.attachment().layout().lanes_open.load(), 1U);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(text_of(in.receive().value()), std::to_string(i));
}

TEST_F(NamedMailbox, ManySendersAtOnceReachTheSingleReceiver) {
    MailboxOptions options{.sharing = Sharing::single_receiver, .role = Role::receives};
    RawMailbox in = RawMailbox::create("s", options).value();
    std::vector<kit::Child> senders;
    for (int s = 0; s < 4; ++s) {
        senders.emplace_back([s] {
            RawMailbox out = RawMailbox::open("s", {.role = Role::sends}).value();
            for (int i = 0; i < 500; ++i) {
                const std::string text = std::to_string(s) + ":" + std::to_string(i);
                ASSERT_TRUE(out.send(bytes_of(text)));
            }
        });
    }
    std::vector<int> next(4);
    for (int i = 0; i < 2000; ++i) {
        Result<RawMessage> message = in.receive_for(20s);
        ASSERT_TRUE(message) << describe(message.error());
        const std::string text = text_of(*message);
        const auto from = static_cast<std::size_t>(text[0] - '0');
        EXPECT_EQ(text.substr(2), std::to_string(next[from]++));
    }
    for (kit::Child& sender : senders) EXPECT_TRUE(sender.wait().ok());
}

TEST_F(NamedMailbox, AnAnonymousMailboxReachesForkedChildren) {
    RawMailbox in = RawMailbox::create_anonymous({.role = Role::receives}).value();
    kit::Child child{[&] {
        RawMailbox out =
            RawMailbox::attach(sys::duplicate(in.file()).value(), {.role = Role::sends}).value();
        ASSERT_TRUE(out.send(bytes_of("hello")));
    }};
    EXPECT_EQ(text_of(in.receive().value()), "hello");
    EXPECT_TRUE(child.wait().ok());
    EXPECT_TRUE(domain_.entries().empty());
}

TEST_F(NamedMailbox, ABlockedSenderGoesOnAfterTheReceiverThatHeldEverythingDied) {
    MailboxOptions options{.capacity = bounded(1), .max_bytes = 64, .role = Role::sends};
    RawMailbox out = RawMailbox::create("d", options).value();
    kit::Child hoarder{[&] {
        RawMailbox in = RawMailbox::open("d", {.role = Role::receives}).value();
        std::vector<RawMessage> held;
        while (held.size() < 4) held.push_back(in.receive().value());
        raise(SIGSTOP);
    }};
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(out.send(bytes_of(std::to_string(i))));
    ASSERT_TRUE(hoarder.wait_stopped());
    EXPECT_EQ(out.try_send(bytes_of("5")).error().code, Errc::full);
    hoarder.kill();
    RawMailbox in = RawMailbox::open("d", {.role = Role::receives}).value();
    EXPECT_EQ(text_of(in.receive().value()), "4");
    EXPECT_TRUE(out.send(bytes_of("5")));
    hoarder.wait();
}

TEST_F(NamedMailbox, AWaitingReceiverFindsTheDeathByItself) {
    RawMailbox box = RawMailbox::create("d", {.acknowledged = true}).value();
    ASSERT_TRUE(box.send(bytes_of("job")));
    kit::fork_and_run([&] {
        RawMailbox in = RawMailbox::open("d", {.role = Role::receives}).value();
        const RawMessage held = in.receive().value();
        raise(SIGKILL);
    });
    const Result<RawMessage> message = box.receive_for(20s);  // nobody else opens or looks
    ASSERT_TRUE(message);
    EXPECT_TRUE(message->redelivered());
}

// Recovery must not depend on one wait that is as long as a slice.
TEST_F(NamedMailbox, ShortWaitsAndLoadRecoverTheDeadAsWell) {
    for (const bool under_load : {false, true}) {
        RawMailbox box = RawMailbox::create("m", {.acknowledged = true}).value();
        ASSERT_TRUE(box.send("leased"));
        const kit::Ending ending = kit::fork_and_run([&] {
            RawMailbox in = RawMailbox::open("m").value();
            const RawMessage held = in.receive().value();
            ::raise(SIGKILL);
        });
        ASSERT_EQ(ending.signal, SIGKILL);
        EXPECT_TRUE(kit::wait_until([&] {
            if (under_load && !box.send("load")) return false;
            Result<RawMessage> got = box.receive_for(1ms);
            const bool leased = got && got->text() == "leased" && got->redelivered();
            return got && got->ack() && leased;
        })) << under_load;
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(NamedMailbox, AFirstMessageInANewLaneWhoseSenderDiedBeforeTheBellArrives) {
    ASSERT_TRUE(RawMailbox::create("m", {.sharing = Sharing::single_receiver, .role = Role::none}));
    kit::Child receiver{[] {
        RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        ASSERT_EQ(in.receive_for(20s).value().text(), "first");
    }};
    ASSERT_TRUE(kit::wait_until([&] { return sleeps(receiver.pid()); }));
    kit::Child sender{[] {
        RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
        kit::kill_self_at("lane.publish.done");
        (void)out.send("first");
    }};
    EXPECT_EQ(sender.wait().signal, SIGKILL);
    EXPECT_TRUE(receiver.wait().ok());
}

TEST_F(NamedMailbox, ANewSenderIsHeardWhileTheKnownOnesNeverPause) {
    RawMailbox in = RawMailbox::create("m", {.capacity = bounded(64),
                                             .sharing = Sharing::single_receiver,
                                             .role = Role::receives})
                        .value();
    const auto flood = [](const char* text) {
        return [text] {
            RawMailbox out = RawMailbox::open("m", {.role = Role::sends}).value();
            while (out.send(text)) {
            }
        };
    };
    kit::Child first{flood("first")};
    ASSERT_TRUE(in.receive());
    kit::Child second{flood("second")};
    EXPECT_TRUE(kit::wait_until([&] { return in.receive().value().text() == "second"; }));
    first.kill();
    second.kill();
}

TEST_F(NamedMailbox, TwoThatOnlySendAreNoPair) {
    RawMailbox first =
        RawMailbox::create("m", {.sharing = Sharing::pair, .role = Role::sends}).value();
    EXPECT_EQ(RawMailbox::open("m", {.role = Role::sends}).error().code, Errc::in_use);
    RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
    ASSERT_TRUE(first.send("through"));
    EXPECT_EQ(in.receive().value().text(), "through");
}

TEST_F(NamedMailbox, AnEndOfStreamThatNobodyWritesIsCorruptAndNoHang) {
    for (const Sharing sharing : {Sharing::pair, Sharing::single_receiver}) {
        RawMailbox out = RawMailbox::create("m", {.sharing = sharing, .role = Role::sends}).value();
        RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
        ASSERT_TRUE(out.send("heard"));
        ASSERT_EQ(in.receive().value().text(), "heard");
        std::byte* const lane =
            out.attachment().region().content().data() + out.plan().lanes_offset;
        const std::uint64_t end = 3;
        std::memcpy(lane + sizeof(LaneLayout) + lane_stride(5) + 8, &end, sizeof end);
        EXPECT_EQ(in.try_receive().error().code, Errc::corrupt);
        EXPECT_EQ(in.receive().error().code, Errc::corrupt);
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(NamedMailbox, BadOptionsAreRefusedWithTheirName) {
    const auto code = [](MailboxOptions options) {
        return RawMailbox::create("x", options).error().code;
    };
    EXPECT_EQ(code({.capacity = bounded(0)}), Errc::bad_argument);
    EXPECT_EQ(code({.mode = 0}), Errc::bad_argument);
    EXPECT_EQ(code({.mode = 04600}), Errc::bad_argument);
    EXPECT_EQ(code({.capacity = bounded(1U << 21U)}), Errc::bad_argument);
    EXPECT_EQ(code({.max_bytes = 0}), Errc::bad_argument);
    EXPECT_EQ(code({.loan_quota = 0}), Errc::bad_argument);
    EXPECT_EQ(code({.reserve_bytes = UINT64_MAX}), Errc::bad_argument);
    EXPECT_EQ(RawMailbox::create("a/b", {}).error().code, Errc::bad_name);
    EXPECT_TRUE(domain_.entries().empty());
}

}  // namespace
}  // namespace stoa
