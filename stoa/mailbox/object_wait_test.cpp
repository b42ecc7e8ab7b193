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
#include "tests/kit/wait_until.hpp"

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

// What is armed is looked at again when it was rung for, and not before.
TEST_F(ObjectWaits, ASharedMutexIsReadyToWriteWhenTheLastReaderLeaves) {
    auto lock = region_.find_or_construct<SharedMutex<>>("l").value();
    Region again = open();
    auto same = again.find_or_construct<SharedMutex<>>("l").value();
    ASSERT_TRUE(lock->hold_shared());
    ASSERT_TRUE(lock->hold_shared());
    ASSERT_TRUE(set_.add(when_unlocked(*same)));
    expect_empty(set_);
    lock->unlock_shared();
    expect_empty(set_);  // one reads still
    lock->unlock_shared();
    ASSERT_TRUE(set_.try_wait());
    EXPECT_TRUE(same->hold(Deadline::immediately()));
    expect_empty(set_);
    same->unlock();
    EXPECT_TRUE(set_.try_wait());
}

TEST_F(ObjectWaits, ASharedMutexIsReadyToReadWhenTheWriterLeavesOrAPlaceIsFree) {
    auto lock = region_.find_or_construct<SharedMutex<1>>("l").value();
    Region again = open();
    auto same = again.find_or_construct<SharedMutex<1>>("l").value();
    ASSERT_TRUE(set_.add(when_unlocked_shared(*same)));
    for (const bool writes : {true, false}) {
        ASSERT_TRUE(writes ? lock->hold() : lock->hold_shared());
        expect_empty(set_);
        writes ? lock->unlock() : lock->unlock_shared();
        ASSERT_TRUE(set_.try_wait());
        EXPECT_TRUE(same->hold_shared(Deadline::immediately()));
        EXPECT_TRUE(set_.try_wait());  // once more: the place is its own
        same->unlock_shared();
    }
}

TEST_F(ObjectWaits, ASharedMutexThatIsUnlockedElsewhereIsReady) {
    auto lock = region_.find_or_construct<SharedMutex<>>("l").value();
    ASSERT_TRUE(lock->hold());
    kit::Child child{[] {
        Region mine = open();
        auto same = mine.find_or_construct<SharedMutex<>>("l").value();
        WaitSet set = WaitSet::create().value();
        ASSERT_TRUE(set.add(when_unlocked_shared(*same)));
        expect_empty(set);
        mine.find_or_construct<Event>("waits").value()->set();
        expect_woken(set);
        EXPECT_TRUE(same->hold_shared(Deadline::immediately()));
        same->unlock_shared();
    }};
    ASSERT_TRUE(region_.find_or_construct<Event>("waits").value()->wait());
    lock->unlock();
    EXPECT_TRUE(child.wait().ok());
}

// By the death alone, without a tick.
TEST_F(ObjectWaits, ASharedMutexWhoseWriterDiesIsReadyInBothWays) {
    auto lock = region_.find_or_construct<SharedMutex<>>("l").value();
    for (const bool alone : {true, false}) {
        auto held = region_.find_or_construct<Event>(alone ? "w" : "r").value();
        kit::Child child{[alone] {
            Region mine = open();
            ASSERT_TRUE(mine.find_or_construct<SharedMutex<>>("l").value()->hold());
            mine.find_or_construct<Event>(alone ? "w" : "r").value()->set();
            ::pause();
        }};
        ASSERT_TRUE(held->wait());
        const WaitId id =
            set_.add(alone ? when_unlocked(*lock) : when_unlocked_shared(*lock)).value();
        expect_empty(set_);
        child.kill();
        expect_woken(set_);
        const Deadline now = Deadline::immediately();
        EXPECT_EQ((alone ? lock->hold(now) : lock->hold_shared(now)).value(), Held::owner_died);
        lock->repaired();
        alone ? lock->unlock() : lock->unlock_shared();
        EXPECT_TRUE(set_.remove(id));
        EXPECT_EQ(child.wait().signal, SIGKILL);
    }
}

TEST_F(ObjectWaits, ASharedMutexWhoseReaderDiesIsReadyToWrite) {
    auto lock = region_.find_or_construct<SharedMutex<>>("l").value();
    auto held = region_.find_or_construct<Event>("held").value();
    kit::Child child{[] {
        Region mine = open();
        ASSERT_TRUE(mine.find_or_construct<SharedMutex<>>("l").value()->hold_shared());
        mine.find_or_construct<Event>("held").value()->set();
        ::pause();
    }};
    ASSERT_TRUE(held->wait());
    ASSERT_TRUE(set_.add(when_unlocked(*lock)));
    expect_empty(set_);
    child.kill();
    expect_woken(set_);
    EXPECT_EQ(lock->hold(Deadline::immediately()).value(), Held::clean);
    lock->unlock();
    EXPECT_EQ(child.wait().signal, SIGKILL);
}

// It keeps readers out, and nobody rings for them while its word stands.
TEST_F(ObjectWaits, AWriterThatDiesWhileItWaitsForReadersIsInNobodysWay) {
    auto lock = region_.find_or_construct<SharedMutex<>>("l").value();
    ASSERT_TRUE(lock->hold_shared());
    kit::Child child{
        [] { static_cast<void>(open().find_or_construct<SharedMutex<>>("l").value()->hold()); }};
    ASSERT_TRUE(kit::wait_until([&] { return lock->writer() != 0; }));
    ASSERT_TRUE(set_.add(when_unlocked_shared(*lock), 1));
    WaitSet to_write = WaitSet::create().value();
    Region again = open();
    auto same = again.find_or_construct<SharedMutex<>>("l").value();
    ASSERT_TRUE(to_write.add(when_unlocked(*same), 2));
    expect_empty(set_);
    expect_empty(to_write);
    child.kill();
    expect_woken(set_);
    EXPECT_TRUE(lock->hold_shared(Deadline::immediately()));
    lock->unlock_shared();
    expect_empty(to_write);  // we read still
    lock->unlock_shared();
    expect_woken(to_write);
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
