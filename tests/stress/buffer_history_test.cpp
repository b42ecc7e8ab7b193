// Producers and consumers of one buffer, processes with two threads each, are killed at random
// moments; at the end the history of every message is judged.
//
// What a killed thread had done is known from two words that it wrote around each call. A message
// whose send returned comes exactly once, but for one per thread of a killed consumer, which may
// have died between the delivery and its note. One whose sender died inside the call comes once or
// not at all. None comes twice, none is torn, and what a thread receives of one sender is in order,
// but for what a killed consumer had begun to take, which comes again behind others.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "stoa/mailbox/buffer.hpp"
#include "stoa/shm/region.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kProducers = 2;  // processes
constexpr std::uint32_t kConsumers = 2;
// Threads of each. ThreadSanitizer sees a chunk leave one of them for another process and not come
// back to the next one, which seems to race with the first.
#if defined(__SANITIZE_THREAD__)  // g++
constexpr std::uint32_t kThreads = 1;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)  // clang
constexpr std::uint32_t kThreads = 1;
#else
constexpr std::uint32_t kThreads = 2;
#endif
#else
constexpr std::uint32_t kThreads = 2;
#endif
constexpr std::uint32_t kSenders = kProducers * kThreads;
constexpr std::uint64_t kMost = 1'000'000;  // messages of one sender

std::uint64_t budget(const char* variable, std::uint64_t usual) {
    const char* const text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : usual;
}

struct Message {
    std::uint64_t sender;
    std::uint64_t seq;
    std::array<std::uint64_t, 6> check;
};

Message message(std::uint64_t sender, std::uint64_t seq) {
    Message made{.sender = sender, .seq = seq, .check = {}};
    for (std::uint64_t i = 0; i < made.check.size(); ++i) made.check[i] = (seq + i) * (sender + 3);
    return made;
}

struct Sender {
    alignas(kCacheLine) Atomic<std::uint64_t> attempt;  // the number after it, before the call
    Atomic<std::uint64_t> ok;                           // the same, after it returned
};

struct Notes {  // in shared memory
    Atomic<std::uint32_t> stop;
    Atomic<std::uint64_t> got;
    Atomic<std::uint64_t> torn;
    Atomic<std::uint64_t> behind;  // what came after later ones of its sender
    Sender senders[kSenders];
    Atomic<std::uint8_t> times[kSenders][kMost];
    Atomic<std::uint8_t> maybe[kSenders][kMost];  // its sender died in the call
};

class BufferHistory : public testing::TestWithParam<bool> {  // it has no bound
protected:
    using Items = Buffer<Message>;

    Notes& notes() { return *reinterpret_cast<Notes*>(memory_.bytes().data()); }
    void produce(Items& items, std::uint32_t sender) {
        Sender& mine = notes().senders[sender];
        while (notes().stop.load() == 0) {
            const std::uint64_t seq = mine.attempt.load();
            if (seq >= kMost) return;
            mine.attempt.store(seq + 1);
            if (items.send_for(message(sender, seq), 20ms)) {
                mine.ok.store(seq + 1);
            } else {  // timed out: it was not sent
                mine.attempt.store(seq);
            }
        }
    }
    void consume(Items& items) {
        std::array<std::uint64_t, kSenders> next{};
        while (notes().stop.load() < 2) {
            const Result<Message> got = items.receive_for(20ms);
            if (!got) continue;
            const Message wanted = message(got->sender, got->seq);
            if (got->sender >= kSenders || got->seq >= kMost || got->check != wanted.check) {
                notes().torn.fetch_add(1);
                continue;
            }
            notes().times[got->sender][got->seq].fetch_add(1);
            notes().got.fetch_add(1);
            if (got->seq < next[got->sender]) notes().behind.fetch_add(1);
            next[got->sender] = std::max(next[got->sender], got->seq + 1);
        }
    }
    // `in_a_take`: as a consumer it dies there, after a while, if it is not killed before.
    kit::Child start(std::uint32_t which, bool in_a_take = false) {
        return kit::Child{[this, which, in_a_take] {
            if (in_a_take) kit::kill_self_at("pool.take.taken", 500);
            Region region = Region::open("r").value();
            auto* const items = region.find<Items>("items").value();
            std::vector<std::thread> threads;
            for (std::uint32_t k = 0; k < kThreads; ++k) {
                threads.emplace_back([&, k] {
                    if (which < kProducers) return produce(*items, which * kThreads + k);
                    consume(*items);
                });
            }
            for (std::thread& thread : threads) thread.join();
        }};
    }
    // The successors of dead senders go on behind what may have been sent.
    void note_deaths(std::uint32_t which) {
        for (std::uint32_t k = 0; which < kProducers && k < kThreads; ++k) {
            const std::uint32_t number = which * kThreads + k;
            Sender& sender = notes().senders[number];
            if (sender.attempt.load() == sender.ok.load()) continue;
            const std::uint64_t seq = sender.attempt.load() - 1;
            notes().maybe[number][seq].store(1);
            sender.ok.store(seq + 1);
        }
    }
    void judge(std::uint64_t consumers_killed);

