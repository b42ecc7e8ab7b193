// Two receivers, and what becomes of messages when one of them, or the creator, dies.
#include <algorithm>
#include <map>
#include <thread>

#include <unistd.h>

#include "stoa/base/atomic.hpp"
#include "stoa/mailbox/admin.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"
#include "tests/matrix/walk.hpp"

namespace stoa::matrix {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kRoom = 64;  // more than is sent here
constexpr std::uint64_t kSent = 12;

struct Shared {  // with a child
    Atomic<std::uint64_t> ready;
    Atomic<std::uint64_t> note;
};

Shared& shared_in(kit::TempRegion& region) {
    return *reinterpret_cast<Shared*>(region.bytes().data());
}

std::uint64_t value_of(std::uint64_t sender, std::uint64_t priority, std::uint64_t number) {
    return sender << 32U | priority << 16U | number;
}

bool in_order_of_priority(const std::vector<std::uint64_t>& values) {
    std::uint64_t last = UINT64_MAX;
    for (const std::uint64_t value : values) {
        const std::uint64_t priority = value >> 16U & 0xffffU;
        if (priority > last) return false;
        last = priority;
    }
    return true;
}

// Of each sender, and of each priority or of all of them.
bool in_order(const std::vector<std::uint64_t>& values, bool per_priority) {
    std::map<std::uint64_t, std::uint64_t> last;
    for (const std::uint64_t value : values) {
        const std::uint64_t number = value & 0xffffU;
        std::uint64_t& before = last[per_priority ? value >> 16U : value >> 32U];
        if (number < before) return false;
        before = number;
    }
    return true;
}

}  // namespace

void Walk::two_receivers() {
    std::vector<Box> in;
    in.push_back(Box::create(kName, options(Role::receives, kRoom)).value());
    std::vector<Box> out;
    out.push_back(Box::open(kName, {.role = Role::sends}).value());
    Result<Box> second = Box::open(kName, {.role = Role::receives});
    compare("P1 sends, P2 and P3 receive", "P3 opens it to receive", in_words(second));
    if (second) in.push_back(std::move(*second));
    if (one_.sharing != Sharing::pair && !one_.zero()) {
        out.push_back(Box::open(kName, {.role = Role::sends}).value());
    }
    std::uint64_t sent = 0;
    const auto send = [&] {
        for (std::uint64_t number = 1; number <= kSent; ++number) {
            for (std::uint64_t sender = 0; sender < out.size(); ++sender) {
                const auto priority = static_cast<std::uint32_t>(number % one_.priorities);
                const std::uint64_t value = value_of(sender, priority, number);
                const SendOptions how{.priority = priority, .key = one_.key(number)};
                sent += send_surely(out[sender], value, how) ? 1U : 0U;
            }
        }
    };
    std::vector<std::vector<Got>> at(in.size());
    if (one_.zero()) {
        std::thread sender{send};
        std::size_t turn = 0;
        std::uint64_t got = 0;
        static_cast<void>(kit::wait_until(
            [&] {
                std::vector<Got>& here = at[turn % in.size()];
                std::uint64_t value = 0;
                if (receive_one(in[turn++ % in.size()], Deadline::after(1ms), &value) == "ok") {
                    here.push_back({value, false});
                    ++got;
                }
                return got == kSent;
            },
            watchdog_));
        sender.join();
    } else {
        send();
        for (std::size_t i = 0; i < in.size(); ++i) at[i] = all_of(in[i]);
    }
    demand(sent == kSent * out.size(), "a send with room fails");
    judge(at, sent, in.size() > 1);
    remove();
}

void Walk::judge(const std::vector<std::vector<Got>>& at, std::size_t sent, bool opened) {
    std::map<std::uint64_t, std::size_t> times;
    bool fifo = true;
    bool fifo_per_priority = true;
    bool highest_first = true;
    bool each_all = true;
    for (const std::vector<Got>& here : at) {
        std::vector<std::uint64_t> values;
        for (const Got& got : here) {
            values.push_back(got.value);
            ++times[got.value];
        }
        fifo = fifo && in_order(values, false);
        fifo_per_priority = fifo_per_priority && in_order(values, true);
        highest_first = highest_first && in_order_of_priority(values);
        each_all = each_all && here.size() == sent;
    }
    const auto came = [&](std::size_t often) {
        return times.size() == sent &&
               std::ranges::all_of(times, [&](const auto& one) { return one.second == often; });
    };
    const char* who = !opened && came(1)            ? "P2"
                      : came(1)                     ? "one of them"
                      : came(at.size()) && each_all ? "each of them"
                                                    : "some of them";
    compare("P1 sends, P2 and P3 receive", "a message goes to", who);
    compare("order", "at each receiver",
            fifo                                 ? "as each sender sent"
            : fifo_per_priority && highest_first ? "the highest first, of one priority as each "
                                                   "sender sent"
                                                 : "none");
}

// Until a receiver waits, where capacity zero rejects what it cannot hand over at once.
Result<void> Walk::send_surely(Box& out, std::uint64_t value, const SendOptions& how) {
    Result<void> sent;
    static_cast<void>(kit::wait_until(
        [&] {
            sent = out.send_with(value, Deadline::after(watchdog_), how);
            return sent || !one_.zero() || sent.error().code != Errc::full;
        },
        watchdog_));
    return sent;
}

// --- deaths -------------------------------------------------------------------------------------

