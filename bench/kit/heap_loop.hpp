// Blocks of mixed sizes, allocated and freed over and over, by one process or by two at once.
//
// Start here: heap_subject_of<S>() makes a Subject for Workload::heap of a class S:
//   explicit S(const Case&);         before the fork; its destructor removes what it left
//   E attach();                      in each process
// and an E has void* take(std::size_t bytes) and void give(void*, std::size_t bytes).
// Threads:    none.
// Processes:  as those of a pair; the server works too unless the mode is single.
// Death:      as SessionOf.
// Blocking:   never.
// Lifetime:   256 blocks live at a time in each process.
// Units:      a rate counts pairs of one allocation and one free, of the client.
// Source:     sizes as in Larson, Krishnan 1998: small ones most often, replaced at random.
#pragma once

#include <array>
#include <cstring>

#include "bench/kit/subject.hpp"

namespace stoa::bench {

inline constexpr std::size_t kHeapBytes = std::size_t{64} << 20U;

[[nodiscard]] constexpr std::size_t mixed_size(std::uint32_t random) noexcept {
    const std::uint32_t kind = random % 64;
    const std::uint32_t part = random / 64;
    if (kind < 44) return 16 + part % 113;    // 16 .. 128
    if (kind < 58) return 129 + part % 384;   // .. 512
    if (kind < 63) return 513 + part % 1536;  // .. 2048
    return 2049 + part % 6144;                // .. 8192
}

template <class S>
class HeapSession final : public Session {
public:
    explicit HeapSession(const Case& c) : subject_{c} {}
    void run(const Case& c, const Role& role, Board& board) override {
        auto end = subject_.attach();
        await_start(role, board);
        if (role.part != Part::client && c.mode == Mode::single) return;
        RoleBoard& mine = board.roles[role.board];
        constexpr std::uint64_t kTurn = 64;
        std::array<void*, 256> blocks{};
        std::array<std::size_t, 256> sizes{};
        std::uint32_t random = 12345 + static_cast<std::uint32_t>(role.board);
        for (std::uint64_t before = ticks(); before < board.until;) {
            for (std::uint64_t i = 0; i < kTurn; ++i) {
                random = random * 1664525U + 1013904223U;
                const std::size_t at = random >> 24U;
                if (blocks[at] != nullptr) {
                    std::uint64_t says = 0;
                    std::memcpy(&says, blocks[at], sizeof says);
                    mine.wrong += says != (at << 32U | role.board);
                    end.give(blocks[at], sizes[at]);
                }
                sizes[at] = mixed_size(random >> 3U & 0xfffffU);
                blocks[at] = end.take(sizes[at]);
                const std::uint64_t says = at << 32U | role.board;
                std::memcpy(blocks[at], &says, sizeof says);
            }
            const std::uint64_t now = ticks();
            if (before >= board.from) {
                mine.latency.add((now - before) / kTurn);
                mine.measured += kTurn;
                mine.measured_ticks += now - before;
            }
            before = now;
        }
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            if (blocks[i] != nullptr) end.give(blocks[i], sizes[i]);
        }
    }

private:
    S subject_;
};

template <class S>
[[nodiscard]] Subject heap_subject_of(std::string name, Kind kind) {
    return {std::move(name), kind, [](const Case& c) { return c.workload == Workload::heap; },
            [](const Case& c) -> std::unique_ptr<Session> {
                return std::make_unique<HeapSession<S>>(c);
            }};
}

}  // namespace stoa::bench
