// A lock locked and unlocked over and over: by one process alone, or by two at once.
//
// Start here: lock_subject_of<S>() makes a Subject for Workload::locks of a class S:
//   static constexpr bool kExclusive   at most one is in at a time
//   explicit S(const Case&);           before the fork: the lock in shared memory
//   E connect(const Role&);            in each process; an E has lock() and unlock()
// Threads:    none.
// Processes:  as those of a pair; alone (`single`) the other one sleeps.
// Death:      as SessionOf.
// Blocking:   as the lock blocks.
// Lifetime:   the lock lives for one measurement.
// Units:      a rate counts pairs of lock and unlock, of both processes together.
// Source:     none.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

template <class S>
class LockSession final : public Session {
public:
    explicit LockSession(const Case& c) : subject_{c} {}
    void run(const Case& c, const Role& role, Board& board) override {
        auto end = subject_.connect(role);
        await_start(role, board);
        RoleBoard& mine = board.roles[role.board];
        const bool is_client = role.part == Part::client;
        RoleBoard& other = board.roles[is_client ? role.board + 1 : role.board - 1];
        const bool alone = c.mode == Mode::single;
        if (!is_client && alone) {
            mine.left.store(1, kRelease);
            while (other.left.load(kAcquire) == 0) sleep_us(1000);
            return;
        }
        const std::uint64_t before = waited_for_cpu_ns();
        c.verify ? work<true>(end, board, mine) : work<false>(end, board, mine);
        mine.waited_ns = waited_for_cpu_ns() - before;
        mine.left.store(1, kRelease);
        while (other.left.load(kAcquire) == 0) sleep_us(100);
        if (!is_client) return;
        mine.measured += other.measured;
        if (!c.verify || !S::kExclusive) return;
        mine.wrong += guarded_->count != mine.sum + other.sum;
    }

private:
    struct Guarded {
        std::uint64_t count = 0;
    };

    template <bool kVerify, class E>
    void work(E& end, const Board& board, RoleBoard& mine) {
        std::uint64_t first = 0;
        for (std::uint64_t before = ticks(); before < board.until;) {
            for (std::size_t i = 0; i < kBatch; ++i) {
                end.lock();
                if constexpr (kVerify && S::kExclusive) guarded_->count = guarded_->count + 1;
                end.unlock();
            }
            mine.sum += kBatch;
            const std::uint64_t now = ticks();
            if (before >= board.from) {
                if (first == 0) first = before;
                mine.measured += kBatch;
                mine.measured_ticks = now - first;
                mine.latency.add((now - before) / kBatch);
            }
            before = now;
        }
    }

    S subject_;
    Shared<Guarded> guarded_;
};

template <class S>
[[nodiscard]] Subject lock_subject_of(std::string name, Kind kind) {
    return {std::move(name), kind, [](const Case& c) { return c.workload == Workload::locks; },
            [](const Case& c) -> std::unique_ptr<Session> {
                return std::make_unique<LockSession<S>>(c);
            }};
}

}  // namespace stoa::bench
