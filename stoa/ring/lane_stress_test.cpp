// Random records through a lane: against a deque, between threads, and between processes that are
// killed at random moments. More of it: STOA_LANE_RECORDS=50000000 STOA_LANE_KILLS=20000.
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "stoa/ring/lane.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

constexpr std::uint64_t kMaxBytes = 1200;
constexpr LaneGeometry kGeometry{.ring_bytes = 8192, .max_record_bytes = kMaxBytes};

std::uint64_t from_environment(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 33U) * 0xff51afd7ed558ccdU;
    x = (x ^ x >> 33U) * 0xc4ceb9fe1a85ec53U;
    return x ^ x >> 33U;
}

// Length and bytes of record number n follow from n. The payload is n, then words that look like
// ready words of short records: an old one read as a head would be believed.
std::uint64_t length_of(std::uint64_t number) {
    const std::uint64_t x = mix(number);
    if (x % 4 == 0) return 8;
    return 8 + x / 4 % (x % 4 == 1 ? kMaxBytes - 7 : 60);
}
std::uint64_t phantom(std::uint64_t number, std::uint64_t at) {
    return LaneWord::make(LaneKind::record, mix(number + at) % 200);
}
void fill(std::span<std::byte> payload, std::uint64_t number) {
    std::memcpy(payload.data(), &number, 8);
    std::uint64_t at = 8;
    for (; at + 8 <= payload.size(); at += 8) {
        const std::uint64_t word = phantom(number, at);
        std::memcpy(&payload[at], &word, 8);
    }
    for (; at < payload.size(); ++at) payload[at] = static_cast<std::byte>(number + at);
}
bool is_record(std::span<const std::byte> payload, std::uint64_t number) {
    std::uint64_t word = 0;
    if (payload.size() != length_of(number)) return false;
    std::memcpy(&word, payload.data(), 8);
    std::uint64_t wrong = word ^ number;
    std::uint64_t at = 8;
    for (; at + 8 <= payload.size(); at += 8) {
        std::memcpy(&word, &payload[at], 8);
        wrong |= word ^ phantom(number, at);
    }
    for (; at < payload.size(); ++at) {
        wrong |= static_cast<std::uint64_t>(payload[at] ^ static_cast<std::byte>(number + at));
    }
    return wrong == 0;
}

using Random = std::mt19937_64;

// Sends record after record by every way that the lane has. `between` runs while the lane is full;
// `on_attempt` before records [from, to] may appear, `on_sent` when they are published.
template <typename Between, typename OnAttempt, typename OnSent>
class Feeder {
public:
    Feeder(LaneSender& sender, Random random, Between between, OnAttempt on_attempt, OnSent on_sent)
        : sender_{sender},
          random_{random},
          between_{between},
          on_attempt_{on_attempt},
          on_sent_{on_sent} {}

    // Sends at least record `next`; returns the number behind the last one that it sent.
    std::uint64_t send_some(std::uint64_t next) {
        const std::uint64_t way = random_() % 8;
        if (way == 0) return send_batch(next, 1 + random_() % 12);
        on_attempt_(next, next);
        const std::uint64_t bytes = length_of(next);
        if (way < 4) {
            std::array<std::byte, kMaxBytes> payload;
            fill({payload.data(), bytes}, next);
            until_sent([&] {
                return bytes == 8 ? sender_.template try_send<8>(payload.data())
                                  : sender_.try_send({payload.data(), bytes});
            });
        } else {
            const std::uint64_t reserved = way == 4 ? kMaxBytes : bytes;
            std::span<std::byte> loan;
            until_sent([&] { return sender_.try_reserve(reserved, loan, 16U << way % 3); });
            fill(loan, next + 1);
            if (way == 5) {
                sender_.abandon();
                until_sent([&] { return sender_.try_reserve(bytes, loan); });
            }
            fill(loan.first(bytes), next);
            sender_.commit(bytes);
        }
        on_sent_(next);
        return next + 1;
    }

private:
    std::uint64_t send_batch(std::uint64_t next, std::uint64_t count) {
        LaneBatch batch{sender_};
        std::array<std::byte, kMaxBytes> payload;
        std::uint64_t end = next;
        while (end < next + count) {
            const std::uint64_t bytes = length_of(end);
            fill({payload.data(), bytes}, end);
            const LaneSend appended = batch.try_append({payload.data(), bytes});
            if (appended == LaneSend::ok) {
                ++end;
                continue;
            }
            EXPECT_EQ(appended, LaneSend::full);
            publish(batch, next, end);
            count -= end - next;
            next = end;
            between_();
        }
        if (random_() % 4 == 0) {
            batch.discard();
            end = next;
        }
        publish(batch, next, end);
        return end;
    }
    void publish(LaneBatch& batch, std::uint64_t from, std::uint64_t end) {
        if (from != end) on_attempt_(from, end - 1);
        batch.publish();
        if (from != end) on_sent_(end - 1);
    }
    template <typename Try>
    void until_sent(Try&& attempt) {
        LaneSend sent = attempt();
        for (; sent == LaneSend::full; sent = attempt()) between_();
        EXPECT_EQ(sent, LaneSend::ok);
    }

