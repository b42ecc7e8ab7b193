// Many mailboxes, several sets, many senders: no wake-up is lost.
//
// Without kills slices and the ticks of the sets are infinite, so that only rings wake: in
// each round a few messages are sent to mailboxes at random, and all of them must arrive before the
// next round. With kills and stops of senders and of sets, at the end of each phase whoever is
// stopped goes on, and all mailboxes must become empty.
// Budgets: STOA_WAIT_SECONDS for each test, STOA_WAIT_IDS mailboxes; the defaults end in seconds.
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;
using Numbers = Mailbox<std::uint64_t>;

constexpr std::uint32_t kSets = 3;
constexpr std::uint32_t kSenders = 4;
constexpr auto kPatience = 300s;  // an alarm: nothing here takes so long
constexpr auto kSleep = 60s;      // another: that long a set that has work does not sleep

std::uint32_t budget(const char* variable, std::uint32_t usual) {
    const char* text = std::getenv(variable);
    return text != nullptr ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : usual;
}

struct Notes {  // in shared memory
    Atomic<std::uint32_t> stop;
    Atomic<std::uint32_t> ready;              // children that have opened everything
    Atomic<std::uint64_t> allowed[kSenders];  // so many may be sent; UINT64_MAX: any number
    Atomic<std::uint64_t> sent[kSenders];
    Atomic<std::uint64_t> got[kSets];
    Atomic<std::uint64_t> wrong;
    // What each set is doing, for the report of a failure.
    Atomic<std::uint32_t> doing[kSets];
    Atomic<std::uint64_t> opened[kSets];
    Atomic<std::uint64_t> waits[kSets];
};

enum Doing : std::uint32_t { opens, adds, waits, calls, takes };
constexpr const char* kDoing[] = {"opens", "adds", "waits", "calls", "takes"};

// How long a process has waited for a processor. On a loaded machine that is most of the time in
// which a successor opens thousands of mailboxes, and says nothing of who sleeps too long.
std::chrono::nanoseconds starved(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/schedstat"};
    std::int64_t ran_ns = 0;
    std::int64_t starved_ns = 0;
    file >> ran_ns >> starved_ns;
    return std::chrono::nanoseconds{starved_ns};
}

std::string name_of(std::uint32_t id) {
    return "m" + std::to_string(id);
}

class WaitStress : public testing::Test {
protected:
    WaitStress() : memory_{sizeof(Notes)}, ids_{budget("STOA_WAIT_IDS", 96)} {
        rlimit files{};
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
        files.rlim_cur = files.rlim_max;  // each mailbox keeps its file open
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
        for (std::uint32_t id = 0; id < ids_; ++id) create(id);
    }
    ~WaitStress() override { g_wait_slice = kWaitSlice; }

    // Bells and lanes, by turns.
    static void create(std::uint32_t id) {
        constexpr Sharing kSharings[] = {Sharing::any, Sharing::single_receiver,
                                         Sharing::round_robin, Sharing::any};
        const MailboxOptions options{.capacity = bounded(4),
                                     .sharing = kSharings[id % 4],
                                     .acknowledged = id % 8 == 3,
                                     .reserve_bytes = 256,
                                     .loan_quota = 1,
                                     .role = Role::none};
        ASSERT_TRUE(Numbers::create(name_of(id), options)) << name_of(id);
    }
    // The role of a dead one is free as soon as somebody has swept it.
    static Numbers open(std::uint32_t id, Role role) {
        Result<Numbers> box = fail(Errc::in_use, "not opened yet");
        const auto is_open = [&] {
            box = Numbers::open(name_of(id), {.role = role, .domain = {}});
            return box ||
                   (box.error().code != Errc::in_use && box.error().code != Errc::no_free_place);
        };
        if (kit::wait_until(is_open, kPatience) && box) return std::move(*box);
        ADD_FAILURE() << name_of(id) << ": " << describe(box.error());
        std::abort();
    }
    [[nodiscard]] Notes& notes() const { return *reinterpret_cast<Notes*>(memory_.bytes().data()); }
    [[nodiscard]] bool stops() const { return notes().stop.load() != 0; }

    // Handles are opened when they are used first, so that a successor is at work at once.
    void send_until_stopped(std::uint32_t me) {
        std::mt19937 random{std::random_device{}()};
        std::vector<std::unique_ptr<Numbers>> out(ids_);
        notes().ready.fetch_add(1);
        std::uint64_t sent = 0;
        while (!stops()) {
            if (sent >= notes().allowed[me].load()) {
                static_cast<void>(kit::wait_until(
                    [&] { return stops() || sent < notes().allowed[me].load(); }, kPatience));
                continue;
            }
            const auto id = static_cast<std::uint32_t>(random() % ids_);
            if (out[id] == nullptr) out[id] = std::make_unique<Numbers>(open(id, Role::sends));
            // A full one is not waited for: its set may be dead.
            const Result<void> result = out[id]->try_send(id);
            if (!result && result.error().code == Errc::full) continue;
            if (!result) notes().wrong.fetch_add(1);
            notes().sent[me].store(++sent);
            for (auto pauses = random() % 500; pauses > 0; --pauses) cpu_pause();
        }
    }

