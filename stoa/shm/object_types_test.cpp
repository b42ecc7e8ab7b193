// What structures of locks are called, and that nothing which holds a pointer is taken for one.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "stoa/shm/region.hpp"
#include "stoa/sync/barrier.hpp"
#include "stoa/sync/condition.hpp"
#include "stoa/sync/event.hpp"
#include "stoa/sync/guarded.hpp"
#include "stoa/sync/latch.hpp"
#include "stoa/sync/once.hpp"
#include "stoa/sync/priority_mutex.hpp"
#include "stoa/sync/semaphore.hpp"
#include "stoa/sync/shared_mutex.hpp"

namespace stoa {

struct TwoEvents {
    Event go, stop;
    int jobs;
};
struct OfItself {
    Event a{Reset::automatic};
    int n;
};
struct Wants {
    double d;
    CountLatch latch{3};
    float f;
};
struct Mixed {
    Guarded<int> g{5};
    Event e{Reset::automatic};
    int x = 3;
};
struct Arrays {
    int a[3];
    Event e;
    int b[2];
};
struct Many {
    Barrier<4> barrier{3};
    SharedMutex<> mutex;
    Semaphore<3> permits;
    Latch<3> latch{2};
    Once once;
    Condition condition;
    PriorityMutex priority;
    std::array<int, 3> numbers;
};
struct WithPointer {
    Event a, b;
    char* p;
};
struct WithText {
    Event a{Reset::automatic};
    std::string s;
};
struct WithConstructor {
    explicit WithConstructor(int n) : number{n} {}
    int number;
};

namespace {

template <typename T>
std::string text() {
    return std::string{object_type_of<T>().text};
}

TEST(ObjectTypes, TellEachFieldAlsoBehindALock) {
    EXPECT_EQ(text<TwoEvents>(), "{stoa.event 1:8 go@0;stoa.event 1:8 stop@8;i32 jobs@16;}:20");
    EXPECT_EQ(text<OfItself>(), "{stoa.event 1:8 a@0;i32 n@8;}:12");
    EXPECT_EQ(text<Wants>(), "{f64 d@0;stoa.count_latch 1:8 latch@8;f32 f@16;}:24");
    EXPECT_EQ(text<Arrays>(), "{i32[3] a@0;stoa.event 1:8 e@12;i32[2] b@20;}:28");
    EXPECT_NE(text<Mixed>().find("i32 x@"), std::string::npos);
    EXPECT_NE(text<Many>().find("i32[3] numbers@"), std::string::npos);
}

TEST(ObjectTypes, WhatHoldsAPointerIsNone) {
    static_assert(!Shareable<WithPointer> && !Shareable<WithText>);
    static_assert(!Shareable<WithConstructor> && !Shareable<std::string> && !Shareable<int*>);
    static_assert(Shareable<Many> && !Sendable<Many>);
}

}  // namespace
}  // namespace stoa
