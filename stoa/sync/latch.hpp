// Latches: closed until they were counted down, then open for ever.
//
// Start here: Latch<8> latch{3}: join(), count_down(), wait(); CountLatch where nobody joins.
// Threads:    safe. In a Latch places belong to processes, as in a Barrier.
// Processes:  lie in a region, or in memory of one process. A process that has not joined or
//             counted down is not known.
// Death:      of one that joined a Latch: it counts as counted down, within 100 ms, and `gone`
//             tells. A CountLatch knows nobody: whoever dies before it counted is waited for.
// Blocking:   wait and the timed forms. count_down never.
// Lifetime:   the memory must stay mapped.
// Units:      a Latch has 16 bytes and 8 for each place, a CountLatch 8.
// Source:     std::latch of ISO C++23 32.9.2.
#pragma once

#include <cstdint>
#include <string>

#include "stoa/base/type_info.hpp"
#include "stoa/sync/gathering.hpp"

namespace stoa {

template <std::uint32_t kPlaces>
    requires(kPlaces >= 1 && kPlaces <= 0xffff)
class Latch {
public:
    // Nobody: it opens when all who joined have counted down.
    constexpr Latch() noexcept = default;
    constexpr explicit Latch(std::uint32_t count) noexcept
        : layout_{pack(GatheringWord{.expected = count < kPlaces ? count : kPlaces}), 0, 0} {}
    Latch(const Latch&) = delete;
    Latch& operator=(const Latch&) = delete;

    // Takes one of the places that are counted, or one more: from now on its death is noticed.
    // Errors: forked, no_free_place
    Result<void> join() noexcept { return gathering().join(here(this)); }
    // One place of this process, or one that nobody has. Open, nothing changes any more.
    // Errors: forked, not_owner (there is no such place)
    Result<void> count_down() noexcept {
        if (is_open()) return {};
        const Result<std::uint32_t> phase = gathering().arrive(here(this), false);
        return phase ? Result<void>{} : std::unexpected(phase.error());
    }
    // Errors: forked; try_: empty; _for and _until: timed_out
    Result<Passed> wait(Deadline deadline = Deadline::never()) noexcept {
        return gathering().wait(here(this), 0, deadline);
    }
    Result<Passed> try_wait() noexcept { return wait(Deadline::immediately()); }
    Result<Passed> wait_for(std::chrono::nanoseconds wait) noexcept {
        return this->wait(Deadline::after(wait));
    }
    Result<Passed> wait_until(Deadline::Clock::time_point when) noexcept {
        return wait(Deadline::at(when));
    }
    [[nodiscard]] bool is_open() const noexcept {
        return unpack_gathering(layout_.word.load(kSeqCst)).phase != 0;
    }

private:
    detail::Gathering gathering() noexcept { return {&layout_, places_}; }

    GatheringLayout layout_{};
    Atomic<std::uint64_t> places_[kPlaces]{};
};

class CountLatch {
public:
    constexpr explicit CountLatch(std::uint32_t count) noexcept : layout_{count, 0} {}
    CountLatch(const CountLatch&) = delete;
    CountLatch& operator=(const CountLatch&) = delete;

    // Not below 0.
    void count_down(std::uint32_t by = 1) noexcept;
    // Errors: forked; try_: empty; _for and _until: timed_out
    Result<void> wait(Deadline deadline = Deadline::never()) noexcept;
    Result<void> try_wait() noexcept { return wait(Deadline::immediately()); }
    Result<void> wait_for(std::chrono::nanoseconds wait) noexcept {
        return this->wait(Deadline::after(wait));
    }
    Result<void> wait_until(Deadline::Clock::time_point when) noexcept {
        return wait(Deadline::at(when));
    }
    [[nodiscard]] bool is_open() const noexcept { return layout_.left.load(kSeqCst) == 0; }

private:
    CountLatchLayout layout_;
};

template <std::uint32_t kPlaces>
struct Layout<Latch<kPlaces>> {
    static void append(std::string& text) { text += "stoa.latch 1"; }  // its size says the rest
};
template <>
struct Layout<CountLatch> {
    static constexpr std::string_view name = "stoa.count_latch 1";
};

}  // namespace stoa
