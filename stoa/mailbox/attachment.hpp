// One open handle of a mailbox, from the inside: its region, its place, its engine.
//
// Start here: Attachment::create, Attachment::open; the public face is mailbox/raw_mailbox.hpp.
// Threads:    serves one thread at a time.
// Processes:  refuses to act in a forked child (see check()).
// Death:      what the process held is brought back by whoever sweeps; see recover().
// Blocking:   look_around() is called between the slices of a wait, it never waits itself.
// Lifetime:   counted: handles, messages and loans share it; the last one leaves and unmaps.
// Units:      none.
// Source:     stoa/life/participants.hpp, stoa/channel/pool_engine.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "stoa/channel/lane_engine.hpp"
#include "stoa/channel/pool_engine.hpp"
#include "stoa/mailbox/owner_watch.hpp"
#include "stoa/mailbox/plan.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/sys/fork_guard.hpp"

namespace stoa {

inline constexpr std::string_view kMailboxSuffix = ".mailbox";
[[nodiscard]] std::string mailbox_file(std::string_view name);

class Attachment {
public:
    [[nodiscard]] static Result<std::unique_ptr<Attachment>> create(std::string_view name,
                                                                    const MailboxOptions& options,
                                                                    const TypeInfo& type);
    [[nodiscard]] static Result<std::unique_ptr<Attachment>> create_anonymous(
        const MailboxOptions& options, const TypeInfo& type);
    [[nodiscard]] static Result<std::unique_ptr<Attachment>> open(std::string_view name,
                                                                  const OpenOptions& options,
                                                                  const TypeInfo* type);
    [[nodiscard]] static Result<std::unique_ptr<Attachment>> attach(sys::Fd file,
                                                                    const OpenOptions& options,
                                                                    const TypeInfo* type);
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;
    ~Attachment();

    // ok, or why this handle must not act: forked, gone, owner_gone. One load each; of another
    // process's mailbox sometimes a system call.
    [[nodiscard]] Result<void> check() const noexcept {
        if (sys::current_generation() != generation_) [[unlikely]] {
            return fail(Errc::forked, "mailbox");
        }
        if (region_.condemned()) [[unlikely]]
            return fail(region_.owner_gone() ? Errc::owner_gone : Errc::gone, "mailbox");
        if (watch_ != nullptr && watch_->gone()) [[unlikely]]
            return bury();
        return {};
    }
    // Between the slices of a wait: recovers the dead, notices a destroyed mailbox.
    [[nodiscard]] Result<void> look_around();
    // Recovers every dead participant; how many.
    std::uint32_t sweep();
    void wake_all() const noexcept;

    [[nodiscard]] const MailboxPlan& plan() const noexcept { return plan_; }
    [[nodiscard]] Region& region() noexcept { return region_; }
    [[nodiscard]] MailboxLayout& layout() noexcept { return *layout_; }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
    [[nodiscard]] Role role() const noexcept { return role_; }
    [[nodiscard]] Waiting waiting() const noexcept { return waiting_; }

    // For display; the record's counters are written by this handle alone.
    void count_sent(std::uint64_t count) noexcept {
        record_->sent.store(record_->sent.load(kRelaxed) + count, kRelaxed);
    }
    void count_received(std::uint64_t count) noexcept {
        record_->received.store(record_->received.load(kRelaxed) + count, kRelaxed);
    }

    // What carries messages out and in; nullptr where lanes do (or the role does not).
    PoolEngine* out() noexcept { return out_; }
    PoolEngine* in() noexcept { return in_; }
    LaneOut* lane_out() noexcept { return lane_out_ ? &*lane_out_ : nullptr; }
    LaneIn* lane_in() noexcept { return lane_in_ ? &*lane_in_ : nullptr; }

    // Plain numbers: a handle and all it lent serve one thread.
    void lent() noexcept { ++loans_; }
    void given_back() noexcept {
        if (--loans_ == 0 && !handle_) [[unlikely]]
            delete this;
    }
    void handle_closed() noexcept {
        if (owns_) [[unlikely]]
            let_go();
        handle_ = false;
        if (loans_ == 0) delete this;
    }
    // A mailbox of values takes messages of their size alone.
    [[nodiscard]] bool fits(std::uint64_t bytes) const noexcept {
        return plan_.type_size == 0 || bytes == plan_.type_size;
    }
    [[nodiscard]] bool may_lend() const noexcept { return loans_ < plan_.loan_quota; }

private:
    Attachment(Region region, MailboxPlan plan, Role role, Waiting waiting) noexcept;
    static Result<std::unique_ptr<Attachment>> enter(Region region, MailboxPlan plan, Role role,
                                                     Waiting waiting);
    [[nodiscard]] Result<void> join();
    [[nodiscard]] Result<void> take_roles();
    [[nodiscard]] Result<void> take_pair_seat();
    [[nodiscard]] bool faces_its_like(std::uint32_t seat) const noexcept;
    [[nodiscard]] bool take_seat(Atomic<std::uint64_t>& seat) noexcept;
    void take_place(std::uint32_t index) noexcept;
    [[nodiscard]] bool sweep_from_kept_place();
    [[nodiscard]] LookAround around() noexcept;
    [[nodiscard]] Result<void> make_engines();
    [[nodiscard]] Result<void> make_pool_engines();
    [[nodiscard]] Result<void> make_lane_engines();
    [[nodiscard]] Result<std::uint32_t> take_door();
    [[nodiscard]] std::uint64_t holder_word() const noexcept;
    [[nodiscard]] LaneDoor& door(std::uint32_t lane) const noexcept;
    [[nodiscard]] std::span<std::byte> lane_memory(std::uint32_t lane) const noexcept;
    [[nodiscard]] Result<void> bury() const noexcept;
    void let_go() noexcept;
    void recover(std::uint32_t dead) noexcept;
    void give_up_seats(std::uint32_t index) noexcept;
    void keep_totals(std::uint32_t index) noexcept;
    void leave() noexcept;

    Region region_;
    MailboxPlan plan_;
    MailboxLayout* layout_ = nullptr;
    Role role_;
    Waiting waiting_;
    std::uint64_t generation_ = 0;
    std::unique_ptr<OwnerWatch> watch_;  // of another process's mailbox
    bool owns_ = false;                  // the mailbox ends with this handle
    std::uint32_t index_ = 0;
    std::uint32_t seat_ = 0;
    ParticipantRecord* record_ = nullptr;
    std::uint32_t loans_ = 0;  // messages and loans that keep this alive beside its handle
    bool handle_ = true;
    bool joined_ = false;
    std::optional<PoolEngine> pools_[2];
    PoolEngine* out_ = nullptr;
    PoolEngine* in_ = nullptr;
    std::optional<LaneOut> lane_out_;
    std::optional<LaneIn> lane_in_;
};

}  // namespace stoa
