// docs/formats/lane.md says what the code does.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "stoa/ring/lane_layout.hpp"

namespace stoa {
namespace {

// The first three cells of each row under the heading.
std::vector<std::string> rows_of(const std::string& heading) {
    std::ifstream file{STOA_FORMATS_FOLDER "/lane.md"};
    std::vector<std::string> rows;
    bool inside = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("#")) inside = line == "## " + heading;
        if (!inside || !line.starts_with("| ")) continue;
        std::istringstream cells{line};
        std::string row;
        std::string cell;
        for (int i = 0; i < 4 && std::getline(cells, cell, '|'); ++i) row += cell;
        rows.push_back(row);
    }
    if (!rows.empty()) rows.erase(rows.begin());  // the names of the columns
    return rows;
}

template <typename Field>
std::string row(const char* field, std::size_t offset) {
    return " " + std::to_string(offset) + "  " + std::to_string(sizeof(Field)) + "  " + field + " ";
}
#define ROW(layout, field) row<decltype(layout::field)>(#field, offsetof(layout, field))

TEST(LaneFormat, TheLayoutIsTheDocumentedOne) {
    const std::vector<std::string> in_the_code{
        ROW(LaneLayout, header.magic),
        ROW(LaneLayout, header.version),
        ROW(LaneLayout, header.data_offset),
        ROW(LaneLayout, header.ring_bytes),
        ROW(LaneLayout, header.max_record_bytes),
        ROW(LaneLayout, receiver.delivered),
        ROW(LaneLayout, receiver.freed),
        ROW(LaneLayout, receiver.cpu),
        ROW(LaneLayout, receiver.mark),
        ROW(LaneLayout, sender.mark),
        " " + std::to_string(sizeof(LaneLayout)) + "  ring_bytes  ring ",
    };
    EXPECT_EQ(rows_of("LaneLayout"), in_the_code);
    EXPECT_EQ(rows_of("LaneHead"), (std::vector{ROW(LaneHead, inline_payload),  //
                                                ROW(LaneHead, ready)}));
}

TEST(LaneFormat, ReadyWordsAreTheDocumentedOnes) {
    EXPECT_EQ(rows_of("LaneWord").size(), 3U);
    EXPECT_EQ(LaneWord::make(LaneKind::record, 5, LaneWord::cpu_bits(3)),
              5U << 16U | 3U << 2U | 1U);
    EXPECT_EQ(LaneWord::make(LaneKind::pad, 32, 0), 32U << 16U | 2U);
    EXPECT_EQ(LaneWord::make(LaneKind::end, 0, 0), 3U);
    EXPECT_EQ(LaneWord::cpu(LaneWord::make(LaneKind::record, 0)), kLaneUnknownCpu);
    EXPECT_EQ(kLaneUnknownCpu, 16383U);
}

}  // namespace
}  // namespace stoa
