// Conditions, barriers, semaphores and events, each driven by a random schedule and compared, call
// by call, with a model that is a few lines of sequential code.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "stoa/sync/barrier.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/condition.hpp"
#include "stoa/sync/event.hpp"
#include "stoa/sync/latch.hpp"
#include "stoa/sync/semaphore.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr int kSteps = 20'000;

class Schedules : public testing::TestWithParam<unsigned> {
protected:
    Schedules() { g_wait_slice = 24h; }
    ~Schedules() override { g_wait_slice = kWaitSlice; }

    unsigned any(unsigned below) {
        return std::uniform_int_distribution<unsigned>{0, below - 1}(random_);
    }
    std::mt19937 random_{GetParam()};
};

TEST_P(Schedules, SemaphoreSaysWhatItsModelSays) {
    Semaphore<3> permits;
    SignalSemaphore posts;
    std::uint32_t held = 0;
    std::uint32_t posted = 0;
    for (int i = 0; i < kSteps; ++i) {
        switch (any(5)) {
            case 0: ASSERT_EQ(permits.try_acquire().has_value(), held < 3 && ++held != 0); break;
            case 1: ASSERT_EQ(permits.release().has_value(), held > 0 && held-- != 0); break;
            case 2: ASSERT_EQ(posts.try_wait().has_value(), posted > 0 && posted-- != 0); break;
            case 3: {
                const std::uint32_t more = any(3);
                posts.post(more);
                posted += more;
                ASSERT_EQ(posts.posted(), posted);
                break;
            }
            default: ASSERT_EQ(permits.free(), 3 - held); break;
        }
    }
}

TEST_P(Schedules, EventSaysWhatItsModelSays) {
    Event by_hand;
    Event alone{Reset::automatic};
    bool is_set = false;
    bool is_set_alone = false;
    for (int i = 0; i < kSteps; ++i) {
        switch (any(6)) {
            case 0: by_hand.set(), is_set = true; break;
            case 1: by_hand.reset(), is_set = false; break;
            case 2: ASSERT_EQ(by_hand.try_wait().has_value(), is_set); break;
            case 3: alone.set(), is_set_alone = true; break;
            case 4: alone.reset(), is_set_alone = false; break;
            default:
                ASSERT_EQ(alone.try_wait().has_value(), is_set_alone);
                is_set_alone = false;
                break;
        }
        ASSERT_EQ(by_hand.is_set(), is_set);
        ASSERT_EQ(alone.is_set(), is_set_alone);
    }
}

// One process with several memberships, of which only their number matters.
TEST_P(Schedules, BarrierSaysWhatItsModelSays) {
    constexpr std::uint32_t kMost = 4;
    Barrier<kMost> barrier{2};
    std::uint32_t members = 0;   // who have come
    std::uint32_t expected = 2;  // and who have not
    std::uint32_t arrived = 0;
    std::uint32_t phase = 0;
    const auto end_phase = [&] {
        if (expected != 0 || arrived != members) return;
        ++phase;
        arrived = 0;
    };
    for (int i = 0; i < kSteps; ++i) {
        switch (any(8)) {
            case 0: {
                const bool fits = members + expected < kMost || expected > 0;
                ASSERT_EQ(barrier.join().has_value(), fits);
                if (fits) ++members;
                if (fits && expected > 0) --expected;
                break;
            }
            case 1: {  // the last one stays, or nothing would go on
                if (members - arrived + expected == 0 || members + expected < 2) break;
                ASSERT_TRUE(barrier.arrive_and_drop());
                members > arrived ? --members : --expected;
                end_phase();
                break;
            }
            case 2: ASSERT_EQ(barrier.try_wait(phase).error().code, Errc::empty); break;
            default: {
                const Result<std::uint32_t> got = barrier.arrive();
                ASSERT_EQ(got.has_value(), members > arrived || expected > 0);
                if (!got) break;
                ASSERT_EQ(*got, phase);
                if (members == arrived) --expected, ++members;
                ++arrived;
                end_phase();
                ASSERT_EQ(barrier.try_wait(*got).has_value(), phase != *got);
                break;
            }
        }
        ASSERT_EQ(barrier.phase(), phase);
    }
}

// The model: who waits. A notification of one lets one of them go on, one of all lets all; nobody
// goes on for nothing.
class ConditionSchedule {
public:
    void come(std::size_t who) {
        waiters_[who].emplace([this, who] {
            lock_.hold().value();
            came_.fetch_add(1);
            if (changed_.wait(lock_).value() != Held::clean) std::abort();
            gone_on_[who].store(true);
            went_.fetch_add(1);
            lock_.unlock();
        });
        ++wanted_;
        // Once it holds the lock no more, it is counted in.
        ASSERT_TRUE(kit::wait_until([&] { return came_.load() == wanted_; }));
        lock_.hold().value();
        lock_.unlock();
        model_.push_back(who);
    }
    void notify_one() {
        changed_.notify_one();
        if (!model_.empty()) settle(1);
    }
    void notify_all() {
        changed_.notify_all();
        settle(model_.size());
    }
    [[nodiscard]] std::optional<std::size_t> somebody_away() const {
        for (std::size_t i = 0; i < waiters_.size(); ++i) {
            if (!waiters_[i]) return i;
        }
        return std::nullopt;
    }

private:
    // So many of those who wait go on, and no more.
    void settle(std::size_t count) {
        expected_ += count;
        ASSERT_TRUE(kit::wait_until([&] { return went_.load() >= expected_; }));
        for (std::size_t i = 0; i < waiters_.size(); ++i) {
            if (!waiters_[i] || !gone_on_[i].load()) continue;
            waiters_[i]->join();
            waiters_[i].reset();
            gone_on_[i].store(false);
            ASSERT_EQ(std::erase(model_, i), 1U);
        }
        ASSERT_EQ(went_.load(), expected_);
    }

    Mutex lock_;
    Condition changed_;
    std::array<std::optional<std::jthread>, 4> waiters_;
    std::array<std::atomic<bool>, 4> gone_on_{};
    std::atomic<std::size_t> came_{0};
    std::atomic<std::size_t> went_{0};
    std::size_t wanted_ = 0;
    std::size_t expected_ = 0;
    std::deque<std::size_t> model_;
};

TEST_P(Schedules, ConditionSaysWhatItsModelSays) {
    ConditionSchedule schedule;
    for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
        const unsigned what = any(8);
        const auto away = schedule.somebody_away();
        if (what < 5 && away) {
            schedule.come(*away);
        } else if (what < 7) {
            schedule.notify_one();
        } else {
            schedule.notify_all();
        }
    }
    schedule.notify_all();
}

INSTANTIATE_TEST_SUITE_P(Seeds, Schedules, testing::Range(1U, 6U));

}  // namespace
}  // namespace stoa
