// Says in the table of participants which lock a call waits for, as long as it waits.
//
// Start here: LockWait waits; and waits.tell(...) before it sleeps. lock_table.hpp reads it.
// Threads:    any number of a process; the first that waits is told of, the others are not.
// Processes:  the words lie in the record of the process, and are read by whoever looks.
// Death:      a dead waiter's words stay until its place is taken again; they are not believed.
// Blocking:   never.
// Lifetime:   borrows the participants that it is told of.
// Units:      steady clock, of the last tick.
// Source:     the blocker chains of Linux' lockdep and /proc/lock_stat, for display only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stoa/life/membership.hpp"
#include "stoa/sys/coarse_clock.hpp"

namespace stoa {

// How a lock is waited for. The number stands in a record of participants.
enum class LockKind : std::uint8_t {
    none = 0,
    mutex = 1,
    recursive_mutex = 2,
    once = 3,
    reader = 4,  // of a SharedMutex
    writer = 5,  // of a SharedMutex
    semaphore = 6,
    priority_mutex = 7,
};

struct LockShape {
    LockKind kind = LockKind::none;
    std::uint32_t places = 0;  // how many holders it can have; 0: one
};

// What a record's waits_on says.
struct WaitsOn {
    static constexpr std::uint32_t kMostPlaces = 4095;  // more are told as that many

    LockShape lock{};
    std::uint64_t offset = 0;
};
[[nodiscard]] constexpr std::uint64_t pack(const WaitsOn& on) noexcept {
    return on.offset | std::uint64_t{std::min(on.lock.places, WaitsOn::kMostPlaces)} << 48U |
           static_cast<std::uint64_t>(on.lock.kind) << 60U;
}
[[nodiscard]] constexpr WaitsOn unpack_waits_on(std::uint64_t word) noexcept {
    return {.lock = {.kind = static_cast<LockKind>(word >> 60U),
                     .places = static_cast<std::uint32_t>(word >> 48U) & 0xfffU},
            .offset = word & 0xffff'ffff'ffffU};
}

class LockWait {
public:
    LockWait() noexcept = default;
    LockWait(const LockWait&) = delete;
    LockWait& operator=(const LockWait&) = delete;
    ~LockWait() {
        if (record_ == nullptr) return;
        record_->waits_on.store(0, kSeqCst);
        record_->waits.store(0, kSeqCst);
    }

    // Before each sleep; says something the first time, and when another one holds it than before
    // (`holder` 0: that is not told).
    void tell(const Here& at, const void* lock, LockShape shape, Holder holder = 0) noexcept {
        if (at.participants == nullptr) return;
        if (!is_told_) begin(at, lock, shape);
        is_told_ = true;
        if (record_ == nullptr || holder == holder_) return;
        holder_ = holder;
        record_->held_since.store(now_ns(), kSeqCst);
    }

private:
    [[nodiscard]] static std::uint64_t now_ns() noexcept {
        return static_cast<std::uint64_t>(sys::coarse_now().count());
    }
    void begin(const Here& at, const void* lock, LockShape shape) noexcept {
        ParticipantRecord& record = at.participants->record(holder_index(at.me));
        std::uint64_t nothing = 0;
        if (!record.waits.compare_exchange_strong(nothing, waits_word(WaitsFor::lock, now_ns()),
                                                  kSeqCst)) {
            return;  // another thread of this process waits
        }
        record_ = &record;
        const auto offset = static_cast<const std::byte*>(lock) - at.memory;
        record.held_since.store(0, kSeqCst);
        record.waits_on.store(
            pack(WaitsOn{.lock = shape, .offset = static_cast<std::uint64_t>(offset)}), kSeqCst);
    }

    ParticipantRecord* record_ = nullptr;
    Holder holder_ = 0;
    bool is_told_ = false;
};

}  // namespace stoa