    struct Mine {
        std::vector<Numbers> in;
        std::vector<std::uint32_t> ids;
        WaitSet set;
    };
    // Takes one, or all that is there.
    void take(std::uint32_t me, Mine& mine, std::size_t which, bool all) {
        do {
            std::uint64_t value = 0;
            const Result<void> got = mine.in[which].receive_into(value, Deadline::immediately());
            if (!got) return;
            if (value != mine.ids[which]) notes().wrong.fetch_add(1);
            notes().got[me].fetch_add(1);
        } while (all);
    }
    // Disturbs the marks that stand there for the set.
    void call_by_itself(std::uint32_t me, Mine& mine, std::mt19937& random) {
        const std::size_t which = random() % mine.in.size();
        std::uint64_t value = 0;
        const auto wait = std::chrono::microseconds{random() % 300};
        if (mine.in[which].receive_into(value, Deadline::after(wait))) {
            notes().got[me].fetch_add(1);
        }
    }

    // Set 0 takes one message at a time, set 1 all, set 2 sleeps in the loop of others.
    void wait_until_stopped(std::uint32_t me) {
        std::mt19937 random{std::random_device{}()};
        Mine mine{.in = {}, .ids = {}, .set = WaitSet::create().value()};
        notes().doing[me].store(opens);
        for (std::uint32_t id = me; id < ids_; id += kSets) {
            mine.ids.push_back(id);
            mine.in.push_back(open(id, Role::receives));
            notes().opened[me].store(mine.in.size());
        }
        notes().doing[me].store(adds);
        for (std::size_t i = 0; i < mine.in.size(); ++i) {
            mine.set.add(mine.in[i].readable(), i).value();
        }
        pollfd loop{.fd = me == 2 ? mine.set.fd().value() : -1, .events = POLLIN, .revents = 0};
        notes().ready.fetch_add(1);
        while (!stops()) {
            notes().doing[me].store(calls);
            if (me != 1 && random() % 8 == 0) call_by_itself(me, mine, random);
            notes().doing[me].store(waits);
            notes().waits[me].fetch_add(1);
            if (me == 2 && ::poll(&loop, 1, -1) < 0) continue;
            const Result<std::span<const Ready>> ready =
                me == 2 ? mine.set.try_wait() : mine.set.wait();
            if (!ready) {
                if (ready.error().code != Errc::empty) notes().wrong.fetch_add(1);
                continue;
            }
            notes().doing[me].store(takes);
            for (const Ready& one : *ready) take(me, mine, one.tag, me == 1);
        }
    }

    [[nodiscard]] kit::Child start(std::uint32_t who) {
        return kit::Child{[this, who] {
            who < kSets ? wait_until_stopped(who) : send_until_stopped(who - kSets);
        }};
    }
    [[nodiscard]] std::vector<kit::Child> start_all() {
        std::vector<kit::Child> children;
        for (std::uint32_t who = 0; who < kSets + kSenders; ++who) children.push_back(start(who));
        return children;
    }
    [[nodiscard]] std::uint64_t all_got() const {
        std::uint64_t sum = 0;
        for (const auto& got : notes().got) sum += got.load();
        return sum;
    }

    // As kit::wait_until, for what `who` is to do. What it and we wait for a processor does not
    // count.
    template <typename Condition>
    bool wait_patiently(Condition&& condition, const kit::Child& who) {
        const auto begin = std::chrono::steady_clock::now();
        const auto its_before = starved(who.pid());
        const auto ours_before = starved(::getpid());
        bool is_met = false;
        static_cast<void>(kit::wait_until(
            [&] {
                is_met = condition();
                const auto waited = std::chrono::steady_clock::now() - begin;
                const auto in_vain =
                    std::max(starved(who.pid()) - its_before, starved(::getpid()) - ours_before);
                if (is_met && waited > longest_) {
                    longest_ = waited;
                    longest_starved_ = in_vain;
                }
                return is_met || waited - in_vain > kSleep;
            },
            24h));
        return is_met;
    }
    // For the report of a failure: where each set is, and what waits where.
    [[nodiscard]] std::string state(const std::vector<kit::Child>& children,
                                    std::uint32_t id) const {
        std::string text =
            "mailbox " + std::to_string(id) + " of set " + std::to_string(id % kSets) + "\n";
        for (std::uint32_t set = 0; set < kSets; ++set) {
            text += "set " + std::to_string(set) + " (pid " + std::to_string(children[set].pid()) +
                    ") " + kDoing[notes().doing[set].load()] + ", opened " +
                    std::to_string(notes().opened[set].load()) + ", waits " +
                    std::to_string(notes().waits[set].load()) + ", got " +
                    std::to_string(notes().got[set].load()) + "\n";
        }
        const Result<MailboxFacts> facts = look_at_mailbox(name_of(id));
        if (!facts) return text + describe(facts.error());
        text += "depth " + std::to_string(facts->depth) + ", leased " +
                std::to_string(facts->leased) + ", loaned " + std::to_string(facts->loaned) + "\n";
        for (const Participant& one : facts->participants) {
            text += "  place " + std::to_string(one.index) + ": pid " +
                    std::to_string(one.identity.pid) + ", role " +
                    std::to_string(static_cast<std::uint32_t>(one.role)) + ", life " +
                    std::to_string(static_cast<int>(one.life)) + ", waits for " +
                    std::to_string(static_cast<int>(one.waits)) + "\n";
        }
        return text;
    }

