#include "stoa/mailbox/attachment.hpp"

#include <array>
#include <cstdio>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/size.hpp"
#include "stoa/mailbox/routes.hpp"

// Holding a role (a pair's seat, the single receiver, a lane's door) is one word: place index + 1
// and its incarnation, or 0. It is taken by CAS from 0, given up by CAS to 0: by its holder before
// it leaves, or by a sweep of the dead holder, always before the place itself is freed.
namespace stoa {
namespace {

Result<void> write_content(void* context, std::span<std::byte> content) {
    return static_cast<const MailboxPlan*>(context)->write(content);
}

RegionPlan region_plan(const MailboxPlan& plan, const MailboxOptions& options,
                       std::string_view file_name = {}) noexcept {
    return {.kind = RegionKind::mailbox,
            .content_bytes = plan.content_bytes,
            .reserved_bytes = plan.reserved_bytes,
            .mode = options.mode,
            .owner = options.owner,
            .owned_name = file_name};
}

Result<void> check_type(const MailboxPlan& plan, const TypeInfo* type) noexcept {
    if (type == nullptr) return {};  // takes anything
    if (plan.fingerprint == type->fingerprint && plan.type_size == type->size) return {};
    // An Error owns no text: it lends this one until the thread's next such error.
    static thread_local std::array<char, std::size_t{2} * kTypeTextBytes> text;
    std::snprintf(text.data(), text.size(),
                  "open (the mailbox holds %s; the program asks for %.*s)", plan.type_text.c_str(),
                  static_cast<int>(type->text.size()), type->text.data());
    return fail(Errc::wrong_type, text.data());
}

}  // namespace

std::string mailbox_file(std::string_view name) {
    std::string file{name};
    file += kMailboxSuffix;
    return file;
}

Result<void> check_new_name(std::string_view name) noexcept {
    if (name.ends_with(kDeadSuffix)) {
        return fail(Errc::bad_argument,
                    "name (NAME.dead is where the dead letters of NAME are received)");
    }
    return check_name(name);
}

Attachment::Attachment(RegionImage region, MailboxPlan plan, Role role, Waiting waiting) noexcept
    : region_{std::move(region)},
      plan_{std::move(plan)},
      layout_{layout_at<MailboxLayout>(region_.content(), 0)},
      role_{role},
      waiting_{waiting},
      generation_{sys::own_generation()} {}

Result<std::unique_ptr<Attachment>> Attachment::create(std::string_view name,
                                                       const MailboxOptions& options,
                                                       const TypeInfo& type) {
    if (Result<void> good = check_new_name(name); !good) return std::unexpected(good.error());
    Result<MailboxPlan> plan = MailboxPlan::make(options, type);
    if (!plan) return std::unexpected(plan.error());
    const Result<Domain> domain = Domain::open(options.domain);
    if (!domain) return std::unexpected(domain.error());
    const std::string file = mailbox_file(name);
    Result<RegionImage> region = RegionImage::create_unnamed(
        *domain, region_plan(*plan, options, file), write_content, &*plan);
    if (!region) return std::unexpected(region.error());
    // The creator has its roles before anybody else can find the mailbox.
    Result<std::unique_ptr<Attachment>> entered =
        enter(std::move(*region), std::move(*plan), options.role, options.waiting);
    if (!entered) return entered;
    const Result<void> published = (*entered)->region_.publish(*domain, file);
    if (!published) return std::unexpected(published.error());
    (*entered)->owns_ = options.owner == Owner::process;
    return entered;
}

Result<std::unique_ptr<Attachment>> Attachment::create_link(const LinkFile& link,
                                                            const MailboxOptions& options,
                                                            const TypeInfo& type) {
    Result<MailboxPlan> plan = MailboxPlan::make(options, type);
    if (!plan) return std::unexpected(plan.error());
    Result<RegionImage> region = RegionImage::create_unnamed(
        link.domain, region_plan(*plan, options), write_content, &*plan);
    if (!region) return std::unexpected(region.error());
    Result<std::unique_ptr<Attachment>> entered =
        enter(std::move(*region), std::move(*plan), options.role, options.waiting, {}, link.seat);
    if (!entered) return entered;
    const Result<void> published = (*entered)->region_.publish(link.domain, link.file);
    if (!published) return std::unexpected(published.error());
    return entered;
}

Result<std::unique_ptr<Attachment>> Attachment::open_link(const LinkFile& link, Waiting waiting) {
    Result<RegionImage> region = RegionImage::open(link.domain, link.file, RegionKind::mailbox);
    if (!region) return std::unexpected(region.error());
    Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    if (link.seat_in == nullptr) {
        return enter(std::move(*region), std::move(*plan), link.role, waiting);
    }
    if (plan->sharing != Sharing::pair) return fail(Errc::bad_layout, "link");
    const Result<std::uint32_t> seat = link.seat_in(link.context, *plan);
    if (!seat) return std::unexpected(seat.error());
    const Role role = !plan->one_way ? Role::both : *seat == 0 ? Role::sends : Role::receives;
    return enter(std::move(*region), std::move(*plan), role, waiting, {}, *seat);
}

Result<std::unique_ptr<Attachment>> Attachment::create_anonymous(const MailboxOptions& options,
                                                                 const TypeInfo& type) {
    if (options.owner != Owner::system) {
        return fail(Errc::bad_argument, "owner (without a name it ends with all who have it)");
    }
    Result<MailboxPlan> plan = MailboxPlan::make(options, type);
    if (!plan) return std::unexpected(plan.error());
    Result<RegionImage> region =
        RegionImage::create_anonymous(region_plan(*plan, options), write_content, &*plan);
    if (!region) return std::unexpected(region.error());
    return enter(std::move(*region), std::move(*plan), options.role, options.waiting);
}

Result<std::unique_ptr<Attachment>> Attachment::open(std::string_view name,
                                                     const OpenOptions& options,
                                                     const TypeInfo* type) {
    if (Result<void> good = check_name(name); !good) return std::unexpected(good.error());
    const Result<Domain> domain = Domain::find(options.domain);
    if (!domain) return std::unexpected(domain.error());
    Result<RegionImage> region =
        RegionImage::open(*domain, mailbox_file(name), RegionKind::mailbox);
    if (!region && region.error().code == Errc::not_found && name.ends_with(kDeadSuffix)) {
        return open_dead_letters(*domain, name, options, type);
    }
    if (!region) return std::unexpected(region.error());
    Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    if (Result<void> same = check_type(*plan, type); !same) return std::unexpected(same.error());
    return enter(std::move(*region), std::move(*plan), options.role, options.waiting, options);
}

// As a participant without a role, so that it is in nobody's way.
Result<std::unique_ptr<Attachment>> Attachment::open_dead_letters(const Domain& domain,
                                                                  std::string_view name,
                                                                  const OpenOptions& options,
                                                                  const TypeInfo* type) {
    if (options.role == Role::sends) {
        return fail(Errc::bad_argument,
                    "open (nothing is sent to dead letters; redrive NAME sends them again)");
    }
    name.remove_suffix(kDeadSuffix.size());
    Result<RegionImage> region = RegionImage::open(domain, mailbox_file(name), RegionKind::mailbox);
    if (!region) return std::unexpected(region.error());
    Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    if (plan->pool_count == 0 || plan->pool.dead_letter_quota == 0) {
        return fail(Errc::not_found, "open (that mailbox keeps no dead letters)");
    }
    if (Result<void> same = check_type(*plan, type); !same) return std::unexpected(same.error());
    Result<std::unique_ptr<Attachment>> entered =
        enter(std::move(*region), std::move(*plan), Role::none, options.waiting, options);
    if (entered) (*entered)->of_dead_letters_ = true;
    return entered;
}

Result<std::unique_ptr<Attachment>> Attachment::attach(sys::Fd file, const OpenOptions& options,
                                                       const TypeInfo* type) {
    Result<RegionImage> region = RegionImage::attach(std::move(file), RegionKind::mailbox);
    if (!region) return std::unexpected(region.error());
    Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    if (Result<void> same = check_type(*plan, type); !same) return std::unexpected(same.error());
    return enter(std::move(*region), std::move(*plan), options.role, options.waiting, options);
}

Result<std::unique_ptr<Attachment>> Attachment::enter(RegionImage region, MailboxPlan plan,
                                                      Role role, Waiting waiting,
                                                      const OpenOptions& how, std::uint32_t seat) {
    if (Result<void> said = check_words(plan, how, role); !said) {
        return std::unexpected(said.error());
    }
    std::unique_ptr<Attachment> entered{
        new Attachment{std::move(region), std::move(plan), role, waiting}};
    entered->wanted_seat_ = seat;
    entered->stands_by_ = how.stand_by;
    entered->latest_ = how.latest;
    entered->from_oldest_ = how.from_oldest;
    if (entered->region_.owner() == Owner::process) {
        const sys::Identity& owner = entered->region_.participants().creator();
        Result<std::unique_ptr<OwnerWatch>> watch = OwnerWatch::of(owner);
        if (!watch) return std::unexpected(watch.error());
        entered->watch_ = std::move(*watch);
    }
    if (Result<void> joined = entered->join(); !joined) return std::unexpected(joined.error());
    return entered;
}

void Attachment::take_place(std::uint32_t index) noexcept {
    index_ = index;
    record_ = &region_.participants().record(index_);
    joined_ = true;
    membership_.emplace(region_.memory(), region_.participants(), index_);
    if (plan_.grows()) segments_.emplace(region_, plan_, index_);
}

// Every place is taken, by the dead perhaps: from one that is kept for this they can be recovered.
bool Attachment::sweep_from_kept_place() {
    const Result<std::uint32_t> place = region_.participants().join_kept();
    if (!place) return false;
    take_place(*place);
    const bool can_sweep =
        !region_.condemned() && (plan_.pool_count == 0 || find_queues().has_value());
    const bool freed = can_sweep && sweep() > 0;
    leave();
    joined_ = false;
    membership_.reset();
    queues_.clear();
    pools_.clear();
    generations_.clear();
    return freed;
}

Result<void> Attachment::join() {
    Result<std::uint32_t> place = region_.join(role_);
    if (!place && sweep_from_kept_place()) place = region_.join(role_);
    if (!place) return std::unexpected(place.error());
    take_place(*place);
    // Our identity is published; if the mailbox was condemned before, nobody saw us in time.
    if (region_.condemned()) return fail(Errc::not_found, "open");
    // Registered before the first message, so that sleepers' barriers reach this process.
    static_cast<void>(publisher_fence());
    if (plan_.pool_count > 0) {
        if (Result<void> found = find_queues(); !found) return found;
    }
    sweep();
    if (Result<void> taken = take_roles(); !taken) return taken;
    return make_engines();
}

std::uint64_t Attachment::holder_word() const noexcept {
    return holder_of(index_, unpack_place(record_->word.load(kRelaxed)).incarnation);
}

Result<void> Attachment::make_engines() {
    if (plan_.sharing == Sharing::broadcast) return make_broadcast_engines();
    if (plan_.routed() && role_ != Role::none) {
        routes_ = std::make_unique<Routes>(*this);
        return plan_.pool_count > 0 || !has(role_, Role::receives) ? Result<void>{}
                                                                   : make_lane_in(seat_);
    }
    if (plan_.pool_count == 0) {
        return role_ != Role::none ? make_lane_engines() : Result<void>{};
    }
    const bool pair = plan_.sharing == Sharing::pair;
    const Result<Queue*> out = make_queue(pair ? seat_ : 0);
    if (!out) return std::unexpected(out.error());
    const Result<Queue*> in = make_queue(pair ? 1 - seat_ : 0);
    if (!in) return std::unexpected(in.error());
    out_ = *out;
    in_ = *in;
    return {};
}

MailboxStation& Attachment::station(std::uint32_t i) const noexcept {
    return *layout_at<MailboxStation>(region_.content(), station_offset(i));
}

LaneDoor& Attachment::door(std::uint32_t lane) const noexcept {
    return *layout_at<LaneDoor>(region_.content(), plan_.door_offset(lane));
}

std::span<std::byte> Attachment::lane_memory(std::uint32_t lane) const noexcept {
    return region_.content().subspan(plan_.lanes_offset + lane * plan_.lane_stride,
                                     plan_.lane_stride);
}

// Makes the lane behind a door that this endpoint took.
Result<void> Attachment::make_lane(std::uint32_t lane) {
    LaneDoor& here = door(lane);
    if (here.ready.load(kSeqCst) != 0) return {};
    if (plan_.logged()) {
        Result<void> made = make_log(lane);
        if (!made) here.sender.store(0, kSeqCst);
        return made;
    }
    const std::uint64_t offset = plan_.lanes_offset + lane * plan_.lane_stride;
    Result<void> made = region_.reserve(offset, plan_.lane_stride);
    if (made) made = create_lane(lane_memory(lane), plan_.lane);
    if (!made) {
        region_.give_back(offset, plan_.lane_stride);
        here.sender.store(0, kSeqCst);
        return made;
    }
    STOA_CRASH_POINT("mailbox.door.made");
    return {};
}

void Attachment::open_door(std::uint32_t lane) noexcept {
    door(lane).ready.store(1, kSeqCst);
    std::uint32_t open = layout_->lanes_open.load(kSeqCst);
    while (open <= lane && !layout_->lanes_open.compare_exchange_weak(open, lane + 1, kSeqCst)) {
    }
}

// A lane that leads to `station`: among those that are open an orphaned one, so that a thousand
// senders in a row need one lane and stay in order; then one that belongs to no station: a new one,
// one whose first sender died while it made it, or one that its heir let go of. Doors that nobody
// opened yet are looked at no further than to the first: their memory costs nothing till then.
Result<std::uint32_t> Attachment::take_door(std::uint32_t station) {
    const std::uint32_t mine = station + 1;
    const std::uint32_t open = std::min(layout_->lanes_open.load(kSeqCst), plan_.lane_count);
    for (std::uint32_t n = 0; n < open + plan_.lane_count; ++n) {
        const std::uint32_t lane = n < open ? n : n - open;
        LaneDoor& here = door(lane);
        const std::uint32_t leads = here.station.load(kSeqCst);
        const bool is_ready = here.ready.load(kSeqCst) != 0;
        const bool orphaned = is_ready && (!plan_.routed() || leads_to(leads) == mine);
        const bool fits = orphaned || (n >= open && (!is_ready || leads_to(leads) == 0));
        if ((leads & kHandedOver) != 0) STOA_CRASH_POINT("mailbox.door.handed_over");
        std::uint64_t nobody = 0;
        if (!fits || !here.sender.compare_exchange_strong(nobody, holder_word(), kSeqCst)) continue;
        STOA_CRASH_POINT("mailbox.door.taken");
        if (here.ready.load(kSeqCst) == 0) {  // new, or its first sender died while it made it
            if (Result<void> made = make_lane(lane); !made) return std::unexpected(made.error());
            const std::uint32_t turn = here.station.load(kSeqCst) >> 8U;
            here.station.store(mine | (turn + 1) << 8U, kSeqCst);
        } else if (plan_.routed()) {
            std::uint32_t word = here.station.load(kSeqCst);
            const std::uint32_t next = mine | ((word >> 8U) + 1) << 8U;
            bool good = leads_to(word) == mine || leads_to(word) == 0;
            // What still lies in one that was handed over is marked when it is received: ours is
            // not. Looked at now that nobody else sends there any more.
            if (good && (word & kHandedOver) != 0) {
                const Result<LaneCounts> counts = count_lane(lane_memory(lane));
                good = counts && counts->depth == 0;
            }
            if (!good || !here.station.compare_exchange_strong(word, next, kSeqCst)) {
                here.sender.store(0, kSeqCst);  // handed over meanwhile, or not drained
                continue;
            }
        }
        open_door(lane);
        return lane;
    }
    return fail(Errc::no_free_place, "open (a lane per sender)");
}

// A lane that was handed over to us, which nobody sends on and which is drained: it leads to nobody
// from now on. False: somebody took it first. The word is read before the look at what is there,
// and whoever sends there again changes it before his first message.
bool Attachment::let_go_of_door(std::uint32_t lane) noexcept {
    LaneDoor& here = door(lane);
    std::uint32_t word = here.station.load(kSeqCst);
    if (leads_to(word) != seat_ + 1 || (word & kHandedOver) == 0) return false;
    if (here.sender.load(kSeqCst) != 0) return false;
    const Result<LaneCounts> counts = count_lane(lane_memory(lane));
    if (!counts || counts->depth > 0) return false;
    STOA_CRASH_POINT("mailbox.door.drained");
    return here.station.compare_exchange_strong(word, ((word >> 8U) + 1) << 8U, kSeqCst);
}

StreamEnd Attachment::end_of_lane(std::uint32_t lane) const noexcept {
    return {.state = &region_.state_word(), .place = &door(lane).end};
}

// Who sends on a lane, told from who sent there before, himself included; 0: nobody.
std::uint64_t Attachment::turn_of_sender(std::uint32_t lane) const noexcept {
    const std::uint64_t sender = door(lane).sender.load(kSeqCst);
    return sender == 0 ? 0 : sender ^ std::uint64_t{door(lane).station.load(kSeqCst)} << 16U;
}

// Where the receiver of a lane sleeps: it may have been handed over since the lane was opened.
Atomic<std::uint32_t>* Attachment::bell_of_lane(std::uint32_t lane) const noexcept {
    if (plan_.sharing == Sharing::pair) return nullptr;
    if (!plan_.routed()) return &station(0).bells.messages;
    const std::uint32_t to = leads_to(door(lane).station.load(kSeqCst)) - 1;
    return &station(std::min(to, plan_.station_count - 1)).bells.messages;
}

Result<LaneOut> Attachment::lane_to(std::uint32_t lane) {
    Result<LaneSender> sender = LaneSender::attach(lane_memory(lane), publisher_fence());
    if (!sender) return std::unexpected(sender.error());
    LaneBound bound{lane_memory(lane), *sender, plan_.capacity.messages};
    const auto of = [](void* self, std::uint32_t which) {
        return static_cast<Attachment*>(self)->bell_of_lane(which);
    };
    const LaneBell bell{.of = of, .context = this, .lane = lane};
    return LaneOut{std::move(*sender), std::move(bound), plan_.type_alignment, bell,
                   end_of_lane(lane),  waiting_,         around_a_send()};
}

Result<void> Attachment::make_lane_engines() {
    const bool pair = plan_.sharing == Sharing::pair;
    if (has(role_, Role::sends)) {
        Result<std::uint32_t> lane = seat_;
        if (!pair) lane = take_door(0);
        if (!lane) return std::unexpected(lane.error());
        record_->seat.store(*lane, kRelaxed);
        Result<LaneOut> out = lane_to(*lane);
        if (!out) return std::unexpected(out.error());
        lane_out_.emplace(std::move(*out));
    }
    return has(role_, Role::receives) && !waits_for_seat_ ? make_lane_in(0) : Result<void>{};
}

// The receiving end of all lanes that lead to a station.
Result<void> Attachment::make_lane_in(std::uint32_t station) {
    const bool pair = plan_.sharing == Sharing::pair;
    const auto count = [](void* context) {
        const Attachment& self = *static_cast<Attachment*>(context);
        if (self.plan_.sharing == Sharing::pair) return 1U;
        return std::min(self.layout_->lanes_open.load(kSeqCst), self.plan_.lane_count);
    };
    const auto memory = [](void* context, std::uint32_t lane) -> std::span<std::byte> {
        const Attachment& self = *static_cast<Attachment*>(context);
        const bool of_pair = self.plan_.sharing == Sharing::pair;
        const std::uint32_t actual = of_pair ? 1 - self.seat_ : lane;
        const LaneDoor& there = self.door(actual);
        if (there.ready.load(kSeqCst) == 0) return {};
        if (self.plan_.routed() && leads_to(there.station.load(kSeqCst)) != self.seat_ + 1) {
            return {};
        }
        return self.lane_memory(actual);
    };
    Atomic<std::uint32_t>* bell = pair ? nullptr : &this->station(station).bells.messages;
    const auto more = [](void* context) {
        return static_cast<Attachment*>(context)->routes_->orphaned() != 0;
    };
    const auto sender = [](void* context, std::uint32_t lane) {
        return static_cast<Attachment*>(context)->turn_of_sender(lane);
    };
    const auto end = [](void* context, std::uint32_t lane) {
        const Attachment& self = *static_cast<Attachment*>(context);
        return self.end_of_lane(self.plan_.sharing == Sharing::pair ? 1 - self.seat_ : lane);
    };
    const auto let_go = [](void* context, std::uint32_t lane) {
        return static_cast<Attachment*>(context)->let_go_of_door(lane);
    };
    lane_in_.emplace(
        LaneSource{count, memory, this, plan_.routed() ? +more : nullptr, sender, end, let_go},
        bell, waiting_, around());
    // What our forerunner took over from another one, and had not read: its order is lost.
    const std::uint32_t lanes = std::min(layout_->lanes_open.load(kSeqCst), plan_.lane_count);
    for (std::uint32_t i = 0; plan_.routed() && i < lanes; ++i) {
        const std::uint32_t word = door(i).station.load(kSeqCst);
        if (leads_to(word) != seat_ + 1 || (word & kHandedOver) == 0) continue;
        lane_in_->expect_handed_over(i, turn_of_sender(i));
    }
    return lane_in_->attach_lanes();
}

Result<void> Attachment::refuse(const SendOptions& options) const noexcept {
    if (options.priority >= plan_.priorities) {
        return no_such_priority(plan_.priorities);
    }
    return fail(Errc::bad_argument,
                "time_to_live (create the mailbox with receipts, or a time_to_live of its own)");
}

std::string Attachment::name_of(std::uint32_t pid) const {
    const Participants& all = region_.participants();
    for (std::uint32_t i = 0; i < all.places(); ++i) {
        if (static_cast<std::uint32_t>(all.record(i).identity[0].load(kRelaxed)) == pid) {
            return all.last_name(i);
        }
    }
    return sys::process_name(pid);
}

// --- what a handle does -------------------------------------------------------------------------

Result<void> Attachment::send(Bytes message, const SendOptions& options, Deadline deadline) {
    if (plan_.sharing == Sharing::broadcast) return broadcast(message, options, deadline);
    return routes_ ? routes_->send(message, options, deadline)
                   : out_->send(message, options, deadline);
}

Result<PoolTicket> Attachment::send_with_receipt(Bytes message, const SendOptions& options,
                                                 Deadline deadline) {
    return routes_ ? routes_->send_with_receipt(message, options, deadline)
                   : out_->send_with_receipt(message, options, deadline);
}

Result<PoolLoan> Attachment::reserve(std::uint64_t bytes, Deadline deadline) {
    return routes_ ? routes_->reserve(bytes, deadline) : out_->reserve(bytes, deadline);
}

Result<void> Attachment::commit(PoolLoan& loan, std::uint32_t bytes, const SendOptions& options,
                                Deadline deadline) {
    return routes_ ? routes_->commit(loan, bytes, options, deadline)
                   : out_->commit(loan, bytes, options, deadline);
}

Result<PoolLoan> Attachment::receive(Deadline deadline) {
    if (of_dead_letters_) return receive_dead_letter(deadline);
    if (waits_for_seat_) {
        if (Result<void> mine = take_over(deadline); !mine) return std::unexpected(mine.error());
    }
    if (plan_.by_turns) return receive_in_turn(deadline);
    return routes_ ? routes_->receive(deadline) : in_->receive(deadline);
}

Result<LaneMessage> Attachment::take(Deadline deadline) {
    if (waits_for_seat_) {
        if (Result<void> mine = take_over(deadline); !mine) return std::unexpected(mine.error());
    }
    return routes_ ? routes_->take(deadline) : lane_in_->take(deadline);
}

Result<void> Attachment::look_around() {
    if (Result<void> good = check(); !good) return good;  // a forked child may not even sweep
    sweep();
    if (segments_) retire_segments();
    if (link_watch_.look != nullptr) {
        if (Result<void> there = link_watch_.look(link_watch_.context); !there) {
            link_ended_ = there.error();
            return there;
        }
    }
    return check();
}

LookAround Attachment::around() noexcept {
    return {.check = [](void* self) { return static_cast<Attachment*>(self)->check(); },
            .look = [](void* self) { return static_cast<Attachment*>(self)->look_around(); },
            .closed = [](void* self) { return static_cast<Attachment*>(self)->region_.closed(); },
            .context = this,
            .waits = record_ != nullptr ? &record_->waits : nullptr};
}

// A lane's sender that waits for room ends with `closed` as well.
LookAround Attachment::around_a_send() noexcept {
    LookAround it = around();
    it.check = [](void* self) { return static_cast<Attachment*>(self)->check_to_send(); };
    return it;
}

std::uint32_t Attachment::sweep() {
    const auto recover = [](void* context, std::uint32_t dead) {
        static_cast<Attachment*>(context)->recover(dead);
    };
    return region_.participants().sweep_all(index_, recover, this);
}

void Attachment::give_up_seats(std::uint32_t index) noexcept {
    const std::uint32_t incarnation =
        unpack_place(region_.participants().record(index).word.load(kSeqCst)).incarnation;
    const std::uint64_t holder = holder_of(index, incarnation);
    const auto give_up = [&](Atomic<std::uint64_t>& word) {
        std::uint64_t seen = word.load(kSeqCst);
        if ((seen & ~(kHandingOver | kLatest)) == holder) {
            word.compare_exchange_strong(seen, 0, kSeqCst);
        }
    };
    for (std::uint32_t i = 0; i < plan_.station_count; ++i) give_up(station(i).seat);
    if (plan_.sharing == Sharing::pair) return;
    for (std::uint32_t lane = 0; lane < plan_.lane_count; ++lane) give_up(door(lane).sender);
}

// For display: each figure goes from the record to the mailbox, by whoever takes it out.
void Attachment::keep_totals(std::uint32_t index) noexcept {
    ParticipantRecord& leaver = region_.participants().record(index);
    layout_->left_sent.fetch_add(leaver.sent.exchange(0, kRelaxed), kRelaxed);
    layout_->left_received.fetch_add(leaver.received.exchange(0, kRelaxed), kRelaxed);
}

PoolDead Attachment::dead_one(std::uint32_t index, Participant& seen) const {
    PoolDead who{.index = index, .now_ns = sys::steady_ns()};
    if (region_.participants().look(index, seen)) {
        who.pid = seen.identity.pid;
        who.name = seen.name;
    }
    return who;
}

void Attachment::recover(std::uint32_t dead) noexcept {
    Participant seen;
    const PoolDead who = dead_one(dead, seen);
    for_each_ring(Pin::sweep, [&](PoolEngine& ring) { ring.recover(who); });
    if (segments_) segments_->recover(dead);
    STOA_CRASH_POINT("mailbox.recover.before_seats");
    give_up_seats(dead);
    drop_cursors(dead);
    keep_totals(dead);
    note_orphans();
    // It may have died between its first message in a new lane and the bell, or held the seat that
    // others wait for.
    if (plan_.lane_count > 0 || plan_.sharing != Sharing::any) wake_all();
}

// The owner is proven dead: whoever comes or sleeps here learns it from one word.
Result<void> Attachment::bury() const noexcept {
    region_.end_ownership();
    wake_all();
    return fail(Errc::owner_gone, "mailbox");
}

// The owner's handle closes. First the word, then the names: who finds it still sees that it ended.
void Attachment::let_go() noexcept {
    if (sys::current_generation() != generation_) return;  // the parent's, not ours
    owns_ = false;
    region_.end_ownership();
    STOA_CRASH_POINT("mailbox.let_go.ended");
    region_.drop_name();
    wake_all();
}

void Attachment::close_mailbox() noexcept {
    region_.close();
    STOA_CRASH_POINT("mailbox.close.closed");
    wake_all();
}

bool Attachment::waits_at(std::uint32_t i) const noexcept {
    const std::uint32_t index = holder_index(station(i).seat.load(kSeqCst));
    if (index >= region_.participants().places()) return false;
    const ParticipantRecord& holder = region_.participants().record(index);
    return waits_for(holder.waits.load(kSeqCst)) == WaitsFor::message;
}

// Whether a live receiver waits for a message: what a rendezvous that must not wait asks.
bool Attachment::receiver_waits() const noexcept {
    const Participants& all = region_.participants();
    for (std::uint32_t i = 0; i < all.places(); ++i) {
        const ParticipantRecord& other = all.record(i);
        if (i == index_ || unpack_place(other.word.load(kSeqCst)).state != PlaceState::live)
            continue;
        if (waits_for(other.waits.load(kSeqCst)) == WaitsFor::message) return true;
    }
    return false;
}

PoolHost Attachment::host() noexcept {
    return {.around = around(),
            .open_extras = [](void* self) { return static_cast<Attachment*>(self)->open_extras(); },
            .pid_of =
                [](void* self, std::uint32_t endpoint) {
                    const Attachment& at = *static_cast<Attachment*>(self);
                    const ParticipantRecord& other = at.region_.participants().record(endpoint);
                    return static_cast<std::uint32_t>(other.identity[0].load(kRelaxed));
                },
            .receiver_waits =
                [](void* self) { return static_cast<Attachment*>(self)->receiver_waits(); },
            .hinders_meeting =
                [](void* self) { return static_cast<Attachment*>(self)->hinders_meeting(); },
            .me = index_,
            .pid = static_cast<std::uint32_t>(record_->identity[0].load(kRelaxed)),
            .name = sys::own_name()};
}

// Routed: what waits for a receiver that is gone is the others' now. They look when they are woken.
void Attachment::note_orphans() noexcept {
    if (!plan_.routed() || plan_.sharing == Sharing::broadcast) return;
    const std::uint32_t open = std::min(layout_->stations_open.load(kSeqCst), plan_.station_count);
    for (std::uint32_t i = 0; i < open; ++i) {
        if (station(i).seat.load(kSeqCst) == 0) layout_->orphans.fetch_or(1ULL << i, kSeqCst);
    }
}

void Attachment::leave() noexcept {
    give_up_seats(index_);
    STOA_CRASH_POINT("mailbox.leave.seats");
    if (log_in_ != nullptr) log_in_->leave();
    drop_cursors(index_);  // also in logs that it never looked into
    if (plan_.routed() && has(role_, Role::receives)) {
        note_orphans();
        wake_all();
    }
    // Somebody may stand by.
    if (plan_.sharing == Sharing::single_receiver) ring_bell_for_all(station(0).bells.space);
    keep_totals(index_);
    if (segments_) {
        for (const Pin why : {Pin::in, Pin::out, Pin::hand}) segments_->let_go(why);
        retire_segments();
    }
    region_.participants().leave(index_);
}

Attachment::~Attachment() {
    handle_waits_no_more();
    if (!joined_ || sys::current_generation() != generation_) return;  // the parent's, not ours
    leave();
}

}  // namespace stoa
