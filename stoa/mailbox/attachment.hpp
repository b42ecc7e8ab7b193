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

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "stoa/channel/lane_engine.hpp"
#include "stoa/channel/log_engine.hpp"
#include "stoa/channel/pool_engine.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/mailbox/owner_watch.hpp"
#include "stoa/mailbox/plan.hpp"
#include "stoa/mailbox/queue.hpp"
#include "stoa/shm/region_image.hpp"
#include "stoa/sys/fork_guard.hpp"
#include "stoa/wait/wait_set.hpp"

namespace stoa {

inline constexpr std::string_view kMailboxSuffix = ".mailbox";
[[nodiscard]] std::string mailbox_file(std::string_view name);

// The dead letters of NAME are received from NAME.dead, which is no file of its own.
inline constexpr std::string_view kDeadSuffix = ".dead";
// Of a mailbox that is to be made. Errors: bad_name; bad_argument: it would hide dead letters
[[nodiscard]] Result<void> check_new_name(std::string_view name) noexcept;

// Whether what a handle asks for says something to such a mailbox. Errors: bad_argument
[[nodiscard]] Result<void> check_words(const MailboxPlan& plan, const OpenOptions& how,
                                       Role role) noexcept;

class MailboxWait;
class Routes;

// Of a pair, which of its two seats a handle takes; any: the first that is free.
inline constexpr std::uint32_t kAnySeat = 2;
// Where a pair is the link of two processes: its file, and who sits where.
struct LinkFile {
    const Domain& domain;
    const std::string& file;
    std::uint32_t seat = kAnySeat;  // of who creates it
    // Of who opens it, told by what it is. Errors: what open() returns then
    Result<std::uint32_t> (*seat_in)(void* context, const MailboxPlan& plan) = nullptr;
    void* context = nullptr;
    Role role = Role::both;  // where it is no pair (seat_in null)
};

// How a link hears between the slices of a wait that its peer is gone.
struct LinkWatch {
    Result<void> (*look)(void* context) = nullptr;
    void (*published)(void* context) = nullptr;  // a message that waits to be met
    void* context = nullptr;
};

struct BroadcastMessage {
    PoolLoan loan{};  // chunk kNoChunk: loan `length` of log `word`, or a copy
    Bytes bytes{};
    std::unique_ptr<std::byte[]> copy{};
    std::uint64_t missed = 0;
};

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
    [[nodiscard]] static Result<std::unique_ptr<Attachment>> create_link(
        const LinkFile& link, const MailboxOptions& options, const TypeInfo& type);
    [[nodiscard]] static Result<std::unique_ptr<Attachment>> open_link(const LinkFile& link,
                                                                       Waiting waiting);
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;
    ~Attachment();

