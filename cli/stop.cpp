#include "cli/stop.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <csignal>

#include "stoa/base/atomic.hpp"

namespace stoa::cli {
namespace {

constinit Atomic<int> g_stop_signal{0};
constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr suseconds_t kTickMicroseconds = 50'000;

void on_tick(int /*signal*/) noexcept {}

void on_stop(int signal) noexcept {
    int none = 0;
    g_stop_signal.compare_exchange_strong(none, signal, kSeqCst);
    // A call that was about to block when the flag was set would not notice: interrupt it later.
    const itimerval ticks{.it_interval = {0, kTickMicroseconds},
                          .it_value = {0, kTickMicroseconds}};
    (void)::setitimer(ITIMER_REAL, &ticks, nullptr);
}

void handle(int signal, void (*handler)(int)) noexcept {
    struct sigaction action{};
    action.sa_handler = handler;  // no SA_RESTART: blocking calls return EINTR
    sigemptyset(&action.sa_mask);
    (void)::sigaction(signal, &action, nullptr);
}

}  // namespace

void catch_stop_signals() noexcept {
    handle(SIGALRM, on_tick);
    for (const int signal : kStopSignals) {
        struct sigaction before{};
        if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
        handle(signal, on_stop);
    }
}

bool stop_requested() noexcept {
    return g_stop_signal.load(kRelaxed) != 0;  // relaxed: a flag, it publishes nothing
}

void catch_broken_pipes() noexcept {
    handle(SIGPIPE, on_tick);
}

void default_signals() noexcept {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGALRM}) handle(signal, SIG_DFL);
}

void end_by(int signal) noexcept {
    const itimerval off{};
    (void)::setitimer(ITIMER_REAL, &off, nullptr);
    handle(signal, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    (void)::sigprocmask(SIG_UNBLOCK, &only, nullptr);
    (void)::kill(::getpid(), signal);
    ::_exit(128 + signal);  // the first process of a pid namespace does not die of it
}

void end_by_stop_signal() noexcept {
    const int signal = g_stop_signal.load(kRelaxed);
    end_by(signal != 0 ? signal : SIGTERM);
}

}  // namespace stoa::cli
