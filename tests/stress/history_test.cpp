// Senders and receivers are killed at random moments while they work; at the end the history of
// every message is judged. What a killed process had done is known from two words it wrote to
// shared memory around each call, so every message is in one of these classes:
//   sent: the send returned ok        maybe: its sender died inside the call
//   got:  a receiver noted it         taken away: its receiver died between delivery and the note
// Plain mode: every sent message is got exactly once, but for at most one per killed receiver (and
// what it held). Acknowledged mode: every sent message is acked; one may be noted twice only when
// its receiver died between the note and the ack, and then the second is marked. Nothing unexpected
// is ever got, payloads are whole, and first deliveries of one sender and priority are in order at
// each receiver. A killed sender's successor is another sender: its numbers go on, its order begins
// anew. key_affine: what is sent under one key while its receiver lives goes to no other one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/memfd.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMaxSenders = 3;
constexpr std::uint32_t kMaxChildren = 8;
constexpr std::uint32_t kKeys = 16;
constexpr std::uint64_t kMaxPerSender = 24'000'000;

std::uint64_t budget(const char* variable, std::uint64_t usual) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : usual;
}

struct SenderNote {
    alignas(kCacheLine) Atomic<std::uint64_t> attempt;  // stored before the call
    Atomic<std::uint64_t> ok;                           // stored after it returned
};

struct Notes {  // in shared memory
    Atomic<std::uint32_t> stop;
    Atomic<std::uint64_t> got;     // notes of receivers
    Atomic<std::uint64_t> broken;  // torn, unexpected or out of order
    Atomic<std::uint64_t> redelivered;
    Atomic<std::uint64_t> astray;  // of a key that a living receiver has
    SenderNote senders[kMaxSenders];
    Atomic<std::uint64_t> lives[kMaxChildren];  // counted up before a child is killed
    Atomic<std::uint64_t> has_key[kKeys];       // child + 1 | life << 8: who got it last
    Atomic<std::uint8_t> times[kMaxSenders][kMaxPerSender];  // how often a message was noted
    Atomic<std::uint8_t> maybe[kMaxSenders][kMaxPerSender];  // its sender died in the call
};

struct Header {
    std::uint64_t seq;
    std::uint32_t sender;
    std::uint32_t length;
    std::uint32_t life;  // pid of the sending process
    std::uint32_t unused;
    std::uint64_t sent_ns;  // before the call
};

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(Deadline::Clock::now().time_since_epoch().count());
}

std::uint64_t mix(std::uint64_t x) {
    x ^= x >> 33U;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33U;
    return x;
}

std::uint32_t length_of(std::uint32_t sender, std::uint64_t seq) {
    const std::uint64_t x = mix(seq * 8 + sender);
    return static_cast<std::uint32_t>(sizeof(Header) + (x % 8 == 0 ? x / 8 % 3000 : x / 8 % 60));
}

void fill(std::span<std::byte> room, std::uint32_t sender, std::uint64_t seq) {
    const Header header{
        seq, sender,  static_cast<std::uint32_t>(room.size()), static_cast<std::uint32_t>(getpid()),
        0,   now_ns()};
    std::memcpy(room.data(), &header, sizeof header);
    const std::uint64_t x = mix(seq + sender);
    for (std::size_t i = sizeof header; i < room.size(); ++i) {
        room[i] = static_cast<std::byte>(x + i);
    }
}

bool whole(Bytes bytes, Header& header) {
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.sender >= kMaxSenders || header.seq >= kMaxPerSender ||
        header.length != bytes.size() || header.length != length_of(header.sender, header.seq)) {
        return false;
    }
    const std::uint64_t x = mix(header.seq + header.sender);
    for (std::size_t i = sizeof header; i < bytes.size(); ++i) {
        if (bytes[i] != static_cast<std::byte>(x + i)) return false;
    }
    return true;
}

struct Kind {
    Sharing sharing;
    bool acknowledged;
    std::uint32_t senders;
    std::uint32_t receivers;
    std::uint32_t priorities = 1;
    bool unbounded = false;  // small segments: it grows and shrinks all the time
};

class History : public testing::TestWithParam<Kind> {
protected:
    History() : memory_{sizeof(Notes)} {}

    [[nodiscard]] Notes& notes() const { return *reinterpret_cast<Notes*>(memory_.bytes().data()); }
    [[nodiscard]] RawMailbox attach(Role role) const {
        for (;;) {  // the role of a dead one is free as soon as somebody has swept it
            Result<RawMailbox> box =
                RawMailbox::attach(sys::duplicate(file_).value(), {.role = role});
            if (box || box.error().code != Errc::in_use) return std::move(box).value();
        }
    }

    void send_until_stopped(std::uint32_t me) {
        RawMailbox out = attach(Role::sends);
        SenderNote& note = notes().senders[me];
        for (std::uint64_t seq = note.attempt.load() + 1; seq < kMaxPerSender; ++seq) {
            if (notes().stop.load() != 0) return;
            note.attempt.store(seq);
            send(out, me, seq);
            note.ok.store(seq);
        }
    }

