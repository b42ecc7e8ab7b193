// How messages lie in a stream of bytes: a line each, a zero byte behind each, or a length before.
//
// Start here: FrameReader on the way in, append_frame() on the way out.
// Threads:    one per reader.
// Processes:  none.
// Death:      not applicable.
// Blocking:   never; who has the bytes feeds them.
// Lifetime:   a message that next() gave is valid until the next call of room().
// Units:      bytes; messages are numbered from 1.
// Source:     xargs -0, and the u32 little-endian prefix of many protocols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stoa::cli {

enum class Framing : std::uint8_t { lines, null, length_prefixed };

enum class Frame : std::uint8_t {
    message,
    need_more,  // feed: room(), filled(); or finish()
    end,        // all was given out
    too_big,    // the message number() is larger than max_bytes; nothing after it can be read
    cut_off,    // length-prefixed: the stream ended within message number()
};

// Memory stays below max_bytes + kReadBytes + a frame, however long a message claims to be.
class FrameReader {
public:
    static constexpr std::size_t kReadBytes = std::size_t{256} << 10U;

    FrameReader(Framing framing, std::uint32_t max_bytes)
        : framing_{framing}, max_bytes_{max_bytes} {}

    // Where the next bytes go: at least one, after need_more.
    [[nodiscard]] std::span<std::byte> room();
    void filled(std::size_t bytes) noexcept { end_ += bytes; }
    // No more bytes will come.
    void finish() noexcept { finished_ = true; }

    [[nodiscard]] Frame next(std::span<const std::byte>& message) noexcept;

    // Of the message that next() gave or complained about last.
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    // What a too big message says of its length; 0: not known, its end was not seen.
    [[nodiscard]] std::uint64_t claimed_bytes() const noexcept { return claimed_bytes_; }

private:
    [[nodiscard]] Frame next_delimited(std::span<const std::byte>& message) noexcept;
    [[nodiscard]] Frame next_prefixed(std::span<const std::byte>& message) noexcept;
    [[nodiscard]] Frame give(std::span<const std::byte>& message, std::size_t at, std::size_t bytes,
                             std::size_t frame_bytes) noexcept;

    Framing framing_;
    std::uint32_t max_bytes_;
    std::vector<std::byte> buffer_;
    std::size_t begin_ = 0;     // of what was not given out
    std::size_t end_ = 0;       // of what was fed
    std::size_t searched_ = 0;  // bytes from begin_ that hold no delimiter
    bool finished_ = false;
    std::uint64_t number_ = 0;
    std::uint64_t claimed_bytes_ = 0;
};

// Calls out(span) for each piece of the message's frame.
template <typename Out>
void append_frame(Framing framing, std::span<const std::byte> message, Out&& out) {
    if (framing == Framing::length_prefixed) {
        const auto length = static_cast<std::uint32_t>(message.size());
        std::byte prefix[4];
        for (unsigned i = 0; i < 4; ++i) prefix[i] = static_cast<std::byte>(length >> (8 * i));
        out(std::span<const std::byte>{prefix});
        out(message);
        return;
    }
    const std::byte delimiter{framing == Framing::lines ? std::uint8_t{'\n'} : std::uint8_t{0}};
    out(message);
    out(std::span<const std::byte>{&delimiter, 1});
}

}  // namespace stoa::cli
