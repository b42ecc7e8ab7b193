// The framings of `stoa send`: whatever bytes come in whatever pieces, the messages that come out
// make up the stream again, and none is larger than allowed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cli/framing.hpp"

using stoa::cli::Frame;
using stoa::cli::FrameReader;
using stoa::cli::Framing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const auto framing = static_cast<Framing>(data[0] % 3);
    constexpr std::uint32_t kMaxBytes = 32;
    FrameReader reader{framing, kMaxBytes};
    const std::size_t piece = 1 + data[1] % 16;
    std::size_t fed = 2;
    std::vector<std::uint8_t> again;
    const auto append = [&](std::span<const std::byte> part) {
        for (const std::byte b : part) again.push_back(static_cast<std::uint8_t>(b));
    };
    std::span<const std::byte> message;
    Frame frame = Frame::need_more;
    while ((frame = reader.next(message)) == Frame::message || frame == Frame::need_more) {
        if (frame == Frame::message) {
            if (message.size() > kMaxBytes) std::abort();
            stoa::cli::append_frame(framing, message, append);
            continue;
        }
        if (fed == size) {
            reader.finish();
            continue;
        }
        const std::span<std::byte> room = reader.room();
        if (room.empty()) std::abort();
        const std::size_t now = std::min({piece, size - fed, room.size()});
        std::memcpy(room.data(), data + fed, now);
        reader.filled(now);
        fed += now;
    }
    const std::size_t most = std::min(again.size(), size - 2);
    if (!std::equal(again.begin(), again.begin() + static_cast<std::ptrdiff_t>(most), data + 2)) {
        std::abort();
    }
    // Only a last line without its end may gain one byte.
    if (frame == Frame::end && (again.size() < size - 2 || again.size() > size - 1)) std::abort();
    return 0;
}