    // A loan does not know its key yet, so that a key needs a copy.
    void send(RawMailbox& out, std::uint32_t me, std::uint64_t seq) const {
        const SendOptions how{.priority = static_cast<std::uint32_t>(seq % GetParam().priorities),
                              .key = GetParam().sharing == Sharing::key_affine ? seq % kKeys : 0};
        const std::uint32_t length = length_of(me, seq);
        if (GetParam().sharing == Sharing::key_affine) {
            std::array<std::byte, 4096> bytes{};
            fill(std::span{bytes}.first(length), me, seq);
            out.send(Bytes{bytes}.first(length), how).value();
            return;
        }
        Result<RawLoan> loan = out.loan(length);
        while (at_quota(loan)) loan = out.loan(length);
        fill(loan.value().room().first(length), me, seq);
        Result<void> sent = loan->commit(length, Deadline::never(), how);
        while (at_quota(sent)) sent = loan->commit(length, Deadline::never(), how);
        sent.value();
    }

    // The receivers are behind: a little later it may grow again.
    template <typename T>
    static bool at_quota(const Result<T>& result) {
        if (result || result.error().code != Errc::quota_reached) return false;
        std::this_thread::yield();
        return true;
    }

    // A first delivery of what was sent since this receiver is there.
    void note_key(const Header& header, std::uint32_t me, std::uint64_t life) {
        const std::uint64_t mine = (me + 1) | life << 8U;
        const std::uint64_t before = notes().has_key[header.seq % kKeys].exchange(mine);
        if (before == 0 || before == mine) return;
        const auto other = static_cast<std::uint32_t>(before & 0xffU) - 1;
        if (notes().lives[other].load() == before >> 8U) notes().astray.fetch_add(1);
    }

    void receive_for_ever(std::uint32_t me) {
        const std::uint64_t life = notes().lives[me].load();
        RawMailbox in = attach(Role::receives);
        const std::uint64_t since_ns = now_ns();
        const Kind kind = GetParam();
        // By the life of its sender and the priority.
        std::unordered_map<std::uint64_t, std::uint64_t> last;
        for (;;) {
            Result<RawMessage> message = in.receive();
            if (!message) continue;
            Header header{};
            if (!whole(message->bytes(), header)) {
                notes().broken.fetch_add(1);
                continue;
            }
            if (message->redelivered()) {
                notes().redelivered.fetch_add(1);
            } else {
                std::uint64_t& before = last[header.life | header.seq % kind.priorities << 32U];
                if (header.seq <= before) notes().broken.fetch_add(1);
                before = header.seq;
                const bool keyed = kind.sharing == Sharing::key_affine;
                if (keyed && header.sent_ns > since_ns) note_key(header, me, life);
            }
            notes().times[header.sender][header.seq].fetch_add(1);
            notes().got.fetch_add(1);
            if (!message->ack()) notes().broken.fetch_add(1);
        }
    }

    [[nodiscard]] kit::Child start(std::uint32_t who) {
        const Kind kind = GetParam();
        return kit::Child{[this, who, kind] {
            who < kind.senders ? send_until_stopped(who) : receive_for_ever(who);
        }};
    }
    void note_death(std::uint32_t who) {
        if (who >= GetParam().senders) return;
        const SenderNote& note = notes().senders[who];
        if (note.attempt.load() != note.ok.load()) {
            notes().maybe[who][note.attempt.load()].store(1);
        }
    }

    kit::TempRegion memory_;
    sys::Fd file_;
};

