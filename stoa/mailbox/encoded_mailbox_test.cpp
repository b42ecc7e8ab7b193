#include "stoa/mailbox/encoded_mailbox.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "stoa/sys/memfd.hpp"
#include "tests/kit/allocations.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Part {
    std::string name;
    std::uint32_t count = 0;
    bool operator==(const Part&) const = default;
};
struct Order {
    std::uint64_t id = 0;
    std::vector<Part> parts{};
    std::optional<std::string> note{};
    std::map<std::string, double> prices{};
    bool operator==(const Order&) const = default;
};
struct OtherOrder {
    std::uint64_t id = 0;
    std::vector<Part> parts{};
    std::string note{};
    std::map<std::string, double> prices{};
};

Order order(std::uint64_t id) {
    Order made{.id = id, .parts = {{"bolt", 4}, {"nut", 8}}};
    if (id % 2 == 1) made.note = std::string(id % 300, 'n');
    for (std::uint64_t i = 0; i < id % 5; ++i) made.prices[std::to_string(i)] = 0.5;
    return made;
}

// The next value, received and acked.
template <typename T>
T next(Mailbox<T>& box) {
    T value{};
    const Result<void> received = box.receive_into(value, Deadline::after(20s));
    EXPECT_TRUE(received) << describe(received.error());
    return value;
}

struct Kind {
    Sharing sharing;
    bool acknowledged;
};
constexpr Kind kKinds[] = {
    {Sharing::any, false},
    {Sharing::any, true},
    {Sharing::single_receiver, false},
    {Sharing::single_receiver, true},
    {Sharing::pair, false},
    {Sharing::pair, true},
};

class EncodedMailbox : public testing::TestWithParam<Kind> {
protected:
    static MailboxOptions options(Role role) {
        return {
            .sharing = GetParam().sharing, .acknowledged = GetParam().acknowledged, .role = role};
    }
    static Mailbox<Order> receiver() {
        return Mailbox<Order>::create("orders", options(Role::receives)).value();
    }
    static Mailbox<Order> sender() {
        return Mailbox<Order>::open("orders", {.role = Role::sends}).value();
    }

    kit::TempDomain domain_;
};

TEST_P(EncodedMailbox, CarriesValuesInOrderFromOneProcessToAnother) {
    Mailbox<Order> in = receiver();
    kit::Child child{[] {
        Mailbox<Order> out = sender();
        for (std::uint64_t i = 0; i < 2000; ++i) ASSERT_TRUE(out.send(order(i)));
    }};
    Order kept;
    for (std::uint64_t i = 0; i < 2000; ++i) {
        if (i % 2 == 0) {
            Result<Message<Order>> message = in.receive_for(20s);
            ASSERT_TRUE(message) << describe(message.error());
            ASSERT_EQ(message->value(), order(i));
            EXPECT_FALSE(message->redelivered());
            EXPECT_EQ(message->earlier_deliveries(), 0U);
            EXPECT_TRUE(message->ack());
            EXPECT_EQ((*message)->id, i);  // it is ours, also without the lease
        } else {
            ASSERT_TRUE(in.receive_into(kept, Deadline::after(20s)));
            ASSERT_EQ(kept, order(i));
        }
    }
    EXPECT_TRUE(child.wait().ok());
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
}

TEST_P(EncodedMailbox, SendsAndReceivesManyAtOnce) {
    Mailbox<Order> in = receiver();
    Mailbox<Order> out = sender();
    const std::vector<Order> sent{order(1), order(2), order(3)};
    std::size_t count = 0;
    ASSERT_TRUE(out.send_all(sent, Deadline::never(), &count));
    EXPECT_EQ(count, 3U);
    std::vector<Order> got(5);
    ASSERT_EQ(in.receive_some(got), 3U);
    got.resize(3);
    EXPECT_EQ(got, sent);
    EXPECT_EQ(in.receive_some(got, Deadline::after(1ms)).error().code, Errc::timed_out);
}

