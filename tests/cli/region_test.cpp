// stoa region create|rm|ls|info|dump, and regions in stoa gc.
#include "stoa/shm/region.hpp"

#include <sched.h>

#include <atomic>
#include <csignal>

#include "stoa/shm/plain_region.hpp"
#include "stoa/sync/guarded.hpp"
#include "tests/cli/stoa_test.hpp"

namespace stoa {
namespace {

using nlohmann::json;

class RegionCommand : public StoaTest {
protected:
    static json listed(Words words = {}) {
        words.insert(words.begin(), {"region", "ls", "--json"});
        return json::parse(done(words));
    }
    static json looked_at(const std::string& address) {
        return json::parse(done({"region", "info", address, "--json"}));
    }
    // As the user whose command it is.
    static kit::Ending as_its_user(const std::function<void()>& act) {
        return kit::fork_and_run([&] {
            kit::become_nobody();
            act();
        });
    }
};

TEST_F(RegionCommand, CreatesShowsAndRemoves) {
    const std::string made = done({"region", "create", "stats", "--size", "64KiB"});
    EXPECT_EQ(made.substr(0, 30), "shm:stats: 64 KiB for objects,");
    EXPECT_EQ(listed()[0]["address"], "shm:stats");
    const json info = looked_at("stats");
    EXPECT_EQ(info["bytes"], 65536);
    EXPECT_EQ(info["objects"], json::array());
    EXPECT_EQ(info["attached"], json::array());
    EXPECT_EQ(stoa({"region", "create", "stats", "--size", "4KiB"}).status, 1);
    done({"region", "rm", "stats"});
    EXPECT_EQ(done({"region", "ls"}), "no regions\n");
    EXPECT_EQ(stoa({"region", "rm", "stats"}).status, 4);
    EXPECT_EQ(stoa({"region", "info", "stats"}).status, 4);
    EXPECT_EQ(stoa({"region", "info", "a/b"}).status, 2);
}

TEST_F(RegionCommand, ShowsObjectsAndWhoHasItAttached) {
    done({"region", "create", "r", "--size", "64KiB"});
    const kit::Ending ending = as_its_user([] {
        Region region = Region::open("r").value();
        *region.construct<std::uint64_t>("hits").value() = 0x4142434445464748U;
        const json info = looked_at("r");
        EXPECT_EQ(info["objects"][0]["name"], "hits");
        EXPECT_EQ(info["objects"][0]["type"], "u64");
        EXPECT_EQ(info["objects"][0]["bytes"], 8);
        EXPECT_EQ(info["attached"][0]["pid"], ::getpid());
        EXPECT_EQ(info["attached"][0]["life"], "alive");
    });
    EXPECT_TRUE(ending.ok());
    EXPECT_EQ(done({"region", "dump", "r", "hits"}),
              "00000000  48 47 46 45 44 43 42 41                           |HGFEDCBA|\n"
              "00000008\n");
    EXPECT_EQ(done({"region", "dump", "r", "hits", "--raw"}), "HGFEDCBA");
    EXPECT_EQ(done({"region", "dump", "r"}).substr(0, 6), "hits:\n");
    EXPECT_EQ(stoa({"region", "dump", "r", "misses"}).status, 4);
}

TEST_F(RegionCommand, GcSweepsTheDeadAndFirstOnlyTells) {
    done({"region", "create", "r", "--size", "64KiB"});
    const kit::Ending ending = as_its_user([] {
        const Region region = Region::open("r").value();
        ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(ending.signal, SIGKILL);
    const json told = json::parse(done({"gc", "--dry-run", "--json"}));
    EXPECT_EQ(told["regions"][0]["name"], "shm:r");
    EXPECT_EQ(told["regions"][0]["what"], "swept");
    EXPECT_EQ(looked_at("r")["attached"].size(), 1U);
    EXPECT_EQ(done({"gc"}).substr(0, 33), "shm:r: swept 1 dead participant (");
    EXPECT_EQ(looked_at("r")["attached"].size(), 0U);
    EXPECT_EQ(done({"gc"}), "nothing to do\n");
}

TEST_F(RegionCommand, PlainBytesAreSeenOnlyWhenAskedForAndGoOnlyByForce) {
    const std::string address = "posix:/stoa-test-" + std::to_string(::getpid());
    done({"region", "create", address, "--size", "4KiB", "--plain"});
    EXPECT_EQ(listed(), json::array());
    EXPECT_EQ(done({"region", "dump", address}),
              "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
              "*\n00001000\n");
    const Finished refused = stoa({"region", "rm", address});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("--force"), std::string::npos);
    done({"region", "rm", address, "--force"});
    EXPECT_EQ(stoa({"region", "info", address}).status, 4);
}

TEST_F(RegionCommand, WhatIsDamagedGoesByForceAlone) {
    done({"region", "create", "r", "--size", "64KiB"});
    const std::string file = domain_.path() + "/r.region";
    ASSERT_EQ(::truncate(file.c_str(), 5000), 0);
    EXPECT_EQ(stoa({"region", "info", "r"}).status, 1);
    EXPECT_EQ(stoa({"region", "rm", "r"}).status, 1);
    done({"region", "rm", "r", "--force"});
    EXPECT_TRUE(domain_.entries().empty());
    EXPECT_EQ(stoa({"region", "rm", "r", "--force"}).status, 4);
}

TEST_F(RegionCommand, SegmentsAreFoundByNameAndById) {
    const std::string address = "sysv:stoa-test-" + std::to_string(::getpid());
    done({"region", "create", address, "--size", "64KiB"});
    bool found = false;
    for (const json& one : listed()) {
        const std::string by_id = one["address"];
        if (!by_id.starts_with("sysv:#")) continue;
        found = found || looked_at(by_id)["bytes"] == looked_at(address)["bytes"];
    }
    EXPECT_TRUE(found);
    done({"region", "rm", address});
    EXPECT_EQ(stoa({"region", "info", address}).status, 4);
}

// Takes one lock, waits until the other one is taken, and wants that too, for a while.
void want_both(const char* first, const char* second) {
    kit::become_nobody();
    Region region = Region::open("r").value();
    auto* taken = region.find<std::atomic<std::uint32_t>>("taken").value();
    auto access = region.find<Guarded<int>>(first).value()->lock().value();
    ++*taken;
    while (taken->load() < 2) ::sched_yield();
    static_cast<void>(
        region.find<Guarded<int>>(second).value()->lock_for(std::chrono::seconds{60}));
}

TEST_F(RegionCommand, LocksTellHoldersWaitersAndDeadlocks) {
    done({"region", "create", "r", "--size", "64KiB"});
    EXPECT_EQ(done({"locks"}), "no lock is held or waited for\n");
    EXPECT_TRUE(as_its_user([] {
                    Region region = Region::open("r").value();
                    ASSERT_TRUE(region.construct<Guarded<int>>("a"));
                    ASSERT_TRUE(region.construct<Guarded<int>>("b"));
                    ASSERT_TRUE(region.construct<std::atomic<std::uint32_t>>("taken"));
                }).ok());
    kit::Child one{[] { want_both("a", "b"); }};
    kit::Child two{[] { want_both("b", "a"); }};
    json shown;
    EXPECT_TRUE(kit::wait_until([&] {
        shown = json::parse(done({"locks", "r", "--json"}))[0];
        return shown["cycles"].size() == 1 && shown["locks"].size() == 2;
    }));
    EXPECT_EQ(shown["cycles"][0].size(), 2U);
    for (const json& lock : shown["locks"]) {
        const bool first = lock["object"] == "a";
        EXPECT_EQ(lock["kind"], "mutex");
        EXPECT_EQ(lock["holders"][0]["pid"], first ? one.pid() : two.pid());
        EXPECT_GE(lock["holders"][0]["held_s_at_least"], 0.0);
        EXPECT_EQ(lock["waiters"][0]["pid"], first ? two.pid() : one.pid());
    }
    EXPECT_EQ(done({"locks"}).substr(0, 17), "shm:r: DEADLOCK: ");
    // One is killed: the other one inherits what it held, and nobody is stuck.
    one.kill_and_wait();
    EXPECT_TRUE(two.wait().ok());
}

TEST_F(RegionCommand, WordsThatSayNothingAreRefused) {
    EXPECT_EQ(stoa({"region", "create", "r"}).status, 2);
    EXPECT_EQ(stoa({"region", "create", "r", "--size", "0"}).status, 2);
    EXPECT_EQ(stoa({"region", "create", "memfd:", "--size", "4KiB"}).status, 2);
    EXPECT_EQ(
        stoa({"region", "create", "r", "--size", "4KiB", "--plain", "--max-objects", "3"}).status,
        2);
    EXPECT_EQ(stoa({"region", "create", "sysv:r", "--size", "4KiB", "--max-size", "8MiB"}).status,
              1);
}

}  // namespace
}  // namespace stoa