    // The pool's side of a handle, routed or not. Errors: as Routes and PoolEngine.
    [[nodiscard]] Result<void> send(Bytes message, const SendOptions& options, Deadline deadline);
    [[nodiscard]] Result<PoolTicket> send_with_receipt(Bytes message, const SendOptions& options,
                                                       Deadline deadline);
    [[nodiscard]] Result<PoolLoan> reserve(std::uint64_t bytes, Deadline deadline);
    [[nodiscard]] Result<void> commit(PoolLoan& loan, std::uint32_t bytes,
                                      const SendOptions& options, Deadline deadline);
    [[nodiscard]] Result<PoolLoan> receive(Deadline deadline);
    [[nodiscard]] Result<PoolLoan> receive_dead_letter(Deadline deadline);
    [[nodiscard]] Result<PoolLoan> take_dead_letter();
    [[nodiscard]] bool has_dead_letter();
    [[nodiscard]] Result<LaneMessage> take(Deadline deadline);
    // What a handle does with what it holds, wherever that lies. False: not its own any more.
    bool release(const PoolLoan& loan) noexcept;
    bool ack(const PoolLoan& loan) noexcept;
    [[nodiscard]] bool nack(const PoolLoan& loan, std::string_view error) noexcept;
    void free_receipt(const PoolTicket& ticket) noexcept;
    [[nodiscard]] Result<Answer> withdraw(const PoolTicket& ticket);
    // Broadcast, over logs or copies. Errors: as LogOut and LogIn, PoolEngine
    [[nodiscard]] Result<void> broadcast(Bytes message, const SendOptions& options,
                                         Deadline deadline);
    [[nodiscard]] Result<BroadcastMessage> subscribed(Deadline deadline);
    void release_in_log(const PoolLoan& loan, Bytes payload) noexcept;

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
    // The same for a send: also closed.
    [[nodiscard]] Result<void> check_to_send() const noexcept {
        if (sys::current_generation() != generation_ || !region_.live() || watch_ != nullptr)
            [[unlikely]] {
            if (Result<void> good = check(); !good) return good;
            if (region_.closed()) return fail(Errc::closed, "send");
        }
        return {};
    }
    // Nothing is to be sent any more: what waits may be received, then receivers learn the end.
    void close_mailbox() noexcept;
    // Why a lane cannot send so.
    [[nodiscard]] Result<void> refuse(const SendOptions& options) const noexcept;
    // A key says something to key_affine alone.
    [[nodiscard]] Result<void> check_key(const SendOptions& options) const noexcept {
        if (options.key == 0 || plan_.sharing == Sharing::key_affine) [[likely]]
            return {};
        return fail(Errc::bad_argument, "key (only key_affine goes by keys)");
    }
    [[nodiscard]] Deadline overflow_deadline(Deadline wanted) const noexcept {
        return plan_.overflow == Overflow::reject ? Deadline::immediately() : wanted;
    }
    std::uint64_t redrive(std::uint64_t most) noexcept;
    [[nodiscard]] Result<std::size_t> peek(std::span<std::byte> to, std::uint64_t skip);
    [[nodiscard]] Result<std::size_t> peek_at_queues(std::span<std::byte> to, std::uint64_t skip);
    [[nodiscard]] Result<std::size_t> peek_at_letters(std::span<std::byte> to, std::uint64_t skip);
    [[nodiscard]] Result<std::size_t> peek_at_lanes(std::span<std::byte> to, std::uint64_t skip);
    // Of a participant, also of one that has left; empty: unknown.
    [[nodiscard]] std::string name_of(std::uint32_t pid) const;
    // Whether a receive may find something. Of lanes and of `any`, without routes.
    [[nodiscard]] bool has_message() {
        if (lane_in_) return lane_in_->any_ready();
        return in_ != nullptr && in_->has_messages();
    }
    void watch_link(const LinkWatch& watch) noexcept { link_watch_ = watch; }
    // Between the slices of a wait: recovers the dead, notices a destroyed mailbox.
    [[nodiscard]] Result<void> look_around();
    // Recovers every dead participant; how many.
    std::uint32_t sweep();
    void wake_all() const noexcept;

    [[nodiscard]] const MailboxPlan& plan() const noexcept { return plan_; }
    [[nodiscard]] RegionImage& region() noexcept { return region_; }
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

    // The ring in which a loan or a ticket lies: of a station, or of a segment. Precondition:
    // something was lent or sent there, and is not given back.
    PoolEngine& pool(std::uint32_t ring) noexcept { return *pools_[ring]; }
    [[nodiscard]] PoolBells& bells(std::uint32_t i) const noexcept { return station(i).bells; }
    [[nodiscard]] Atomic<std::uint64_t>& dropped(std::uint32_t i) const noexcept {
        return station(i).dropped;
    }
    [[nodiscard]] Segments& segments() noexcept { return *segments_; }
    // The engine of a segment that is held. Errors: bad_layout
    [[nodiscard]] Result<PoolEngine*> engine_of(std::uint32_t station, const Segment& segment);
    // Looks around when the last look is a slice ago.
    [[nodiscard]] Result<void> look_if_due();
    Routes* routes() noexcept { return routes_.get(); }
    LaneOut* lane_out() noexcept { return lane_out_ ? &*lane_out_ : nullptr; }
    [[nodiscard]] bool receives_from_lanes() const noexcept {
        return plan_.lane_count > 0 && !plan_.logged() && has(role_, Role::receives);
    }
    // A log that a full mailbox only makes wait: nothing is to be counted when it is.
    LogOut* quick_log_out() noexcept {
        return plan_.overflow == Overflow::block ? log_out_.get() : nullptr;
    }
    LogIn* log_in() noexcept { return log_in_.get(); }
    LaneIn* lane_in() noexcept { return lane_in_ ? &*lane_in_ : nullptr; }

