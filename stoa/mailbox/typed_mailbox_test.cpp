#include <gtest/gtest.h>

#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

struct Order {
    std::uint64_t id;
    double price;
};
struct OtherOrder {
    std::uint64_t id;
    double amount;
};
struct alignas(64) Wide {
    std::uint64_t words[16];
};

class TypedMailbox : public testing::TestWithParam<Sharing> {
protected:
    kit::TempDomain domain_;
};

TEST_P(TypedMailbox, CarriesValuesInOrder) {
    Mailbox<Order> in =
        Mailbox<Order>::create("o", {.sharing = GetParam(), .role = Role::receives}).value();
    Mailbox<Order> out = Mailbox<Order>::open("o", {.role = Role::sends}).value();
    for (std::uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(out.send({i, 0.5}));
    for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(in.receive().value()->id, i);
    for (std::uint64_t i = 50; i < 100; ++i) {
        Order order{};
        ASSERT_TRUE(in.receive_into(order));
        EXPECT_EQ(order.id, i);
    }
}

TEST_P(TypedMailbox, RefusesAnotherType) {
    ASSERT_TRUE(Mailbox<Order>::create("o", {.sharing = GetParam()}));
    const Error refused = Mailbox<OtherOrder>::open("o").error();
    EXPECT_EQ(refused.code, Errc::wrong_type);
    const std::string text = describe(refused);  // shows both layouts
    EXPECT_NE(text.find(type_info_of<Order>().text), std::string::npos) << text;
    EXPECT_NE(text.find(type_info_of<OtherOrder>().text), std::string::npos) << text;
    EXPECT_EQ(Mailbox<std::uint64_t>::open("o").error().code, Errc::wrong_type);
    EXPECT_TRUE(RawMailbox::open("o"));  // bytes take anything
}

TEST_P(TypedMailbox, TakesNoBytesOfAnotherSize) {
    auto out = Mailbox<Order>::create("o", {.sharing = GetParam(), .role = Role::sends}).value();
    EXPECT_EQ(out.raw().send("abc").error().code, Errc::wrong_size);
    RawLoan loan = out.raw().loan(3).value();
    EXPECT_EQ(loan.commit(3).error().code, Errc::wrong_size);
    loan.abandon();
    EXPECT_TRUE(out.send({1, 2.0}));
}

TEST_P(TypedMailbox, BatchesArriveWholeAndInOrderWhileTheMailboxIsSmall) {
    Mailbox<Order> in = Mailbox<Order>::create("o", {.capacity = bounded(100),
                                                     .sharing = GetParam(),
                                                     .reserve_bytes = 8192,
                                                     .role = Role::receives})
                            .value();
    kit::Child sender{[] {
        Mailbox<Order> out = Mailbox<Order>::open("o", {.role = Role::sends}).value();
        std::vector<Order> orders(5000);
        for (std::uint64_t i = 0; i < orders.size(); ++i) orders[i].id = i;
        std::size_t sent = 0;
        ASSERT_TRUE(out.send_all(orders, Deadline::never(), &sent));
        ASSERT_EQ(sent, orders.size());
    }};
    std::vector<Order> got(64);
    for (std::uint64_t next = 0; next < 5000;) {
        const Result<std::size_t> count = in.receive_some(got, Deadline::after(20s));
        ASSERT_TRUE(count) << describe(count.error());
        for (std::size_t i = 0; i < *count; ++i) ASSERT_EQ(got[i].id, next++);
    }
    EXPECT_TRUE(sender.wait().ok());
}

TEST_P(TypedMailbox, LoansRespectTheAlignmentOfTheType) {
    Mailbox<Wide> in =
        Mailbox<Wide>::create("w", {.sharing = GetParam(), .role = Role::receives}).value();
    Mailbox<Wide> out = Mailbox<Wide>::open("w", {.role = Role::sends}).value();
    for (std::uint64_t i = 0; i < 50; ++i) {
        Loan<Wide> loan = out.loan().value();
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&loan.value()) % 64, 0U);
        loan->words[15] = i;
        ASSERT_TRUE(loan.commit());
        ASSERT_TRUE(out.send(Wide{{i}}));
        ASSERT_TRUE(out.send_all(std::vector<Wide>{Wide{{i, 1}}, Wide{{i, 2}}}));
        EXPECT_EQ(in.receive().value()->words[15], i);
        for (std::uint64_t k = 0; k < 3; ++k) {
            const Message<Wide> message = in.receive().value();
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&message.value()) % 64, 0U);
            EXPECT_EQ(message->words[0], i);
            EXPECT_EQ(message->words[1], k);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Sharings, TypedMailbox,
                         testing::Values(Sharing::any, Sharing::single_receiver, Sharing::pair));

}  // namespace
}  // namespace stoa