    LaneSender& sender_;
    Random random_;
    Between between_;
    OnAttempt on_attempt_;
    OnSent on_sent_;
};

// Receives by every way, keeps up to three loans at a time and looks at them again before it lets
// them go. `on_number` gets each record's number when it is delivered, and says whether it is due.
class Eater {
public:
    Eater(LaneReceiver& receiver, Random random, bool eats_several = true)
        : receiver_{receiver}, random_{random}, eats_several_{eats_several} {}

    template <typename OnNumber>
    LaneTake receive_one(OnNumber&& on_number) {
        const std::uint64_t way = random_() % 8;
        if (way == 0 && eats_several_) {
            std::array<std::uint64_t, 5> numbers{};
            std::uint64_t count = 0;
            const LaneTake taken = receiver_.try_receive_all<8>(numbers.data(), 5, count);
            for (std::uint64_t i = 0; i < count; ++i) {
                if (length_of(numbers.at(i)) != 8 || !on_number(numbers.at(i))) {
                    return LaneTake::corrupt;
                }
            }
            if (taken != LaneTake::wrong_size) return taken;
        } else if (way < 3) {
            std::uint64_t number = 0;
            const LaneTake taken = receiver_.try_receive<8>(&number);
            if (taken == LaneTake::ok && !(length_of(number) == 8 && on_number(number))) {
                return LaneTake::corrupt;
            }
            if (taken != LaneTake::wrong_size) return taken;
        }
        LaneRecord record;
        const LaneTake taken = receiver_.try_take(record);
        if (taken == LaneTake::empty && !let_one_go()) return LaneTake::corrupt;  // or both wait
        if (taken != LaneTake::ok) return taken;
        std::uint64_t number = 0;
        if (record.payload.size() < 8) return LaneTake::corrupt;
        std::memcpy(&number, record.payload.data(), 8);
        if (!is_record(record.payload, number) || !on_number(number)) return LaneTake::corrupt;
        kept_.push_back({record, number});
        while (kept_.size() > random_() % 4) {
            if (!let_one_go()) return LaneTake::corrupt;
        }
        return LaneTake::ok;
    }
    [[nodiscard]] bool let_one_go() {
        if (kept_.empty()) return true;
        const std::size_t which = random_() % kept_.size();
        const Kept kept = kept_[which];
        kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(which));
        const bool whole = is_record(kept.record.payload, kept.number);
        receiver_.release(kept.record);
        return whole;
    }

private:
    struct Kept {
        LaneRecord record;
        std::uint64_t number;
    };
    LaneReceiver& receiver_;
    Random random_;
    bool eats_several_;
    std::vector<Kept> kept_;
};

TEST(LaneStress, BehavesLikeADequeAlsoOverHeirs) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        kit::TempRegion region{kGeometry.bytes_needed()};
        ASSERT_TRUE(create_lane(region.bytes(), kGeometry));
        Random random{seed};
        std::deque<std::uint64_t> oracle;
        std::uint64_t next = 1;
        std::uint64_t pushed = 0;
        auto sender = std::make_unique<LaneSender>(LaneSender::attach(region.bytes()).value());
        auto receiver =
            std::make_unique<LaneReceiver>(LaneReceiver::attach(region.bytes()).value());
        auto eater = std::make_unique<Eater>(*receiver, Random{random()});
        const auto eat = [&] {
            const LaneTake taken = eater->receive_one([&](std::uint64_t number) {
                const bool due = !oracle.empty() && oracle.front() == number;
                if (due) oracle.pop_front();
                return due;
            });
            ASSERT_EQ(taken,
                      oracle.empty() && taken != LaneTake::ok ? LaneTake::empty : LaneTake::ok);
        };
        for (int step = 0; step < 3000; ++step) {
            const std::uint64_t dice = random() % 100;
            if (dice < 48) {
                const auto make_room = [&] {
                    eat();
                    ASSERT_TRUE(eater->let_one_go());
                };
                Feeder feeder{*sender, Random{random()}, make_room,
                              [](std::uint64_t, std::uint64_t) {},
                              [&](std::uint64_t last) {
                                  while (pushed < last) oracle.push_back(++pushed);
                              }};
                next = feeder.send_some(next);
            } else if (dice < 96) {
                eat();
            } else if (dice < 98) {
                sender = std::make_unique<LaneSender>(LaneSender::attach(region.bytes()).value());
                ASSERT_EQ(sender->drained(), oracle.empty());
            } else {
                receiver =
                    std::make_unique<LaneReceiver>(LaneReceiver::attach(region.bytes()).value());
                eater = std::make_unique<Eater>(*receiver, Random{random()});
            }
            if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
        }
    }
}

