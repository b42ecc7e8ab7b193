// The loop of workload `attach`: attach to a region that is there, read a value in it, detach.
//
// Start here: attach_subject_of<S>(name, kind); S has once(), which does all three.
// Threads:    none.
// Processes:  one; another one keeps the region.
// Death:      none.
// Blocking:   never.
// Lifetime:   of its session.
// Units:      ticks.
// Source:     none.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "bench/kit/subject.hpp"

namespace stoa::bench {

template <class S>
class AttachSession final : public Session {
public:
    explicit AttachSession(const Case& c) : subject_{c} {}
    void run(const Case& /*c*/, const Role& role, Board& board) override {
        await_start(role, board);
        if (role.part != Part::client) return;
        RoleBoard& mine = board.roles[role.board];
        for (std::uint64_t before = ticks(); before < board.until;) {
            mine.wrong += subject_.once() != S::kValue;
            const std::uint64_t now = ticks();
            if (before >= board.from) {
                mine.latency.add(now - before);
                ++mine.measured;
                mine.measured_ticks += now - before;
            }
            before = now;
        }
    }

private:
    S subject_;
};

template <class S>
[[nodiscard]] Subject attach_subject_of(std::string name, Kind kind) {
    return {std::move(name), kind, [](const Case& c) { return c.workload == Workload::attach; },
            [](const Case& c) -> std::unique_ptr<Session> {
                return std::make_unique<AttachSession<S>>(c);
            }};
}

}  // namespace stoa::bench