    // It was opened as NAME.dead: it receives dead letters and does not send.
    [[nodiscard]] bool of_dead_letters() const noexcept { return of_dead_letters_; }

    // --- waits.cpp, of wait sets ---
    // Whether the call that is waited for has something to say at once, be it an error.
    [[nodiscard]] bool is_readable();
    [[nodiscard]] bool is_writable(std::uint64_t bytes);
    // Whatever may change that from now on tells the watch.
    void arm_readable() noexcept;
    void arm_writable() noexcept;
    void disarm_readable() noexcept;
    void disarm_writable() noexcept;
    [[nodiscard]] std::uint32_t spin_pauses() noexcept;
    [[nodiscard]] Waitable readable();
    // Errors of add(): not_supported: a rendezvous has no room
    [[nodiscard]] Waitable space_for(std::uint64_t bytes);
    [[nodiscard]] Waitable decided(const PoolTicket& ticket);
    // Of a receipt, or null: of the handle. What waits for it leaves its set.
    void end_waits(const PoolTicket* receipt) noexcept;
    // Errors: as WaitSet::create and add
    [[nodiscard]] Result<int> ready_fd();
    // A receive found nothing: from now on the descriptor of ready_fd() tells of what comes.
    void found_nothing() noexcept {
        if (ready_set_) [[unlikely]]
            static_cast<void>(ready_set_->try_wait());
    }
    [[nodiscard]] const void* watched_as() const noexcept { return record_; }
    [[nodiscard]] Result<void> set_watch(const WatchWord& whom) noexcept;
    void for_each_peer(PeerVisitor& visitor);

