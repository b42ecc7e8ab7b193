// Whose death a wait set learns of, and when: those who came since it looked last as well.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <set>
#include <vector>

#include "stoa/sys/epoll.hpp"
#include "stoa/wait/shared_waits.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa {
namespace {

// A thing whose peers the test names.
class Thing final : public WaitSource {
public:
    [[nodiscard]] bool ready() noexcept override { return false; }
    void arm() noexcept override {}
    void disarm() noexcept override {}
    [[nodiscard]] const void* watched_as() const noexcept override { return this; }
    Result<void> look_around() noexcept override {
        ++looks;
        return {};
    }
    void for_each_peer(PeerVisitor& visitor) override {
        for (const sys::Identity& peer : peers) visitor.visit(peer);
    }
    Result<void> attach(Touched& /*entry*/) noexcept override { return {}; }
    void detach() noexcept override {}

    std::vector<sys::Identity> peers;
    int looks = 0;
};

class SharedWaitsOf : public testing::Test {
protected:
    SharedWaitsOf() : memory_{sizeof(sys::Identity)} {}

    Thing& add() {
        Thing& made = things_.emplace_back();
        const auto slot = static_cast<std::uint32_t>(things_.size() - 1);
        EXPECT_TRUE(waits_->enter(slot, made));
        return made;
    }
    [[nodiscard]] auto note() {
        return [this](std::uint32_t slot) { visited_.insert(slot); };
    }
    // A process that lives until it is killed.
    [[nodiscard]] kit::Child start(sys::Identity& identity) {
        auto& told = *reinterpret_cast<sys::Identity*>(memory_.bytes().data());
        kit::Child child{[&told] {
            told = sys::self().value();
            ::raise(SIGSTOP);
        }};
        EXPECT_TRUE(child.wait_stopped());
        identity = told;
        return child;
    }

    kit::TempRegion memory_;
    sys::Epoll epoll_ = sys::Epoll::create().value();
    sys::Fd bell_ = sys::make_bell_pipe().value();
    std::unique_ptr<SharedWaits> waits_ = SharedWaits::create(epoll_, bell_, 0).value();
    std::deque<Thing> things_;
    std::set<std::uint32_t> visited_;
};

TEST_F(SharedWaitsOf, WhoCameSinceTheLastLookAndDiedIsFoundByOneTick) {
    constexpr std::size_t kThings = 200;
    for (std::size_t i = 0; i < kThings; ++i) add();
    ASSERT_TRUE(waits_->sleep(note()));
    sys::Identity dead;
    start(dead).kill_and_wait();
    for (Thing& thing : things_) thing.peers.push_back(dead);
    waits_->look_around(note());
    EXPECT_EQ(visited_.size(), kThings);
    for (const Thing& thing : things_) EXPECT_GE(thing.looks, 1);
}

TEST_F(SharedWaitsOf, AnEndThatWasToldCountsForThosePlacesTooWhichLearnOfThePeerLater) {
    Thing& knows = add();
    for (int i = 0; i < 20; ++i) add();
    sys::Identity peer;
    kit::Child child = start(peer);
    knows.peers.push_back(peer);
    ASSERT_TRUE(waits_->sleep(note()));
    child.kill_and_wait();
    std::array<epoll_event, 4> events{};
    ASSERT_EQ(epoll_.wait(events, Deadline::never()).value(), 1U);
    waits_->peer_event(static_cast<std::uint32_t>(events[0].data.u64), note());
    EXPECT_EQ(visited_, std::set<std::uint32_t>{0});
    Thing& late = things_.back();
    late.peers.push_back(peer);  // it had joined before it died
    visited_.clear();
    waits_->look_around(note());
    EXPECT_TRUE(visited_.contains(20));
    EXPECT_GE(late.looks, 1);
}

}  // namespace
}  // namespace stoa
