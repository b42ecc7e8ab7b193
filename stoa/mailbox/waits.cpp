#include <algorithm>
#include <memory>
#include <utility>

#include "stoa/mailbox/attachment.hpp"
#include "stoa/mailbox/routes.hpp"

// When a wait set finds a mailbox ready: when the call that it is waited for has something to say
// at once, be it an error; and which marks stand for it until then. What is marked is what the call
// itself would sleep on.
namespace stoa {

// One entry of a wait set, of a handle that may go before it.
class MailboxWait final : public WaitSource {
public:
    enum class What : std::uint8_t { message, space, receipt };

    MailboxWait(Attachment& at, What what, std::uint64_t bytes, const PoolTicket& ticket)
        : at_{&at}, what_{what}, bytes_{bytes}, ticket_{ticket} {
        at.waits_.push_back(this);
    }
    MailboxWait(const MailboxWait&) = delete;
    MailboxWait& operator=(const MailboxWait&) = delete;
    ~MailboxWait() override {
        if (at_ != nullptr) std::erase(at_->waits_, this);
    }

    [[nodiscard]] bool waits_for(const PoolTicket* receipt) const noexcept {
        if (receipt == nullptr) return what_ != What::receipt;
        return what_ == What::receipt && receipt->station == ticket_.station &&
               receipt->ref.word() == ticket_.ref.word();
    }
    // The handle, or the receipt, goes.
    void end() noexcept {
        at_ = nullptr;
        if (entry_ != nullptr) entry_->close();
    }

    [[nodiscard]] bool ready() noexcept override {
        if (at_ == nullptr) return false;
        switch (what_) {
            case What::message: return at_->is_readable();
            case What::space: return at_->is_writable(bytes_);
            case What::receipt: return at_->pool(ticket_.station).is_decided(ticket_);
        }
        return false;
    }
    void arm() noexcept override {
        if (at_ == nullptr) return;
        if (!std::exchange(armed_, true) && what_ != What::receipt) ++armed_now();
        switch (what_) {
            case What::message: at_->arm_readable(); break;
            case What::space: at_->arm_writable(); break;
            case What::receipt: at_->pool(ticket_.station).arm(ticket_); break;
        }
    }
    void disarm() noexcept override {
        if (!std::exchange(armed_, false) || at_ == nullptr || what_ == What::receipt) return;
        // One mark stands for all entries of the handle: the last one takes it away.
        if (--armed_now() > 0) return;
        if (what_ == What::message) at_->disarm_readable();
        if (what_ == What::space) at_->disarm_writable();
    }
    [[nodiscard]] std::uint32_t spin_pauses() noexcept override {
        if (at_ == nullptr) return 0;
        if (what_ == What::message) return at_->spin_pauses();
        return at_->waiting() == Waiting::park ? 0 : kAdaptiveSpins;
    }
    [[nodiscard]] const void* watched_as() const noexcept override {
        return at_ != nullptr ? at_->watched_as() : nullptr;
    }
    Result<void> set_watch(const WatchWord& whom) noexcept override {
        return at_ != nullptr ? at_->set_watch(whom) : Result<void>{};
    }
    Result<void> look_around() noexcept override {
        return at_ != nullptr ? at_->look_around() : Result<void>{};
    }
    void for_each_peer(PeerVisitor& visitor) override {
        if (at_ != nullptr) at_->for_each_peer(visitor);
    }
    [[nodiscard]] bool newcomers_ring() const noexcept override { return true; }
    Result<void> attach(Touched& entry) noexcept override {
        if (at_ == nullptr) return fail(Errc::gone, "wait set (its handle is closed)");
        if (Result<void> good = at_->check(); !good && good.error().code == Errc::forked)
            return good;
        if (entry_ != nullptr) return fail(Errc::in_use, "wait set (it is in one already)");
        entry_ = &entry;
        return {};
    }
    void detach() noexcept override { entry_ = nullptr; }

private:
    [[nodiscard]] std::uint32_t& armed_now() const noexcept {
        return what_ == What::message ? at_->armed_readers_ : at_->armed_writers_;
    }

