// Event: something happened, and whoever waits for it goes on.
//
// Start here: Event::set, wait.
// Threads:    safe.
// Processes:  lies in a region, or in memory of one process. All zero: not set, resets by hand.
// Death:      who dies has set it or has not. A waiter of one that resets by itself takes it when
//             wait returns; one that dies just after it was woken costs the others 100 ms.
// Blocking:   wait and the timed forms. set and reset never.
// Lifetime:   the memory must stay mapped.
// Units:      8 bytes.
// Source:     the events of OS/2 and Windows.
#pragma once

#include <chrono>
#include <cstdint>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/base/type_info.hpp"
#include "stoa/sync/lock_layout.hpp"

namespace stoa {

// manual: stays set, for all, until reset(). automatic: each set lets one go on, which resets it.
enum class Reset : std::uint8_t { manual, automatic };

class Event {
public:
    constexpr Event() noexcept : Event{Reset::manual} {}
    constexpr explicit Event(Reset how) noexcept
        : layout_{how == Reset::automatic ? EventWord::kAutomatic : 0, 0} {}
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    // Whoever waits goes on, also when it is reset before they look.
    void set() noexcept;
    void reset() noexcept { layout_.word.fetch_and(~EventWord::kSet, kSeqCst); }
    [[nodiscard]] bool is_set() const noexcept {
        return (layout_.word.load(kSeqCst) & EventWord::kSet) != 0;
    }

    // Errors: forked; try_: empty; _for and _until: timed_out
    Result<void> wait(Deadline deadline = Deadline::never()) noexcept;
    Result<void> try_wait() noexcept { return wait(Deadline::immediately()); }
    Result<void> wait_for(std::chrono::nanoseconds wait) noexcept {
        return this->wait(Deadline::after(wait));
    }
    Result<void> wait_until(Deadline::Clock::time_point when) noexcept {
        return wait(Deadline::at(when));
    }

private:
    friend struct WaitWords;  // stoa/wait/object_wait.hpp
    [[nodiscard]] bool take(std::uint32_t since) noexcept;

    EventLayout layout_;
};

template <>
struct Layout<Event> {
    static constexpr std::string_view name = "stoa.event 1";
};

}  // namespace stoa
