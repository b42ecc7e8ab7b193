#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

static_assert(std::constructible_from<Payload, std::string>);
static_assert(std::constructible_from<Payload, const char*>);
static_assert(std::constructible_from<Payload, std::vector<std::uint32_t>>);
static_assert(!std::constructible_from<Payload, std::vector<const char*>>);
static_assert(!std::constructible_from<Payload, std::vector<std::string>>);
static_assert(!std::constructible_from<Payload, int>);

class BytesMailbox : public testing::TestWithParam<Sharing> {
protected:
    kit::TempDomain domain_;
};

TEST_P(BytesMailbox, StringsAndSpansGoInAndOut) {
    auto in = Mailbox<Bytes>::create("b", {.sharing = GetParam(), .role = Role::receives}).value();
    auto out = Mailbox<Bytes>::open("b", {.role = Role::sends}).value();
    const std::string text = "a string";
    const std::vector<std::uint32_t> numbers{1, 2, 3};
    ASSERT_TRUE(out.send(text));
    ASSERT_TRUE(out.try_send("a literal"));
    ASSERT_TRUE(out.send_for(std::string_view{"a view"}, std::chrono::seconds{1}));
    ASSERT_TRUE(out.send(numbers));
    ASSERT_TRUE(out.send(std::span{numbers}.first(2)));
    ASSERT_TRUE(out.send(std::array<char, 3>{'x', '\0', 'y'}));
    ASSERT_TRUE(out.send(""));
    for (const char* expected : {"a string", "a literal", "a view"}) {
        EXPECT_EQ(in.receive().value().text(), expected);
    }
    const RawMessage all = in.receive().value();
    EXPECT_EQ(all.bytes().size(), 12U);
    EXPECT_EQ(std::memcmp(all.value().data(), numbers.data(), 12), 0);
    EXPECT_EQ(in.receive().value().bytes().size(), 8U);
    EXPECT_EQ(in.receive().value().text(), std::string_view("x\0y", 3));
    EXPECT_TRUE(in.receive().value().text().empty());
}

TEST_P(BytesMailbox, ArraysOfCharAreBuffersAndLiteralsTexts) {
    auto in = Mailbox<Bytes>::create("b", {.sharing = GetParam(), .role = Role::receives}).value();
    auto out = Mailbox<Bytes>::open("b", {.role = Role::sends}).value();
    char buffer[6] = {'a', 0, 'b', 'c', 0, 'd'};
    const char unended[4] = {'R', 'I', 'F', 'F'};
    ASSERT_TRUE(out.send(buffer));
    ASSERT_TRUE(out.send(unended));
    ASSERT_TRUE(out.send("x\0y"));
    EXPECT_EQ(in.receive().value().text(), std::string_view(buffer, 6));
    EXPECT_EQ(in.receive().value().text(), "RIFF");
    EXPECT_EQ(in.receive().value().text(), std::string_view("x\0y", 3));
}

TEST_P(BytesMailbox, OpensAMailboxOfAnyTypeAndHasClones) {
    auto typed = Mailbox<std::uint64_t>::create("b", {.sharing = GetParam()}).value();
    ASSERT_EQ(Mailbox<Bytes>::create("b").error().code, Errc::exists);
    ASSERT_TRUE(typed.send(7));
    if (GetParam() != Sharing::any) return;  // its sender does not receive it
    auto bytes = Mailbox<Bytes>::open_or_create("b").value().clone().value();
    EXPECT_EQ(bytes.send("abc").error().code, Errc::wrong_size);
    EXPECT_EQ(bytes.receive().value().bytes().size(), sizeof(std::uint64_t));
    EXPECT_TRUE(Mailbox<Bytes>::destroy("b"));
}

INSTANTIATE_TEST_SUITE_P(Sharings, BytesMailbox,
                         testing::Values(Sharing::any, Sharing::single_receiver, Sharing::pair));

}  // namespace
}  // namespace stoa