// The next message reaches who is there.
std::string Walk::send_on(Box& out, Box& in) {
    std::uint64_t value = 0;
    std::string sent;
    for (std::uint64_t i = 0; i < kRoom + 2; ++i) {  // a full queue of the dead would stop it
        if (one_.zero()) {
            std::thread sender{[&] { sent = in_words(send_surely(out, i, {.key = one_.key(i)})); }};
            const std::string got = receive_one(in, Deadline::after(watchdog_), &value);
            sender.join();
            if (got != "ok") return "nobody receives";
            i += kRoom / 2;
        } else {
            sent = in_words(out.try_send(i, {.key = one_.key(i)}));
            if (sent == "ok" && receive_one(in, Deadline::immediately(), &value) != "ok") {
                return "nobody receives";
            }
        }
        if (sent != "ok") return sent;
    }
    return "sending goes on";
}

void Walk::receiver_dies() {
    kit::TempRegion memory{sizeof(Shared)};
    Shared& shared = shared_in(memory);
    Box out = Box::create(kName, options(Role::sends, kRoom)).value();
    kit::Child child{[&] {
        Box in = Box::open(kName, {.role = Role::receives}).value();
        shared.ready.store(1);
        const Result<Message<std::uint64_t>> held = in.receive();
        if (held) shared.note.store(held->value());
        ::pause();
    }};
    demand(kit::wait_until([&] { return shared.ready.load() == 1; }), "the child opens it");
    // A key may belong to one that does not wait just now: with zero there is nobody else.
    const bool late = one_.sharing == Sharing::pair || one_.zero();
    Result<Box> in = fail(Errc::empty, "");
    if (!late) in = Box::open(kName, {.role = Role::receives, .stand_by = one_.stands_by()});
    for (std::uint64_t value = 1; value <= (one_.zero() ? 1 : kSent); ++value) {
        demand(send_surely(out, value, {.key = one_.key(value)}).has_value(),
               "a send to one that will die");
    }
    demand(kit::wait_until([&] { return shared.note.load() != 0; }), "the child receives");
    child.kill_and_wait();
    out.raw().attachment().sweep();
    if (late) in = Box::open(kName, {.role = Role::receives});
    demand(in.has_value(), "the next receiver");
    if (in) {
        judge_death(all_of(*in), shared.note.load());
        compare("a receiver dies", "then", send_on(out, *in));
    }
    remove();
}

void Walk::judge_death(const std::vector<Got>& got, std::uint64_t taken) {
    const bool heir = one_.sharing == Sharing::single_receiver || one_.sharing == Sharing::pair;
    const std::string who = heir ? "the next one gets it" : "the others get it";
    std::map<std::uint64_t, bool> marks;
    bool marked = false;
    for (const Got& one : got) {
        demand(marks.emplace(one.value, one.marked).second, "a message comes twice");
        if (one.value != taken) marked |= one.marked;
    }
    const std::uint64_t sent = one_.zero() ? 1 : kSent;
    std::uint64_t others = marks.size() - (marks.contains(taken) ? 1 : 0);
    std::string of_taken = "is gone";
    if (one_.broadcast()) {  // the survivor has a copy of its own of each
        demand(marks.contains(taken), "a subscriber misses a message");
        if (marks[taken]) of_taken = who + ", marked";
    } else if (marks.contains(taken)) {
        of_taken = who + (marks[taken] ? ", marked" : "");
    }
    compare("a receiver dies", "what it had taken", of_taken);
    if (one_.zero()) return;  // nothing waited
    demand(others == sent - 1, "what waited is lost");
    std::string of_waiting = who + (marked ? ", marked" : "");
    if (one_.broadcast() && !marked) of_waiting = "is gone";
    compare("a receiver dies", "what waited for it", of_waiting);
}

void Walk::creator_dies() {
    constexpr std::uint64_t kFew = 3;
    constexpr const char* kTable = "its creator dies";
    kit::TempRegion memory{sizeof(Shared)};
    Shared& shared = shared_in(memory);
    kit::Child child{[&] {
        Box out = Box::create(kName, options(Role::sends, kRoom)).value();
        shared.ready.store(1);
        static_cast<void>(kit::wait_until([&] { return shared.ready.load() == 2; }));
        for (std::uint64_t i = 0; i < kFew; ++i) static_cast<void>(send_surely(out, i, {}));
        shared.note.store(1);
        ::pause();
    }};
    demand(kit::wait_until([&] { return shared.ready.load() == 1; }), "the child creates it");
    const bool two_way = one_.sharing == Sharing::pair && !one_.one_way;
    Box in = Box::open(kName, {.role = two_way ? Role::both : Role::receives}).value();
    Result<Box> out = fail(Errc::empty, "");
    if (one_.sharing != Sharing::pair) out = Box::open(kName, {.role = Role::sends});
    shared.ready.store(2);
    for (std::uint64_t i = 0; one_.zero() && i < kFew; ++i) {
        demand(receive_one(in, Deadline::after(watchdog_), nullptr) == "ok", "a meeting");
    }
    demand(kit::wait_until([&] { return shared.note.load() == 1; }), "the child sends");
    child.kill_and_wait();
    // Nobody to meet and nothing to receive are no news of the creator.
    const auto state = [](const auto& result) {
        const std::string words = in_words(result);
        return words == "full" || words == "empty" ? "ok" : words;
    };
    if (two_way || out) {
        std::string a_send;
        static_cast<void>(kit::wait_until(
            [&] {
                a_send = state((two_way ? in : *out).try_send(kFew));
                return a_send == said(kTable, "a send");
            },
            watchdog_));
        compare(kTable, "a send", a_send);
    }
    const std::size_t left = all_of(in).size();
    const bool wait = left >= kFew || (one_.zero() && state(in.try_receive()) == "ok");
    compare(kTable, "its messages", wait ? "wait for a receiver" : "are gone");
    compare(kTable, "a receive", state(in.try_receive()));
    remove();
}

}  // namespace stoa::matrix
