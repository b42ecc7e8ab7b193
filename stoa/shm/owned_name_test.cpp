#include "stoa/shm/owned_name.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "stoa/base/atomic.hpp"
#include "stoa/shm/region_image.hpp"
#include "stoa/sys/abstract_name.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/owned_names.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

Result<void> write_mark(void* /*context*/, std::span<std::byte> content) {
    content[0] = std::byte{42};
    return {};
}

class OwnedNames : public testing::Test {
protected:
    static Domain domain() { return Domain::open().value(); }
    static Result<RegionImage> create(const std::string& name, Owner owner = Owner::process) {
        const RegionPlan plan{
            .content_bytes = 8192, .reserved_bytes = 8192, .owner = owner, .owned_name = name};
        return RegionImage::create(domain(), name, plan, write_mark, nullptr);
    }
    static Result<RegionImage> open(const std::string& name) {
        return RegionImage::open(domain(), name, RegionKind::mailbox);
    }
    static Errc code_of(const Result<RegionImage>& region) {
        return region ? Errc{} : region.error().code;
    }
    static bool owned(const Result<RegionImage>& region) {
        return region && region->owner() == Owner::process;
    }
    // A process that has the name until it is killed.
    static kit::Child owner_of(const std::string& name) {
        kit::Child owner{[name] {
            const RegionImage region = create(name).value();
            for (;;) ::pause();
        }};
        EXPECT_TRUE(kit::wait_until([&] { return open(name).has_value(); }));
        return owner;
    }
    // A creator that stands still at a crash point.
    static kit::Child stopped_at(const char* point, const std::string& name, Owner owner,
                                 Errc ends_with) {
        kit::Child creator{[=] {
            kit::stop_self_at(point);
            EXPECT_EQ(code_of(create(name, owner)), ends_with);
        }};
        EXPECT_TRUE(creator.wait_stopped());
        return creator;
    }
    static void finish(kit::Child& creator) {
        creator.resume();
        EXPECT_TRUE(creator.wait().ok());
    }

    kit::TempDomain temp_;
    kit::LeakCheck leaks_{&temp_};
};

TEST_F(OwnedNames, AreFoundByOthersAndLeaveNothingBehind) {
    std::string long_one(200, 'x');
    long_one += ".mailbox";
    for (const std::string& name : {std::string{"a"}, long_one}) {
        std::optional<RegionImage> made = create(name).value();
        const std::set<std::string> names = kit::owned_names_of(::getpid());
        EXPECT_EQ(names.size(), 2U);
        EXPECT_TRUE(kit::fork_and_run([&] {
                        const RegionImage opened = open(name).value();
                        EXPECT_EQ(opened.content()[0], std::byte{42});
                        EXPECT_EQ(opened.owner(), Owner::process);
                    }).ok());
        EXPECT_EQ(code_of(create(name)), Errc::exists);
        EXPECT_EQ(*RegionImage::owned_names(domain(), RegionKind::mailbox), std::vector{name});
        EXPECT_TRUE(temp_.entries().empty());
        EXPECT_EQ(kit::still_held(names), names);
        made.reset();
        EXPECT_EQ(kit::still_held(names), std::set<std::string>{});
        EXPECT_EQ(code_of(open(name)), Errc::not_found);
    }
    EXPECT_EQ(leaks_.leaks(), "");
}

TEST_F(OwnedNames, BelongToTheirFolder) {
    const RegionImage made = create("a").value();
    const kit::TempDomain other;
    EXPECT_EQ(code_of(open("a")), Errc::not_found);
    EXPECT_TRUE(RegionImage::owned_names(domain(), RegionKind::mailbox)->empty());
    EXPECT_TRUE(create("a"));
}

TEST_F(OwnedNames, AreOneNameWithFiles) {
    {
        const RegionImage process = create("a").value();
        EXPECT_EQ(code_of(create("a", Owner::system)), Errc::exists);
        EXPECT_TRUE(temp_.entries().empty());
    }
    RegionImage file = create("a", Owner::system).value();
    EXPECT_EQ(code_of(create("a")), Errc::exists);
    EXPECT_TRUE(RegionImage::destroy(domain(), "a", file).value());
    EXPECT_TRUE(create("a"));
}

TEST_F(OwnedNames, AreFreeAtOnceWhenTheOwnerIsKilled) {
    kit::Child owner = owner_of("a");
    (void)owner.kill_and_wait();
    EXPECT_EQ(code_of(open("a")), Errc::not_found);
    EXPECT_TRUE(create("a"));
}

TEST_F(OwnedNames, OpenWhileTheOwnerIsStopped) {
    kit::Child owner = owner_of("a");
    owner.stop();
    EXPECT_TRUE(owned(open("a")));
    EXPECT_EQ(code_of(create("a")), Errc::exists);
}

