// Looking at what waits, whoever carries it and whoever looks.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

struct Kind {
    const char* name;
    MailboxOptions options;
};

class Peek : public testing::TestWithParam<Kind> {
protected:
    static std::vector<std::string> all_of(RawMailbox& box) {
        std::vector<std::string> all;
        std::vector<std::byte> room(64);
        for (;;) {
            const Result<std::size_t> length = box.peek(room, all.size());
            if (!length) {
                EXPECT_EQ(length.error().code, Errc::empty);
                return all;
            }
            all.emplace_back(reinterpret_cast<const char*>(room.data()), *length);
        }
    }
    kit::TempDomain domain_;
};

TEST_P(Peek, ShowsWhatWaitsInOrderAndLeavesIt) {
    MailboxOptions options = GetParam().options;
    options.role = Role::sends;
    RawMailbox out = RawMailbox::create("m", options).value();
    RawMailbox in = RawMailbox::open("m", {.role = Role::receives}).value();
    RawMailbox looker = RawMailbox::open("m", {.role = Role::none}).value();
    EXPECT_EQ(all_of(in), std::vector<std::string>{});
    EXPECT_EQ(all_of(looker), std::vector<std::string>{});
    const std::vector<std::string> sent{"one", "", "three", "the fourth"};
    for (const std::string& text : sent) ASSERT_TRUE(out.send(text));
    EXPECT_EQ(all_of(in), sent);
    EXPECT_EQ(all_of(looker), sent);
    std::vector<std::byte> small(4);
    EXPECT_EQ(looker.peek(small, 3).value(), 10U);  // its whole length
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(small.data()), 4), "the ");
    const auto take = [&] {
        RawMessage message = in.try_receive().value();
        const std::string text{message.text()};
        EXPECT_TRUE(message.ack());
        return text;
    };
    EXPECT_EQ(take(), "one");
    const std::vector<std::string> rest{"", "three", "the fourth"};
    EXPECT_EQ(all_of(in), rest);
    EXPECT_EQ(all_of(looker), rest);
    for (const std::string& text : rest) EXPECT_EQ(take(), text);
    EXPECT_EQ(all_of(looker), std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Peek,
    testing::Values(Kind{"any", {}}, Kind{"single_receiver", {.sharing = Sharing::single_receiver}},
                    Kind{"pair", {.sharing = Sharing::pair}},
                    Kind{"pair_acknowledged", {.sharing = Sharing::pair, .acknowledged = true}},
                    Kind{"round_robin", {.sharing = Sharing::round_robin}},
                    Kind{"least_loaded", {.sharing = Sharing::least_loaded}},
                    Kind{"key_affine", {.sharing = Sharing::key_affine}},
                    Kind{"broadcast", {.sharing = Sharing::broadcast}},
                    Kind{"broadcast_receipts", {.sharing = Sharing::broadcast, .receipts = true}},
                    Kind{"unbounded", {.capacity = unbounded(1U << 20U)}}),
    [](const testing::TestParamInfo<Kind>& kind) { return std::string{kind.param.name}; });

}  // namespace
}  // namespace stoa
