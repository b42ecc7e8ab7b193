// A close in the middle of everything, round after round: what a send called sent is received,
// once; what it called closed is not. Broadcast: what was sent reaches every subscriber.
// STOA_CLOSE_ROUNDS: per kind.
#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using Value = std::uint64_t;

struct Kind {
    const char* name;
    MailboxOptions options;
    std::uint32_t senders = 2;
    std::uint32_t receivers = 2;
};

class CloseRace : public testing::TestWithParam<Kind> {
protected:
    // One value after the other, by turns in each of the ways to send, until it is closed. Returns
    // how many were sent.
    Value send_until_closed(Mailbox<Value>& out, Value who) {
        const Value first = who << 32U;
        for (Value n = 0;; ++n) {
            Result<void> sent;
            switch (n / 8 % 3) {
                case 0: sent = out.send(first + n); break;
                case 1: {
                    const std::array<Value, 3> three{first + n, first + n + 1, first + n + 2};
                    std::size_t count = 0;
                    sent = out.send_all(three, Deadline::never(), &count);
                    if (!sent) n += count;
                    if (sent) n += 2;
                    break;
                }
                default: {
                    Result<Loan<Value>> loan = out.loan();
                    if (loan) {
                        loan->value() = first + n;
                        sent = loan->commit();
                    } else {
                        sent = std::unexpected(loan.error());
                    }
                }
            }
            sent_.fetch_add(1, kRelaxed);
            if (sent) continue;
            EXPECT_EQ(sent.error().code, Errc::closed);
            return n;
        }
    }
    static std::vector<Value> receive_all(Mailbox<Value>& in) {
        std::vector<Value> got;
        Value value = 0;
        for (;;) {
            const Result<void> received = in.receive_into(value);
            if (!received) {
                EXPECT_EQ(received.error().code, Errc::end_of_stream);
                return got;
            }
            got.push_back(value);
        }
    }
    void round(std::uint64_t sends_before_close);

    kit::TempDomain domain_;
    Atomic<std::uint64_t> sent_{0};  // by all of them
};

void CloseRace::round(std::uint64_t sends_before_close) {
    sent_.store(0, kRelaxed);
    const Kind& kind = GetParam();
    MailboxOptions options = kind.options;
    options.role = Role::none;
    auto box = Mailbox<Value>::create("m", options).value();
    std::vector<Value> sent(kind.senders);
    std::vector<std::vector<Value>> got(kind.receivers);
    std::barrier all_are_in{static_cast<std::ptrdiff_t>(kind.senders + kind.receivers + 1)};
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < kind.receivers; ++i) {
        threads.emplace_back([&, i] {
            auto in = Mailbox<Value>::open("m", {.role = Role::receives}).value();
            all_are_in.arrive_and_wait();
            got[i] = receive_all(in);
        });
    }
    for (std::uint32_t i = 0; i < kind.senders; ++i) {
        threads.emplace_back([&, i] {
            auto out = Mailbox<Value>::open("m", {.role = Role::sends}).value();
            all_are_in.arrive_and_wait();
            sent[i] = send_until_closed(out, i);
        });
    }
    all_are_in.arrive_and_wait();
    while (sent_.load(kRelaxed) < sends_before_close) std::this_thread::yield();
    box.close().value();
    threads.clear();
    const bool copies = kind.options.sharing == Sharing::broadcast;
    std::map<Value, std::uint32_t> times;
    for (const auto& one : got) {
        for (const Value value : one) ++times[value];
    }
    for (std::uint32_t i = 0; i < kind.senders; ++i) {
        for (Value n = 0; n < sent[i]; ++n) {
            ASSERT_EQ(times[(Value{i} << 32U) + n], copies ? kind.receivers : 1U)
                << "sender " << i << ", message " << n << " of " << sent[i];
        }
        const Value refused = (Value{i} << 32U) + sent[i];
        // Somebody may have got what not everybody gets.
        ASSERT_LE(times[refused], copies ? kind.receivers - 1 : 0U) << "a refused message came";
    }
    RawMailbox::destroy("m").value();
}

TEST_P(CloseRace, WhatIsSentIsReceivedAndNothingElse) {
    const char* const text = std::getenv("STOA_CLOSE_ROUNDS");
    const std::uint64_t rounds = text != nullptr ? std::strtoull(text, nullptr, 10) : 60;
    std::mt19937_64 random{rounds};
    for (std::uint64_t i = 0; i < rounds && !HasFatalFailure(); ++i) {
        round(random() % 1500);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, CloseRace,
    testing::Values(
        Kind{"any", {}}, Kind{"single_receiver", {.sharing = Sharing::single_receiver}, 2, 1},
        Kind{"pair", {.sharing = Sharing::pair}, 1, 1},
        Kind{"pair_of_two_places", {.capacity = bounded(2), .sharing = Sharing::pair}, 1, 1},
        Kind{"round_robin", {.sharing = Sharing::round_robin}},
        Kind{"key_affine", {.sharing = Sharing::key_affine}},
        Kind{"least_loaded", {.sharing = Sharing::least_loaded}},
        Kind{"broadcast", {.sharing = Sharing::broadcast}},
        Kind{"unbounded", {.capacity = unbounded(8U << 20U)}}),
    [](const testing::TestParamInfo<Kind>& kind) { return std::string{kind.param.name}; });

}  // namespace
}  // namespace stoa
