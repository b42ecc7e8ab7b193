// Large numbers: a million messages in one mailbox, ten thousand mailboxes in one process, a
// thousand participants in one mailbox. What each costs is printed.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;
using Box = Mailbox<std::uint64_t>;

constexpr std::uint32_t kMillion = 1'000'000;
constexpr std::size_t kMailboxes = 10'000;
constexpr std::size_t kProcesses = 50;
constexpr std::size_t kHandles = 20;  // of each process: together a thousand

std::size_t lines_of(const char* path) {
    std::ifstream file{path};
    return static_cast<std::size_t>(
        std::count(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}, '\n'));
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* folder = ::opendir("/proc/self/fd");
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count - 3;  // ., .. and the folder itself
}

std::uint64_t status_kib(const std::string& field) {
    std::ifstream file{"/proc/self/status"};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(field)) return std::stoull(line.substr(field.size() + 1));
    }
    return 0;
}

// The soft limit of open files, for as long as one test.
class FileLimit {
public:
    FileLimit() { ::getrlimit(RLIMIT_NOFILE, &before_); }
    FileLimit(const FileLimit&) = delete;
    FileLimit& operator=(const FileLimit&) = delete;
    ~FileLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

    [[nodiscard]] rlim_t most() const noexcept { return before_.rlim_max; }
    void set(rlim_t files) const {
        const rlimit now{.rlim_cur = files, .rlim_max = before_.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
    }

private:
    rlimit before_{};
};

class Bulk : public testing::Test {
protected:
    kit::TempDomain domain_;
};

class BulkMessages : public Bulk, public testing::WithParamInterface<MailboxOptions> {};

TEST_P(BulkMessages, AMillionWaitInOneMailboxAndComeOutInOrder) {
    Box in = Box::create("m", GetParam()).value();
    Box out = Box::open("m", {.role = Role::sends}).value();
    for (std::uint64_t i = 0; i < kMillion; ++i) ASSERT_TRUE(out.try_send(i)) << i;
    EXPECT_EQ(out.try_send(0).error().code, Errc::full);
    const MailboxFacts facts = look_at_mailbox("m").value();
    EXPECT_EQ(facts.depth, kMillion);
    std::cout << facts.memory_bytes / kMillion << " bytes of memory for each message of 8 bytes\n";
    for (std::uint64_t i = 0; i < kMillion; ++i) {
        Result<Message<std::uint64_t>> message = in.try_receive();
        ASSERT_TRUE(message && message->value() == i) << i;
        ASSERT_TRUE(message->ack());
    }
    EXPECT_EQ(in.try_receive().error().code, Errc::empty);
    EXPECT_EQ(look_at_mailbox("m")->depth, 0U);
}

constexpr MailboxOptions with(Sharing sharing, bool acknowledged, std::uint32_t priorities) {
    return {.capacity = bounded(kMillion),
            .sharing = sharing,
            .acknowledged = acknowledged,
            .priorities = priorities,
            .reserve_bytes = 32U << 20U,
            .role = Role::receives};
}
INSTANTIATE_TEST_SUITE_P(Each, BulkMessages,
                         testing::Values(with(Sharing::any, false, 1), with(Sharing::any, true, 2),
                                         with(Sharing::pair, false, 1),
                                         with(Sharing::single_receiver, false, 1),
                                         with(Sharing::least_loaded, false, 1),
                                         with(Sharing::broadcast, false, 1)),
                         [](const testing::TestParamInfo<MailboxOptions>& one) {
                             return "sharing" +
                                    std::to_string(static_cast<unsigned>(one.param.sharing)) +
                                    (one.param.acknowledged ? "acknowledged" : "");
                         });

// What so many mailboxes cost, and that each of them works.
void open_many(std::size_t count, Owner owner, double descriptors_each) {
    const auto name_of = [](std::size_t i) { return "m" + std::to_string(i); };
    const std::size_t files_before = open_descriptors();
    const std::size_t maps_before = lines_of("/proc/self/maps");
    const std::uint64_t resident_before_kib = status_kib("VmRSS:");
    const std::uint64_t space_before_kib = status_kib("VmSize:");
    std::vector<Box> boxes;
    boxes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        Result<Box> box =
            Box::create(name_of(i), {.capacity = bounded(4), .reserve_bytes = 0, .owner = owner});
        ASSERT_TRUE(box) << i << ": " << describe(box.error());
        boxes.push_back(std::move(*box));
    }
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(boxes[i].send(i));
    const auto each = [&](std::size_t now, std::size_t before) {
        return static_cast<double>(now - before) / static_cast<double>(count);
    };
    const double descriptors = each(open_descriptors(), files_before);
    std::cout << count << " mailboxes, each: " << descriptors << " descriptors, "
              << each(lines_of("/proc/self/maps"), maps_before) << " mappings, "
              << look_at_mailbox("m0")->memory_bytes / 1024 << " KiB of shared memory, "
              << (status_kib("VmRSS:") - resident_before_kib) / count << " KiB resident, "
              << (status_kib("VmSize:") - space_before_kib) / count << " KiB of addresses\n";
    EXPECT_LE(descriptors, descriptors_each);
    for (std::size_t i = count; i-- > 0;) {
        ASSERT_EQ(boxes[i].try_receive().value().value(), i);
        boxes.pop_back();
        if (owner == Owner::system) {
            ASSERT_TRUE(Box::destroy(name_of(i)));
        }
    }
    EXPECT_EQ(open_descriptors(), files_before);
}

