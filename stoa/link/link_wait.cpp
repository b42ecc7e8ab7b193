#include <memory>
#include <utility>

#include "stoa/link/process_core.hpp"

// When a wait set finds a link ready: what a mailbox says of its lane, and what only the link
// knows: what is set aside, replies that were found for a call, and that the peer is gone.
namespace stoa {

class LinkWait final : public WaitSource {
public:
    // Either may be null; `call`: the open one that it waits for, or 0.
    LinkWait(LinkCore& link, Waitable message, Waitable room, std::uint64_t call)
        : link_{&link}, message_{std::move(message)}, room_{std::move(room)}, call_{call} {}

    [[nodiscard]] bool ready() noexcept override {
        LinkCore& link = *link_;
        if (!link.box_ || link.over_ || link.peer_state_ != LinkCore::PeerState::here) return true;
        if (call_ == 0) {
            return room() != nullptr ? room()->ready() : !link.aside_.empty() || message()->ready();
        }
        const LinkCore::OpenCall* const call = open_call();
        if (call == nullptr) return false;
        return call->reply || message()->ready() || (!call->sent && room()->ready());
    }
    void arm() noexcept override {
        if (message() != nullptr) message()->arm();
        if (waits_for_room()) room()->arm();
    }
    void disarm() noexcept override {
        if (message() != nullptr) message()->disarm();
        if (room() != nullptr) room()->disarm();
    }
    [[nodiscard]] std::uint32_t spin_pauses() noexcept override { return one().spin_pauses(); }
    [[nodiscard]] const void* watched_as() const noexcept override { return one().watched_as(); }
    Result<void> set_watch(const WatchWord& whom) noexcept override {
        return one().set_watch(whom);
    }
    Result<void> look_around() noexcept override {
        const Result<void> looked = one().look_around();
        // All that wait for the link are told.
        if (!looked) [[maybe_unused]]
            const LinkCore::PeerState known = link_->peer_state();
        return looked;
    }
    // Also of one that has not heard of the link yet.
    void for_each_peer(PeerVisitor& visitor) override {
        if (link_->peer().watch != nullptr) visitor.visit(link_->peer().identity);
    }
    Result<void> attach(Touched& entry) noexcept override {
        if (link_->process_ == nullptr) return fail(Errc::gone, "wait set (this process has left)");
        if (Result<void> good = link_->process_->check(); !good) return good;
        if (entry_ != nullptr) return fail(Errc::in_use, "wait set (it is in one already)");
        entry_ = &entry;
        if (call_ == 0) {
            link_->entries_.push_back(entry_);
        } else if (LinkCore::OpenCall* const call = open_call()) {
            call->entry = entry_;
        }
        return {};
    }
    void detach() noexcept override {
        if (LinkCore::OpenCall* const call = open_call()) call->entry = nullptr;
        std::erase(link_->entries_, std::exchange(entry_, nullptr));
    }

private:
    [[nodiscard]] WaitSource* message() const noexcept { return message_.source(); }
    [[nodiscard]] WaitSource* room() const noexcept { return room_.source(); }
    [[nodiscard]] WaitSource& one() const noexcept {
        return message() != nullptr ? *message() : *room();
    }
    [[nodiscard]] LinkCore::OpenCall* open_call() const noexcept {
        const auto at = link_->open_calls_.find(call_);
        return at != link_->open_calls_.end() ? &at->second : nullptr;
    }
    [[nodiscard]] bool waits_for_room() const noexcept {
        if (room() == nullptr || call_ == 0) return room() != nullptr;
        const LinkCore::OpenCall* const call = open_call();
        return call != nullptr && !call->sent;
    }

    LinkRef link_;
    Waitable message_;
    Waitable room_;
    std::uint64_t call_;
    Touched* entry_ = nullptr;
};

namespace {

const Error kNothing{.code = Errc::empty, .step = "wait set (nothing to wait for)"};
const Error kLeft{.code = Errc::gone, .step = "link (this process has left)"};

}  // namespace

Waitable LinkCore::readable() {
    if (!box_) return kLeft;
    return std::make_shared<LinkWait>(*this, box_->readable(), kNothing, 0);
}

Waitable LinkCore::writable() {
    if (!box_) return kLeft;
    Waitable room = box_->writable();
    if (room.source() == nullptr) return room;  // why there is none
    return std::make_shared<LinkWait>(*this, kNothing, std::move(room), 0);
}

Waitable LinkCore::progress_of(std::uint64_t number, std::uint64_t bytes) {
    if (!box_) return kLeft;
    Waitable room = kNothing;
    if (!open_calls_.at(number).sent) {
        room = box_->space_for(sizeof(LinkHeader) + bytes);
        if (room.source() == nullptr) return room;
    }
    return std::make_shared<LinkWait>(*this, box_->readable(), std::move(room), number);
}

void LinkCore::touch_waits() noexcept {
    for (Touched* const entry : entries_) entry->touch();
    for (auto& [number, call] : open_calls_) {
        if (call.entry != nullptr) call.entry->touch();
    }
}

}  // namespace stoa
