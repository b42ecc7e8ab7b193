#include "stoa/sys/signals.hpp"

#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "stoa/base/check.hpp"
#include "stoa/sys/errno.hpp"

namespace stoa::sys {
namespace {

sigset_t to_sigset(const SignalSet& signals) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number = 1; number <= 64; ++number) {
        if (signals.has(number)) ::sigaddset(&set, number);  // not those of the C library itself
    }
    return set;
}

}  // namespace

SignalSet block_signals(const SignalSet& signals) noexcept {
    const sigset_t wanted = to_sigset(signals);
    sigset_t before;
    STOA_CHECK(::pthread_sigmask(SIG_BLOCK, &wanted, &before) == 0);
    SignalSet fresh;
    for (int number = 1; number <= 64; ++number) {
        if (signals.has(number) && ::sigismember(&before, number) == 0) fresh.add(number);
    }
    return fresh;
}

void unblock_signals(const SignalSet& signals) noexcept {
    const sigset_t wanted = to_sigset(signals);
    STOA_CHECK(::pthread_sigmask(SIG_UNBLOCK, &wanted, nullptr) == 0);
}

Result<Fd> make_signal_queue(const SignalSet& signals) noexcept {
    const sigset_t wanted = to_sigset(signals);
    Fd queue{::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC)};
    if (!queue.valid()) return fail_errno("signalfd");
    return queue;
}

void set_signal_queue(const Fd& queue, const SignalSet& signals) noexcept {
    const KeepErrno keep;
    const sigset_t wanted = to_sigset(signals);
    STOA_CHECK(::signalfd(queue.get(), &wanted, SFD_NONBLOCK | SFD_CLOEXEC) == queue.get());
}

std::size_t read_signals(const Fd& queue, std::span<SignalInfo> infos) noexcept {
    const KeepErrno keep;
    std::array<signalfd_siginfo, 16> raw;
    const std::size_t most = std::min(infos.size(), raw.size());
    const ssize_t bytes = ::read(queue.get(), raw.data(), most * sizeof raw[0]);
    if (bytes <= 0) return 0;
    const std::size_t count = static_cast<std::size_t>(bytes) / sizeof raw[0];
    for (std::size_t i = 0; i < count; ++i) {
        const bool has_value = raw[i].ssi_code == SI_QUEUE;
        infos[i] = SignalInfo{.number = static_cast<int>(raw[i].ssi_signo),
                              .code = raw[i].ssi_code,
                              .value = has_value ? raw[i].ssi_ptr : 0,
                              .pid = raw[i].ssi_pid,
                              .uid = raw[i].ssi_uid};
    }
    return count;
}

Result<void> send_signal(const Identity& to, int number, std::uint64_t value) noexcept {
    const KeepErrno keep;
    if (number < 1 || number > 64) return fail(Errc::bad_argument, "send_signal");
    const Result<Fd> process = open_process(to);
    if (!process) return std::unexpected(process.error());
    if (!process->valid()) return fail(Errc::not_supported, "send_signal (no pidfd to be had)");
    siginfo_t info{};
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    static_assert(sizeof info.si_value == sizeof value);
    std::memcpy(&info.si_value, &value, sizeof value);
    if (::syscall(SYS_pidfd_send_signal, process->get(), number, &info, 0) == 0) return {};
    switch (errno) {
        case ESRCH: return fail(Errc::peer_died, "send_signal", errno);
        case EAGAIN: return fail(Errc::full, "send_signal (RLIMIT_SIGPENDING)", errno);
        case EINVAL: return fail(Errc::bad_argument, "send_signal", errno);
        default: return fail_errno("pidfd_send_signal");
    }
}

}  // namespace stoa::sys
