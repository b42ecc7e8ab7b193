#include "cli/farm/cutter.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/farm/wait_for.hpp"
#include "stoa/sys/errno.hpp"

namespace stoa::cli::farm {
namespace {

constexpr std::size_t kLinesBuffer = 64 * 1024;

const std::byte* at(const void* found) noexcept {
    return static_cast<const std::byte*>(found);
}

}  // namespace

Cutter::Cutter(int descriptor, const CutRules& rules)
    : descriptor_{descriptor},
      rules_{rules},
      size_{rules.lines != 0 ? kLinesBuffer : static_cast<std::size_t>(rules.block_bytes)},
      buffer_{std::make_unique_for_overwrite<std::byte[]>(size_)} {}

Result<std::optional<Cutter::Piece>> Cutter::next() {
    if (rules_.lines != 0) return next_lines();
    return inside_task_ ? next_long_line() : next_block();
}

Result<void> Cutter::read_more() {
    if (end_ == size_) {
        std::memmove(buffer_.get(), data(), held());
        end_ -= begin_;
        begin_ = 0;
    }
    for (;;) {
        const ssize_t count = ::read(descriptor_, buffer_.get() + end_, size_ - end_);
        if (count > 0) {
            end_ += static_cast<std::size_t>(count);
            return {};
        }
        if (count == 0) {
            at_end_ = true;
            return {};
        }
        if (errno == EAGAIN) {  // somebody made it non-blocking
            wait_for(descriptor_, POLLIN);
        } else if (errno != EINTR) {
            return fail(Errc::os, "read", errno);
        }
    }
}

Cutter::Piece Cutter::take(std::size_t bytes, bool ends_task) noexcept {
    const Piece piece{{data(), bytes}, ends_task};
    begin_ += bytes;
    counted_ = 0;
    inside_task_ = !ends_task;
    if (ends_task) lines_seen_ = 0;
    return piece;
}

Result<std::optional<Cutter::Piece>> Cutter::next_block() {
    while (held() < size_ && !at_end_) {
        if (Result<void> read = read_more(); !read) return std::unexpected(read.error());
    }
    if (held() == 0) return std::nullopt;
    if (at_end_) return take(held(), true);
    const void* last = ::memrchr(data(), '\n', held());
    if (last == nullptr) return take(held(), false);  // a line longer than a block: alone in a task
    return take(static_cast<std::size_t>(at(last) - data()) + 1, true);
}

Result<std::optional<Cutter::Piece>> Cutter::next_long_line() {
    if (held() == 0 && !at_end_) {
        if (Result<void> read = read_more(); !read) return std::unexpected(read.error());
    }
    const void* first = std::memchr(data(), '\n', held());
    if (first != nullptr) return take(static_cast<std::size_t>(at(first) - data()) + 1, true);
    return take(held(), at_end_);
}

Result<std::optional<Cutter::Piece>> Cutter::next_lines() {
    for (;;) {
        while (counted_ < held()) {
            const void* found = std::memchr(data() + counted_, '\n', held() - counted_);
            if (found == nullptr) {
                counted_ = held();
                break;
            }
            counted_ = static_cast<std::size_t>(at(found) - data()) + 1;
            if (++lines_seen_ == rules_.lines) return take(counted_, true);
        }
        if (at_end_) {
            if (held() == 0 && !inside_task_) return std::nullopt;
            return take(held(), true);
        }
        if (held() == size_) return take(held(), false);
        if (Result<void> read = read_more(); !read) return std::unexpected(read.error());
    }
}

}  // namespace stoa::cli::farm
