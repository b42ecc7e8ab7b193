#include "cli/framing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace stoa::cli {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void feed(FrameReader& reader, std::string_view text) {
    while (!text.empty()) {
        const std::span<std::byte> room = reader.room();
        ASSERT_FALSE(room.empty());
        const std::size_t count = std::min(room.size(), text.size());
        std::memcpy(room.data(), text.data(), count);
        reader.filled(count);
        text.remove_prefix(count);
    }
}

std::string framed(Framing framing, const std::vector<std::string>& messages) {
    std::string stream;
    for (const std::string& message : messages) {
        append_frame(framing, std::as_bytes(std::span{message}),
                     [&](std::span<const std::byte> piece) { stream += text_of(piece); });
    }
    return stream;
}

// Reads the stream in pieces of `step` bytes.
std::vector<std::string> read_all(Framing framing, std::string_view stream, std::size_t step,
                                  std::uint32_t max_bytes = 65536) {
    FrameReader reader{framing, max_bytes};
    std::vector<std::string> messages;
    for (;;) {
        std::span<const std::byte> message;
        switch (reader.next(message)) {
            case Frame::message:
                messages.push_back(text_of(message));
                EXPECT_EQ(reader.number(), messages.size());
                break;
            case Frame::need_more:
                if (stream.empty()) {
                    reader.finish();
                } else {
                    feed(reader, stream.substr(0, step));
                    stream.remove_prefix(std::min(step, stream.size()));
                }
                break;
            case Frame::end: return messages;
            case Frame::too_big: messages.emplace_back("(too big)"); return messages;
            case Frame::cut_off: messages.emplace_back("(cut off)"); return messages;
        }
    }
}

TEST(FrameReader, GivesBackWhatWasFramedHoweverItArrives) {
    std::mt19937 random{3};
    for (const Framing framing : {Framing::lines, Framing::null, Framing::length_prefixed}) {
        std::vector<std::string> messages{"", "a", "", std::string(65536, 'x')};
        for (int i = 0; i < 100; ++i) {
            std::string message(random() % 2000, '\0');
            for (char& c : message) {
                c = static_cast<char>(random());
                const char delimiter = framing == Framing::lines ? '\n' : '\0';
                if (framing != Framing::length_prefixed && c == delimiter) c = 'd';
            }
            messages.push_back(std::move(message));
        }
        const std::string stream = framed(framing, messages);
        for (const std::size_t step : {1U, 7U, 4096U, 300000U}) {
            EXPECT_EQ(read_all(framing, stream, step), messages);
        }
    }
}

TEST(FrameReader, TheLastDelimiterMayBeMissing) {
    EXPECT_EQ(read_all(Framing::lines, "one\ntwo", 100), (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(read_all(Framing::lines, "\n\n", 100), (std::vector<std::string>{"", ""}));
    EXPECT_TRUE(read_all(Framing::lines, "", 100).empty());
}

TEST(FrameReader, StopsAtAMessageThatIsTooBig) {
    const std::vector<std::string> expected{"1234", "(too big)"};
    for (const std::size_t step : {1U, 3U, 100U}) {
        EXPECT_EQ(read_all(Framing::lines, "1234\n12345\n", step, 4), expected);
        EXPECT_EQ(read_all(Framing::null,
                           std::string{"1234\0"
                                       "12345",
                                       10},
                           step, 4),
                  expected);
        const std::string prefixed = framed(Framing::length_prefixed, {"1234", "12345"});
        EXPECT_EQ(read_all(Framing::length_prefixed, prefixed, step, 4), expected);
    }
}

TEST(FrameReader, StopsWhereAPrefixedStreamIsCutOff) {
    const std::string stream = framed(Framing::length_prefixed, {"one", "two"});
    for (std::size_t size = 8; size < stream.size(); ++size) {
        EXPECT_EQ(read_all(Framing::length_prefixed, stream.substr(0, size), 5),
                  (std::vector<std::string>{"one", "(cut off)"}));
    }
    EXPECT_EQ(read_all(Framing::length_prefixed, stream.substr(0, 7), 5),
              (std::vector<std::string>{"one"}));
}

TEST(FrameReader, KeepsItsMemoryBoundedWhateverAMessageClaims) {
    FrameReader reader{Framing::length_prefixed, 1U << 30U};
    feed(reader, std::string_view{"\xff\xff\xff\x3f", 4});  // almost a GiB
    std::span<const std::byte> message;
    EXPECT_EQ(reader.next(message), Frame::need_more);
    EXPECT_LE(reader.room().size(), 2 * FrameReader::kReadBytes);  // it grows with what comes
}

}  // namespace
}  // namespace stoa::cli
