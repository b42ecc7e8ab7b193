// A deliberately simple shared structure, and ways to break it: what the engine is proved on.
//
// A board of cells. publish() claims a free cell, fills it, shows it; take() claims a shown cell,
// reads it, frees it; recover() undoes what a dead owner left half-way. A cell's word is
// {stamp:32, owner:16, state:16}; the stamp grows with every change.
#pragma once

#include <array>
#include <cstdint>

#include "stoa/base/atomic.hpp"

namespace stoa::crash::toy {

enum class Bug : std::uint8_t {
    none,
    forgets_owner,         // a claimed cell does not say whose it is
    ready_before_payload,  // a cell is shown before it is filled
    blind_claim,           // publish() stores over a cell that it saw free, without a CAS
    recover_takes_lock,    // recover() holds a lock that dies with it
    recover_ignores_life,  // recover() looks at the place only, not at whose life in it
    crashes,               // publish() reads through a null pointer
};

enum State : std::uint16_t { kFree, kFilling, kReady, kTaking };

struct Board {
    static constexpr std::size_t kCells = 3;
    std::array<Atomic<std::uint64_t>, kCells> words;
    std::array<std::array<std::uint64_t, 2>, kCells> payloads;  // a value and its complement
    Atomic<std::uint32_t> lock;
    Atomic<std::uint32_t> bell;  // of wait_for_bell()
};

constexpr std::uint64_t word(std::uint64_t before, std::uint16_t owner, State state) {
    return ((before >> 32U) + 1) << 32U | std::uint64_t{owner} << 16U | state;
}
constexpr State state_of(std::uint64_t word) {
    return static_cast<State>(word & 0xffffU);
}
constexpr std::uint16_t owner_of(std::uint64_t word) {
    return static_cast<std::uint16_t>(word >> 16U);
}
// An owner is a place and the life (incarnation) of who sits in it.
constexpr std::uint16_t owner(unsigned place, unsigned life) {
    return static_cast<std::uint16_t>(life << 8U | place);
}

// Claims a cell for `me`; kCells when none is free.
template <Bug bug>
[[gnu::noinline]] std::size_t claim(Board& board, std::uint16_t me) {
    for (std::size_t k = 0; k < Board::kCells; ++k) {
        std::uint64_t seen = board.words[k].load();
        if (state_of(seen) != kFree) continue;
        const std::uint64_t claimed = word(seen, bug == Bug::forgets_owner ? 0 : me, kFilling);
        if (bug == Bug::blind_claim) {
            board.words[k].store(claimed);
            return k;
        }
        if (board.words[k].compare_exchange_strong(seen, claimed)) return k;
    }
    return Board::kCells;
}

template <Bug bug>
[[gnu::noinline]] bool show(Board& board, std::size_t cell, std::uint16_t me, std::uint64_t value) {
    std::uint64_t seen = board.words[cell].load();
    if (bug == Bug::ready_before_payload) board.words[cell].store(word(seen, 0, kReady));
    board.payloads[cell][0] = value;
    board.payloads[cell][1] = ~value;
    if (bug == Bug::ready_before_payload) return true;
    if (bug != Bug::forgets_owner && owner_of(seen) != me) return false;
    return board.words[cell].compare_exchange_strong(seen, word(seen, 0, kReady));
}

template <Bug bug>
[[gnu::noinline]] bool publish(Board& board, std::uint16_t me, std::uint64_t value) {
    const std::size_t cell = claim<bug>(board, me);
    if (cell == Board::kCells) return false;
    // allowed: banned: the crash must not be optimised away
    if (bug == Bug::crashes) value += *static_cast<const volatile std::uint64_t*>(nullptr);
    return show<bug>(board, cell, me, value);
}

// A value, 0 when nothing is there, ~0 when what is there is torn.
template <Bug bug>
[[gnu::noinline]] std::uint64_t take(Board& board, std::uint16_t me) {
    for (std::size_t k = 0; k < Board::kCells; ++k) {
        std::uint64_t seen = board.words[k].load();
        if (state_of(seen) != kReady) continue;
        const std::uint64_t mine = word(seen, me, kTaking);
        if (!board.words[k].compare_exchange_strong(seen, mine)) continue;
        const std::array<std::uint64_t, 2> payload = board.payloads[k];
        std::uint64_t expected = mine;
        if (!board.words[k].compare_exchange_strong(expected, word(mine, 0, kFree))) continue;
        return payload[0] == ~payload[1] ? payload[0] : ~std::uint64_t{0};
    }
    return 0;
}

template <Bug bug>
[[gnu::noinline]] void recover(Board& board, std::uint16_t dead) {
    if (bug == Bug::recover_takes_lock) {
        while (board.lock.exchange(1) != 0) cpu_pause();
    }
    for (Atomic<std::uint64_t>& cell : board.words) {
        std::uint64_t seen = cell.load();
        const bool its = bug == Bug::recover_ignores_life
                             ? (owner_of(seen) & 0xffU) == (dead & 0xffU)
                             : owner_of(seen) == dead;
        if (!its) continue;
        if (state_of(seen) == kFilling) cell.compare_exchange_strong(seen, word(seen, 0, kFree));
        if (state_of(seen) == kTaking) cell.compare_exchange_strong(seen, word(seen, 0, kReady));
    }
    if (bug == Bug::recover_takes_lock) board.lock.store(0);
}

}  // namespace stoa::crash::toy