TEST(LaneStress, CarriesRandomRecordsBetweenTwoThreads) {
    const std::uint64_t records = from_environment("STOA_LANE_RECORDS", 100'000);
    kit::TempRegion region{kGeometry.bytes_needed()};
    ASSERT_TRUE(create_lane(region.bytes(), kGeometry));
    LaneSender sender = LaneSender::attach(region.bytes()).value();
    LaneReceiver receiver = LaneReceiver::attach(region.bytes()).value();
    struct ReceiverGaveUp {};
    Atomic<bool> gave_up{false};
    const auto wait_for_room = [&] {
        if (gave_up.load()) throw ReceiverGaveUp{};
        sched_yield();
    };
    std::thread sending{[&] {
        Feeder feeder{sender, Random{7}, wait_for_room, [](std::uint64_t, std::uint64_t) {},
                      [](std::uint64_t) {}};
        try {
            for (std::uint64_t next = 1; next <= records;) next = feeder.send_some(next);
            sender.close();
        } catch (const ReceiverGaveUp&) {
        }
    }};
    Eater eater{receiver, Random{8}};
    std::uint64_t last = 0;
    LaneTake taken = LaneTake::empty;
    while (true) {
        taken = eater.receive_one(
            [&](std::uint64_t number) { return number == std::exchange(last, number) + 1; });
        if (taken == LaneTake::empty) sched_yield();
        if (taken != LaneTake::ok && taken != LaneTake::empty) break;
    }
    gave_up.store(true);
    EXPECT_EQ(taken, LaneTake::end_of_stream) << "after " << last;
    EXPECT_GE(last, records);
    sending.join();
}

// --- kills -----------------------------------------------------------------------------------

// What the processes know of each other beside the lane.
struct Ledger {
    struct Range {  // records that a dead sender may or may not have published, all or none
        Atomic<std::uint64_t> from;
        Atomic<std::uint64_t> to;
    };
    alignas(64) Atomic<std::uint64_t> attempt_from;
    Atomic<std::uint64_t> attempt_to;
    alignas(64) Atomic<std::uint64_t> sent;
    alignas(64) Atomic<std::uint64_t> received;
    alignas(64) Atomic<std::uint64_t> wrong;  // number of the first wrong record
    Atomic<std::uint64_t> silent_deaths;      // of receivers, since one wrote a record down
    Atomic<std::uint32_t> stop;
    Atomic<std::uint64_t> uncertain_count;
    static constexpr std::uint64_t kMaxUncertain = 1U << 16U;
    std::array<Range, kMaxUncertain> uncertain;
};

void feed_until_told(std::span<std::byte> memory, Ledger& ledger, std::uint64_t seed) {
    LaneSender sender = LaneSender::attach(memory).value();
    std::uint64_t next = std::max(ledger.attempt_to.load(), ledger.sent.load()) + 1;
    Feeder feeder{sender, Random{seed}, [] { sched_yield(); },
                  [&](std::uint64_t from, std::uint64_t to) {
                      ledger.attempt_from.store(from);
                      ledger.attempt_to.store(to);
                  },
                  [&](std::uint64_t last) { ledger.sent.store(last); }};
    while (ledger.stop.load() == 0) next = feeder.send_some(next);
    sender.close();
}

// Whether `number` may follow `last`: behind it, or behind ranges that a dead sender took along,
// or, for an heir, behind a record of each dead one before it that was delivered to it and not
// written down.
bool may_follow(const Ledger& ledger, std::uint64_t last, std::uint64_t number,
                std::uint64_t silent) {
    std::uint64_t due = last + 1;
    while (due < number) {
        const std::uint64_t count = ledger.uncertain_count.load();
        std::uint64_t skip_to = 0;
        for (std::uint64_t i = count; i > 0 && skip_to == 0; --i) {
            const Ledger::Range& range = ledger.uncertain[i - 1];
            if (range.from.load() == due) skip_to = range.to.load() + 1;
        }
        if (skip_to == 0 && silent-- == 0) return false;
        due = skip_to != 0 ? skip_to : due + 1;
    }
    return due == number;
}

void eat_until_told(std::span<std::byte> memory, Ledger& ledger, std::uint64_t seed) {
    LaneReceiver receiver = LaneReceiver::attach(memory).value();
    // One at a time, or its heir could not tell how many were delivered and not written down.
    Eater eater{receiver, Random{seed}, false};
    std::uint64_t silent = ledger.silent_deaths.load();
    while (true) {
        std::uint64_t seen = 0;
        const LaneTake taken = eater.receive_one([&](std::uint64_t number) {
            seen = number;
            const bool due = may_follow(ledger, ledger.received.load(), number, silent);
            if (due) ledger.received.store(number);
            ledger.silent_deaths.store(0);
            silent = 0;
            return due;
        });
        if (taken == LaneTake::empty) sched_yield();
        if (taken == LaneTake::end_of_stream) return;
        if (taken != LaneTake::ok && taken != LaneTake::empty) {
            ledger.wrong.store(seen != 0 ? seen : ledger.received.load() + 1);
            return;
        }
    }
}

// Called while no sender lives.
void note_uncertain(Ledger& ledger) {
    if (ledger.attempt_to.load() <= ledger.sent.load()) return;
    const std::uint64_t index = ledger.uncertain_count.load();
    ASSERT_LT(index, Ledger::kMaxUncertain);
    ledger.uncertain[index].from.store(ledger.attempt_from.load());
    ledger.uncertain[index].to.store(ledger.attempt_to.load());
    ledger.uncertain_count.store(index + 1);
}

TEST(LaneStress, SurvivesRandomKillsOfBothSides) {
    const std::uint64_t kills = from_environment("STOA_LANE_KILLS", 800);
    kit::TempRegion region{kGeometry.bytes_needed()};
    kit::TempRegion ledger_region{sizeof(Ledger)};
    ASSERT_TRUE(create_lane(region.bytes(), kGeometry));
    Ledger& ledger = *new (ledger_region.bytes().data()) Ledger{};
    std::uint64_t seed = 0;
    const auto start_sender = [&] {
        return std::make_unique<kit::Child>(
            [&, seed = ++seed] { feed_until_told(region.bytes(), ledger, seed); });
    };
    const auto start_receiver = [&] {
        return std::make_unique<kit::Child>(
            [&, seed = ++seed] { eat_until_told(region.bytes(), ledger, seed); });
    };
    std::unique_ptr<kit::Child> sender = start_sender();
    std::unique_ptr<kit::Child> receiver = start_receiver();
    Random random{from_environment("STOA_SEED", 20'240'229)};
    for (std::uint64_t kill = 0; kill < kills && ledger.wrong.load() == 0; ++kill) {
        // allowed: sleep: when to kill is a throw of the dice, nothing waits for it
        std::this_thread::sleep_for(std::chrono::microseconds{100 + random() % 600});
        if (random() % 3 == 0) {
            receiver->kill_and_wait();
            ledger.silent_deaths.fetch_add(1);
            receiver = start_receiver();
        } else {
            sender->kill_and_wait();
            note_uncertain(ledger);
            sender = start_sender();
        }
    }
    ledger.stop.store(1);
    if (ledger.wrong.load() == 0) {
        EXPECT_TRUE(sender->wait().ok());
        EXPECT_TRUE(receiver->wait().ok());
    }
    EXPECT_EQ(ledger.wrong.load(), 0U) << "a wrong record, after " << ledger.received.load();
    EXPECT_EQ(ledger.received.load(), ledger.sent.load()) << "lost at the end";
    RecordProperty("records", std::to_string(ledger.received.load()));
    RecordProperty("kills", std::to_string(kills));
    RecordProperty("inside_a_send", std::to_string(ledger.uncertain_count.load()));
    std::printf("%llu kills, %llu inside a send, %llu records\n",
                static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(ledger.uncertain_count.load()),
                static_cast<unsigned long long>(ledger.received.load()));
}

}  // namespace
}  // namespace stoa
