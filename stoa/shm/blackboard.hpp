// Blackboard<T, n>: up to n keys, each with the newest value that its one writer gave it.
//
// Start here: Blackboard::claim, read, find, for_each.
// Threads:    safe.
// Processes:  lies in a region, or in memory of one process; all zero has no keys. Who only reads
//             may have mapped it read-only. Cells are Latest<T> (stoa/shm/latest.hpp).
// Death:      at any instruction of claim: the key is there as a whole or not at all; what its
//             adder had taken for it is used again.
// Blocking:   never. Looking up is wait-free; adding takes at most as many steps as there are keys.
// Lifetime:   keys are for good: a cell stays where it is as long as the memory.
// Units:      keys have 1 to 55 bytes, none of them zero.
// Source:     insert-only open addressing: a key's index words are tried in one order by all, so
//             two who add one key meet at the same free word.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "stoa/shm/blackboard_layout.hpp"
#include "stoa/shm/latest.hpp"

namespace stoa {

namespace detail {

struct BlackboardView {
    std::span<BlackboardKey> keys;
    std::span<Atomic<std::uint32_t>> index;
};
struct BlackboardLook {
    std::span<const BlackboardKey> keys;
    std::span<const Atomic<std::uint32_t>> index;
};

// Number of a key. Errors: not_found
[[nodiscard]] Result<std::uint32_t> find_key(BlackboardLook board, std::string_view key) noexcept;
// Adds it if it is not there. Errors: bad_argument, full, forked
[[nodiscard]] Result<std::uint32_t> add_key(BlackboardView board, std::string_view key) noexcept;
[[nodiscard]] std::string_view key_text(const BlackboardKey& key) noexcept;

}  // namespace detail

template <LatestValue T, std::uint32_t kKeys>
    requires(kKeys >= 1 && kKeys <= 1U << 20U)
class Blackboard {
public:
    using Cell = Latest<T>;
    using Reading = Cell::Reading;
    using Writer = Cell::Writer;

    constexpr Blackboard() noexcept = default;
    Blackboard(const Blackboard&) = delete;
    Blackboard& operator=(const Blackboard&) = delete;

    // The right to write the values of a key, which is added if it is not there.
    // Errors: in_use (it has a writer), full (so many keys are there already, or being added),
    //         bad_argument (not 1 to 55 bytes, or a zero in it), forked
    [[nodiscard]] Result<Writer> claim(std::string_view key) noexcept {
        const Result<std::uint32_t> number = detail::add_key({keys_, index_}, key);
        if (!number) return std::unexpected(number.error());
        return cells_[*number].claim_writer();
    }
    // Its newest value. Errors: not_found; those of Latest::read: empty, timed_out
    [[nodiscard]] Result<Reading> read(std::string_view key) const noexcept {
        const Result<std::uint32_t> number = detail::find_key({keys_, index_}, key);
        if (!number) return std::unexpected(number.error());
        return cells_[*number].read();
    }
    // Its cell: reading that saves looking up the key each time. Errors: not_found
    [[nodiscard]] Result<Cell*> find(std::string_view key) noexcept {
        const Result<std::uint32_t> number = detail::find_key({keys_, index_}, key);
        if (!number) return std::unexpected(number.error());
        return &cells_[*number];
    }
    [[nodiscard]] Result<const Cell*> find(std::string_view key) const noexcept {
        const Result<std::uint32_t> number = detail::find_key({keys_, index_}, key);
        if (!number) return std::unexpected(number.error());
        return &cells_[*number];
    }
    // visit(std::string_view key, const Cell&) for each key that is there, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const Atomic<std::uint32_t>& word : index_) {
            const std::uint32_t number = word.load(kAcquire) - 1;  // <- K2
            if (number < kKeys) visit(detail::key_text(keys_[number]), cells_[number]);
        }
    }
    [[nodiscard]] std::uint32_t size() const noexcept {
        std::uint32_t count = 0;
        for_each([&](std::string_view, const Cell&) { ++count; });
        return count;
    }
    [[nodiscard]] static constexpr std::uint32_t capacity() noexcept { return kKeys; }

private:
    BlackboardKey keys_[kKeys]{};
    Atomic<std::uint32_t> index_[blackboard_index_words(kKeys)]{};
    Cell cells_[kKeys]{};
};

template <LatestValue T, std::uint32_t kKeys>
struct Layout<Blackboard<T, kKeys>> {
    static void append(std::string& text) {
        text += "stoa.blackboard 1 " + std::to_string(kKeys) + " ";
        detail::append_type<T>(text);
    }
};

}  // namespace stoa
