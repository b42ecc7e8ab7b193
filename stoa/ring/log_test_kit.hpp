// What the tests of the log share: one log in fresh memory, texts in and out.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "stoa/ring/log.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

// One log in fresh memory, and its bytes to look at and to damage. Subscriber i is holder 100 + i.
struct TestLog {
    explicit TestLog(LogGeometry wanted)
        : geometry{wanted}, region{wanted.bytes_needed()}, memory{region.bytes()} {
        EXPECT_TRUE(create_log(memory, geometry));
    }
    LogWriter writer() { return LogWriter::attach(memory).value(); }
    LogReader join(std::uint32_t index, LogMode mode, LogStart start = LogStart::now) {
        EXPECT_EQ(seats().claim(index, 100 + index), LogClaim::claimed);
        return LogReader::subscribe(memory, index, mode, start).value();
    }
    void leave(LogReader& reader, std::uint32_t index) {
        reader.unsubscribe();
        seats().give_up(index, 100 + index);
    }
    LogSeats seats() { return LogSeats::open(memory).value(); }
    LogLayout& layout() { return *layout_at<LogLayout>(memory, 0); }
    LogHead& head(std::uint64_t position) {
        return *layout_at<LogHead>(memory, sizeof(LogLayout) + position % geometry.ring_bytes);
    }

    LogGeometry geometry;
    kit::TempRegion region;
    std::span<std::byte> memory;
};

inline constexpr LogGeometry kSmallLog{
    .ring_bytes = 1024, .max_record_bytes = 256, .subscribers = 4};

inline const char* name_of(LogTake take) {
    switch (take) {
        case LogTake::ok: return "(ok)";
        case LogTake::empty: return "(empty)";
        case LogTake::too_small: return "(too small)";
        case LogTake::too_many_loans: return "(too many loans)";
        case LogTake::corrupt: return "(corrupt)";
    }
    return "?";
}

// "text", or "+3 text" when three were missed before it.
inline std::string with_missed(std::string text, std::uint64_t missed) {
    return missed == 0 ? text : "+" + std::to_string(missed) + " " + text;
}

inline std::string take(LogReader& reader) {
    LogRecord record;
    const LogTake taken = reader.try_take(record);
    if (taken != LogTake::ok) return name_of(taken);
    std::string text(reinterpret_cast<const char*>(record.payload.data()), record.payload.size());
    reader.release(record);
    return text;
}

inline std::string copy(LogReader& reader) {
    std::array<std::byte, 4096> buffer;
    LogCopy got;
    const LogTake taken = reader.try_copy(buffer, got);
    if (taken != LogTake::ok) return name_of(taken);
    return with_missed({reinterpret_cast<const char*>(buffer.data()), got.bytes}, got.missed);
}

inline void expect_sent(LogWriter& writer, std::string_view text) {
    ASSERT_EQ(writer.try_send(bytes_of(text)), LogSend::ok);
}

}  // namespace stoa
