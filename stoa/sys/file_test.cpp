#include "stoa/sys/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "stoa/base/atomic.hpp"
#include "stoa/sys/errno.hpp"
#include "tests/kit/namespaces.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::sys {
namespace {

// A private folder on the file system of `base`: the rules must hold on tmpfs and on disk.
class TestFolder {
public:
    explicit TestFolder(const char* base) : path_{std::string{base} + "/stoa-test-sys-XXXXXX"} {
        if (::mkdtemp(path_.data()) == nullptr) path_.clear();
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
    ~TestFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string path(const char* name) const { return path_ + "/" + name; }
    [[nodiscard]] Fd open() const { return open_folder(path_.c_str()).value(); }

private:
    std::string path_;
};

Errc code_of(const auto& result) {
    return result ? Errc{} : result.error().code;
}

class Files : public testing::TestWithParam<const char*> {
protected:
    TestFolder base_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(, Files, testing::Values("/dev/shm", "/var/tmp"), [](const auto& which) {
    return std::string{which.param} == "/dev/shm" ? "Tmpfs" : "Disk";
});

TEST_P(Files, FolderIsMadePrivateAndFoundAgain) {
    const std::string path = base_.path("domain");
    EXPECT_EQ(code_of(open_folder(path.c_str())), Errc::not_found);
    const Fd made = create_folder(path.c_str()).value();
    EXPECT_EQ(info(made)->mode, 0700U);
    const Fd again = create_folder(path.c_str()).value();
    EXPECT_EQ(info(made)->inode, info(again)->inode);
    EXPECT_EQ(code_of(create_folder(base_.path("no/such").c_str())), Errc::not_found);
}

TEST_P(Files, FolderOpenToOthersIsUnsafe) {
    for (const mode_t mode : {0701U, 0710U, 0740U, 0777U, 01777U}) {
        ASSERT_EQ(::chmod(base_.path().c_str(), mode), 0);
        EXPECT_EQ(code_of(open_folder(base_.path().c_str())), Errc::unsafe_folder) << mode;
    }
}

TEST_P(Files, FolderThatIsALinkOrAFileIsUnsafe) {
    const std::string target = base_.path("target");
    ASSERT_TRUE(create_folder(target.c_str()));
    const std::string link = base_.path("link");
    ASSERT_EQ(::symlink(target.c_str(), link.c_str()), 0);
    EXPECT_EQ(code_of(open_folder(link.c_str())), Errc::unsafe_folder);
    EXPECT_EQ(code_of(create_folder(link.c_str())), Errc::unsafe_folder);
    const Fd file = make_unnamed(base_.open(), 0600).value();
    ASSERT_TRUE(publish(file, base_.open(), "file"));
    EXPECT_EQ(code_of(open_folder(base_.path("file").c_str())), Errc::unsafe_folder);
}

TEST_P(Files, UnnamedFileHasExactlyTheModeAskedForWhateverTheUmask) {
    EXPECT_TRUE(kit::fork_and_run([&] {
                    ::umask(0777);
                    const Fd folder = base_.open();
                    EXPECT_EQ(info(make_unnamed(folder, 0600).value())->mode, 0600U);
                    EXPECT_EQ(info(make_unnamed(folder, 0660).value())->mode, 0660U);
                }).ok());
}

TEST_P(Files, UnnamedFileIsInvisibleUntilPublishedAndCompleteThen) {
    const Fd folder = base_.open();
    const Fd file = make_unnamed(folder, 0600).value();
    ASSERT_TRUE(reserve(file, 0, 10'000));
    EXPECT_EQ(info(file)->links, 0U);
    EXPECT_TRUE(list(folder)->empty());
    ASSERT_TRUE(publish(file, folder, "orders"));
    EXPECT_EQ(*list(folder), std::vector<std::string>{"orders"});
    EXPECT_EQ(info(file)->links, 1U);
    const Fd opened = open_existing(folder, "orders", Access::read_write).value();
    EXPECT_EQ(info(opened)->inode, info(file)->inode);
    EXPECT_EQ(info(opened)->device, info(file)->device);
    EXPECT_EQ(info(opened)->bytes, 10'000U);
}

TEST_P(Files, UnnamedFileOfAKilledCreatorLeavesNothing) {
    const kit::Ending ending = kit::fork_and_run([&] {
        const Fd folder = base_.open();
        const Fd file = make_unnamed(folder, 0600).value();
        ASSERT_TRUE(reserve(file, 0, 10'000));
        (void)::raise(SIGKILL);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    EXPECT_TRUE(list(base_.open())->empty());
}

TEST_P(Files, PublishNeverReplacesAName) {
    const Fd folder = base_.open();
    const Fd first = make_unnamed(folder, 0600).value();
    const Fd second = make_unnamed(folder, 0600).value();
    ASSERT_TRUE(publish(first, folder, "orders"));
    EXPECT_EQ(code_of(publish(second, folder, "orders")), Errc::exists);
    ASSERT_EQ(::symlink("elsewhere", base_.path("dangling").c_str()), 0);
    EXPECT_EQ(code_of(publish(second, folder, "dangling")), Errc::exists);
    EXPECT_EQ(info(open_existing(folder, "orders", Access::read_only).value())->inode,
              info(first)->inode);
}

TEST_P(Files, OfProcessesThatPublishOneNameExactlyOneWins) {
    const Fd folder = base_.open();
    for (int round = 0; round < 20; ++round) {
        const Mapping shared = map_anonymous_shared(kPage).value();
        auto& gate = *new (shared.bytes().data()) Atomic<std::uint32_t>{0};
        auto& winners = *new (shared.bytes().data() + 64) Atomic<std::uint32_t>{0};
        const auto race = [&] {
            const Fd file = make_unnamed(folder, 0600).value();
            gate.fetch_add(1, kAcqRel);
            while (gate.load(kAcquire) != 2) ::sched_yield();
            const auto result = publish(file, folder, "prize");
            if (result) winners.fetch_add(1, kAcqRel);
            EXPECT_TRUE(result || result.error().code == Errc::exists);
        };
        kit::Child one{race};
        kit::Child two{race};
        EXPECT_TRUE(one.wait().ok());
        EXPECT_TRUE(two.wait().ok());
        EXPECT_EQ(winners.load(), 1U);
        EXPECT_TRUE(unlink(folder, "prize"));
    }
}

TEST_P(Files, PublishIntoAFolderThatIsGoneIsNotFoundAndALongNameIsBad) {
    const Fd folder = create_folder(base_.path("gone").c_str()).value();
    const Fd file = make_unnamed(folder, 0600).value();
    EXPECT_EQ(code_of(publish(file, folder, std::string(300, 'n').c_str())), Errc::bad_name);
    ASSERT_EQ(::rmdir(base_.path("gone").c_str()), 0);
    EXPECT_EQ(code_of(publish(file, folder, "name")), Errc::not_found);
}

TEST_P(Files, OpenRefusesWhatIsNotARegularFileOfOurs) {
    const Fd folder = base_.open();
    EXPECT_EQ(code_of(open_existing(folder, "nothing", Access::read_write)), Errc::not_found);
    ASSERT_EQ(::symlink("/etc/passwd", base_.path("link").c_str()), 0);
    EXPECT_EQ(code_of(open_existing(folder, "link", Access::read_only)), Errc::bad_layout);
    ASSERT_EQ(::mkfifo(base_.path("fifo").c_str(), 0600), 0);
    EXPECT_EQ(code_of(open_existing(folder, "fifo", Access::read_only)), Errc::bad_layout);
    EXPECT_EQ(code_of(open_existing(folder, "fifo", Access::read_write)), Errc::bad_layout);
    ASSERT_TRUE(create_folder(base_.path("folder").c_str()));
    EXPECT_EQ(code_of(open_existing(folder, "folder", Access::read_only)), Errc::bad_layout);
    EXPECT_EQ(code_of(open_existing(folder, "folder", Access::read_write)), Errc::bad_layout);
}

TEST_P(Files, ReadOnlyAccessGivesADescriptorThatCannotWrite) {
    const Fd folder = base_.open();
    ASSERT_TRUE(publish(make_unnamed(folder, 0600).value(), folder, "file"));
    const Fd file = open_existing(folder, "file", Access::read_only).value();
    EXPECT_EQ(::write(file.get(), "x", 1), -1);
    EXPECT_EQ(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_P(Files, ReserveAllocatesAndSetSizeDoesNot) {
    const Fd file = make_unnamed(base_.open(), 0600).value();
    constexpr std::uint64_t kBytes = 9'000'000;  // more than two steps
    ASSERT_TRUE(reserve(file, 0, kBytes));
    EXPECT_EQ(info(file)->bytes, kBytes);
    EXPECT_GE(info(file)->allocated_bytes, kBytes);
    ASSERT_TRUE(set_size(file, 100 * kBytes));
    EXPECT_EQ(info(file)->bytes, 100 * kBytes);
    EXPECT_LT(info(file)->allocated_bytes, 2 * kBytes);
    ASSERT_TRUE(reserve(file, 50 * kBytes, 4096));
    EXPECT_EQ(info(file)->bytes, 100 * kBytes);
}

TEST_P(Files, PunchedPagesAreGivenBackAndReadAsZero) {
    const Fd file = make_unnamed(base_.open(), 0600).value();
    constexpr std::uint64_t kBytes = 16 * kPage;
    ASSERT_TRUE(reserve(file, 0, kBytes));
    const Mapping mapping = map_shared(file, kBytes, Access::read_write).value();
    std::ranges::fill(mapping.bytes(), std::byte{7});
    const std::uint64_t before = info(file)->allocated_bytes;
    ASSERT_TRUE(punch_hole(file, 4 * kPage, 8 * kPage));
    EXPECT_EQ(info(file)->bytes, kBytes);
    EXPECT_EQ(info(file)->allocated_bytes, before - 8 * kPage);
    EXPECT_EQ(mapping.bytes()[4 * kPage], std::byte{0});
    EXPECT_EQ(mapping.bytes()[4 * kPage - 1], std::byte{7});
    EXPECT_EQ(mapping.bytes()[12 * kPage], std::byte{7});
    EXPECT_TRUE(punch_hole(file, 0, 0));
}

TEST_P(Files, SizesPastTheLimitOfTheProcessAreAnErrorAndNoSignal) {
    EXPECT_TRUE(kit::fork_and_run([&] {
                    const Fd file = make_unnamed(base_.open(), 0600).value();
                    const rlimit limit{.rlim_cur = 8192, .rlim_max = 8192};
                    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
                    EXPECT_EQ(code_of(reserve(file, 0, 8193)), Errc::limit_reached);
                    EXPECT_EQ(code_of(reserve(file, 8192, 1)), Errc::limit_reached);
                    EXPECT_EQ(code_of(set_size(file, 8193)), Errc::limit_reached);
                    EXPECT_TRUE(reserve(file, 0, 8192));
                }).ok());
    const Fd file = make_unnamed(base_.open(), 0600).value();
    EXPECT_EQ(code_of(reserve(file, ~0ULL, 2)), Errc::limit_reached);
    EXPECT_EQ(code_of(set_size(file, ~0ULL)), Errc::limit_reached);
}

TEST_P(Files, NoDescriptorLeftIsLimitReached) {
    EXPECT_TRUE(kit::fork_and_run([&] {
                    const Fd folder = base_.open();
                    const rlimit limit{.rlim_cur = 0, .rlim_max = 0};
                    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
                    EXPECT_EQ(code_of(make_unnamed(folder, 0600)), Errc::limit_reached);
                    EXPECT_EQ(code_of(open_folder("/")), Errc::limit_reached);
                    EXPECT_EQ(code_of(open_existing(folder, "x", Access::read_only)),
                              Errc::limit_reached);
                    EXPECT_EQ(code_of(list(folder)), Errc::limit_reached);
                }).ok());
}

TEST_P(Files, ListMayBeCalledAgainAndUnlinkRemoves) {
    const Fd folder = base_.open();
    for (const char* name : {"a", "b", ".c"}) {
        ASSERT_TRUE(publish(make_unnamed(folder, 0600).value(), folder, name));
    }
    auto names = *list(folder);
    std::ranges::sort(names);
    EXPECT_EQ(names, (std::vector<std::string>{".c", "a", "b"}));
    EXPECT_EQ(list(folder)->size(), 3U);
    EXPECT_TRUE(unlink(folder, "a"));
    EXPECT_EQ(code_of(unlink(folder, "a")), Errc::not_found);
    EXPECT_EQ(list(folder)->size(), 2U);
}

TEST_P(Files, ReserveFinishesUnderATimerSignalEveryHundredMicroseconds) {
    EXPECT_TRUE(kit::fork_and_run([&] {
                    struct sigaction action{};
                    action.sa_handler = [](int) {};  // without SA_RESTART
                    ASSERT_EQ(::sigaction(SIGALRM, &action, nullptr), 0);
                    const itimerval every{.it_interval = {.tv_sec = 0, .tv_usec = 100},
                                          .it_value = {.tv_sec = 0, .tv_usec = 100}};
                    ASSERT_EQ(::setitimer(ITIMER_REAL, &every, nullptr), 0);
                    const Fd file = make_unnamed(base_.open(), 0600).value();
                    EXPECT_TRUE(reserve(file, 0, std::uint64_t{32} << 20));
                }).ok());
}

// --- scenes that need privileges ----------------------------------------------------------------

TEST(FilesOnASmallTmpfs, FullIsOutOfSpaceAndNeverASignal) {
    const TestFolder base{"/var/tmp"};
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWNS);
                    kit::mount_tmpfs(base.path().c_str(), 1 << 20);
                    const Fd folder = base.open();
                    const Fd file = make_unnamed(folder, 0600).value();
                    EXPECT_EQ(code_of(reserve(file, 0, 2 << 20)), Errc::out_of_space);
                    EXPECT_TRUE(set_size(file, 0));
                    EXPECT_TRUE(reserve(file, 0, 512 << 10));
                    EXPECT_TRUE(publish(file, folder, "fits"));
                    const Fd second = make_unnamed(folder, 0600).value();
                    EXPECT_EQ(code_of(reserve(second, 0, 600 << 10)), Errc::out_of_space);
                    ASSERT_TRUE(punch_hole(file, 0, 256 << 10));
                    EXPECT_TRUE(reserve(second, 0, 600 << 10));
                    const Mapping mapping =
                        map_shared(second, 600 << 10, Access::read_write).value();
                    std::ranges::fill(mapping.bytes(), std::byte{1});
                }).ok());
}

TEST(FilesWithoutProc, PublishSaysThatItNeedsProc) {
    const TestFolder base{"/dev/shm"};
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWNS);
                    const Fd folder = base.open();
                    const Fd file = make_unnamed(folder, 0600).value();
                    kit::mount_tmpfs("/proc", 4096);
                    const auto result = publish(file, folder, "name");
                    ASSERT_FALSE(result);
                    EXPECT_EQ(result.error().code, Errc::not_supported);
                    EXPECT_EQ(std::string{result.error().step}, "create: /proc is not mounted");
                }).ok());
}

TEST(FilesOnDevpts, FileSystemWithoutUnnamedFilesSaysSo) {
    const TestFolder base{"/var/tmp"};
    EXPECT_TRUE(kit::fork_and_run([&] {
                    kit::enter_namespaces(CLONE_NEWNS);
                    kit::must(::mount("devpts", base.path().c_str(), "devpts", 0, nullptr) == 0,
                              "mount devpts");
                    const Fd folder{::open(base.path().c_str(), O_RDONLY | O_CLOEXEC)};
                    EXPECT_EQ(code_of(make_unnamed(folder, 0600)), Errc::not_supported);
                }).ok());
}

constexpr uid_t kNobody = 65534;

TEST(FilesOfAnotherUser, FolderIsUnsafeAndFileIsDenied) {
    if (::geteuid() == 0) {
        const TestFolder base{"/dev/shm"};
        const Fd folder = base.open();
        const Fd file = make_unnamed(folder, 0666).value();
        ASSERT_TRUE(publish(file, folder, "file"));
        ASSERT_EQ(::fchown(file.get(), kNobody, kNobody), 0);
        EXPECT_EQ(code_of(open_existing(folder, "file", Access::read_only)), Errc::denied);
        ASSERT_EQ(::chown(base.path().c_str(), kNobody, kNobody), 0);
        EXPECT_EQ(code_of(open_folder(base.path().c_str())), Errc::unsafe_folder);
    } else {  // /usr and /etc belong to root
        EXPECT_EQ(code_of(open_folder("/usr")), Errc::unsafe_folder);
        const Fd etc{::open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        EXPECT_EQ(code_of(open_existing(etc, "passwd", Access::read_only)), Errc::denied);
    }
}

TEST(FilesOfAnotherUser, OpeningWithoutPermissionIsDenied) {
    const TestFolder base{"/dev/shm"};
    const Fd folder = base.open();
    ASSERT_TRUE(publish(make_unnamed(folder, 0000).value(), folder, "file"));
    EXPECT_TRUE(kit::fork_and_run([&] {
                    if (::geteuid() == 0) {
                        ASSERT_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
                    }
                    EXPECT_EQ(code_of(open_existing(folder, "file", Access::read_only)),
                              Errc::denied);
                }).ok());
}

TEST(ErrorFromErrno, KeepsTheNumberAndTheStep) {
    const Error error = error_from_errno(EDQUOT, "step");
    EXPECT_EQ(error.code, Errc::out_of_space);
    EXPECT_EQ(error.os_errno, EDQUOT);
    EXPECT_STREQ(error.step, "step");
    EXPECT_EQ(error_from_errno(EMLINK, "step").code, Errc::os);
}

}  // namespace
}  // namespace stoa::sys
