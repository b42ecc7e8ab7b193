#include "stoa/sys/sysv_segment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace stoa::sys {
namespace {

// One that goes with the test.
struct Segment {
    explicit Segment(std::uint64_t bytes) : id{make_segment(kPrivateKey, bytes, 0600).value()} {}
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    ~Segment() { static_cast<void>(remove_segment(id)); }

    std::int32_t id;
};

TEST(SysvSegment, TwoMappingsAreOneMemory) {
    const Segment segment{10000};
    const Mapping one = attach_segment(segment.id, Access::read_write).value();
    const Mapping two = attach_segment(segment.id, Access::read_only).value();
    EXPECT_NE(one.bytes().data(), two.bytes().data());
    std::memcpy(one.bytes().data(), "stoa", 5);
    EXPECT_STREQ(reinterpret_cast<const char*>(two.bytes().data()), "stoa");
    EXPECT_EQ(segment_info(segment.id).value().attached, 2U);
    EXPECT_EQ(segment_info(segment.id).value().bytes, 10000U);
}

TEST(SysvSegment, DetachesWithItsMapping) {
    const Segment segment{4096};
    {
        const Mapping one = attach_segment(segment.id, Access::read_write).value();
    }
    EXPECT_EQ(segment_info(segment.id).value().attached, 0U);
}

TEST(SysvSegment, RemovedItStaysForWhoHasItAndNobodyElseFindsIt) {
    const Segment segment{4096};
    const Mapping one = attach_segment(segment.id, Access::read_write).value();
    remove_segment(segment.id).value();
    EXPECT_TRUE(segment_info(segment.id).value().removed);
    one.bytes()[0] = std::byte{7};
    EXPECT_EQ(one.bytes()[0], std::byte{7});
}

TEST(SysvSegment, IsInTheListOfAll) {
    const Segment segment{4096};
    const std::vector<SegmentInfo> all = list_segments().value();
    const auto found = std::ranges::find(all, segment.id, &SegmentInfo::id);
    ASSERT_NE(found, all.end());
    EXPECT_EQ(found->bytes, 4096U);
    EXPECT_EQ(found->mode, 0600U);
}

TEST(SysvSegment, WhatIsNotThereOrTooBigIsSaid) {
    EXPECT_EQ(attach_segment(0x7ffffff0, Access::read_only).error().code, Errc::not_found);
    EXPECT_EQ(make_segment(kPrivateKey, 0, 0600).error().code, Errc::limit_reached);
    EXPECT_EQ(remove_segment(0x7ffffff0).error().code, Errc::not_found);
}

}  // namespace
}  // namespace stoa::sys