TEST_F(OwnedNames, ACreatorThatIsStoppedBeforeItHasTheNameBlocksNobody) {
    kit::Child slow = stopped_at("owned_name.claim.before_lock", "a", Owner::process, Errc::exists);
    EXPECT_EQ(code_of(open("a")), Errc::not_found);
    const RegionImage mine = create("a").value();
    EXPECT_EQ(sys::info(open("a")->file())->inode, sys::info(mine.file())->inode);
    finish(slow);
    EXPECT_TRUE(owned(open("a")));
}

TEST_F(OwnedNames, ACreatorThatIsStoppedBehindTheLockHasTheName) {
    kit::Child slow = stopped_at("region.create.claimed", "a", Owner::process, Errc{});
    EXPECT_EQ(code_of(create("a", Owner::system)), Errc::exists);
    EXPECT_EQ(code_of(create("a")), Errc::exists);
    EXPECT_TRUE(owned(open("a")));  // decided for it
    EXPECT_EQ(code_of(create("a", Owner::system)), Errc::exists);
    finish(slow);
}

TEST_F(OwnedNames, ALookWithoutTheRightToWriteDecidesAsWell) {
    kit::Child slow = stopped_at("region.create.claimed", "a", Owner::process, Errc{});
    EXPECT_TRUE(
        owned(RegionImage::open(domain(), "a", RegionKind::mailbox, sys::Access::read_only)));
    finish(slow);
    kit::Child file = stopped_at("region.create.published", "b", Owner::system, Errc{});
    EXPECT_TRUE(RegionImage::open(domain(), "b", RegionKind::mailbox, sys::Access::read_only));
    finish(file);
}

TEST_F(OwnedNames, AFileThatIsNotDecidedLosesAgainstALock) {
    kit::Child file = stopped_at("region.create.published", "a", Owner::system, Errc::exists);
    const RegionImage mine = create("a").value();
    EXPECT_TRUE(owned(open("a")));
    finish(file);
    EXPECT_TRUE(owned(open("a")));
    EXPECT_TRUE(temp_.entries().empty());
}

TEST_F(OwnedNames, AFileThatSomebodyFoundWinsAgainstALock) {
    kit::Child file = stopped_at("region.create.published", "a", Owner::system, Errc{});
    EXPECT_TRUE(open("a"));
    EXPECT_EQ(code_of(create("a")), Errc::exists);
    finish(file);
    EXPECT_FALSE(owned(open("a")));
}

TEST_F(OwnedNames, AFileThatSawNoLockMeetsTheOneThatCameMeanwhile) {
    kit::Child file = stopped_at("region.decide.before", "a", Owner::system, Errc::exists);
    const RegionImage mine = create("a").value();
    finish(file);
    EXPECT_TRUE(owned(open("a")));
    EXPECT_TRUE(temp_.entries().empty());
}

TEST_F(OwnedNames, ALockThatSawNoFileIsSeenByTheOneThatCameMeanwhile) {
    kit::Child process = stopped_at("region.decide_owned.before", "a", Owner::process, Errc{});
    EXPECT_EQ(code_of(create("a", Owner::system)), Errc::exists);
    EXPECT_TRUE(owned(open("a")));
    finish(process);
}

