#include "cli/farm/feeder.hpp"

#include <cstring>

#include "cli/farm/messages.hpp"
#include "cli/farm/scratch.hpp"
#include "stoa/base/size.hpp"

namespace stoa::cli::farm {

// The board is opened before the task can reach a worker.
void Feeder::enter(const TaskExtent& extent) {
    around_.window.enter(extent);
    around_.board.open(next_task_);
    around_.figures.bytes_cut.fetch_add(extent.bytes, kRelaxed);
    around_.figures.tasks_cut.fetch_add(1, kRelaxed);
}

Result<void> Feeder::send_inline(Bytes bytes) {
    enter({.bytes = bytes.size()});
    const TaskHeader header{next_task_++, bytes.size(), kInline};
    Result<RawLoan> loan = tasks_.loan(sizeof header + bytes.size());
    if (!loan) return std::unexpected(loan.error());
    std::memcpy(loan->room().data(), &header, sizeof header);
    if (!bytes.empty()) {
        std::memcpy(loan->room().data() + sizeof header, bytes.data(), bytes.size());
    }
    return loan->commit(sizeof header + bytes.size());
}

Result<void> Feeder::spool_piece(const Cutter::Piece& piece) {
    if (Result<void> written = write_at(around_.spool, piece.bytes, spool_end_); !written) {
        return written;
    }
    spool_end_ += piece.bytes.size();
    return piece.ends_task ? send_spooled() : Result<void>{};
}

Result<void> Feeder::send_spooled() {
    const std::uint64_t bytes = spool_end_ - spool_begin_;
    const std::uint64_t next_begin = align_up(spool_end_, kPage);  // only whole pages can be freed
    enter({.bytes = bytes, .spool_offset = spool_begin_, .spool_bytes = next_begin - spool_begin_});
    const TaskHeader header{next_task_++, bytes, spool_begin_};
    spool_begin_ = spool_end_ = next_begin;
    return tasks_.send(std::as_bytes(std::span{&header, 1}));
}

Result<void> Feeder::feed(Cutter& cutter) {
    for (;;) {
        const Result<std::optional<Cutter::Piece>> piece = cutter.next();
        if (!piece) return std::unexpected(piece.error());
        if (!*piece) return {};
        const bool whole = (*piece)->ends_task && spool_begin_ == spool_end_;
        Result<void> sent = whole && (*piece)->bytes.size() <= inline_bytes_
                                ? send_inline((*piece)->bytes)
                                : spool_piece(**piece);
        if (!sent) return sent;
    }
}

}  // namespace stoa::cli::farm
