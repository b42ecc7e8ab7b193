// One point of the matrix: a choice for each word that a user may choose.
#pragma once

#include <string>
#include <vector>

#include "stoa/mailbox/options.hpp"
#include "tests/matrix/page.hpp"

namespace stoa::matrix {

inline constexpr std::uint32_t kBound = 4;  // messages, where bounded

struct Combination {
    Capacity::Kind capacity = Capacity::Kind::bounded;
    Sharing sharing = Sharing::any;
    bool by_turns = false;
    bool one_way = false;
    Owner owner = Owner::system;
    Overflow overflow = Overflow::block;
    bool acknowledged = false;
    std::uint32_t priorities = 1;

    static std::vector<Combination> all();

    [[nodiscard]] bool zero() const noexcept { return capacity == Capacity::Kind::zero; }
    [[nodiscard]] bool bounded() const noexcept { return capacity == Capacity::Kind::bounded; }
    [[nodiscard]] bool unbounded() const noexcept { return capacity == Capacity::Kind::unbounded; }
    [[nodiscard]] bool drops() const noexcept {
        return overflow == Overflow::drop_oldest || overflow == Overflow::drop_newest;
    }
    [[nodiscard]] bool broadcast() const noexcept { return sharing == Sharing::broadcast; }
    // Only key_affine takes a key, and only a held single_receiver one that stands by.
    [[nodiscard]] std::uint64_t key(std::uint64_t it) const noexcept {
        return sharing == Sharing::key_affine ? it : 0;
    }
    [[nodiscard]] bool stands_by() const noexcept {
        return sharing == Sharing::single_receiver && !by_turns;
    }
    [[nodiscard]] MailboxOptions options(Role role) const;
    [[nodiscard]] Words words() const;
    [[nodiscard]] std::string text() const;
};

}  // namespace stoa::matrix