    // Plain numbers: a handle and all it lent serve one thread.
    void lent() noexcept { ++loans_; }
    void given_back() noexcept {
        if (--loans_ == 0 && !handle_ && receipts_ == 0) [[unlikely]]
            delete this;
    }
    void handle_closed() noexcept {
        if (!waits_.empty() || ready_set_) [[unlikely]]
            handle_waits_no_more();
        if (owns_) [[unlikely]]
            let_go();
        handle_ = false;
        if (loans_ == 0 && receipts_ == 0) delete this;
    }
    // A receipt keeps this alive as a loan does, but counts against no quota.
    void receipt_opened() noexcept { ++receipts_; }
    void receipt_closed() noexcept {
        if (--receipts_ == 0 && loans_ == 0 && !handle_) delete this;
    }
    // A mailbox of values takes messages of their size alone.
    [[nodiscard]] bool fits(std::uint64_t bytes) const noexcept {
        return plan_.type_size == 0 || bytes == plan_.type_size;
    }
    // A delivery that is marked as redelivered, of what nobody had taken before: no ring counts it.
    void count_handed_over() noexcept { layout_->gone_redelivered.fetch_add(1, kRelaxed); }
    [[nodiscard]] bool may_lend() const noexcept { return loans_ < plan_.loan_quota; }

private:
    friend class Routes;
    friend class MailboxWait;
    void handle_waits_no_more() noexcept;
    [[nodiscard]] bool copies_have_room(std::uint64_t bytes);
    Attachment(RegionImage region, MailboxPlan plan, Role role, Waiting waiting) noexcept;
    static Result<std::unique_ptr<Attachment>> enter(RegionImage region, MailboxPlan plan,
                                                     Role role, Waiting waiting,
                                                     const OpenOptions& how = {},
                                                     std::uint32_t seat = kAnySeat);
    static Result<std::unique_ptr<Attachment>> open_dead_letters(const Domain& domain,
                                                                 std::string_view name,
                                                                 const OpenOptions& options,
                                                                 const TypeInfo* type);
    [[nodiscard]] Result<void> join();
    [[nodiscard]] Result<void> take_roles();
    [[nodiscard]] Result<void> take_pair_seat();
    [[nodiscard]] Result<void> take_one_way_seat();
    void sit_down(std::uint32_t seat, Role role) noexcept;
    [[nodiscard]] std::string holder_of_seat(std::uint32_t seat) const;
    [[nodiscard]] Result<void> wait_for_seat(Deadline deadline);
    [[nodiscard]] Result<void> take_over(Deadline deadline);
    void leave_seat() noexcept;
    [[nodiscard]] Result<PoolLoan> receive_in_turn(Deadline deadline);
    [[nodiscard]] bool faces_its_like(std::uint32_t seat) const noexcept;
    [[nodiscard]] bool take_seat(Atomic<std::uint64_t>& seat) noexcept;
    void take_place(std::uint32_t index) noexcept;
    [[nodiscard]] bool sweep_from_kept_place();
    [[nodiscard]] LookAround around() noexcept;
    [[nodiscard]] LookAround around_a_send() noexcept;
    [[nodiscard]] Result<void> hinders_meeting();
    [[nodiscard]] PoolHost host() noexcept;
    [[nodiscard]] Result<void> open_extras();
    [[nodiscard]] bool receiver_waits() const noexcept;
    [[nodiscard]] bool waits_at(std::uint32_t station) const noexcept;
    [[nodiscard]] bool queue_is_full(std::uint32_t station);
    [[nodiscard]] bool queue_has_room(std::uint32_t station, std::uint64_t bytes);
    [[nodiscard]] PoolDead dead_one(std::uint32_t index, Participant& seen) const;
    [[nodiscard]] MailboxStation& station(std::uint32_t i) const noexcept;
    [[nodiscard]] Result<void> make_engines();
    // What waits at a station; null while there is nothing. Errors: bad_layout
    [[nodiscard]] Result<Queue*> find_queue(std::uint32_t i);
    // The same, made if need be. Errors: out_of_space, quota_reached
    [[nodiscard]] Result<Queue*> make_queue(std::uint32_t i);
    [[nodiscard]] Result<void> find_queues();
    [[nodiscard]] bool receives_at(std::uint32_t i) const noexcept;
    [[nodiscard]] Result<PoolEngine*> attach_ring(std::uint32_t station, std::uint32_t ring);
    [[nodiscard]] Result<void> make_ring(std::uint32_t i);
    template <typename Use>
    std::invoke_result_t<Use&, PoolEngine&> with_ring(std::uint32_t ring, Use&& use) noexcept;
    // Calls visit(engine) for each ring that there is, whoever's it is.
    void for_each_ring(Pin why, const std::function<void(PoolEngine&)>& visit);
    void retire_segments() noexcept;
    // Makes an unbounded broadcast give a segment back that nobody is owed. False: there is none.
    [[nodiscard]] bool make_room() noexcept;
    [[nodiscard]] std::uint64_t list_backlog(std::uint32_t i, std::vector<Segment>& to) noexcept;
    [[nodiscard]] bool give_up(std::uint32_t i, const Segment& segment, bool counts) noexcept;
    // Whose queue the ring of a loan is part of.
    [[nodiscard]] std::uint32_t station_of(std::uint32_t ring) const noexcept;
    [[nodiscard]] Result<void> take_station();
    void note_orphans() noexcept;
    [[nodiscard]] Result<void> make_lane_engines();
    [[nodiscard]] Result<std::uint32_t> take_door(std::uint32_t station);
    [[nodiscard]] Result<void> make_lane(std::uint32_t lane);
    void open_door(std::uint32_t lane) noexcept;
    [[nodiscard]] std::uint64_t turn_of_sender(std::uint32_t lane) const noexcept;
    [[nodiscard]] Atomic<std::uint32_t>* bell_of_lane(std::uint32_t lane) const noexcept;
    [[nodiscard]] StreamEnd end_of_lane(std::uint32_t lane) const noexcept;
    [[nodiscard]] bool let_go_of_door(std::uint32_t lane) noexcept;
    [[nodiscard]] Result<LaneOut> lane_to(std::uint32_t lane);
    [[nodiscard]] Result<void> make_lane_in(std::uint32_t station);
    [[nodiscard]] Result<void> make_log(std::uint32_t lane);
    [[nodiscard]] Result<void> make_broadcast_engines();
    [[nodiscard]] std::uint64_t subscriber(std::uint32_t i) const noexcept;
    void enroll_subscribers(std::uint32_t log) noexcept;
    void drop_cursors(std::uint32_t index) noexcept;
    // A message on its way to one subscriber.
    struct Copy {
        std::uint32_t station = 0;
        std::uint64_t seat = 0;  // who sat there
        PoolClaim claim{};       // no chunk: nothing, it makes room for itself
    };
    [[nodiscard]] Result<void> broadcast_copies(Bytes message, const SendOptions& options,
                                                Deadline deadline);
    [[nodiscard]] Result<void> claim_copies(Bytes message, const SendOptions& options);
    [[nodiscard]] Result<void> try_claim_copies(Bytes message, const SendOptions& options);
    [[nodiscard]] Result<void> claim_copy(std::uint32_t station, Bytes message,
                                          const SendOptions& options);
    [[nodiscard]] Result<void> send_copies(Bytes message, const SendOptions& options);
    [[nodiscard]] Result<void> send_copy(Copy& copy, Bytes message, const SendOptions& options,
                                         bool begun);
    [[nodiscard]] Result<void> send_dropping(const Copy& copy, Bytes message,
                                             const SendOptions& options);
    [[nodiscard]] Result<void> claim_again(Copy& copy, Bytes message, const SendOptions& options,
                                           bool begun);
    void give_back(Copy& copy) noexcept;
    [[nodiscard]] bool holds_nobody_back(std::uint64_t seat) const noexcept;
    [[nodiscard]] Result<BroadcastMessage> next_in_logs(Deadline deadline);
    [[nodiscard]] Result<BroadcastMessage> loan_of_next();
    [[nodiscard]] Result<BroadcastMessage> copy_of_next();
    [[nodiscard]] std::uint64_t holder_word() const noexcept;
    [[nodiscard]] LaneDoor& door(std::uint32_t lane) const noexcept;
    [[nodiscard]] std::span<std::byte> lane_memory(std::uint32_t lane) const noexcept;
    [[nodiscard]] Result<void> bury() const noexcept;
    void let_go() noexcept;
    void recover(std::uint32_t dead) noexcept;
    void give_up_seats(std::uint32_t index) noexcept;
    void keep_totals(std::uint32_t index) noexcept;
    void leave() noexcept;

