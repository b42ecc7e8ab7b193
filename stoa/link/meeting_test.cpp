// Two who act at the same moment: one leaves, or takes a name over, while another one connects.
// Each test is a trace that tests/model found (link_model), at a crash point of the one it meets.
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <string>

#include "stoa/link/process.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

#if STOA_CRASH_POINTS

// What the other one does meanwhile; a hook takes no arguments.
struct Scene {
    Process me = Process::join("me").value();
    std::optional<Process> other;
    std::optional<Process> heir;
};
Scene* g_scene = nullptr;

class Meetings : public testing::Test {
protected:
    Meetings() { g_scene = &scene_; }
    ~Meetings() override {
        kit::call_at("", nullptr);
        g_scene = nullptr;
    }
    kit::TempDomain domain_;
    Scene scene_;
};

TEST_F(Meetings, AKnockForTheHeirIsNotTakenByTheOneWhoLeaves) {
    scene_.other = Process::join("other").value();
    kit::call_at("link.give_back.done", [] {
        g_scene->heir = Process::join("other").value();
        EXPECT_TRUE(g_scene->me.send("other", "for the heir"));
    });
    scene_.other->leave();
    ASSERT_TRUE(scene_.heir);
    const Result<Received<std::string>> received = scene_.heir->try_receive<std::string>();
    ASSERT_TRUE(received) << describe(received.error());
    EXPECT_EQ(received->value(), "for the heir");
}

TEST_F(Meetings, WhatAPeerSentBeforeItLeftIsReceivedByWhoWasConnecting) {
    scene_.other = Process::join("other").value();
    kit::call_at("link.connect.knocked", [] {
        EXPECT_EQ(g_scene->other->try_receive<std::string>().error().code, Errc::empty);
        EXPECT_TRUE(g_scene->other->send("me", "and goodbye"));
        g_scene->other->leave();
    });
    EXPECT_EQ(scene_.me.send("other", "hello").error().code, Errc::not_found);
    const Result<Received<std::string>> received = scene_.me.try_receive<std::string>();
    ASSERT_TRUE(received) << describe(received.error());
    EXPECT_EQ(received->value(), "and goodbye");
}

TEST_F(Meetings, AKnockOfALaterLinkIsNotTakenForAnOlderOne) {
    kit::Child dead{[] {
        const Process mine = Process::join("other").value();
        ::raise(SIGSTOP);
    }};
    ASSERT_TRUE(dead.wait_stopped());
    ASSERT_TRUE(scene_.me.send("other", "for the dead one"));
    dead.kill_and_wait();
    scene_.heir = Process::join("other").value();  // in the same region, the knock is there
    kit::call_at("link.hear.taken", [] { EXPECT_TRUE(g_scene->me.send("other", "for the heir")); });
    Result<Received<std::string>> received = scene_.heir->try_receive<std::string>();
    if (!received) received = scene_.heir->try_receive<std::string>();
    ASSERT_TRUE(received) << describe(received.error());
    EXPECT_EQ(received->value(), "for the heir");
    EXPECT_EQ(scene_.heir->try_receive<std::string>().error().code, Errc::empty);
}

#endif

}  // namespace
}  // namespace stoa
