// Signals as messages: read from a descriptor, sent with a value to exactly one process.
//
// Start here: send_signal(identity, SIGUSR1, 7); SignalSet, block_signals, make_signal_queue,
//             read_signals.
// Threads:    a signal to the process goes to any thread that does not block it: block them before
//             other threads start, they inherit the mask. Two readers share the signals.
// Processes:  send_signal never hits another process that got the same pid. Children inherit the
//             mask also through exec.
// Death:      queued signals vanish with their receiver.
// Blocking:   never.
// Lifetime:   signals that are blocked stay queued until they are read or unblocked.
// Units:      values of 64 bits; of a sender that uses an int (sigqueue(3)) the low 32 bits count.
// Source:     signalfd(2), pidfd_send_signal(2), sigqueue(3).
#pragma once

#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/process.hpp"

namespace stoa::sys {

// One signal as it came. Whoever sends with sigqueue(3) writes pid and uid himself: a hint.
struct SignalInfo {
    int number = 0;
    std::int32_t code = 0;    // SI_USER: kill(2); SI_QUEUE: with a value; SI_KERNEL; ...
    std::uint64_t value = 0;  // 0 when it was sent without
    std::uint32_t pid = 0;    // of its sender; 0: the kernel
    std::uint32_t uid = 0;
};

// Signal numbers 1 to 64.
class SignalSet {
public:
    constexpr SignalSet() noexcept = default;
    constexpr SignalSet(std::initializer_list<int> numbers) noexcept {
        for (const int number : numbers) add(number);
    }
    // Numbers that no signal has are left out, and is_valid() is false; so it is with those that
    // nobody can block: SIGKILL, SIGSTOP, and the two that the C library keeps for itself.
    constexpr void add(int number) noexcept {
        valid_ = valid_ && number >= 1 && number <= 64 && number != SIGKILL && number != SIGSTOP &&
                 number != 32 && number != 33;
        if (number >= 1 && number <= 64) bits_ |= bit(number);
    }
    [[nodiscard]] constexpr bool has(int number) const noexcept {
        return number >= 1 && number <= 64 && (bits_ & bit(number)) != 0;
    }
    [[nodiscard]] constexpr bool is_valid() const noexcept { return valid_ && bits_ != 0; }
    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
    // Those of both.
    constexpr SignalSet& operator|=(const SignalSet& other) noexcept {
        bits_ |= other.bits_;
        return *this;
    }
    [[nodiscard]] constexpr SignalSet without(const SignalSet& other) const noexcept {
        SignalSet left;
        left.bits_ = bits_ & ~other.bits_;
        return left;
    }

private:
    static constexpr std::uint64_t bit(int number) noexcept {
        return std::uint64_t{1} << (number - 1);
    }

    std::uint64_t bits_ = 0;
    bool valid_ = true;
};

// Blocks them in the calling thread; those that were not blocked before.
SignalSet block_signals(const SignalSet& signals) noexcept;
void unblock_signals(const SignalSet& signals) noexcept;

// A descriptor that is readable while one of these is queued for the reader, which must block
// them. With a queue: the same descriptor, for these signals from now on. Errors: limit_reached
[[nodiscard]] Result<Fd> make_signal_queue(const SignalSet& signals) noexcept;
void set_signal_queue(const Fd& queue, const SignalSet& signals) noexcept;
// Takes what is queued, at most infos.size(); how many.
[[nodiscard]] std::size_t read_signals(const Fd& queue, std::span<SignalInfo> infos) noexcept;

// Sends it with a value. Standard signals (below SIGRTMIN) are not queued: of several that the
// receiver has not taken yet one arrives. Errors: peer_died; denied; full: the receiver's queue
// (RLIMIT_SIGPENDING); bad_argument: no such number; not_supported: out of sight, or no pidfds
[[nodiscard]] Result<void> send_signal(const Identity& to, int number,
                                       std::uint64_t value = 0) noexcept;

}  // namespace stoa::sys
