// The newest value of one writer: how many reads or writes of it a second.
//
// Start here: newest_subject_of<S>() makes a Subject for Workload::newest of a class template S
// over the size of a value, with
//   S();                                  before the fork
//   void begin();                         in the process that is going to write
//   void write(const Words<kBytes>&);
//   bool read(Visit visit);               visit(const Words<kBytes>&) with a whole one, or false
// Threads:    none.
// Processes:  the client is measured; the server writes a value each microsecond beside its reads.
// Death:      as SessionOf.
// Blocking:   never.
// Lifetime:   as SessionOf.
// Units:      a rate counts reads, or writes.
// Source:     none.
#pragma once

#include <algorithm>
#include <array>

#include "bench/kit/subject.hpp"

namespace stoa::bench {

template <std::size_t kBytes>
struct Words {
    std::array<std::uint64_t, kBytes / 8> words;
};

template <template <std::size_t> class S, std::size_t kBytes>
class NewestSession final : public Session {
public:
    void run(const Case& c, const Role& role, Board& board) override {
        const bool writes = c.mode == Mode::writes;
        const bool beside = c.mode == Mode::reads_beside;
        RoleBoard& mine = board.roles[role.board];
        Value value{};
        value.words.fill(1);
        if ((role.part == Part::client) != beside) {
            subject_.begin();
            if (!writes) subject_.write(value);
        }
        await_start(role, board);
        if (role.part == Part::server) {
            if (beside) write_now_and_then(board);
            return;
        }
        if (beside) {
            while (!subject_.read([](const Value&) {})) cpu_pause();
        }
        writes ? work(board, mine, [&] { write_one(value); })
               : work(board, mine, [&] { read_one(mine); });
        mine.left.store(1, kRelease);
    }

private:
    using Value = Words<kBytes>;

    // Looks at the clock now and then.
    template <class Operation>
    static void work(Board& board, RoleBoard& mine, Operation&& operation) {
        std::uint64_t count = 0;
        std::uint64_t first = 0;
        std::uint64_t first_count = 0;
        for (;;) {
            for (std::size_t i = 0; i < (kBytes > 4096 ? 1 : kBatch); ++i, ++count) operation();
            const std::uint64_t now = ticks();
            if (now >= board.until) break;
            if (now < board.from) continue;
            if (first == 0) {
                first = now;
                first_count = count;
            }
            mine.measured = count - first_count;
            mine.measured_ticks = now - first;
        }
    }
    void write_one(Value& value) {
        ++value.words[0];
        value.words.back() = value.words[0];
        subject_.write(value);
    }
    void read_one(RoleBoard& mine) {
        const auto visit = [&](const Value& value) {
            asm volatile("" : : "m"(value));  // all of it is there
            if (value.words[0] != value.words.back()) ++mine.wrong;
        };
        while (!subject_.read(visit)) cpu_pause();
    }
    void write_now_and_then(Board& board) {
        Value value{};
        const auto pause = static_cast<std::uint64_t>(ticks_per_ns() * 1000);
        for (std::uint64_t next = 0; board.roles[0].left.load(kRelaxed) == 0;) {
            if (const std::uint64_t now = ticks(); now >= next) {
                write_one(value);
                next = now + pause;
            }
        }
    }

    S<kBytes> subject_;
};

template <template <std::size_t> class S, std::size_t... kSizes>
[[nodiscard]] Subject newest_subject_of(std::string name, Kind kind) {
    return {
        std::move(name), kind,
        [](const Case& c) {
            return c.workload == Workload::newest && ((c.bytes == kSizes) || ...);
        },
        [](const Case& c) {
            std::unique_ptr<Session> session;
            ((c.bytes == kSizes ? (session = std::make_unique<NewestSession<S, kSizes>>(), 0) : 0),
             ...);
            return session;
        }};
}

}  // namespace stoa::bench
