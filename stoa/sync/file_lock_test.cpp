#include "stoa/sync/file_lock.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <fstream>
#include <mutex>
#include <shared_mutex>
#include <system_error>

#include "stoa/base/atomic.hpp"
#include "tests/kit/command.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

class LockedFiles : public testing::Test {
protected:
    LockedFiles() { std::ofstream{path_} << "0123456789"; }

    FileLock open(FileRange range = {}, LockedFile how = LockedFile::existing) {
        return FileLock::open(path_, range, how).value();
    }
    bool is_free() { return open().hold(Deadline::immediately()).has_value(); }

    kit::TempDomain folder_;
    std::string path_ = folder_.path() + "/file";
    kit::TempRegion memory_{4096};
    Atomic<std::uint32_t>& says_ =
        *reinterpret_cast<Atomic<std::uint32_t>*>(memory_.bytes().data());
};

TEST_F(LockedFiles, ExcludeEachOtherAndShareWithReaders) {
    FileLock one = open();
    FileLock two = open();
    EXPECT_TRUE(one.hold());
    EXPECT_EQ(two.hold(Deadline::immediately()).error().code, Errc::in_use);
    EXPECT_EQ(two.hold_shared(Deadline::after(3ms)).error().code, Errc::timed_out);
    one.unlock();
    EXPECT_TRUE(one.hold_shared());
    EXPECT_TRUE(two.hold_shared());
    FileLock three = open();
    EXPECT_EQ(three.hold(Deadline::immediately()).error().code, Errc::in_use);
    const sys::RangeHolder holder = three.holder().value();
    EXPECT_TRUE(holder.is_held);
    EXPECT_EQ(holder.kind, sys::RangeLock::shared);
    EXPECT_EQ(holder.pid, 0);
}

TEST_F(LockedFiles, WorkWithTheStandardsGuards) {
    FileLock one = open();
    FileLock two = open();
    {
        const std::unique_lock guard{one};
        EXPECT_FALSE(two.try_lock());
        EXPECT_FALSE(two.try_lock_shared_for(2ms));
    }
    const std::shared_lock guard{one};
    EXPECT_TRUE(two.try_lock_shared());
    two.unlock_shared();
}

TEST_F(LockedFiles, RangesAreIndependent) {
    FileLock head = open({.from = 0, .bytes = 4});
    FileLock tail = open({.from = 4});
    FileLock across = open({.from = 3, .bytes = 2});
    EXPECT_TRUE(head.hold());
    EXPECT_TRUE(tail.hold(Deadline::immediately()));
    EXPECT_EQ(across.hold(Deadline::immediately()).error().code, Errc::in_use);
    head.unlock();
    tail.unlock();
    EXPECT_TRUE(across.hold(Deadline::immediately()));
    EXPECT_EQ(open({.from = ~0ULL}).hold().error().code, Errc::bad_argument);
}

TEST_F(LockedFiles, AReadOnlyOneTakesSharedLocksAndSaysWhyNoOthers) {
    FileLock lock = open({}, LockedFile::read_only);
    EXPECT_TRUE(lock.hold_shared());
    lock.unlock();
    const Result<void> got = lock.hold();
    EXPECT_EQ(got.error().code, Errc::denied);
    EXPECT_NE(describe(got.error()).find("not open for writing"), std::string::npos);
    EXPECT_THROW(lock.lock(), std::system_error);
    EXPECT_EQ(FileLock::open(path_ + ".no").error().code, Errc::not_found);
    EXPECT_EQ(FileLock::open(folder_.path()).error().code, Errc::bad_layout);
    EXPECT_TRUE(FileLock::open(path_ + ".new", {}, LockedFile::make));
}

TEST_F(LockedFiles, ADeadHoldersLockIsFree) {
    kit::Child holder{[&] {
        FileLock lock = open();
        lock.hold().value();
        says_.store(1);
        for (;;) ::pause();
    }};
    ASSERT_TRUE(kit::wait_until([&] { return says_.load() == 1; }));
    EXPECT_FALSE(is_free());
    kit::Child waiter{[&] { open().hold().value(); }};
    holder.kill_and_wait();
    EXPECT_TRUE(waiter.wait().ok());
    EXPECT_TRUE(is_free());
}

TEST_F(LockedFiles, AForkedChildKeepsNoneAlive) {
    {
        FileLock lock = open();
        lock.hold().value();
        kit::Child child{[&] {
            if (lock.hold().error().code != Errc::forked) ::_exit(1);
            lock.unlock();  // as a guard does that it inherited
            says_.store(1);
            for (;;) ::pause();
        }};
        ASSERT_TRUE(kit::wait_until([&] { return says_.load() == 1; }));
        EXPECT_FALSE(is_free());
        lock.unlock();
        EXPECT_TRUE(is_free());
        lock.hold().value();
        {
            const FileLock moved = std::move(lock);
        }
        EXPECT_TRUE(is_free());
    }
}

// The kernel would drop a record lock of the older kind here.
TEST_F(LockedFiles, AnotherCloseOfTheFileDropsNothing) {
    FileLock lock = open();
    lock.hold().value();
    {
        const std::ifstream other{path_};
    }
    EXPECT_FALSE(is_free());
}

constexpr const char* kTries =
    "import fcntl, sys\n"
    "f = open(sys.argv[1], 'r+')\n"
    "try:\n"
    "    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 4, 2)\n"
    "except OSError:\n"
    "    print('held')\n"
    "else:\n"
    "    print('free')\n";

TEST_F(LockedFiles, AreSeenByPythonAndSeeIts) {
    FileLock lock = open({.from = 2, .bytes = 4});
    const auto tries = [&] { return kit::run({"/usr/bin/python3", "-c", kTries, path_}).out; };
    EXPECT_EQ(tries(), "free\n");
    lock.hold().value();
    EXPECT_EQ(tries(), "held\n");
    lock.unlock();
    kit::Command other{{"/usr/bin/python3", "-c",
                        "import fcntl, sys, time\n"
                        "f = open(sys.argv[1], 'r+')\n"
                        "fcntl.lockf(f, fcntl.LOCK_EX, 1, 3)\n"
                        "print('has it', flush=True)\n"
                        "while True: time.sleep(60)\n",
                        path_}};
    ASSERT_TRUE(kit::wait_until([&] { return other.out() == "has it\n"; }));
    EXPECT_EQ(lock.hold(Deadline::immediately()).error().code, Errc::in_use);
    const sys::RangeHolder holder = lock.holder().value();
    EXPECT_EQ(holder.pid, other.child().pid());
    EXPECT_EQ(holder.range.from, 3U);
    EXPECT_EQ(holder.range.bytes, 1U);
    other.child().kill();
    EXPECT_TRUE(lock.hold(Deadline::after(20s)));
}

}  // namespace
}  // namespace stoa
