// What the tests of the lane share: one lane in fresh memory, texts in and out.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>

#include "stoa/ring/lane.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

// One lane in fresh memory with both sides attached, and its bytes to look at and to damage.
struct TestLane {
    explicit TestLane(LaneGeometry wanted)
        : geometry{wanted}, region{wanted.bytes_needed()}, memory{region.bytes()} {
        EXPECT_TRUE(create_lane(memory, geometry));
    }
    LaneSender sender() { return LaneSender::attach(memory).value(); }
    LaneReceiver receiver() { return LaneReceiver::attach(memory).value(); }
    LaneLayout& layout() { return *layout_at<LaneLayout>(memory, 0); }
    LaneHead& head(std::uint64_t position) {
        return *layout_at<LaneHead>(memory, sizeof(LaneLayout) + position % geometry.ring_bytes);
    }
    // Fills the ring but for the place at `position` with words that look published.
    void fill_with_phantoms(std::uint64_t position) {
        for (std::uint64_t at = 16; at < geometry.ring_bytes; at += 16) {
            const std::uint64_t word = LaneWord::make(LaneKind::record, 3);
            std::memcpy(head(position + at).inline_payload, &word, sizeof word);
            head(position + at).ready.store(word);
        }
    }

    LaneGeometry geometry;
    kit::TempRegion region;
    std::span<std::byte> memory;
};

inline constexpr LaneGeometry kSmall{.ring_bytes = 1024, .max_record_bytes = 256};

inline std::string take(LaneReceiver& receiver) {
    LaneRecord record;
    switch (receiver.try_take(record)) {
        case LaneTake::ok: break;
        case LaneTake::empty: return "(empty)";
        case LaneTake::end_of_stream: return "(end)";
        case LaneTake::corrupt: return "(corrupt)";
        case LaneTake::wrong_size: return "(wrong size)";
        case LaneTake::too_many_loans: return "(too many loans)";
    }
    std::string text(reinterpret_cast<const char*>(record.payload.data()), record.payload.size());
    receiver.release(record);
    return text;
}

inline void expect_sent(LaneSender& sender, std::string_view text) {
    ASSERT_EQ(sender.try_send(bytes_of(text)), LaneSend::ok);
}

}  // namespace stoa
