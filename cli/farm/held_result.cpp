#include "cli/farm/held_result.hpp"

#include "cli/farm/scratch.hpp"

namespace stoa::cli::farm {

Result<void> HeldResult::spill(HeldBudget& budget) {
    Result<sys::Fd> file = make_scratch();
    if (!file) return std::unexpected(file.error());
    std::uint64_t offset = 0;
    for (const std::vector<std::byte>& piece : pieces_) {
        if (Result<void> written = write_at(*file, piece, offset); !written) return written;
        offset += piece.size();
    }
    file_ = std::move(*file);
    budget.used_bytes -= bytes_;
    pieces_.clear();
    return {};
}

Result<void> HeldResult::append(std::span<const std::byte> bytes, HeldBudget& budget) {
    if (bytes.empty()) return {};
    if (!file_.valid() && budget.used_bytes + bytes.size() > budget.limit_bytes) {
        if (Result<void> spilled = spill(budget); !spilled) return spilled;
    }
    if (file_.valid()) {
        if (Result<void> written = write_at(file_, bytes, bytes_); !written) return written;
    } else {
        pieces_.emplace_back(bytes.begin(), bytes.end());
        budget.used_bytes += bytes.size();
    }
    bytes_ += bytes.size();
    return {};
}

void HeldResult::clear(HeldBudget& budget) noexcept {
    if (!file_.valid()) budget.used_bytes -= bytes_;
    pieces_.clear();
    file_ = sys::Fd{};
    bytes_ = 0;
}

Result<void> HeldResult::read_back(std::span<std::byte> room, std::uint64_t offset) const {
    return read_at(file_, room, offset);
}

}  // namespace stoa::cli::farm
