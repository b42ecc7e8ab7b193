// Question: what does a wait set cost that holds ten thousand mailboxes in which nothing happens,
// against one with ten; and how long after the death of a process does a set know of it?
// Not measured: deaths of many at a time; sets that are looked at by loops of others.
// Expect: the tick looks at mailboxes for 30 us, ten times a second, for deaths in 8; a death is
// an event of the kernel, so it takes a wake-up and what the kernel does to end a process.
//     build/release/bench/stoa-bench-sets [SECONDS]
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "bench/kit/placement.hpp"
#include "bench/stoa/stoa_kit.hpp"
#include "stoa/wait/wait_set.hpp"

namespace {

using namespace stoa;
using stoa::bench::need;

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void measure_idle(std::size_t count, double seconds) {
    const MailboxOptions options{
        .capacity = bounded(4), .reserve_bytes = 256, .loan_quota = 1, .role = Role::receives};
    std::vector<RawMailbox> idle;
    for (std::size_t i = 0; i < count; ++i) {
        idle.push_back(need(RawMailbox::create_anonymous(options)));
    }
    WaitSet set = need(WaitSet::create());
    for (const RawMailbox& mailbox : idle) need(set.add(mailbox.readable()));
    const std::chrono::duration<double> wait{seconds};
    // The first wait marks each of them and looks who takes part there: that is not idle.
    const double begun = cpu_seconds();
    static_cast<void>(set.wait_for(std::chrono::milliseconds{1}));
    const double before = cpu_seconds();
    const auto ready = set.wait_for(std::chrono::duration_cast<std::chrono::nanoseconds>(wait));
    const double used = cpu_seconds() - before;
    std::printf(
        "%6zu idle mailboxes        %.4f %% of a core over %.0f s%s; the first wait %.1f ms\n",
        count, used / seconds * 100, seconds, ready ? ", but one was ready" : "",
        (before - begun) * 1e3);
    std::fflush(stdout);
}

// From the signal to the return of wait(): of a process that took part in a mailbox.
void measure_deaths() {
    RawMailbox mailbox = need(RawMailbox::create_anonymous({.role = Role::receives}));
    std::vector<double> times;
    for (int i = 0; i < 300; ++i) {
        int ready[2];
        if (::pipe(ready) != 0) return;
        const pid_t child = ::fork();
        if (child == 0) {
            const RawMailbox out = need(
                RawMailbox::attach(need(sys::duplicate(mailbox.file())), {.role = Role::sends}));
            static_cast<void>(!::write(ready[1], "", 1));
            ::pause();
            ::_exit(0);
        }
        char byte = 0;
        static_cast<void>(!::read(ready[0], &byte, 1));
        ::close(ready[0]);
        ::close(ready[1]);
        WaitSet set = need(WaitSet::create());
        need(set.add(mailbox.readable()));
        need(set.add(Death::of_child(child)));
        const auto begin = std::chrono::steady_clock::now();
        ::kill(child, SIGKILL);
        static_cast<void>(set.wait());
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        times.push_back(took.count());
        ::waitpid(child, nullptr, 0);
    }
    std::ranges::sort(times);
    std::printf("death of a peer               p50 %.3f ms  p99 %.3f ms  max %.3f ms\n",
                times[times.size() / 2] * 1e3, times[times.size() * 99 / 100] * 1e3,
                times.back() * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 10;
    std::printf("%s\n", bench::describe(bench::this_machine()).c_str());
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;  // each mailbox keeps its file open
    ::setrlimit(RLIMIT_NOFILE, &files);
    for (const std::size_t count : {10U, 1000U, 10000U}) measure_idle(count, seconds);
    measure_deaths();
    return 0;
}