TEST_F(OwnedNames, AKilledCreatorOfAFileLeavesOneThatTheNextOneGets) {
    const kit::Ending ending = kit::fork_and_run([] {
        kit::kill_self_at("region.create.published");
        (void)create("a", Owner::system);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    const Result<RegionImage> opened = open("a");
    ASSERT_TRUE(opened);
    EXPECT_FALSE(opened->condemned());
}

// Many at once, of both kinds: one of them gets the name.
TEST_F(OwnedNames, ManyCreatorsOfBothKindsMakeExactlyOne) {
    constexpr int kCreators = 6;
    struct Board {
        Atomic<int> done{0};
        Atomic<int> won{0};
    };
    for (int round = 0; round < 25; ++round) {
        const kit::TempRegion memory{sizeof(Board)};
        auto& board = *new (memory.bytes().data()) Board;
        std::vector<kit::Child> creators;
        for (int i = 0; i < kCreators; ++i) {
            creators.emplace_back([&, i] {
                const Result<RegionImage> made =
                    create("a", (i + round) % 2 == 0 ? Owner::process : Owner::system);
                if (made) board.won.fetch_add(1, kSeqCst);
                board.done.fetch_add(1, kSeqCst);
                for (;;) ::pause();
            });
        }
        ASSERT_TRUE(kit::wait_until([&] { return board.done.load(kSeqCst) == kCreators; }));
        EXPECT_EQ(board.won.load(kSeqCst), 1) << "round " << round;
        Result<RegionImage> winner = open("a");
        ASSERT_TRUE(winner) << describe(winner.error());
        EXPECT_EQ(winner->owner() == Owner::system, temp_.entries().size() == 1);
        EXPECT_TRUE(RegionImage::destroy(domain(), "a", *winner).value());
        for (kit::Child& creator : creators) (void)creator.kill_and_wait();
        EXPECT_TRUE(temp_.entries().empty());
    }
}

// The names of a dead process in a child of clone(2), which runs no handlers of fork.
TEST_F(OwnedNames, ANameThatOutlivesItsOwnerIsNotBelieved) {
    const kit::TempRegion memory{sizeof(Atomic<pid_t>)};
    auto& copy = *new (memory.bytes().data()) Atomic<pid_t>{0};
    kit::Child owner{[&] {
        const RegionImage region = create("a").value();
        const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        if (child == 0) {
            for (;;) ::pause();
        }
        copy.store(child, kSeqCst);
        for (;;) ::pause();
    }};
    ASSERT_TRUE(kit::wait_until([&] { return copy.load(kSeqCst) != 0; }));
    EXPECT_TRUE(owned(open("a")));
    (void)owner.kill_and_wait();
    EXPECT_EQ(code_of(open("a")), Errc::not_found);
    EXPECT_EQ(code_of(create("a")), Errc::exists);  // the kernel still knows the name
    ::kill(copy.load(kSeqCst), SIGKILL);
    EXPECT_TRUE(kit::wait_until([] { return create("a").has_value(); }));
}

// A pid that another process has by now: the address of the dead owner, with our pid in it and
// memory of ours under the number that it names.
class ForgedAddress : public OwnedNames {
protected:
    // Takes the names of a killed owner; `edit` may change the parts behind the lock's name.
    void forge(const std::function<void(std::vector<std::string>& parts)>& edit) {
        kit::Child owner = owner_of("a");
        std::string address;
        const std::string pid = ":" + hex(static_cast<std::uint64_t>(owner.pid())) + ":";
        const std::vector<sys::HeldName> all = sys::held_names("stoa:").value();
        for (const sys::HeldName& held : all) {
            if (held.name.find(pid, kLockBytes) == kLockBytes) address = held.name;
        }
        ASSERT_GT(address.size(), kLockBytes);
        const std::string lock = address.substr(0, kLockBytes);
        (void)owner.kill_and_wait();
        lock_ = sys::make_name_socket().value();
        address_ = sys::make_name_socket().value();
        std::vector<std::string> parts;
        for (std::size_t at = kLockBytes + 1; at < address.size();) {
            const std::size_t end = std::min(address.find(':', at), address.size());
            parts.push_back(address.substr(at, end - at));
            at = end + 1;
        }
        ASSERT_EQ(parts.size(), 7U) << address;
        parts[6] = hex(sys::info(lock_)->inode);
        edit(parts);
        std::string text = lock;
        for (const std::string& part : parts) text += ":" + part;
        ASSERT_TRUE(sys::hold_name(address_, text));
        ASSERT_TRUE(sys::hold_name(lock_, lock));
    }
    static std::string hex(std::uint64_t value) {
        char text[20];
        (void)std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
        return text;
    }

    static constexpr std::size_t kLockBytes = 38;  // stoa:FOLDER:NAME
    sys::Fd lock_;
    sys::Fd address_;
};

TEST_F(ForgedAddress, OfAReusedPidIsNotBelieved) {
    const RegionImage decoy = create("b").value();
    forge([&](std::vector<std::string>& parts) {
        parts[0] = hex(static_cast<std::uint64_t>(::getpid()));
        parts[1] = hex(static_cast<std::uint64_t>(decoy.file().get()));
    });
    EXPECT_EQ(find_owned(domain(), "a", sys::Access::read_only).error().code, Errc::not_found);
}

TEST_F(ForgedAddress, OfMemoryWithAnotherNameOrNoMemoryIsNotBelieved) {
    const RegionImage decoy = create("b").value();
    const sys::Identity self = sys::self().value();
    const auto as_ours = [&](std::vector<std::string>& parts, int number) {
        parts[0] = hex(self.pid);
        parts[1] = hex(static_cast<std::uint64_t>(number));
        parts[2] = hex(self.start_ticks);
        parts[3] = hex(self.pidfs_id);
    };
    forge([&](std::vector<std::string>& parts) {
        as_ours(parts, decoy.file().get());
        parts[6] = hex(sys::info(address_)->inode);  // of one that lost the lock
    });
    EXPECT_EQ(find_owned(domain(), "a", sys::Access::read_only).error().code, Errc::not_found);
    lock_ = sys::Fd{};
    address_ = sys::Fd{};
    forge([&](std::vector<std::string>& parts) { as_ours(parts, decoy.file().get()); });
    EXPECT_TRUE(find_owned(domain(), "a", sys::Access::read_only));  // it is ours, but not "a"
    EXPECT_EQ(code_of(open("a")), Errc::not_found);
    lock_ = sys::Fd{};
    address_ = sys::Fd{};
    const sys::Fd unsealed = sys::make_memory("stoa").value();
    forge([&](std::vector<std::string>& parts) { as_ours(parts, unsealed.get()); });
    EXPECT_EQ(find_owned(domain(), "a", sys::Access::read_only).error().code, Errc::not_found);
    lock_ = sys::Fd{};
    address_ = sys::Fd{};
    forge([&](std::vector<std::string>& parts) { as_ours(parts, STDIN_FILENO); });
    EXPECT_EQ(find_owned(domain(), "a", sys::Access::read_only).error().code, Errc::not_found);
}

}  // namespace
}  // namespace stoa
