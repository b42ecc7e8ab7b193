#include "stoa/shm/region_image.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <random>
#include <vector>

#include "tests/kit/crash_at.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

Result<void> write_mark(void* /*context*/, std::span<std::byte> content) {
    content[0] = std::byte{42};
    return {};
}

class RegionImageTest : public testing::Test {
protected:
    Result<RegionImage> create(const char* name) {
        const RegionPlan plan{.content_bytes = 8192, .reserved_bytes = 8192};
        return RegionImage::create(domain(), name, plan, write_mark, nullptr);
    }
    Result<RegionImage> open(const char* name) {
        return RegionImage::open(domain(), name, RegionKind::mailbox);
    }
    [[nodiscard]] static Domain domain() { return Domain::open().value(); }

    kit::TempDomain temp_;
};

TEST_F(RegionImageTest, IsCreatedOpenedAndDestroyed) {
    RegionImage made = create("a").value();
    RegionImage opened = open("a").value();
    EXPECT_EQ(opened.content()[0], std::byte{42});
    EXPECT_EQ(create("a").error().code, Errc::exists);
    EXPECT_TRUE(RegionImage::destroy(domain(), "a", opened).value());
    EXPECT_TRUE(made.condemned());
    EXPECT_EQ(open("a").error().code, Errc::not_found);
    EXPECT_TRUE(create("a"));
}

TEST_F(RegionImageTest, ADestroyerThatDiedIsFinishedByTheNextOpenAndCreate) {
    for (const bool by_create : {false, true}) {
        ASSERT_TRUE(create("a"));
        kit::fork_and_run([&] {
            RegionImage region = open("a").value();
            region.condemn();
            raise(SIGKILL);
        });
        if (by_create) {
            EXPECT_TRUE(create("a"));
        } else {
            EXPECT_EQ(open("a").error().code, Errc::not_found);
            EXPECT_TRUE(temp_.entries().empty());
        }
    }
}

TEST_F(RegionImageTest, ManyCreatorsOfOneNameMakeExactlyOne) {
    std::vector<kit::Child> children;
    for (int i = 0; i < 6; ++i) {
        children.emplace_back([&] { _exit(create("a") ? 7 : 0); });
    }
    int winners = 0;
    for (kit::Child& child : children) winners += child.wait().status == 7 ? 1 : 0;
    EXPECT_EQ(winners, 1);
}

TEST_F(RegionImageTest, ManyRemoversNeverDeleteAFreshSuccessor) {
    for (int round = 0; round < 20; ++round) {
        ASSERT_TRUE(create("a"));
        std::vector<kit::Child> children;
        for (int i = 0; i < 4; ++i) {
            children.emplace_back([&] {
                if (Result<RegionImage> region = open("a")) {
                    (void)RegionImage::destroy(domain(), "a", *region).value();
                }
                if (i == 0) {
                    while (!create("a")) {
                    }
                }
            });
        }
        for (kit::Child& child : children) EXPECT_TRUE(child.wait().ok());
        // The successor is there unless a remover that opened it destroyed it on purpose.
        if (Result<RegionImage> last = open("a")) {
            EXPECT_TRUE(RegionImage::destroy(domain(), "a", *last));
        }
        EXPECT_TRUE(temp_.entries().empty());
    }
}

TEST_F(RegionImageTest, AStoppedRemoverKeepsOnlyItsNameBusyUntilItGoesOn) {
    ASSERT_TRUE(create("a"));
    kit::Child remover{[] {
        kit::stop_self_at("region.remove.before_unlink");
        RegionImage region = RegionImage::open(domain(), "a", RegionKind::mailbox).value();
        EXPECT_TRUE(RegionImage::destroy(domain(), "a", region).value());
    }};
    ASSERT_TRUE(remover.wait_stopped());
    EXPECT_EQ(open("a").error().code, Errc::exists);
    EXPECT_EQ(create("a").error().code, Errc::exists);
    EXPECT_TRUE(create("b"));
    remover.resume();
    EXPECT_TRUE(remover.wait().ok());
    EXPECT_TRUE(create("a"));
}

