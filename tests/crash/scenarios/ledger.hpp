// Messages that carry their number, and a book of who must get which.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace stoa::crash {

// A payload of whole words: its number, then words made from it, so that a torn one is seen.
inline std::uint64_t payload_word(std::uint64_t number, std::size_t index) {
    return index == 0 ? number : (number + index) * 0x9e3779b97f4a7c15U;
}

inline void write_payload(std::span<std::byte> to, std::uint64_t number) {
    for (std::size_t k = 0; k * 8 < to.size(); ++k) {
        const std::uint64_t word = payload_word(number, k);
        std::memcpy(to.data() + k * 8, &word, 8);
    }
}

// The number of a payload; 0 when it is torn.
inline std::uint64_t read_payload(std::span<const std::byte> from) {
    std::uint64_t number = 0;
    if (from.size() < 8 || from.size() % 8 != 0) return 0;
    std::memcpy(&number, from.data(), 8);
    for (std::size_t k = 0; k * 8 < from.size(); ++k) {
        std::uint64_t word = 0;
        std::memcpy(&word, from.data() + k * 8, 8);
        if (word != payload_word(number, k)) return 0;
    }
    return number;
}

// What must have been received in the end: each number its times, nothing else.
class Ledger {
public:
    void must(std::uint64_t number) { expected_[number] = {1, 1}; }
    void may(std::uint64_t number) { expected_[number] = {0, 1}; }
    void must_not(std::uint64_t number) { expected_[number] = {0, 0}; }
    [[nodiscard]] bool expects(std::uint64_t number) const {
        const auto at = expected_.find(number);
        return at != expected_.end() && at->second[0] > 0;
    }
    void got(std::uint64_t number) { ++received_[number]; }

    [[nodiscard]] std::string balance() const {
        for (const auto& [number, range] : expected_) {
            const auto at = received_.find(number);
            const int times = at == received_.end() ? 0 : at->second;
            if (times < range[0]) return "message " + std::to_string(number) + " is lost";
            if (times > range[1]) {
                return "message " + std::to_string(number) + " came " + std::to_string(times) +
                       " times, at most " + std::to_string(range[1]) + " allowed";
            }
        }
        for (const auto& [number, times] : received_) {
            if (!expected_.contains(number)) {
                return "message " + std::to_string(number) + " was never sent";
            }
        }
        return {};
    }

private:
    std::map<std::uint64_t, std::array<int, 2>> expected_;
    std::map<std::uint64_t, int> received_;
};

}  // namespace stoa::crash
