// Many named objects: one process creates them, another one opens them all.
//
// Start here: crowd_subject_of<S>() makes a Subject for Workload::mailboxes of a class S:
//   static bool supports(const Case&);
//   explicit S(const Case&);         before the fork; its destructor removes what create() left
//   H create(unsigned i);            in the client
//   H open(unsigned i);              in the server, when all were created
// and a handle H has put(std::uint64_t) and std::uint64_t get(), which shows that both lead to one.
// Threads:    none.
// Processes:  as those of a pair.
// Death:      as SessionOf.
// Blocking:   each side waits for the other, asleep.
// Lifetime:   all objects stay open until the end: the last is made beside all others.
// Units:      a rate counts objects; a latency is that of one creation and one opening.
// Source:     none.
#pragma once

#include <sys/resource.h>

#include <vector>

#include "bench/kit/subject.hpp"

namespace stoa::bench {

inline constexpr unsigned kCrowd = 1000;

struct CrowdBoard {
    Atomic<std::uint32_t> created{0};
    Atomic<std::uint32_t> opened{0};
    std::uint64_t opening[kCrowd] = {};  // ticks
};

template <class S>
class CrowdSession final : public Session {
public:
    explicit CrowdSession(const Case& c) : subject_{c} {}
    void run(const Case& /*c*/, const Role& role, Board& board) override {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        await_start(role, board);
        if (role.part == Part::client) {
            create_all(board.roles[role.board]);
        } else {
            open_all(board.roles[role.board]);
        }
    }

private:
    static void await(const Atomic<std::uint32_t>& word) noexcept {
        while (word.load(kAcquire) == 0) sleep_us(100);
    }
    // Calls make(i) for each; how long it took, in ticks.
    template <class Make>
    static auto timed(std::uint64_t (&took)[kCrowd], Make&& make) {
        std::vector<decltype(make(0U))> made;
        made.reserve(kCrowd);
        std::uint64_t before = ticks();
        for (unsigned i = 0; i < kCrowd; ++i) {
            made.push_back(make(i));
            const std::uint64_t now = ticks();
            took[i] = now - before;
            before = now;
        }
        return made;
    }
    void create_all(RoleBoard& mine) {
        std::uint64_t creating[kCrowd] = {};
        auto made = timed(creating, [&](unsigned i) { return subject_.create(i); });
        for (unsigned i = 0; i < kCrowd; ++i) made[i].put(i);
        shared_->created.store(1, kRelease);
        await(shared_->opened);
        for (unsigned i = 0; i < kCrowd; ++i) {
            const std::uint64_t both = creating[i] + shared_->opening[i];
            mine.latency.add(both);
            mine.measured_ticks += both;
        }
        mine.measured = kCrowd;
    }
    void open_all(RoleBoard& mine) {
        await(shared_->created);
        auto made = timed(shared_->opening, [&](unsigned i) { return subject_.open(i); });
        for (unsigned i = 0; i < kCrowd; ++i) mine.wrong += made[i].get() != i;
        shared_->opened.store(1, kRelease);
    }

    S subject_;
    Shared<CrowdBoard> shared_;
};

template <class S>
[[nodiscard]] Subject crowd_subject_of(std::string name, Kind kind) {
    return {std::move(name), kind,
            [](const Case& c) { return c.workload == Workload::mailboxes && S::supports(c); },
            [](const Case& c) -> std::unique_ptr<Session> {
                return std::make_unique<CrowdSession<S>>(c);
            }};
}

// What each subject makes room for.
inline constexpr unsigned kCrowdMessages = 64;

}  // namespace stoa::bench
