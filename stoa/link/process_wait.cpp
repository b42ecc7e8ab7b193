#include <algorithm>
#include <memory>
#include <utility>

#include "stoa/channel/sliced_wait.hpp"
#include "stoa/link/process_core.hpp"
#include "stoa/wait/wait_set.hpp"

// When a wait set finds a process ready: when a receive from anyone has something to look at. One
// mark stands for all its links, the bell of its name, on which such a receive itself would sleep.
namespace stoa {

class ProcessWait final : public WaitSource {
public:
    explicit ProcessWait(ProcessCore& core) : core_{&core} { core.waits_.push_back(this); }
    ProcessWait(const ProcessWait&) = delete;
    ProcessWait& operator=(const ProcessWait&) = delete;
    ~ProcessWait() override {
        if (core_ != nullptr) std::erase(core_->waits_, this);
    }
    // The process leaves.
    void end() noexcept {
        core_ = nullptr;
        if (entry_ != nullptr) entry_->close();
    }

    [[nodiscard]] bool ready() noexcept override {
        return core_ != nullptr && (!core_->check() || core_->has_something());
    }
    void arm() noexcept override {
        if (core_ == nullptr) return;
        static_cast<void>(arm_bell(core_->region().bell()));
        // Senders look at the bell without a fence: the barrier is ours.
        reach_all_publishers();
    }
    void disarm() noexcept override {}
    [[nodiscard]] std::uint32_t spin_pauses() noexcept override {
        return core_ != nullptr && core_->may_spin() ? kAdaptiveSpins : 0;
    }
    [[nodiscard]] const void* watched_as() const noexcept override {
        return core_ != nullptr ? core_->region().record() : nullptr;
    }
    Result<void> set_watch(const WatchWord& whom) noexcept override {
        if (core_ == nullptr || core_->region().set_watch(whom)) return {};
        return fail(Errc::in_use, "wait set (another set waits for this process)");
    }
    Result<void> look_around() noexcept override {
        return core_ != nullptr ? core_->look_around() : Result<void>{};
    }
    void for_each_peer(PeerVisitor& visitor) override {
        if (core_ == nullptr) return;
        for (const LinkRef& link : core_->links()) {
            if (link->peer().watch != nullptr) visitor.visit(link->peer().identity);
        }
    }
    Result<void> attach(Touched& entry) noexcept override {
        if (core_ == nullptr) return fail(Errc::gone, "wait set (the process has left)");
        if (Result<void> good = core_->check(); !good) return good;
        if (entry_ != nullptr) return fail(Errc::in_use, "wait set (it is in one already)");
        entry_ = &entry;
        return {};
    }
    void detach() noexcept override { entry_ = nullptr; }

private:
    ProcessCore* core_;  // null: ended
    Touched* entry_ = nullptr;
};

Waitable ProcessCore::readable() {
    return Waitable{std::make_shared<ProcessWait>(*this)};
}

void ProcessCore::end_waits() noexcept {
    ready_set_.reset();
    for (ProcessWait* const wait : std::exchange(waits_, {})) wait->end();
}

Result<int> ProcessCore::ready_fd() {
    if (Result<void> good = check(); !good) return std::unexpected(good.error());
    if (ready_set_ == nullptr) {
        Result<WaitSet> set = WaitSet::create();
        if (!set) return std::unexpected(set.error());
        if (const Result<WaitId> added = set->add(readable()); !added) {
            return std::unexpected(added.error());
        }
        ready_set_ = std::make_unique<WaitSet>(std::move(*set));
    }
    return ready_set_->fd();
}

}  // namespace stoa