TEST_P(EncodedMailbox, EveryFormOfTheVerbsSaysWhatItCouldNotDo) {
    MailboxOptions small = options(Role::receives);
    small.capacity = bounded(1);
    Mailbox<Order> in = Mailbox<Order>::create("orders", small).value();
    Mailbox<Order> out = sender();
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
    EXPECT_EQ(in.receive_for(1ms).error().code, Errc::timed_out);
    EXPECT_EQ(in.receive_until(Deadline::Clock::now()).error().code, Errc::timed_out);
    ASSERT_TRUE(out.try_send(order(1)));
    EXPECT_EQ(out.try_send(order(2)).error().code, Errc::full);
    EXPECT_EQ(out.send_for(order(2), 1ms).error().code, Errc::timed_out);
    EXPECT_EQ(out.send_until(order(2), Deadline::Clock::now()).error().code, Errc::timed_out);
    std::size_t count = 7;
    const std::vector<Order> more{order(2)};
    EXPECT_EQ(out.send_all(more, Deadline::immediately(), &count).error().code, Errc::full);
    EXPECT_EQ(count, 0U);
    EXPECT_EQ(in.send(order(3)).error().code, Errc::bad_argument);  // it only receives
    EXPECT_EQ(out.receive().error().code, Errc::bad_argument);
    EXPECT_EQ(next(in).id, 1U);
}

TEST_P(EncodedMailbox, RefusesAnotherTypeAndShowsBoth) {
    Mailbox<Order> in = receiver();
    const Error refused = Mailbox<OtherOrder>::open("orders").error();
    EXPECT_EQ(refused.code, Errc::wrong_type);
    const std::string text = describe(refused);
    EXPECT_NE(text.find(type_info_of<Order>().text), std::string::npos) << text;
    EXPECT_NE(text.find(type_info_of<OtherOrder>().text), std::string::npos) << text;
    EXPECT_EQ(Mailbox<std::uint64_t>::open("orders").error().code, Errc::wrong_type);
    EXPECT_EQ(Mailbox<std::string>::open("orders").error().code, Errc::wrong_type);
    Mailbox<std::uint64_t>::create("flat").value();
    EXPECT_EQ(Mailbox<Order>::open("flat").error().code, Errc::wrong_type);
    EXPECT_EQ(Mailbox<Order>::open_or_create("flat").error().code, Errc::wrong_type);
}

TEST_P(EncodedMailbox, AMessageOverMaxBytesIsTooBigAndNothingIsSent) {
    MailboxOptions small = options(Role::receives);
    small.max_bytes = 100;
    Mailbox<std::string> in = Mailbox<std::string>::create("texts", small).value();
    auto out = Mailbox<std::string>::open("texts", {.role = Role::sends}).value();
    EXPECT_TRUE(out.send(std::string(100, 'a')));
    EXPECT_EQ(out.send(std::string(101, 'b')).error().code, Errc::too_big);
    EXPECT_EQ(out.send(std::string(1 << 20, 'b')).error().code, Errc::too_big);
    EXPECT_TRUE(out.send({}));
    EXPECT_EQ(next(in), std::string(100, 'a'));
    EXPECT_EQ(next(in), "");
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
}

TEST_P(EncodedMailbox, AStringIsTheMessageItselfSoThatProgramsOfBytesUnderstandIt) {
    auto in = Mailbox<std::string>::create("texts", options(Role::receives)).value();
    auto out = Mailbox<Bytes>::open("texts", {.role = Role::sends}).value();
    ASSERT_TRUE(out.send("plain text"));
    EXPECT_EQ(next(in), "plain text");
}

TEST_P(EncodedMailbox, WhatDoesNotDecodeIsToldAndCanBeLookedAt) {
    Mailbox<Order> in = receiver();
    Mailbox<Order> out = sender();
    EXPECT_EQ(in.undecoded(), nullptr);
    ASSERT_TRUE(out.raw().send("no order"));
    ASSERT_TRUE(out.send(order(1)));
    const Error told = in.receive().error();
    EXPECT_EQ(told.code, Errc::corrupt);
    EXPECT_NE(std::string_view{told.step}.find("decode ("), std::string_view::npos);
    ASSERT_NE(in.undecoded(), nullptr);
    EXPECT_EQ(in.undecoded()->text(), "no order");
    ASSERT_TRUE(in.undecoded()->ack());
    EXPECT_EQ(next(in).id, 1U);  // the others are not held up
    EXPECT_EQ(in.undecoded(), nullptr);
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
}

