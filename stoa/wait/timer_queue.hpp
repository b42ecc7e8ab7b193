// The timers of a wait set, the next one first.
//
// Start here: TimerQueue::add, remove, next.
// Threads:    one at a time.
// Processes:  private memory.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   value.
// Units:      nanoseconds of CLOCK_MONOTONIC; slots of the set.
// Source:     a binary heap whose members know where they are: each step is O(log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace stoa {

class TimerQueue {
public:
    struct Item {
        std::int64_t due_ns = 0;
        std::uint32_t slot = 0;
    };

    // Precondition: the slot has none.
    void add(std::uint32_t slot, std::int64_t due_ns) {
        if (slot >= where_.size()) where_.resize(slot + std::size_t{1}, kNowhere);
        items_.push_back({.due_ns = due_ns, .slot = slot});
        where_[slot] = items_.size() - 1;
        up(items_.size() - 1);
    }
    // Nothing when it has none.
    void remove(std::uint32_t slot) noexcept {
        if (slot >= where_.size() || where_[slot] == kNowhere) return;
        const std::size_t at = std::exchange(where_[slot], kNowhere);
        const Item last = items_.back();
        items_.pop_back();
        if (at == items_.size()) return;
        put(at, last);
        up(at);
        down(where_[last.slot]);
    }
    [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
    // Precondition: not empty.
    [[nodiscard]] const Item& next() const noexcept { return items_.front(); }

private:
    static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

    void put(std::size_t at, const Item& item) noexcept {
        items_[at] = item;
        where_[item.slot] = at;
    }
    void swap(std::size_t a, std::size_t b) noexcept {
        const Item item = items_[a];
        put(a, items_[b]);
        put(b, item);
    }
    void up(std::size_t at) noexcept {
        while (at > 0) {
            const std::size_t parent = (at - 1) / 2;
            if (items_[parent].due_ns <= items_[at].due_ns) return;
            swap(parent, at);
            at = parent;
        }
    }
    void down(std::size_t at) noexcept {
        for (;;) {
            std::size_t least = at;
            for (const std::size_t child : {2 * at + 1, 2 * at + 2}) {
                if (child < items_.size() && items_[child].due_ns < items_[least].due_ns)
                    least = child;
            }
            if (least == at) return;
            swap(least, at);
            at = least;
        }
    }

    std::vector<Item> items_;
    std::vector<std::size_t> where_;  // of each slot
};

}  // namespace stoa
