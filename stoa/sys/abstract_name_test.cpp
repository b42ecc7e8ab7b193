#include "stoa/sys/abstract_name.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "stoa/base/atomic.hpp"
#include "stoa/sys/close_on_fork.hpp"
#include "stoa/sys/memfd.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::sys {
namespace {

std::string name_of_test() {
    return "stoa-test:" + std::to_string(::getpid());
}

// How many sockets this process has.
int sockets() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        struct ::stat facts{};
        const int number = std::stoi(entry.path().filename());
        if (::fstat(number, &facts) == 0 && S_ISSOCK(facts.st_mode)) ++count;
    }
    return count;
}

TEST(AbstractName, HasOneHolderAndIsListedWithItsInode) {
    const std::string name = name_of_test();
    EXPECT_FALSE(is_held(name).value());
    {
        const Fd first = make_name_socket().value();
        ASSERT_TRUE(hold_name(first, name));
        EXPECT_TRUE(is_held(name).value());
        const Fd second = make_name_socket().value();
        EXPECT_EQ(hold_name(second, name).error().code, Errc::exists);
        ASSERT_TRUE(hold_name(second, name + ":second"));
        const std::vector<HeldName> held = held_names(name).value();
        ASSERT_EQ(held.size(), 2U);
        struct ::stat facts{};
        ASSERT_EQ(::fstat(first.get(), &facts), 0);
        EXPECT_EQ(held[held[0].name == name ? 0 : 1].inode, facts.st_ino);
    }
    EXPECT_FALSE(is_held(name).value());
    EXPECT_TRUE(held_names(name)->empty());
}

TEST(AbstractName, IsFreeWhenItsKilledHolderIsReaped) {
    const std::string name = name_of_test();
    kit::Child holder{[&] {
        const Fd socket = make_name_socket().value();
        ASSERT_TRUE(hold_name(socket, name));
        for (;;) ::pause();
    }};
    ASSERT_TRUE(kit::wait_until([&] { return is_held(name).value(); }));
    (void)holder.kill_and_wait();
    EXPECT_FALSE(is_held(name).value());
    EXPECT_TRUE(hold_name(make_name_socket().value(), name));
}

TEST(AbstractName, LengthIsChecked) {
    const Fd socket = make_name_socket().value();
    EXPECT_EQ(hold_name(socket, std::string(108, 'x')).error().code, Errc::bad_name);
    EXPECT_EQ(hold_name(socket, "").error().code, Errc::bad_name);
    const std::string longest = name_of_test() + std::string(80, 'x');
    const std::string exact = longest.substr(0, 60) + std::string(47, 'y');
    ASSERT_TRUE(hold_name(socket, exact));
    EXPECT_EQ(held_names(exact)->size(), 1U);
}

TEST(CloseOnFork, AForkedChildHasNoCopyAndClosesNoNumberThatIsAnothersByNow) {
    ForkFd memory{make_memory("stoa").value()};
    memory.close_on_fork(NoFork{});
    const int number = memory.fd().get();
    EXPECT_TRUE(kit::fork_and_run([&] {
                    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
                    ASSERT_EQ(::dup2(STDERR_FILENO, number), number);  // another file
                    {
                        const ForkFd inherited = std::move(memory);
                    }
                    EXPECT_NE(::fcntl(number, F_GETFD), -1);
                }).ok());
    EXPECT_NE(::fcntl(number, F_GETFD), -1);
    {
        const ForkFd last = std::move(memory);
    }
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST(CloseOnFork, NoChildInheritsOneThatAThreadIsJustMaking) {
    const int before = sockets();
    Atomic<bool> stop{false};
    std::thread maker{[&] {
        while (!stop.load(kRelaxed)) {
            ForkFd socket;
            const NoFork held;
            socket = ForkFd{make_name_socket().value()};
            socket.close_on_fork(held);
        }
    }};
    for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(kit::fork_and_run([&] { EXPECT_EQ(sockets(), before); }).ok());
    }
    stop.store(true, kRelaxed);
    maker.join();
}

}  // namespace
}  // namespace stoa::sys