    Attachment* at_;  // null: ended
    What what_;
    std::uint64_t bytes_;
    PoolTicket ticket_;
    bool armed_ = false;
    Touched* entry_ = nullptr;
};

Waitable Attachment::readable() {
    return Waitable{
        std::make_shared<MailboxWait>(*this, MailboxWait::What::message, 0, PoolTicket{})};
}

Waitable Attachment::space_for(std::uint64_t bytes) {
    if (plan_.capacity.kind == Capacity::Kind::zero) {
        return Error{.code = Errc::not_supported,
                     .step =
                         "space_for (a rendezvous has no room; send with a receipt, and wait "
                         "until that is decided)"};
    }
    return Waitable{
        std::make_shared<MailboxWait>(*this, MailboxWait::What::space, bytes, PoolTicket{})};
}

Waitable Attachment::decided(const PoolTicket& ticket) {
    return Waitable{std::make_shared<MailboxWait>(*this, MailboxWait::What::receipt, 0, ticket)};
}

void Attachment::end_waits(const PoolTicket* receipt) noexcept {
    std::erase_if(waits_, [receipt](MailboxWait* wait) {
        if (!wait->waits_for(receipt)) return false;
        wait->end();
        return true;
    });
}

void Attachment::handle_waits_no_more() noexcept {
    ready_set_.reset();
    end_waits(nullptr);
}

Result<int> Attachment::ready_fd() {
    if (Result<void> good = check(); !good && good.error().code == Errc::forked) {
        return std::unexpected(good.error());
    }
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

Result<void> Attachment::set_watch(const WatchWord& whom) noexcept {
    if (region_.participants().set_watch(index_, whom)) return {};
    return fail(Errc::in_use, "wait set (another set waits for this handle; clone() it)");
}

void Attachment::for_each_peer(PeerVisitor& visitor) {
    const Participants& all = region_.participants();
    const std::uint32_t own = static_cast<std::uint32_t>(record_->identity[0].load(kRelaxed));
    for (std::uint32_t i = 0; i < all.places(); ++i) {
        sys::Identity peer;
        if (i != index_ && all.holder(i, peer) && peer.pid != own) visitor.visit(peer);
    }
}

std::uint32_t Attachment::spin_pauses() noexcept {
    if (lane_in_ && !waits_for_seat_) return lane_in_->spin_pauses();
    if (log_in_ != nullptr) return log_in_->spin_pauses();
    return waiting_ == Waiting::park || of_dead_letters_ ? 0 : kAdaptiveSpins;
}

bool Attachment::is_readable() {
    if (!check()) return true;
    if (of_dead_letters_) return has_dead_letter();
    if (!has(role_, Role::receives)) return true;
    if (waits_for_seat_) return station(0).seat.load(kSeqCst) == 0;
    if (plan_.by_turns) return station(0).seat.load(kSeqCst) == 0 && in_->is_readable();
    if (log_in_ != nullptr) return log_in_->is_readable();
    if (plan_.sharing == Sharing::broadcast) {
        const Result<Queue*> own = make_queue(seat_);
        return !own || (*own)->is_readable();
    }
    if (routes_ != nullptr) return routes_->is_readable();
    return lane_in_ ? lane_in_->is_readable() : in_->is_readable();
}

void Attachment::arm_readable() noexcept {
    // A rendezvous that must not wait asks whether somebody does.
    record_->waits.store(
        waits_word(WaitsFor::message, static_cast<std::uint64_t>(sys::coarse_now().count())),
        kSeqCst);
    if (of_dead_letters_) {
        arm_bell(station(0).bells.letters);
        return;
    }
    if (waits_for_seat_ || plan_.by_turns) arm_bell(station(0).bells.space);
    if (waits_for_seat_) return;
    if (log_in_ != nullptr) return log_in_->arm();
    if (lane_in_) return lane_in_->arm();
    const bool pair = plan_.sharing == Sharing::pair;
    arm_bell(station(pair ? 1 - seat_ : plan_.routed() ? seat_ : 0).bells.messages);
}

void Attachment::disarm_readable() noexcept {
    record_->waits.store(0, kRelaxed);
    if (lane_in_) lane_in_->disarm();
}

bool Attachment::is_writable(std::uint64_t bytes) {
    if (!check_to_send() || !has(role_, Role::sends) || bytes > plan_.max_bytes) return true;
    // It never waits for room.
    if (plan_.grows() || plan_.overflow == Overflow::drop_oldest ||
        plan_.overflow == Overflow::drop_newest) {
        return true;
    }
    if (log_out_ != nullptr) return log_out_->is_writable(bytes);
    if (lane_out_) return lane_out_->is_writable(bytes);
    if (plan_.sharing == Sharing::broadcast) return copies_have_room(bytes);
    if (routes_ != nullptr) return routes_->is_writable(bytes);
    return out_->seems_to_have_room(bytes);
}

// Each subscriber who can hold the sender back.
bool Attachment::copies_have_room(std::uint64_t bytes) {
    const std::uint32_t open = std::min(layout_->stations_open.load(kSeqCst), plan_.station_count);
    for (std::uint32_t i = 0; i < open; ++i) {
        const std::uint64_t seat = subscriber(i);
        if (seat != 0 && !holds_nobody_back(seat) && !queue_has_room(i, bytes)) return false;
    }
    return true;
}

void Attachment::arm_writable() noexcept {
    if (log_out_ != nullptr) return log_out_->arm();
    if (lane_out_) return lane_out_->arm();
    if (routes_ != nullptr && plan_.pool_count == 0) routes_->arm_senders();
    const bool pair = plan_.sharing == Sharing::pair;
    arm_bell(station(pair ? seat_ : 0).bells.space);
}

void Attachment::disarm_writable() noexcept {
    if (log_out_ != nullptr) log_out_->disarm();
    if (lane_out_) lane_out_->disarm();
    if (routes_ != nullptr && plan_.pool_count == 0) routes_->disarm_senders();
}

}  // namespace stoa