    kit::TempDomain folder_;
    kit::TempRegion memory_{sizeof(Notes)};
};

void BufferHistory::judge(std::uint64_t consumers_killed) {
    std::uint64_t lost = 0;
    std::uint64_t twice = 0;
    std::uint64_t never_sent = 0;
    for (std::uint32_t s = 0; s < kSenders; ++s) {
        const std::uint64_t sent = notes().senders[s].ok.load();
        for (std::uint64_t seq = 0; seq < kMost; ++seq) {
            const std::uint8_t times = notes().times[s][seq].load(kRelaxed);
            if (times > 1) ++twice;
            if (seq >= sent && times > 0) ++never_sent;
            if (seq < sent && times == 0 && notes().maybe[s][seq].load(kRelaxed) == 0) ++lost;
        }
    }
    EXPECT_EQ(twice, 0U);
    EXPECT_EQ(never_sent, 0U);
    EXPECT_EQ(notes().torn.load(), 0U);
    EXPECT_LE(lost, consumers_killed * kThreads);
    EXPECT_LE(notes().behind.load(), consumers_killed * kThreads);
    RecordProperty("messages", std::to_string(notes().got.load()));
    std::cout << notes().got.load() << " messages, " << consumers_killed
              << " consumers killed: " << lost << " died with theirs, " << notes().behind.load()
              << " came again\n";
}

TEST_P(BufferHistory, NothingIsLostOrDoubledByKills) {
    const bool grows = GetParam();
    const std::uint64_t kills = budget("STOA_STRESS_KILLS", 150);
    Region region = Region::create("r", 1 << 16).value();
    const Capacity capacity = grows ? unbounded(1 << 18) : bounded(8);
    auto* const items = region.construct<Items>("items", capacity).value();
    std::vector<std::unique_ptr<kit::Child>> children;
    for (std::uint32_t i = 0; i < kProducers + kConsumers; ++i)
        children.push_back(std::make_unique<kit::Child>(start(i)));
    std::minstd_rand random{7};
    std::uint64_t consumers_killed = 0;
    for (std::uint64_t i = 0; i < kills; ++i) {
        const std::uint64_t target = notes().got.load() + random() % 400;
        for (int k = 0; k < 1000 && notes().got.load() < target; ++k) std::this_thread::yield();
        const auto which = static_cast<std::uint32_t>(random() % children.size());
        (void)children[which]->kill_and_wait();
        note_deaths(which);
        if (which >= kProducers) ++consumers_killed;
        if (random() % 3 == 0) region.sweep();
        // Whose place the next one takes: its index is used again at once.
        children[which] = std::make_unique<kit::Child>(start(which, i % 6 == 0));
    }
    notes().stop.store(1);
    for (std::uint32_t i = 0; i < kProducers; ++i) EXPECT_TRUE(children[i]->wait().ok());
    for (int k = 0; k < 2000; ++k) {  // until consumers find nothing any more
        const std::uint64_t got = notes().got.load();
        region.sweep();
        if (items->depth() == 0 && got == notes().got.load()) break;
        std::this_thread::yield();
    }
    notes().stop.store(2);
    for (std::uint32_t i = kProducers; i < children.size(); ++i) {
        const kit::Ending ending = children[i]->wait();
        EXPECT_TRUE(ending.ok() || ending.signal == SIGKILL);
        if (!ending.ok()) ++consumers_killed;  // in a take, by itself
    }
    // What is left: what came again while nobody looked.
    region.sweep();
    while (const Result<Message> got = items->try_receive()) {
        notes().times[got->sender][got->seq].fetch_add(1);
    }
    judge(consumers_killed);
    if (grows) return;
    // And it is whole: as many fit as ever.
    std::uint64_t sent = 0;
    while (items->try_send(message(0, sent))) ++sent;
    EXPECT_EQ(sent, 8U);
}

INSTANTIATE_TEST_SUITE_P(Capacities, BufferHistory, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Unbounded" : "Bounded"; });

}  // namespace
}  // namespace stoa