TEST_P(EncodedMailbox, WhatDoesNotDecodeGoesTheWayOfWhatIsNotAcknowledged) {
    Mailbox<Order> in = receiver();
    Mailbox<Order> out = sender();
    ASSERT_TRUE(out.raw().send("no order"));
    EXPECT_EQ(in.receive().error().code, Errc::corrupt);
    if (!GetParam().acknowledged) {
        EXPECT_EQ(in.try_receive().error().code, Errc::empty);
        return;
    }
    for (std::uint32_t deliveries = 1; deliveries < 5; ++deliveries) {
        EXPECT_EQ(in.receive().error().code, Errc::corrupt);
        ASSERT_NE(in.undecoded(), nullptr);
        EXPECT_TRUE(in.undecoded()->redelivered());
        EXPECT_EQ(in.undecoded()->earlier_deliveries(), deliveries);
    }
    ASSERT_TRUE(in.undecoded()->nack());
    Result<RawMessage> bytes = in.raw().try_receive();  // as bytes it can always be had
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->text(), "no order");
    EXPECT_TRUE(bytes->ack());
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
}

TEST_P(EncodedMailbox, AnUndecodableMessageBehindGoodOnesIsToldByTheNextReceive) {
    Mailbox<Order> in = receiver();
    Mailbox<Order> out = sender();
    ASSERT_TRUE(out.send(order(1)));
    ASSERT_TRUE(out.raw().send("no order"));
    ASSERT_TRUE(out.send(order(2)));
    std::vector<Order> got(5);
    ASSERT_EQ(in.receive_some(got), 1U);
    EXPECT_EQ(got[0], order(1));
    EXPECT_EQ(in.receive_some(got).error().code, Errc::corrupt);
    ASSERT_NE(in.undecoded(), nullptr);
    ASSERT_TRUE(in.undecoded()->ack());
    EXPECT_EQ(next(in), order(2));
}

TEST_P(EncodedMailbox, AHandleThatHoldsItsFullQuotaCanStillSend) {
    Mailbox<Order> box = Mailbox<Order>::create("orders", options(Role::both)).value();
    Mailbox<Order> peer = Mailbox<Order>::open("orders").value();
    if (GetParam().sharing == Sharing::single_receiver) return;  // one of them only sends
    const std::uint32_t quota = box.raw().plan().loan_quota;
    for (std::uint64_t i = 0; i < quota; ++i) ASSERT_TRUE(peer.send(order(i)));
    std::vector<Message<Order>> held;
    for (std::uint64_t i = 0; i < quota; ++i) held.push_back(box.receive().value());
    EXPECT_EQ(box.receive().error().code, Errc::too_many_loans);
    ASSERT_TRUE(box.send(order(9)));
    const Order huge{.note = std::string(1 << 20, 'x')};
    kit::forget_allocations();
    EXPECT_EQ(box.send(huge).error().code, Errc::too_big);
    EXPECT_EQ(kit::largest_allocation(), 0U);  // it is no reason to make a copy
    EXPECT_EQ(next(peer).id, 9U);
}

TEST_P(EncodedMailbox, AValueIsWrittenOnceStraightIntoTheMailbox) {
    MailboxOptions large = options(Role::receives);
    large.max_bytes = 1 << 20;
    auto in = Mailbox<std::vector<std::string>>::create("texts", large).value();
    auto out = Mailbox<std::vector<std::string>>::open("texts", {.role = Role::sends}).value();
    const std::vector<std::string> sent(1000, std::string(1000, 'x'));
    kit::forget_allocations();
    ASSERT_TRUE(out.send(sent));
    EXPECT_EQ(kit::largest_allocation(), 0U);
    EXPECT_EQ(next(in), sent);
}

