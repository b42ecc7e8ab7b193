// A buffer in a region, for tests of both kinds of buffers.
//
// Start here: BufferTest.
// Threads:    as gtest.
// Processes:  its region is in a folder of its own; children open it by name.
// Death:      die_at() lets a child die at a crash point.
// Blocking:   as its calls.
// Lifetime:   of a test.
// Units:      messages.
// Source:     none.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <vector>

#include "stoa/mailbox/buffer.hpp"
#include "stoa/shm/region.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {

struct Job {
    std::uint64_t number;
    std::uint64_t twice;
};

inline Job job(std::uint64_t number) {
    return {.number = number, .twice = 2 * number};
}

using Numbers = std::vector<std::uint64_t>;

class BufferTest : public testing::Test {
protected:
    using Jobs = Buffer<Job>;

    Jobs& jobs(std::uint32_t capacity = 4) {
        return *region_.find_or_construct<Jobs>("jobs", bounded(capacity)).value();
    }
    // A child opens the region, does that with the buffer and is killed there.
    void die_at(const char* point, const std::function<void(Jobs&)>& body) {
        const kit::Ending ending = kit::fork_and_run([&] {
            Region mine = Region::open("r").value();
            Jobs* const jobs = mine.find<Jobs>("jobs").value();
            kit::kill_self_at(point);
            body(*jobs);
        });
        ASSERT_EQ(ending.signal, SIGKILL) << point;
    }
    void send(std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t i = from; i <= to; ++i) ASSERT_TRUE(jobs().try_send(job(i)));
    }
    // What waits, in its order.
    std::vector<std::uint64_t> drain() {
        std::vector<std::uint64_t> all;
        for (;;) {
            const Result<Job> got = jobs().try_receive();
            if (!got) break;
            EXPECT_EQ(got->twice, 2 * got->number);
            all.push_back(got->number);
        }
        return all;
    }
    // Nobody holds memory of it: as many fit as ever.
    void expect_whole() {
        for (int turn = 0; turn < 3; ++turn) {
            std::uint64_t sent = 0;
            while (jobs().try_send(job(sent))) ++sent;
            EXPECT_EQ(sent, jobs().capacity());
            EXPECT_EQ(drain().size(), sent);
        }
    }

    kit::TempDomain folder_;
    Region region_ = Region::create("r", 1 << 20).value();
};

}  // namespace stoa
