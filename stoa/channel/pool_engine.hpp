// A pool ring with its bells: sends and receives that wait.
//
// Start here: send(), receive(); reserve() and commit() to fill a message in place.
// Threads:    an engine object serves one thread; any number of them work on one ring.
// Processes:  any number.
// Death:      as stoa/ring/pool.hpp; a waiting call looks around after each slice of 100 ms.
// Blocking:   every call that takes a Deadline, until then; Deadline::immediately() never sleeps.
// Lifetime:   borrows the memory of ring and bells.
// Units:      bytes.
// Source:     stoa/ring/pool.hpp, stoa/sync/bell.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/ring/pool.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/coarse_clock.hpp"

namespace stoa {

using Bytes = std::span<const std::byte>;

// How a waiting call sees what goes on beside it; ok: go on waiting, an error ends the wait.
struct LookAround {
    Result<void> (*check)(void* context);  // after each sleep: is this handle still to act?
    Result<void> (*look)(void* context);   // once in a slice: recovers the dead as well
    void* context;
};

struct PoolBells {                                       // in shared memory
    alignas(kCacheLine) Atomic<std::uint32_t> messages;  // receivers sleep here
    alignas(
        kCacheLine) Atomic<std::uint32_t> space;  // senders sleep here: for a slot, or for memory
};
static_assert(sizeof(PoolBells) == 128);

class PoolEngine {
public:
    PoolEngine(PoolRing ring, PoolBells& bells, std::uint32_t me, Waiting waiting,
               LookAround around) noexcept
        : ring_{ring},
          bells_{&bells},
          me_{me},
          waiting_{waiting},
          around_{around},
          looked_at_{sys::coarse_now()} {}

    // Errors: too_big, full (immediately), timed_out, corrupt, what looking around says
    [[nodiscard]] Result<void> send(Bytes message, Deadline deadline);
    [[nodiscard]] Result<PoolLoan> reserve(std::uint64_t bytes, Deadline deadline);
    // On an error the loan is still held.
    [[nodiscard]] Result<void> commit(const PoolLoan& loan, std::uint32_t bytes, Deadline deadline);
    // Errors: empty (immediately), timed_out, corrupt, what looking around says
    [[nodiscard]] Result<PoolLoan> receive(Deadline deadline);

    // Gives back an abandoned loan, a message that was read, or acks it. False: it was not held.
    bool release(const PoolLoan& loan) noexcept;
    bool nack(const PoolLoan& loan) noexcept;
    [[nodiscard]] std::span<std::byte> room(const PoolLoan& loan) noexcept {
        return ring_.room(loan);
    }

    void recover(std::uint32_t dead) noexcept;
    void wake_all() noexcept;
    [[nodiscard]] const PoolRing& ring() const noexcept { return ring_; }

private:
    [[nodiscard]] Result<void> outcome(Waited waited);
    // Looks around when the last look is a slice ago: who never waits that long must recover the
    // dead as well.
    [[nodiscard]] Result<void> look_if_due();
    template <typename Ready>
    [[nodiscard]] Result<void> wait(Atomic<std::uint32_t>& bell, Deadline deadline, bool& slept,
                                    Ready&& ready);

    PoolRing ring_;
    PoolBells* bells_;
    std::uint32_t me_;
    Waiting waiting_;
    LookAround around_;
    Error stopped_{};                     // why looking around ended the last wait
    std::chrono::nanoseconds looked_at_;  // coarse clock
};

}  // namespace stoa