TEST_P(EncodedMailbox, AReceivedValueOutlivesItsHandle) {
    Result<Message<Order>> message = fail(Errc::empty, "none yet");
    {
        Mailbox<Order> in = receiver();
        Mailbox<Order> out = sender();
        ASSERT_TRUE(out.send(order(7)));
        message = in.receive();
    }
    ASSERT_TRUE(message);
    EXPECT_EQ(message->value(), order(7));
    const std::string note = std::move(*message).value().note.value();
    EXPECT_EQ(note.size(), 7U);
}

TEST_P(EncodedMailbox, WorksWithoutANameAndThroughClones) {
    Mailbox<Order> box = Mailbox<Order>::create_anonymous(options(Role::both)).value();
    const sys::Fd& file = box.raw().file();
    kit::Child child{[&] {
        Result<sys::Fd> own = sys::duplicate(file);
        ASSERT_TRUE(own);
        Mailbox<Order> out = Mailbox<Order>::attach(std::move(*own), {.role = Role::sends}).value();
        ASSERT_TRUE(out.send(order(3)));
    }};
    EXPECT_EQ(next(box), order(3));
    EXPECT_TRUE(child.wait().ok());
    Result<sys::Fd> own = sys::duplicate(file);
    EXPECT_EQ(Mailbox<std::string>::attach(std::move(*own)).error().code, Errc::wrong_type);
    Mailbox<Order> second = box.clone().value();
    ASSERT_TRUE(second.send(order(4)));
    EXPECT_EQ(next(box).id, 4U);
}

TEST_P(EncodedMailbox, SaysGoneAfterItWasDestroyed) {
    Mailbox<Order> in = receiver();
    Mailbox<Order> out = sender();
    ASSERT_TRUE(Mailbox<Order>::destroy("orders"));
    EXPECT_EQ(in.receive().error().code, Errc::gone);
    EXPECT_EQ(out.send(order(1)).error().code, Errc::gone);
}

std::string name_of_kind(const testing::TestParamInfo<Kind>& info) {
    const char* const names[] = {"any", "single_receiver", "pair"};
    return std::string{names[static_cast<int>(info.param.sharing)]} +
           (info.param.acknowledged ? "_acknowledged" : "");
}
INSTANTIATE_TEST_SUITE_P(Kinds, EncodedMailbox, testing::ValuesIn(kKinds), name_of_kind);

TEST(EncodedMailboxDeaths, AnUnackedValueOfAKilledReceiverIsDeliveredAgain) {
    const kit::TempDomain domain;
    auto box = Mailbox<Order>::create("orders", {.acknowledged = true}).value();
    ASSERT_TRUE(box.send(order(5)));
    kit::Child child{[] {
        Mailbox<Order> in = Mailbox<Order>::open("orders", {.role = Role::receives}).value();
        const Message<Order> held = in.receive().value();
        ASSERT_EQ(raise(SIGKILL), 0);
    }};
    EXPECT_EQ(child.wait().signal, SIGKILL);
    Result<Message<Order>> again = box.receive_for(20s);
    ASSERT_TRUE(again) << describe(again.error());
    EXPECT_EQ(again->value(), order(5));
    EXPECT_TRUE(again->redelivered());
    EXPECT_EQ(again->earlier_deliveries(), 1U);
    EXPECT_TRUE(again->ack());
}

// Both kinds of typed mailboxes: what was sent while nobody received is missed, not lost unheard.
template <typename T>
void missed_is_told(const T& value) {
    const kit::TempDomain domain;
    auto out =
        Mailbox<T>::create(
            "m", {.capacity = bounded(4), .sharing = Sharing::broadcast, .role = Role::sends})
            .value();
    auto in = Mailbox<T>::open("m", {.role = Role::receives, .latest = true}).value();
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(out.send(value));
    std::uint64_t seen = 0;
    for (Result<Message<T>> m = in.try_receive(); m; m = in.try_receive()) seen += 1 + m->missed();
    EXPECT_EQ(seen, 1000U);
}
TEST(Missed, IsToldByMessagesOfValuesAndOfEncodedValues) {
    missed_is_told<std::uint64_t>(7);
    missed_is_told<Order>(order(2));
}

}  // namespace
}  // namespace stoa
