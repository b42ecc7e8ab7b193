#include "cli/framing.hpp"

#include <algorithm>
#include <cstring>

namespace stoa::cli {
namespace {

constexpr std::size_t kPrefixBytes = 4;

}  // namespace

std::span<std::byte> FrameReader::room() {
    if (begin_ > 0) {  // what is left of the last message goes to the front
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    // next() never asks for more than one frame, so this ends at max_bytes_ + kReadBytes or so.
    if (buffer_.size() < end_ + kReadBytes) {
        const std::size_t most = max_bytes_ + kPrefixBytes + kReadBytes;
        buffer_.resize(std::max(end_ + kReadBytes, std::min(buffer_.size() * 2, most)));
    }
    return std::span{buffer_}.subspan(end_);
}

Frame FrameReader::give(std::span<const std::byte>& message, std::size_t at, std::size_t bytes,
                        std::size_t frame_bytes) noexcept {
    ++number_;
    message = std::span<const std::byte>{buffer_}.subspan(begin_ + at, bytes);
    begin_ += frame_bytes;
    searched_ = 0;
    return Frame::message;
}

Frame FrameReader::next(std::span<const std::byte>& message) noexcept {
    return framing_ == Framing::length_prefixed ? next_prefixed(message) : next_delimited(message);
}

Frame FrameReader::next_delimited(std::span<const std::byte>& message) noexcept {
    const std::size_t there = end_ - begin_;
    const int delimiter = framing_ == Framing::lines ? '\n' : 0;
    const void* found = nullptr;
    if (there > searched_) {
        found = std::memchr(buffer_.data() + begin_ + searched_, delimiter, there - searched_);
    }
    std::size_t bytes = there;
    if (found != nullptr) {
        bytes = static_cast<std::size_t>(static_cast<const std::byte*>(found) -
                                         (buffer_.data() + begin_));
    }
    if (bytes > max_bytes_) {
        ++number_;
        claimed_bytes_ = found != nullptr || finished_ ? bytes : 0;
        return Frame::too_big;
    }
    if (found != nullptr) return give(message, 0, bytes, bytes + 1);
    searched_ = there;
    if (!finished_) return Frame::need_more;
    return there == 0 ? Frame::end : give(message, 0, there, there);  // the last one, unended
}

Frame FrameReader::next_prefixed(std::span<const std::byte>& message) noexcept {
    const std::size_t there = end_ - begin_;
    if (there == 0 && finished_) return Frame::end;
    std::uint32_t bytes = 0;
    if (there >= kPrefixBytes) {
        for (unsigned i = 0; i < kPrefixBytes; ++i) {
            const auto byte = static_cast<std::uint8_t>(buffer_[begin_ + i]);
            bytes |= std::uint32_t{byte} << (8 * i);
        }
        if (bytes > max_bytes_) {
            ++number_;
            claimed_bytes_ = bytes;
            return Frame::too_big;
        }
        if (there - kPrefixBytes >= bytes) {
            return give(message, kPrefixBytes, bytes, kPrefixBytes + bytes);
        }
    }
    if (!finished_) return Frame::need_more;
    ++number_;
    return Frame::cut_off;
}

}  // namespace stoa::cli
