// Question: what does a coroutine's receive cost, compared with a plain one, when the message is
// there and when it has to be waited for?
// Not measured: several tasks, sleeping (both spin), sends that wait. The peer calls plain
// functions.
// Expect: a few nanoseconds for the awaiting, in both; no more than 1.3 times the plain one.
//     build/release/bench/stoa-bench-tasks [ROUNDS]
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "stoa/wait/executor.hpp"

namespace stoa::bench {
namespace {

using Numbers = Mailbox<std::uint64_t>;
constexpr std::uint64_t kTrips = 20'000;
constexpr std::uint64_t kThere = 1000;

template <typename T>
T need(Result<T> result) {
    if (result) return std::move(*result);
    std::fprintf(stderr, "%s\n", describe(result.error()).c_str());
    std::exit(1);
}

void pin(std::size_t cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
}

double now_ns() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::nano>{since}.count();
}

void plain_trips(Numbers& out, Numbers& in) {
    for (std::uint64_t i = 0; i < kTrips; ++i) {
        if (!out.send(i) || need(in.receive()).value() != i) std::exit(1);
    }
}
Task<> awaited_trips(Numbers& out, Numbers& in) {
    for (std::uint64_t i = 0; i < kTrips; ++i) {
        if (!out.send(i)) std::exit(1);
        const auto message = co_await async_receive(in);
        if (!message || message->value() != i) std::exit(1);
    }
}

void plain_receives(Numbers& in) {
    for (std::uint64_t i = 0; i < kThere; ++i) (void)need(in.receive());
}
Task<> awaited_receives(Numbers& in) {
    for (std::uint64_t i = 0; i < kThere; ++i) {
        const auto message = co_await async_receive(in);
        if (!message) std::exit(1);
    }
}

void report(const char* what, std::vector<double> plain, std::vector<double> awaited) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < plain.size(); ++i) ratios.push_back(awaited[i] / plain[i]);
    const auto median = [](std::vector<double>& all) {
        std::sort(all.begin(), all.end());
        return all[all.size() / 2];
    };
    std::printf("  %-22s plain %8.1f ns  awaited %8.1f ns  ratio %.2f\n", what, median(plain),
                median(awaited), median(ratios));
}

[[noreturn]] void echo(std::size_t rounds) {
    pin(1);
    Numbers in = need(Numbers::open("tasks.there", {.role = Role::receives, .domain = {}}));
    Numbers out = need(Numbers::open("tasks.back", {.role = Role::sends, .domain = {}}));
    for (std::uint64_t i = 0; i < 2 * kTrips * rounds; ++i) {
        if (!out.send(need(in.receive()).value())) std::_Exit(1);
    }
    std::_Exit(0);
}

void measure(const char* name, Sharing sharing, std::size_t rounds) {
    const MailboxOptions options{.capacity = bounded(1024), .sharing = sharing, .role = Role::none};
    (void)need(Numbers::create("tasks.there", options));
    (void)need(Numbers::create("tasks.back", options));
    const int child = ::fork();
    if (child == 0) echo(rounds);
    pin(0);
    Numbers out = need(Numbers::open("tasks.there", {.role = Role::sends, .domain = {}}));
    Numbers in = need(Numbers::open("tasks.back", {.role = Role::receives, .domain = {}}));
    Executor executor = need(Executor::create());
    const auto run = [&](Task<> task) {
        executor.spawn(std::move(task));
        if (!executor.run()) std::exit(1);
    };
    std::printf("%s, cpus 0,1, %zu rounds of %llu\n", name, rounds,
                static_cast<unsigned long long>(kTrips));
    std::vector<double> plain;
    std::vector<double> awaited;
    for (std::size_t round = 0; round < rounds; ++round) {
        const double began = now_ns();
        plain_trips(out, in);
        const double between = now_ns();
        run(awaited_trips(out, in));
        plain.push_back((between - began) / kTrips);
        awaited.push_back((now_ns() - between) / kTrips);
    }
    (void)::waitpid(child, nullptr, 0);
    report("round trip", plain, awaited);
    Numbers self = need(Numbers::open("tasks.back", {.role = Role::sends, .domain = {}}));
    const auto fill = [&] {
        for (std::uint64_t i = 0; i < kThere; ++i) {
            if (!self.send(i)) std::exit(1);
        }
        return now_ns();
    };
    for (std::size_t round = 0; round < rounds; ++round) {
        const double began = fill();
        plain_receives(in);
        plain[round] = (now_ns() - began) / kThere;
        const double again = fill();
        run(awaited_receives(in));
        awaited[round] = (now_ns() - again) / kThere;
    }
    report("it is there already", plain, awaited);
    if (!Numbers::destroy("tasks.there") || !Numbers::destroy("tasks.back")) std::exit(1);
}

}  // namespace
}  // namespace stoa::bench

int main(int argc, char** argv) {
    const std::size_t rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 25;
    if (rounds == 0) return 2;
    using stoa::Sharing;
    stoa::bench::measure("single_receiver", Sharing::single_receiver, rounds);
    stoa::bench::measure("any", Sharing::any, rounds);
}