TEST_F(Bulk, TenThousandMailboxesAreOpenInOneProcess) {
    const FileLimit limit;
    limit.set(limit.most());
    // As many as the machine lets a process have: on most that is all of them.
    const std::size_t count = std::min<std::size_t>(kMailboxes, limit.most() - 100);
    std::cout << count << " mailboxes\n";
    open_many(count, Owner::system, 1);
    open_many(count / 10, Owner::process, 3);
}

TEST_F(Bulk, WhoReachesALimitOfItsProcessIsToldWhichAndHow) {
    const FileLimit limit;
    limit.set(64);
    for (const Owner owner : {Owner::system, Owner::process}) {
        std::vector<Box> boxes;
        for (;;) {
            ASSERT_LT(boxes.size(), 64U);
            Result<Box> box = Box::create("m" + std::to_string(boxes.size()), {.owner = owner});
            if (!box) {
                EXPECT_EQ(box.error().code, Errc::limit_reached);
                EXPECT_NE(describe(box.error()).find("ulimit -n"), std::string::npos);
                break;
            }
            boxes.push_back(std::move(*box));
        }
        EXPECT_GT(boxes.size(), 10U);
        for (std::size_t i = 0; i < boxes.size(); ++i) ASSERT_TRUE(boxes[i].send(i));
        const std::size_t count = boxes.size();
        boxes.pop_back();  // one less, and there is room again
        if (owner == Owner::process) {
            EXPECT_TRUE(Box::create("again", {.owner = owner}));
            continue;
        }
        boxes.pop_back();
        boxes.pop_back();
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_TRUE(Box::destroy("m" + std::to_string(i)));
        }
    }
}

TEST_F(Bulk, AThousandTakePartInOneMailbox) {
    Box keeper = Box::create("m", {.role = Role::both}).value();
    std::vector<kit::Child> children;
    for (std::size_t n = 0; n < kProcesses; ++n) {
        children.emplace_back([n] {
            std::vector<Box> handles;
            for (std::size_t i = 0; i < kHandles; ++i) {
                handles.push_back(Box::open("m", {.role = Role::both}).value());
                ASSERT_TRUE(handles.back().send(n * kHandles + i));
            }
            ::pause();
        });
    }
    std::vector<bool> seen(kProcesses * kHandles);
    for (std::size_t i = 0; i < seen.size(); ++i) {
        const Result<Message<std::uint64_t>> message = keeper.receive_for(30s);
        ASSERT_TRUE(message && message->value() < seen.size() && !seen[message->value()]);
        seen[message->value()] = true;
    }
    const MailboxFacts facts = look_at_mailbox("m").value();
    EXPECT_EQ(facts.participants.size(), kProcesses * kHandles + 1);
    EXPECT_EQ(facts.count(sys::Life::alive), kProcesses * kHandles + 1);
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(keeper.raw().attachment().sweep(), 0U);
    std::cout << "a thousand participants: " << facts.memory_bytes / 1024
              << " KiB of shared memory, a look whether all live "
              << (std::chrono::steady_clock::now() - before) / 1us << " us\n";
    for (std::size_t n = 0; n < kProcesses / 2; ++n) children[n].kill_and_wait();
    keeper.raw().attachment().sweep();
    EXPECT_EQ(look_at_mailbox("m")->participants.size(), kProcesses / 2 * kHandles + 1);
    for (std::size_t n = kProcesses / 2; n < kProcesses; ++n) children[n].kill_and_wait();
    keeper.raw().attachment().sweep();
    EXPECT_EQ(look_at_mailbox("m")->participants.size(), 1U);
    EXPECT_TRUE(keeper.send(1));
}

}  // namespace
}  // namespace stoa
