// Participant table: who has joined a region, the proof that one is dead, and its orderly removal.
//
// Start here: join(), leave(); sweep() recovers one dead participant, sweep_all() every dead one.
// Threads:    each place is used by one thread at a time; places run concurrently.
// Processes:  any number, up to max_places.
// Death:      at any instruction: the place is free, or its holder can be proven dead and swept. A
//             sweeper that dies or stops costs one place until it is swept itself or goes on.
// Blocking:   never waits; no locks. A probe is about 1 us of system calls.
// Lifetime:   borrows the mapping, which must outlive it.
// Units:      places.
// Source:     hazard announcements after Michael 2004 (hazard pointers), for indices instead.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "stoa/base/error.hpp"
#include "stoa/life/participants_layout.hpp"
#include "stoa/sys/process.hpp"

namespace stoa {

enum class Role : std::uint32_t { none = 0, sends = 1, receives = 2, both = 3 };

[[nodiscard]] constexpr bool has(Role role, Role part) noexcept {
    return (static_cast<std::uint32_t>(role) & static_cast<std::uint32_t>(part)) != 0;
}

struct Participant {  // what can be told about one place
    std::uint32_t index = 0;
    std::uint64_t word = 0;  // proves that two looks saw the same holder
    sys::Identity identity;
    sys::Life life = sys::Life::unknown;
    Role role = Role::none;
    std::uint32_t seat = 0;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    WaitsFor waits = WaitsFor::nothing;
    std::uint64_t waits_since_ns = 0;  // steady clock
    std::uint64_t waits_on = 0;        // meaning in sync/
    std::uint64_t held_since_ns = 0;   // steady clock: when it first saw who holds that; 0: unsaid
    std::string name{};                // of the process
    bool complete = false;             // false: it died or stopped while it joined
};

// Reserves file memory before the table grows into it: offset from the start of the table, bytes.
using ReserveRecords = Result<void> (*)(void* context, std::uint64_t offset, std::uint64_t bytes);
// Brings back what a dead participant held; runs while the sweep is announced.
using RecoverIndex = void (*)(void* context, std::uint32_t dead);

class Participants {
public:
    [[nodiscard]] static std::uint64_t bytes_for(std::uint32_t places) noexcept {
        return sizeof(ParticipantTable) + std::uint64_t{places} * sizeof(ParticipantRecord);
    }
    // Writes an empty table into zeroed memory; `places` records must be reserved, the rest of the
    // max_places need only address space.
    static Result<void> create(std::span<std::byte> memory, std::uint32_t places,
                               std::uint32_t max_places) noexcept;
    // Errors: bad_layout, wrong_version
    [[nodiscard]] static Result<Participants> attach(std::span<std::byte> memory) noexcept;

    // Takes a free place for the calling process; grows the table when there is none.
    // Errors: no_free_place, out_of_space
    [[nodiscard]] Result<std::uint32_t> join(Role role, ReserveRecords reserve, void* context);
    // Takes one of the few places that join() leaves alone (a table of at least 32 has them): who
    // only sweeps and leaves again gets in also when the dead fill the table and it cannot grow.
    // Errors: no_free_place
    [[nodiscard]] Result<std::uint32_t> join_kept();

    // Gives the place back. Precondition: it holds nothing that recover would bring back.
    void leave(std::uint32_t me) noexcept;

    // Recovers the holder of `index` if it is proven dead. True: this call freed the place.
    bool sweep(std::uint32_t me, std::uint32_t index, RecoverIndex recover, void* context) noexcept;
    // Every dead participant; returns how many places it freed.
    std::uint32_t sweep_all(std::uint32_t me, RecoverIndex recover, void* context) noexcept;

    // Somebody else who lives recovers somebody, or stands still in it. Who has taken away what a
    // sweep looks for, by a seq_cst write, and then reads false: no sweep uses it any more.
    [[nodiscard]] bool others_sweep(std::uint32_t me) const noexcept;

    // Calls visit(Participant) for each place that is taken, with a probe of its life.
    template <typename Visit>
    void for_each(Visit&& visit) const {
        const std::uint32_t count = places();
        for (std::uint32_t i = 0; i < count; ++i) {
            Participant seen;
            if (look(i, seen)) visit(seen);
        }
    }
    // One place; false when it is free.
    [[nodiscard]] bool look(std::uint32_t index, Participant& seen) const noexcept;

    // The name of its holder, or of the last one. For display.
    [[nodiscard]] std::string last_name(std::uint32_t index) const;

    [[nodiscard]] std::uint32_t places() const noexcept;
    // Whether processes of several pid or time namespaces have joined.
    [[nodiscard]] bool is_mixed() const noexcept {
        return (table_->flags.load(kSeqCst) & kTableMixed) != 0;
    }
    // From now on that one's process is told of all that wakes somebody here; turn 0: no more.
    // False: another of its sets is told.
    [[nodiscard]] bool set_watch(std::uint32_t me, const WatchWord& whom) const noexcept;
    // Whether anybody ever watched: else whoever wakes others need not look for one.
    [[nodiscard]] bool is_watched() const noexcept {
        return (table_->flags.load(kSeqCst) & kTableWatched) != 0;
    }
    // Who watches, if that is a participant whose identity is complete; false: nobody does here.
    [[nodiscard]] bool watcher(std::uint32_t index, WatchWord& whom,
                               sys::Identity& identity) const noexcept;
    // Who holds that place, as it says itself, without a probe. False: nobody.
    [[nodiscard]] bool holder(std::uint32_t index, sys::Identity& identity) const noexcept;
    // The process that made the table.
    [[nodiscard]] const sys::Identity& creator() const noexcept { return creator_; }
    [[nodiscard]] ParticipantRecord& record(std::uint32_t index) const noexcept {
        return records_[index];
    }

private:
    Participants() = default;

    [[nodiscard]] bool announced(std::uint32_t index) const noexcept;
    [[nodiscard]] bool try_join(std::uint32_t index, Role role, const sys::Identity& self) noexcept;
    [[nodiscard]] Result<void> grow(std::uint32_t from, ReserveRecords reserve, void* context);
    [[nodiscard]] sys::Life life_of(std::uint32_t index, std::uint64_t word,
                                    sys::Identity& identity) const noexcept;

    ParticipantTable* table_ = nullptr;
    ParticipantRecord* records_ = nullptr;
    std::uint32_t max_places_ = 0;  // private copy
    sys::Identity creator_{};
};

}  // namespace stoa