TEST_F(RegionImageTest, ARemoverThatWasKilledKeepsNothingBusyThroughTheProcessesItSharesFilesWith) {
    RegionImage shared = create("a").value();
    kit::Child remover{[&] {
        kit::kill_self_at("region.remove.before_unlink");
        static_cast<void>(RegionImage::destroy(domain(), "a", shared));
    }};
    EXPECT_EQ(remover.wait().signal, SIGKILL);
    EXPECT_TRUE(create("a"));
}

// Its memory has holes where the original's was reserved: touching them may be a SIGBUS.
TEST_F(RegionImageTest, ACopyIsRefused) {
    ASSERT_TRUE(create("a"));
    std::filesystem::copy_file(temp_.path() + "/a", temp_.path() + "/b");
    EXPECT_EQ(open("b").error().code, Errc::bad_layout);
    EXPECT_TRUE(RegionImage::discard(domain(), "b"));
    std::filesystem::rename(temp_.path() + "/a", temp_.path() + "/c");
    EXPECT_TRUE(open("c"));
}

TEST_F(RegionImageTest, TruncatedScribbledAndForeignFilesAreCleanErrors) {
    ASSERT_TRUE(create("a"));
    const std::string path = temp_.path() + "/a";
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    std::mt19937 random{5};
    std::vector<char> saved(4096);
    ASSERT_EQ(::pread(fd, saved.data(), 4096, 0), 4096);
    for (int i = 0; i < 2000; ++i) {
        const auto at = static_cast<off_t>(random() % 56);
        const char value = static_cast<char>(random());
        ASSERT_EQ(::pwrite(fd, &value, 1, at), 1);
        if (value != saved[static_cast<std::size_t>(at)]) {
            const Result<RegionImage> region = open("a");
            EXPECT_FALSE(region) << at;
        }
        ASSERT_EQ(::access(path.c_str(), F_OK), 0);
        ASSERT_EQ(::pwrite(fd, saved.data(), 4096, 0), 4096);
    }
    ASSERT_EQ(::ftruncate(fd, 100), 0);
    EXPECT_EQ(open("a").error().code, Errc::bad_layout);
    EXPECT_TRUE(RegionImage::discard(domain(), "a"));
    EXPECT_TRUE(temp_.entries().empty());
    ::close(fd);
}

TEST_F(RegionImageTest, NamesAreChecked) {
    EXPECT_TRUE(check_name("logs-1.x_Y"));
    for (const char* bad : {"", "-x", ".hidden", "a/b", "..", "a b", "ä"}) {
        EXPECT_FALSE(check_name(bad)) << bad;
    }
    EXPECT_FALSE(check_name(std::string(201, 'a')));
}

TEST_F(RegionImageTest, ANewFolderIsItsOwnersWhateverTheUmask) {
    const std::string folder = temp_.path() + "/new";
    const mode_t before = ::umask(0777);
    EXPECT_TRUE(Domain::open(folder));
    ::umask(before);
    struct stat facts{};
    ASSERT_EQ(::stat(folder.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0700U);
    ASSERT_EQ(::rmdir(folder.c_str()), 0);
}

TEST_F(RegionImageTest, AFolderThatOthersMayEnterIsRefused) {
    const std::string open_folder = temp_.path() + "/open";
    ASSERT_EQ(::mkdir(open_folder.c_str(), 0700), 0);
    ASSERT_EQ(::chmod(open_folder.c_str(), 0755), 0);
    EXPECT_EQ(Domain::open(open_folder).error().code, Errc::unsafe_folder);
    ASSERT_EQ(::rmdir(open_folder.c_str()), 0);
}

TEST_F(RegionImageTest, TheParticipantTableGrowsIntoReservedMemory) {
    RegionImage region = create("a").value();
    for (std::uint32_t i = 0; i < 1000; ++i) {
        EXPECT_EQ(region.join(Role::sends), i < 28 ? i : i + 4);
    }
    EXPECT_EQ(region.participants().places(), 1024U);
}

}  // namespace
}  // namespace stoa