    RegionImage region_;
    MailboxPlan plan_;
    MailboxLayout* layout_ = nullptr;
    Role role_;
    Waiting waiting_;
    std::uint64_t generation_ = 0;
    std::unique_ptr<OwnerWatch> watch_;  // of another process's mailbox
    bool owns_ = false;                  // the mailbox ends with this handle
    std::uint32_t index_ = 0;
    std::uint32_t seat_ = 0;
    std::uint32_t wanted_seat_ = kAnySeat;
    LinkWatch link_watch_{};
    std::optional<Error> link_ended_;  // what it said
    ParticipantRecord* record_ = nullptr;
    std::uint32_t loans_ = 0;  // messages and loans that keep this alive beside its handle
    std::uint32_t receipts_ = 0;
    bool handle_ = true;
    bool joined_ = false;
    bool of_dead_letters_ = false;
    bool stands_by_ = false;                          // was asked for
    bool waits_for_seat_ = false;                     // and is so
    std::vector<std::unique_ptr<Queue>> queues_;      // index: station; null: not attached yet
    std::vector<std::unique_ptr<PoolEngine>> pools_;  // index: station, or slot of a segment
    std::vector<std::uint64_t> generations_;          // of the segments in pools_
    std::optional<Segments> segments_;                // of an unbounded mailbox
    std::unique_ptr<Routes> routes_;                  // where a sender chooses among receivers
    Queue* out_ = nullptr;
    Queue* in_ = nullptr;
    std::chrono::nanoseconds looked_at_ = sys::coarse_now();
    std::optional<Membership> membership_;
    std::vector<MailboxWait*> waits_;  // in sets, or on their way there
    std::uint32_t armed_readers_ = 0;  // of them: those that share the mark of a receiver
    std::uint32_t armed_writers_ = 0;
    std::unique_ptr<WaitSet> ready_set_;  // of ready_fd()
    std::optional<LaneOut> lane_out_;
    std::optional<LaneIn> lane_in_;
    std::unique_ptr<LogOut> log_out_;
    std::unique_ptr<LogIn> log_in_;
    bool latest_ = false;       // a subscriber that skips
    bool from_oldest_ = false;  // and begins with what is kept
    std::uint64_t dropped_seen_ = 0;
    std::vector<Copy> copies_;  // of the message that is being sent
    std::uint32_t tight_ = 0;   // the station that had no room for the last one that had to wait
    std::vector<std::byte> copy_room_;
};

}  // namespace stoa