// allowed: function_length: one history, from its beginning to its end
TEST_P(History, EveryMessageIsReturnedOnceAlthoughProcessesAreKilled) {
    const Kind kind = GetParam();
    const std::uint64_t messages = budget("STOA_STRESS_MESSAGES", 100'000);
    const std::uint64_t kills = budget("STOA_STRESS_KILLS", 60);
    {
        MailboxOptions options{.capacity = kind.unbounded ? unbounded(4U << 20U) : bounded(64),
                               .sharing = kind.sharing,
                               .acknowledged = kind.acknowledged,
                               .priorities = kind.priorities,
                               .max_bytes = 4096,
                               .role = Role::none};
        if (kind.unbounded) options.reserve_bytes = 8192;
        const RawMailbox box = RawMailbox::create_anonymous(options).value();
        file_ = sys::duplicate(box.file()).value();
    }
    std::vector<kit::Child> children;
    for (std::uint32_t who = 0; who < kind.senders + kind.receivers; ++who) {
        children.push_back(start(who));
    }
    std::mt19937_64 random{std::random_device{}()};
    std::array<std::uint64_t, 2> killed{};  // senders, receivers
    const auto sent = [&] {
        std::uint64_t sum = 0;
        for (const SenderNote& note : notes().senders) sum += note.ok.load();
        return sum;
    };
    // Kills are spread over the messages, so that each hits a busy mailbox.
    for (std::uint64_t kill = 0; kill < kills; ++kill) {
        const std::uint64_t due = (kill + 1) * messages / (kills + 1);
        ASSERT_TRUE(kit::wait_until([&] { return sent() >= due; }, 120s)) << "stuck at " << sent();
        const auto who = static_cast<std::uint32_t>(random() % children.size());
        notes().lives[who].fetch_add(1);
        children[who].kill_and_wait();
        note_death(who);
        ++killed[who < kind.senders ? 0 : 1];
        std::destroy_at(&children[who]);
        std::construct_at(&children[who], start(who));
    }
    ASSERT_TRUE(kit::wait_until([&] { return sent() >= messages; }, 600s)) << sent();
    notes().stop.store(1);
    for (std::uint32_t who = 0; who < kind.senders; ++who) EXPECT_TRUE(children[who].wait().ok());
    // Drained when nothing more is noted and nothing waits.
    std::uint64_t before = UINT64_MAX;
    ASSERT_TRUE(kit::wait_until(
        [&] {
            const std::uint64_t now = notes().got.load();
            const bool still = now == before;
            before = now;
            // allowed: sleep: more than a slice, so that what a death left comes back meanwhile
            if (!still) std::this_thread::sleep_for(300ms);
            return still;
        },
        120s));
    for (std::uint32_t who = kind.senders; who < children.size(); ++who) {
        children[who].kill_and_wait();
    }

    EXPECT_EQ(notes().broken.load(), 0U);
    EXPECT_EQ(notes().astray.load(), 0U);
    std::uint64_t missing = 0;
    std::uint64_t twice = 0;
    std::uint64_t phantoms = 0;
    for (std::uint32_t s = 0; s < kind.senders; ++s) {
        const std::uint64_t end = notes().senders[s].attempt.load();
        for (std::uint64_t seq = 1; seq <= end; ++seq) {
            const unsigned times = notes().times[s][seq].load();
            if (times == 0 && notes().maybe[s][seq].load() == 0) ++missing;
            if (times > 1) twice += times - 1;
        }
        if (notes().times[s][end + 1].load() != 0) ++phantoms;
    }
    EXPECT_EQ(phantoms, 0U);
    if (kind.acknowledged) {
        EXPECT_EQ(missing, 0U);
        EXPECT_LE(twice, killed[1]);
    } else {
        EXPECT_EQ(twice, 0U);
        EXPECT_LE(missing, killed[1]);
    }
    std::printf(
        "%lu messages, %lu senders and %lu receivers killed, %lu redelivered, "
        "%lu taken away, %lu noted twice\n",
        sent(), killed[0], killed[1], notes().redelivered.load(), missing, twice);
}

std::string name_of(const testing::TestParamInfo<Kind>& tested) {
    constexpr std::array kSharings{"any",         "single_receiver", "pair",
                                   "round_robin", "least_loaded",    "key_affine"};
    std::string name = kSharings.at(static_cast<std::size_t>(tested.param.sharing));
    name += tested.param.acknowledged ? "_acknowledged" : "_plain";
    if (tested.param.unbounded) name += "_unbounded";
    if (tested.param.priorities > 1) name += "_" + std::to_string(tested.param.priorities);
    return name;
}

INSTANTIATE_TEST_SUITE_P(Kinds, History,
                         testing::Values(Kind{Sharing::any, false, 3, 3},
                                         Kind{Sharing::any, true, 3, 3},
                                         Kind{Sharing::single_receiver, false, 3, 1},
                                         Kind{Sharing::single_receiver, true, 3, 1},
                                         Kind{Sharing::pair, false, 1, 1},
                                         Kind{Sharing::pair, true, 1, 1}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Routed, History,
                         testing::Values(Kind{Sharing::round_robin, false, 3, 3},
                                         Kind{Sharing::round_robin, true, 3, 3},
                                         Kind{Sharing::least_loaded, false, 3, 3},
                                         Kind{Sharing::least_loaded, true, 3, 3},
                                         Kind{Sharing::key_affine, false, 3, 3},
                                         Kind{Sharing::key_affine, true, 3, 3}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Priorities, History,
                         testing::Values(Kind{Sharing::any, false, 3, 3, 4},
                                         Kind{Sharing::single_receiver, true, 3, 1, 4},
                                         Kind{Sharing::pair, false, 1, 1, 4},
                                         Kind{Sharing::round_robin, true, 3, 3, 4},
                                         Kind{Sharing::least_loaded, false, 3, 3, 4},
                                         Kind{Sharing::key_affine, true, 3, 3, 4}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Unbounded, History,
                         testing::Values(Kind{Sharing::any, false, 3, 3, 1, true},
                                         Kind{Sharing::any, true, 3, 3, 1, true},
                                         Kind{Sharing::single_receiver, false, 3, 1, 1, true},
                                         Kind{Sharing::pair, true, 1, 1, 1, true},
                                         Kind{Sharing::round_robin, true, 3, 3, 1, true},
                                         Kind{Sharing::any, true, 3, 3, 4, true}),
                         name_of);

}  // namespace
}  // namespace stoa
