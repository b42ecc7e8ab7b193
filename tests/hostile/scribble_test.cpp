// A mailbox in which somebody wrote what does not belong there is refused, or its calls fail: each
// of these was found by attach_fuzz (tests/fuzz) or would have been.
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

class Scribbled : public testing::Test {
protected:
    static MailboxStation& station(RawMailbox& box, std::uint32_t i) {
        return *layout_at<MailboxStation>(box.attachment().region().content(), station_offset(i));
    }

    kit::TempDomain domain_;
};

TEST_F(Scribbled, AFixedMailboxWithoutOneOfItsRingsIsRefused) {
    for (const MailboxOptions& options :
         {MailboxOptions{.sharing = Sharing::any},
          MailboxOptions{.sharing = Sharing::any, .acknowledged = true, .priorities = 4},
          MailboxOptions{.capacity = zero(), .sharing = Sharing::any},
          MailboxOptions{.sharing = Sharing::single_receiver, .receipts = true},
          MailboxOptions{.sharing = Sharing::single_receiver, .by_turns = true},
          MailboxOptions{.sharing = Sharing::pair, .acknowledged = true}}) {
        RawMailbox box = RawMailbox::create("m", options).value();
        for (std::uint32_t i = 0; i < box.plan().station_count; ++i) {
            station(box, i).ready.store(0, kSeqCst);
            for (const Role role : {Role::both, Role::sends, Role::receives, Role::none}) {
                const Result<RawMailbox> opened = RawMailbox::open("m", {.role = role});
                ASSERT_FALSE(opened);
                EXPECT_EQ(opened.error().code, Errc::bad_layout);
            }
            station(box, i).ready.store(1, kSeqCst);
        }
        EXPECT_TRUE(RawMailbox::open("m", {.role = Role::none}));
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

TEST_F(Scribbled, AnUnboundedMailboxWhoseLastSegmentIsNoneOfItsOwnIsRefused) {
    for (const Sharing sharing : {Sharing::any, Sharing::pair}) {
        RawMailbox box =
            RawMailbox::create("m", {.capacity = unbounded(), .sharing = sharing}).value();
        ASSERT_TRUE(box.try_send("x"));
        for (std::uint32_t i = 0; i < box.plan().station_count; ++i) {
            const std::uint64_t before = station(box, i).last.load(kSeqCst);
            station(box, i).last.store(0xffffU, kSeqCst);
            const Result<RawMailbox> opened = RawMailbox::open("m");
            ASSERT_FALSE(opened);
            EXPECT_EQ(opened.error().code, Errc::corrupt);
            station(box, i).last.store(before, kSeqCst);
        }
        EXPECT_TRUE(RawMailbox::open("m"));
        ASSERT_TRUE(RawMailbox::destroy("m"));
    }
}

}  // namespace
}  // namespace stoa
