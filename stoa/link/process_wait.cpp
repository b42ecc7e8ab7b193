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
    // For what one process sends. It may not have made its link yet.
    ProcessWait(ProcessCore& core, LinkCore::Peer peer) : ProcessWait{core} {
        peer_.emplace(std::move(peer));
    }
    ProcessWait(const ProcessWait&) = delete;
    ProcessWait& operator=(const ProcessWait&) = delete;
    ~ProcessWait() override {
        if (core_ != nullptr) std::erase(core_->waits_, this);
    }
    void touch() noexcept {
        if (entry_ != nullptr) entry_->touch();
    }
    // The handle goes.
    void end() noexcept {
        core_ = nullptr;
        if (entry_ != nullptr) entry_->close();
    }

    [[nodiscard]] bool ready() noexcept override {
        if (core_ == nullptr || !core_->check()) return core_ != nullptr;
        return peer_ ? peer_has_something() : core_->has_something();
    }
    void arm() noexcept override {
        if (!has_joined()) return;
        static_cast<void>(arm_bell(core_->region().bell()));
        // Senders look at the bell without a fence: the barrier is ours.
        reach_all_publishers();
    }
    void disarm() noexcept override {}
    [[nodiscard]] std::uint32_t spin_pauses() noexcept override {
        return has_joined() && core_->may_spin() ? kAdaptiveSpins : 0;
    }
    [[nodiscard]] const void* watched_as() const noexcept override {
        return has_joined() ? core_->region().record() : nullptr;
    }
    Result<void> set_watch(const WatchWord& whom) noexcept override {
        if (!has_joined() || core_->region().set_watch(whom)) return {};
        return fail(Errc::in_use, core_->gives_ready_fd()
                                      ? "wait set (this process has given out ready_fd())"
                                      : "wait set (another set waits for this process)");
    }
    Result<void> look_around() noexcept override {
        return has_joined() ? core_->look_around() : Result<void>{};
    }
    void for_each_peer(PeerVisitor& visitor) override {
        if (!has_joined()) return;
        const auto visit = [&](const LinkCore::Peer& peer) {
            if (peer.watch != nullptr) visitor.visit(peer.identity);
        };
        for (const LinkRef& link : core_->links()) visit(link->peer());
        for (const ProcessWait* const wait : core_->waits_) {
            if (wait->peer_) visit(*wait->peer_);
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
    // As the receive would look: at all links of that name that are not over, or for the first one.
    [[nodiscard]] bool peer_has_something() {
        if (core_->region_->knocked() != core_->knocks_heard_) return true;
        bool linked = false;
        for (const LinkRef& link : core_->links()) {
            if (link->peer().name != peer_->name || link->is_over()) continue;
            if (link->is_ready() || link->peer_state() != LinkCore::PeerState::here) return true;
            linked = true;
        }
        return !linked && (!peer_->region->is_owned_by(peer_->holder) ||
                           (peer_->watch != nullptr && peer_->watch->gone()));
    }

    [[nodiscard]] bool has_joined() const noexcept { return core_ != nullptr && !core_->left_; }

    ProcessCore* core_;                     // null: ended
    std::optional<LinkCore::Peer> peer_{};  // whose messages; nothing: anyone's
    Touched* entry_ = nullptr;
};

Waitable ProcessCore::readable() {
    return Waitable{std::make_shared<ProcessWait>(*this)};
}

Waitable ProcessCore::readable(std::string_view name) {
    for (const LinkRef& link : all_) {
        if (link->peer().name == name && !link->is_over()) return link->readable();
    }
    Result<LinkCore::Peer> peer = find_peer(name);
    if (!peer) return peer.error();
    return std::make_shared<ProcessWait>(*this, std::move(*peer));
}

void ProcessCore::touch_waits() noexcept {
    for (ProcessWait* const wait : waits_) wait->touch();
}

void ProcessCore::end_waits() noexcept {
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
