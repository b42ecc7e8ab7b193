// Two senders, two receivers, values over the short ways, round after round: each round ends by
// itself. What hangs or is lost now and then shows here. STOA_FLOW_ROUNDS: per kind.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

struct Value {
    std::uint64_t words[8];
};

struct Notes {
    Atomic<std::uint64_t> received[2];
    Atomic<std::uint64_t> sum[2];
};

struct Kind {
    const char* name;
    MailboxOptions options;
};

class Flow : public testing::TestWithParam<Kind> {
protected:
    static constexpr std::uint64_t kEach = 3000;

    [[nodiscard]] Notes& notes() { return *reinterpret_cast<Notes*>(memory_.bytes().data()); }

    static void send(std::uint64_t who) {
        auto out = Mailbox<Value>::open("m", {.role = Role::sends});
        for (std::uint64_t i = 1; i <= kEach; ++i)
            out.value().send(Value{{who << 32U | i}}).value();
    }
    void receive(std::uint32_t who) {
        auto in = Mailbox<Value>::open("m", {.role = Role::receives});
        Value value{};
        for (;;) {
            const Result<void> got = in.value().receive_into(value);
            if (!got && got.error().code == Errc::end_of_stream) return;
            got.value();
            notes().received[who].fetch_add(1);
            notes().sum[who].fetch_add(value.words[0]);
        }
    }

    kit::TempDomain domain_;
    kit::TempRegion memory_{sizeof(Notes)};
};

TEST_P(Flow, EveryRoundEnds) {
    const char* const text = std::getenv("STOA_FLOW_ROUNDS");
    const std::uint64_t rounds = text != nullptr ? std::strtoull(text, nullptr, 10) : 40;
    const std::uint64_t copies = GetParam().options.sharing == Sharing::broadcast ? 2 : 1;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        MailboxOptions options = GetParam().options;
        options.role = Role::none;
        auto box = Mailbox<Value>::create("m", options).value();
        for (auto& word : notes().received) word.store(0);
        for (auto& word : notes().sum) word.store(0);
        std::vector<kit::Child> receivers;
        for (std::uint32_t i = 0; i < 2; ++i) {
            receivers.emplace_back([&, i] { receive(i); });
        }
        std::vector<kit::Child> senders;
        for (std::uint64_t i = 0; i < 2; ++i) {
            senders.emplace_back([i] { send(i + 1); });
        }
        for (kit::Child& child : senders) ASSERT_TRUE(child.wait().ok()) << "a sender, " << round;
        ASSERT_TRUE(box.close());
        for (kit::Child& child : receivers) {
            ASSERT_TRUE(child.wait().ok()) << "a receiver, " << round;
        }
        std::uint64_t received = 0;
        std::uint64_t sum = 0;
        for (const auto& word : notes().received) received += word.load();
        for (const auto& word : notes().sum) sum += word.load();
        ASSERT_TRUE(RawMailbox::destroy("m"));
        if (copies == 2) continue;  // who subscribes late gets less
        ASSERT_EQ(received, 2 * kEach) << round;
        ASSERT_EQ(sum, (3ULL << 32U) * kEach + kEach * (kEach + 1)) << round;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Flow,
    testing::Values(Kind{"any", {}}, Kind{"round_robin", {.sharing = Sharing::round_robin}},
                    Kind{"round_robin_of_four",
                         {.capacity = bounded(4), .sharing = Sharing::round_robin}},
                    Kind{"key_affine", {.sharing = Sharing::key_affine}},
                    Kind{"broadcast", {.sharing = Sharing::broadcast}},
                    Kind{"priorities", {.priorities = 4}},
                    Kind{"unbounded", {.capacity = unbounded(8U << 20U)}}),
    [](const testing::TestParamInfo<Kind>& kind) { return std::string{kind.param.name}; });

}  // namespace
}  // namespace stoa
