// Inside a wait set: its entries and the loop that looks at them.
//
// Start here: WaitSetState::wait_with: pending ones are looked at, those that are not ready are
//             armed and looked at again, then the set rests in its epoll.
// Threads:    one at a time.
// Processes:  private memory, but for the marks of sources and the board.
// Death:      see wait_set.hpp.
// Blocking:   wait_with only.
// Lifetime:   entries keep their place in memory; sources point to them.
// Units:      nanoseconds of CLOCK_MONOTONIC.
// Source:     own.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "stoa/sys/epoll.hpp"
#include "stoa/sys/fork_guard.hpp"
#include "stoa/wait/shared_waits.hpp"
#include "stoa/wait/timer_queue.hpp"
#include "stoa/wait/wait_set.hpp"
#include "stoa/wait/wait_source.hpp"

namespace stoa {

enum class WaitKind : std::uint8_t {
    free,
    source,      // of shared memory: looked at while it is listed
    always,      // ready for good: a file of a disk, a process that was dead when it was added
    descriptor,  // in the epoll, with others of the same number
    signals,
    timer,
    death,  // its own pidfd, in the epoll
    peer,   // of an event: the pidfd of one who takes part in what sources watch
};

struct WaitEntry : Touched {
    WaitEntry(WaitSetState& set, std::uint32_t slot) noexcept : Touched{set, slot} {}

    WaitKind kind = WaitKind::free;
    std::uint32_t turn = 0;  // of the place: part of the id
    std::uint64_t tag = 0;
    std::shared_ptr<WaitSource> source{};         // source
    bool armed = false;                           // source: it may have a mark in shared memory
    std::uint32_t place = SharedWaits::kNoPlace;  // source
    std::size_t source_at = 0;                    // source: in sources_
    int fd = -1;                                  // descriptor
    std::uint32_t events = 0;                     // descriptor, always
    sys::SignalSet signals{};                     // signals
    std::int64_t due_ns = 0;                      // timer
    std::int64_t period_ns = 0;                   // timer; 0: once
    sys::Fd process{};                            // death
};

class WaitSetState {
public:
    static Result<std::unique_ptr<WaitSetState>> create();
    WaitSetState(const WaitSetState&) = delete;
    WaitSetState& operator=(const WaitSetState&) = delete;
    ~WaitSetState();

    Result<WaitId> add(const Waitable& what, std::uint64_t tag);
    Result<void> remove(WaitId id);
    Result<std::span<const Ready>> wait_with(Deadline deadline);
    Result<int> fd();
    [[nodiscard]] std::size_t size() const noexcept { return used_; }

private:
    friend class Touched;
    static constexpr std::uint32_t kSlotBits = 20;
    static constexpr std::uint32_t kMaxSlots = 1U << kSlotBits;
    static constexpr std::uint32_t kTurns = 1U << (32 - kSlotBits);
    static constexpr std::size_t kMaxEvents = 256;
    static constexpr std::size_t kFew = 16;  // sources at whose state a wait spins
    // At states, in a tick: this many, and more of them as long as it takes no longer than this.
    static constexpr std::size_t kLeastLooks = 16;
    static constexpr std::uint64_t kLooksNs = 30'000;

    WaitSetState(sys::Epoll epoll, sys::Fd bell, sys::Fd timer);

    [[nodiscard]] bool is_own() const noexcept { return generation_ == sys::current_generation(); }
    [[nodiscard]] static WaitId id_of(std::uint32_t slot, const WaitEntry& entry) noexcept {
        return {entry.turn << kSlotBits | slot};
    }

    // --- entries ---------------------------------------------------------------------------------
    Result<std::uint32_t> take_slot();
    void give_slot(std::uint32_t slot) noexcept;
    void drop(std::uint32_t slot) noexcept;  // out of the epoll, the queue of timers, its source
    Result<void> enter(std::uint32_t slot, const Error& error);
    Result<void> enter(std::uint32_t slot, const std::shared_ptr<WaitSource>& source);
    Result<void> enter(std::uint32_t slot, const FdReady& descriptor);
    Result<void> enter(std::uint32_t slot, const Signals& signals);
    Result<void> enter(std::uint32_t slot, const Timer& timer);
    Result<void> enter(std::uint32_t slot, const Death& death);
    void be_always_ready(WaitEntry& entry, std::uint32_t events) noexcept;
    Result<void> register_descriptor(int fd);
    void leave_descriptor(std::uint32_t slot) noexcept;
    void leave_signals(std::uint32_t slot) noexcept;

    // --- one wait --------------------------------------------------------------------------------
    void list(std::uint32_t slot) noexcept;
    Result<void> wait_for_ready(Deadline deadline);
    void report_pending(bool arms);
    [[nodiscard]] bool is_ready(WaitEntry& entry, bool arms) noexcept;
    void leave_pending(std::size_t at) noexcept;
    [[nodiscard]] bool spins();
    void take_rung();
    void tick();
    void look_at_states();
    [[nodiscard]] bool may_skip_epoll() noexcept;
    void take_timers();
    // Until something happens or the deadline passes; true when pending entries must be looked at.
    Result<bool> rest(Deadline deadline);
    void take_event(std::uint64_t data, std::uint32_t events, bool& again);
    void take_descriptor(int fd, std::uint32_t events);
    void take_signals();
    [[nodiscard]] Deadline next_look() const noexcept;
    void find_due_tick() noexcept;
    void show_to_others();  // the exported descriptor says what this set knows
    Ready& report(std::uint32_t slot);

    std::uint64_t generation_ = 0;
    sys::Epoll epoll_;
    sys::Fd bell_;   // readable: look at pending entries; others may ring it
    sys::Fd timer_;  // for loops of others: readable when the next timer is due
    bool exported_ = false;
    bool waits_ = false;      // in wait_with, which shows what it knows at its end
    bool bell_rung_ = false;  // by ourselves
    bool bell_full_ = false;  // it may hold a byte
    std::int64_t timer_set_to_ = -1;

    std::deque<WaitEntry> entries_;  // by slot
    std::vector<std::uint32_t> free_;
    std::size_t used_ = 0;
    std::vector<std::uint32_t> pending_;   // each listed slot once; room for all is reserved
    std::unique_ptr<SharedWaits> shared_;  // null before the first source
    std::vector<std::uint32_t> sources_;   // slots
    std::int64_t next_tick_ns_ = INT64_MAX;
    std::size_t next_look_ = 0;  // in sources_
    std::chrono::nanoseconds polled_at_{};
    std::chrono::nanoseconds now_{};  // coarse, when the wait began its turn
    TimerQueue timers_;
    std::map<int, std::vector<std::uint32_t>> descriptors_;  // slots of each number
    std::vector<std::uint32_t> signal_slots_;
    sys::Fd signal_queue_;    // not valid before the first signal
    sys::SignalSet blocked_;  // by this set
    std::thread::id blocked_by_{};
    std::vector<Ready> ready_;
};

}  // namespace stoa