    kit::TempDomain domain_;
    kit::TempRegion memory_;
    std::uint32_t ids_;
    std::chrono::nanoseconds longest_{};  // of the waits that ended well
    std::chrono::nanoseconds longest_starved_{};
};

TEST_F(WaitStress, NoWakeUpIsLostWithoutTicks) {
    g_wait_slice = 24h;
    std::vector<kit::Child> children = start_all();
    ASSERT_TRUE(
        kit::wait_until([&] { return notes().ready.load() == children.size(); }, kPatience));
    std::mt19937 random{std::random_device{}()};
    const Deadline end = Deadline::after(std::chrono::seconds{budget("STOA_WAIT_SECONDS", 3)});
    std::uint64_t expected = 0;
    std::uint64_t rounds = 0;
    for (; !end.passed(); ++rounds) {
        // Mostly single messages: the last one of a round has nobody after it to wake the set.
        const bool is_burst = random() % 64 == 0;
        for (auto& allowed : notes().allowed) {
            const std::uint64_t more = is_burst ? random() % 300 : random() % 3;
            expected += more;
            allowed.fetch_add(more);
        }
        ASSERT_TRUE(kit::wait_until([&] { return all_got() == expected; }, kPatience))
            << all_got() << " of " << expected << " in round " << rounds;
    }
    for (kit::Child& child : children) child.kill_and_wait();
    EXPECT_EQ(notes().wrong.load(), 0U);
    std::printf("%lu messages in %lu rounds\n", expected, rounds);
}

// allowed: function_length: one stress, from its beginning to its end
TEST_F(WaitStress, KilledAndStoppedSendersAndSetsLeaveNothingUnseen) {
    std::vector<kit::Child> children = start_all();
    std::mt19937 random{std::random_device{}()};
    std::uint64_t kills = 0;
    std::uint64_t stops = 0;
    std::uint64_t phases = 0;
    const Deadline end = Deadline::after(std::chrono::seconds{budget("STOA_WAIT_SECONDS", 3)});
    for (; !end.passed() || phases == 0; ++phases) {
        for (auto& allowed : notes().allowed) allowed.store(UINT64_MAX);
        std::vector<std::uint32_t> stopped;
        for (int blow = 0; blow < 10; ++blow) {
            const std::uint64_t before = all_got();
            ASSERT_TRUE(kit::wait_until([&] { return all_got() > before + 20; }, kPatience));
            const auto who = static_cast<std::uint32_t>(random() % children.size());
            const bool is_stopped = std::ranges::find(stopped, who) != stopped.end();
            // One sender and one set at least go on.
            if (random() % 3 == 0 && who >= kSets && stopped.size() < kSenders - 1) {
                if (is_stopped) continue;
                children[who].stop();
                stopped.push_back(who);
                ++stops;
                continue;
            }
            children[who].kill_and_wait();
            std::erase(stopped, who);
            std::destroy_at(&children[who]);
            std::construct_at(&children[who], start(who));
            ++kills;
        }
        for (auto& allowed : notes().allowed) allowed.store(0);
        for (const std::uint32_t who : stopped) children[who].resume();
        for (std::uint32_t id = 0; id < ids_; ++id) {
            Numbers looker = open(id, Role::none);
            std::byte bytes[8];
            const auto is_empty = [&] {
                const Result<std::size_t> there = looker.raw().peek(bytes);
                return !there && there.error().code == Errc::empty;
            };
            ASSERT_TRUE(wait_patiently(is_empty, children[id % kSets])) << state(children, id);
        }
    }
    for (kit::Child& child : children) child.kill_and_wait();
    EXPECT_EQ(notes().wrong.load(), 0U);
    std::printf("%lu messages, %lu phases, %lu kills, %lu stops\n", all_got(), phases, kills,
                stops);
    std::printf("the longest wait %.2f s, %.2f s of it for a processor\n",
                std::chrono::duration<double>(longest_).count(),
                std::chrono::duration<double>(longest_starved_).count());
}

}  // namespace
}  // namespace stoa
