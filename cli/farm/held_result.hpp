// The output of one attempt that cannot be written yet: in memory while the budget lasts, then in a
// file without a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/base/error.hpp"
#include "stoa/sys/fd.hpp"

namespace stoa::cli::farm {

struct HeldBudget {
    std::uint64_t limit_bytes = 32 * 1024 * 1024;  // of memory, for all results together
    std::uint64_t used_bytes = 0;
};

class HeldResult {
public:
    // Errors: out_of_space, limit_reached, os
    [[nodiscard]] Result<void> append(std::span<const std::byte> bytes, HeldBudget& budget);
    void clear(HeldBudget& budget) noexcept;

    [[nodiscard]] bool spilled() const noexcept { return file_.valid(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    // Calls visit(span) for the bytes in order, until it returns something other than its default.
    template <typename Visit>
    auto for_each(Visit&& visit) const -> Result<decltype(visit(std::span<const std::byte>{}))> {
        using Outcome = decltype(visit(std::span<const std::byte>{}));
        for (const std::vector<std::byte>& piece : pieces_) {
            if (const Outcome outcome = visit(piece); outcome != Outcome{}) return outcome;
        }
        std::vector<std::byte> room(file_.valid() ? kReadBytes : 0);
        for (std::uint64_t done = 0; file_.valid() && done < bytes_;) {
            const std::uint64_t next = bytes_ - done < kReadBytes ? bytes_ - done : kReadBytes;
            const std::span<std::byte> here{room.data(), static_cast<std::size_t>(next)};
            if (Result<void> read = read_back(here, done); !read) {
                return std::unexpected(read.error());
            }
            if (const Outcome outcome = visit(here); outcome != Outcome{}) return outcome;
            done += next;
        }
        return Outcome{};
    }

private:
    static constexpr std::uint64_t kReadBytes = 256 * 1024;
    [[nodiscard]] Result<void> spill(HeldBudget& budget);
    [[nodiscard]] Result<void> read_back(std::span<std::byte> room, std::uint64_t offset) const;

    std::vector<std::vector<std::byte>> pieces_;
    sys::Fd file_;
    std::uint64_t bytes_ = 0;
};

}  // namespace stoa::cli::farm
