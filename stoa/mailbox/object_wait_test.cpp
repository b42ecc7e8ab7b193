// Locks, semaphores, events and buffers of a region in wait sets. Slices are infinite where a
// wake-up is proved, and with them the tick of the sets.
#include <gtest/gtest.h>

#include <random>

#include "stoa/mailbox/buffer.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/wait/object_wait.hpp"
#include "stoa/wait/wait_set.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

class ObjectWaits : public testing::Test {
protected:
    ObjectWaits() { g_wait_slice = 24h; }
    ~ObjectWaits() override { g_wait_slice = kWaitSlice; }

    static Region open() { return Region::open_or_create("things", 1 << 20).value(); }
    static void expect_empty(WaitSet& set) { EXPECT_EQ(set.try_wait().error().code, Errc::empty); }
    static void expect_woken(WaitSet& set) {
        const Result<std::span<const Ready>> woken = set.wait_for(20s);
        ASSERT_TRUE(woken) << describe(woken.error());
    }

    kit::TempDomain domain_;
    Region region_ = open();
    WaitSet set_ = WaitSet::create().value();
};

TEST_F(ObjectWaits, AnEventThatIsSetElsewhereIsReady) {
    auto event = region_.find_or_construct<Event>("e").value();
    ASSERT_TRUE(set_.add(when_set(*event)));
    expect_empty(set_);
    kit::Child child{[] { open().find_or_construct<Event>("e").value()->set(); }};
    expect_woken(set_);
    expect_woken(set_);  // as long as it is set
    event->reset();
    expect_empty(set_);
    EXPECT_TRUE(child.wait().ok());
}

TEST_F(ObjectWaits, AnEventThatIsSetAndResetIsToldOfOnce) {
    auto event = region_.find_or_construct<Event>("e").value();
    ASSERT_TRUE(set_.add(when_set(*event)));
    expect_empty(set_);
    event->set();
    event->reset();
    expect_woken(set_);
    expect_empty(set_);
}

TEST_F(ObjectWaits, AMutexThatIsUnlockedElsewhereIsReady) {
    auto lock = region_.find_or_construct<Mutex>("l").value();
    ASSERT_TRUE(lock->hold());
    kit::Child child{[] {
        Region mine = open();
        auto same = mine.find_or_construct<Mutex>("l").value();
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(when_unlocked(*same)));
        auto holds = mine.find_or_construct<Event>("waits").value();
        expect_empty(set);
        holds->set();
        do {
            expect_woken(set);
        } while (!same->hold(Deadline::immediately()));
        same->unlock();
    }};
    ASSERT_TRUE(region_.find_or_construct<Event>("waits").value()->wait());
    lock->unlock();
    EXPECT_TRUE(child.wait().ok());
}

// By the death alone, without a tick.
TEST_F(ObjectWaits, AMutexWhoseHolderDiesIsReady) {
    auto lock = region_.find_or_construct<Mutex>("l").value();
    auto held = region_.find_or_construct<Event>("held").value();
    kit::Child child{[] {
        Region mine = open();
        ASSERT_TRUE(mine.find_or_construct<Mutex>("l").value()->hold());
        mine.find_or_construct<Event>("held").value()->set();
        ::pause();
    }};
    ASSERT_TRUE(held->wait());
    ASSERT_TRUE(set_.add(when_unlocked(*lock)));
    expect_empty(set_);
    child.kill();
    expect_woken(set_);
    EXPECT_EQ(lock->hold(Deadline::immediately()).value(), Held::owner_died);
    lock->repaired();
    lock->unlock();
    EXPECT_EQ(child.wait().signal, SIGKILL);
}

TEST_F(ObjectWaits, PermitsAndPostsAreReady) {
    auto permits = region_.find_or_construct<Semaphore<1>>("s").value();
    auto posts = region_.find_or_construct<SignalSemaphore>("p").value();
    ASSERT_TRUE(permits->acquire());
    ASSERT_TRUE(set_.add(when_free(*permits), 1));
    ASSERT_TRUE(set_.add(when_posted(*posts), 2));
    expect_empty(set_);
    kit::Child child{[] { open().find_or_construct<SignalSemaphore>("p").value()->post(); }};
    expect_woken(set_);
    EXPECT_TRUE(posts->try_wait());
    expect_empty(set_);
    EXPECT_TRUE(permits->release());
    expect_woken(set_);
    EXPECT_TRUE(child.wait().ok());
}

TEST_F(ObjectWaits, ABufferIsReadableAndWritable) {
    for (const Capacity& capacity : {bounded(4), unbounded(1 << 20)}) {
        const char* const name = capacity.kind == Capacity::Kind::bounded ? "b" : "u";
        ASSERT_TRUE(region_.find_or_construct<Buffer<std::uint64_t>>(name, capacity));
        WaitSet set = WaitSet::create().value();
        Region again = open();
        auto same = again.find_or_construct<Buffer<std::uint64_t>>(name, capacity).value();
        ASSERT_TRUE(set.add(same->readable()));
        expect_empty(set);
        kit::Child child{[&] {
            Region mine = open();
            auto out = mine.find_or_construct<Buffer<std::uint64_t>>(name, capacity).value();
            WaitSet room = WaitSet::create().value();
            ASSERT_TRUE(room.add(out->writable()));
            for (std::uint64_t i = 0; i < 1000; ++i) {
                while (!out->try_send(i)) expect_woken(room);
            }
        }};
        for (std::uint64_t i = 0; i < 1000; ++i) {
            Result<std::uint64_t> got = same->try_receive();
            while (!got) {
                expect_woken(set);
                got = same->try_receive();
            }
            ASSERT_EQ(*got, i);
        }
        EXPECT_TRUE(child.wait().ok());
    }
}

TEST_F(ObjectWaits, TwoSetsOfOneHandleAreRefused) {
    auto event = region_.find_or_construct<Event>("e").value();
    auto other = region_.find_or_construct<Event>("o").value();
    ASSERT_TRUE(set_.add(when_set(*event)));
    ASSERT_TRUE(set_.add(when_set(*other)));
    WaitSet second = WaitSet::create().value();
    EXPECT_EQ(second.add(when_set(*event)).error().code, Errc::in_use);
    Region again = open();
    EXPECT_TRUE(second.add(when_set(*again.find_or_construct<Event>("e").value())));
}

TEST_F(ObjectWaits, WhatIsNotOfARegionIsRefused) {
    Event event;
    EXPECT_EQ(set_.add(when_set(event)).error().code, Errc::not_supported);
}

TEST_F(ObjectWaits, AnEntryLeavesWithItsRegion) {
    {
        Region again = open();
        ASSERT_TRUE(set_.add(when_set(*again.find_or_construct<Event>("e").value())));
        expect_empty(set_);
    }
    Region later = open();
    ASSERT_TRUE(set_.add(when_set(*later.find_or_construct<Event>("e").value())));
    later.find_or_construct<Event>("e").value()->set();
    expect_woken(set_);
}

}  // namespace
}  // namespace stoa
