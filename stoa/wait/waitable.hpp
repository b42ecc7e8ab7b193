// What can be waited for: a cheap value, made by the thing itself or from what names it.
//
// Start here: FdReady{fd, EPOLLIN}, Signal{SIGTERM}, Timer::every(1s), Death{identity},
//             mailbox.readable(), event.is_set...; WaitSet::add takes them.
// Threads:    values.
// Processes:  signals, deaths and descriptors are those of the process that owns the set.
// Death:      of the one who waits: nothing is left behind.
// Blocking:   never.
// Lifetime:   a Waitable of a mailbox or lock may outlive it; it is then refused.
// Units:      timers in nanoseconds of CLOCK_MONOTONIC; it stands still while the machine sleeps.
// Source:     epoll(7), signalfd(2), timerfd_create(2), pidfd_open(2).
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <concepts>
#include <initializer_list>
#include <memory>
#include <utility>
#include <variant>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/sys/process.hpp"
#include "stoa/sys/signals.hpp"
#include "stoa/wait/wait_source.hpp"

namespace stoa {

using sys::SignalInfo;

// A descriptor of anybody: readable (EPOLLIN), writable (EPOLLOUT) or what else epoll_ctl(2) lists.
// EPOLLERR and EPOLLHUP are always reported. Remove it from the set before you close it: else, if a
// copy of it lives (dup, a forked child), the kernel reports it for ever, and every wait returns at
// once. Files of disks are always ready.
struct FdReady {
    int fd = -1;
    std::uint32_t events = EPOLLIN;
};

// Signals that are read instead of handled. While they are in a set they are blocked in the thread
// that added them; other threads must block them too, best by being started afterwards.
struct Signals {
    constexpr Signals(std::initializer_list<int> numbers) noexcept : set{numbers} {}

    sys::SignalSet set;
};
struct Signal {
    int number = 0;
};

class Timer {
public:
    // Fires once, counted from when it is added, and leaves the set when it is reported.
    [[nodiscard]] static constexpr Timer once(std::chrono::nanoseconds wait) noexcept {
        return Timer{wait, std::chrono::nanoseconds{0}, Deadline::never()};
    }
    [[nodiscard]] static constexpr Timer at(Deadline when) noexcept {
        return Timer{std::chrono::nanoseconds{0}, std::chrono::nanoseconds{0}, when};
    }
    // Fires after each period; the times do not drift. Who comes late is told how many passed.
    [[nodiscard]] static constexpr Timer every(std::chrono::nanoseconds period) noexcept {
        constexpr std::chrono::nanoseconds kNone{-1};
        return Timer{period, period.count() > 0 ? period : kNone, Deadline::never()};
    }

private:
    friend class WaitSetState;
    constexpr Timer(std::chrono::nanoseconds first, std::chrono::nanoseconds period,
                    Deadline when) noexcept
        : first_{first}, period_{period}, when_{when} {}

    std::chrono::nanoseconds first_;
    std::chrono::nanoseconds period_;
    Deadline when_;
};

// The end of a process: also of one that is dead already. Stays ready until it is removed.
class Death {
public:
    explicit Death(const sys::Identity& process) noexcept : process_{process} {}
    // A child that was not waited for yet: nobody else can have its pid.
    [[nodiscard]] static Death of_child(int pid) noexcept {
        Death death{sys::Identity{}};
        death.child_ = pid;
        return death;
    }

private:
    friend class WaitSetState;
    sys::Identity process_;
    int child_ = 0;
};

class [[nodiscard]] Waitable {
public:
    template <std::derived_from<WaitSource> Source>
    Waitable(std::shared_ptr<Source> source) noexcept
        : what_{std::shared_ptr<WaitSource>{std::move(source)}} {}
    Waitable(FdReady descriptor) noexcept : what_{descriptor} {}
    Waitable(Signal signal) noexcept : what_{Signals{signal.number}} {}
    Waitable(const Signals& signals) noexcept : what_{signals} {}
    Waitable(const Timer& timer) noexcept : what_{timer} {}
    Waitable(const Death& death) noexcept : what_{death} {}
    // Of a thing that cannot be waited for: add() fails with this.
    Waitable(const Error& error) noexcept : what_{error} {}

    // Null: no thing of shared memory.
    [[nodiscard]] WaitSource* source() const noexcept {
        const auto* const held = std::get_if<std::shared_ptr<WaitSource>>(&what_);
        return held != nullptr ? held->get() : nullptr;
    }

private:
    friend class WaitSetState;
    std::variant<Error, std::shared_ptr<WaitSource>, FdReady, Signals, Timer, Death> what_;
};

}  // namespace stoa
