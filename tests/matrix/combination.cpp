#include "tests/matrix/combination.hpp"

#include <array>

namespace stoa::matrix {
namespace {

constexpr std::array kCapacities{"zero", "bounded", "unbounded"};
constexpr std::array kSharings{"any",          "single_receiver", "pair",     "round_robin",
                               "least_loaded", "key_affine",      "broadcast"};
constexpr std::array kOverflows{"block", "reject", "drop_oldest", "drop_newest"};

struct How {
    Sharing sharing;
    bool by_turns = false;
    bool one_way = false;
};
constexpr std::array kHows{How{Sharing::any},
                           How{Sharing::single_receiver},
                           How{.sharing = Sharing::single_receiver, .by_turns = true},
                           How{Sharing::pair},
                           How{.sharing = Sharing::pair, .one_way = true},
                           How{Sharing::round_robin},
                           How{Sharing::least_loaded},
                           How{Sharing::key_affine},
                           How{Sharing::broadcast}};

}  // namespace

std::vector<Combination> Combination::all() {
    std::vector<Combination> all;
    for (std::uint8_t capacity = 0; capacity < kCapacities.size(); ++capacity) {
        for (const How& how : kHows) {
            for (const Owner owner : {Owner::system, Owner::process}) {
                for (std::uint32_t overflow = 0; overflow < kOverflows.size(); ++overflow) {
                    for (const bool acknowledged : {false, true}) {
                        for (const std::uint32_t priorities : {1U, 4U}) {
                            all.push_back({.capacity = static_cast<Capacity::Kind>(capacity),
                                           .sharing = how.sharing,
                                           .by_turns = how.by_turns,
                                           .one_way = how.one_way,
                                           .owner = owner,
                                           .overflow = static_cast<Overflow>(overflow),
                                           .acknowledged = acknowledged,
                                           .priorities = priorities});
                        }
                    }
                }
            }
        }
    }
    return all;
}

MailboxOptions Combination::options(Role role) const {
    Capacity how_many = stoa::bounded(kBound);
    if (zero()) how_many = stoa::zero();
    if (unbounded()) how_many = stoa::unbounded(256 * 1024);
    return {.capacity = how_many,
            .sharing = sharing,
            .acknowledged = acknowledged,
            .overflow = overflow,
            .priorities = priorities,
            .one_way = one_way,
            .by_turns = by_turns,
            .reserve_bytes = 4096,
            .loan_quota = 16,
            .owner = owner,
            .role = role};
}

Words Combination::words() const {
    Words words{kCapacities[static_cast<std::size_t>(capacity)],
                kSharings[static_cast<std::size_t>(sharing)],
                owner == Owner::system ? "owner system" : "owner process",
                kOverflows[static_cast<std::size_t>(overflow)],
                acknowledged ? "acknowledged" : "plain",
                priorities == 1 ? "one priority" : "priorities"};
    if (by_turns) words.insert("by turns");
    if (one_way) words.insert("one way");
    return words;
}

std::string Combination::text() const {
    std::string text;
    for (const std::string& word : words()) text += (text.empty() ? "" : ", ") + word;
    return text;
}

}  // namespace stoa::matrix
