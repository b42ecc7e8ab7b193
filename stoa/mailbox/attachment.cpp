#include "stoa/mailbox/attachment.hpp"

#include <array>
#include <cstdio>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/size.hpp"

// Holding a role (a pair's seat, the single receiver, a lane's door) is one word: place index + 1
// and its incarnation, or 0. It is taken by CAS from 0, given up by CAS to 0: by its holder before
// it leaves, or by a sweep of the dead holder, always before the place itself is freed.
namespace stoa {
namespace {

std::uint64_t holder_of(std::uint32_t index, std::uint32_t incarnation) noexcept {
    return (std::uint64_t{index} + 1) | std::uint64_t{incarnation} << 32U;
}

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

Attachment::Attachment(Region region, MailboxPlan plan, Role role, Waiting waiting) noexcept
    : region_{std::move(region)},
      plan_{std::move(plan)},
      layout_{layout_at<MailboxLayout>(region_.content(), 0)},
      role_{role},
      waiting_{waiting},
      generation_{sys::own_generation()} {}

Result<std::unique_ptr<Attachment>> Attachment::create(std::string_view name,
                                                       const MailboxOptions& options,
                                                       const TypeInfo& type) {
    if (Result<void> good = check_name(name); !good) return std::unexpected(good.error());
    Result<MailboxPlan> plan = MailboxPlan::make(options, type);
    if (!plan) return std::unexpected(plan.error());
    const Result<Domain> domain = Domain::open(options.domain);
    if (!domain) return std::unexpected(domain.error());
    const std::string file = mailbox_file(name);
    Result<Region> region =
        Region::create_unnamed(*domain, region_plan(*plan, options, file), write_content, &*plan);
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

Result<std::unique_ptr<Attachment>> Attachment::create_anonymous(const MailboxOptions& options,
                                                                 const TypeInfo& type) {
    if (options.owner != Owner::system) {
        return fail(Errc::bad_argument, "owner (without a name it ends with all who have it)");
    }
    Result<MailboxPlan> plan = MailboxPlan::make(options, type);
    if (!plan) return std::unexpected(plan.error());
    Result<Region> region =
        Region::create_anonymous(region_plan(*plan, options), write_content, &*plan);
    if (!region) return std::unexpected(region.error());
    return enter(std::move(*region), std::move(*plan), options.role, options.waiting);
}

Result<std::unique_ptr<Attachment>> Attachment::open(std::string_view name,
                                                     const OpenOptions& options,
                                                     const TypeInfo* type) {
    if (Result<void> good = check_name(name); !good) return std::unexpected(good.error());
    const Result<Domain> domain = Domain::find(options.domain);
    if (!domain) return std::unexpected(domain.error());
    Result<Region> region = Region::open(*domain, mailbox_file(name), RegionKind::mailbox);
    if (!region) return std::unexpected(region.error());
    Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    if (Result<void> same = check_type(*plan, type); !same) return std::unexpected(same.error());
    return enter(std::move(*region), std::move(*plan), options.role, options.waiting);
}

Result<std::unique_ptr<Attachment>> Attachment::attach(sys::Fd file, const OpenOptions& options,
                                                       const TypeInfo* type) {
    Result<Region> region = Region::attach(std::move(file), RegionKind::mailbox);
    if (!region) return std::unexpected(region.error());
    Result<MailboxPlan> plan = MailboxPlan::read(region->content());
    if (!plan) return std::unexpected(plan.error());
    if (Result<void> same = check_type(*plan, type); !same) return std::unexpected(same.error());
    return enter(std::move(*region), std::move(*plan), options.role, options.waiting);
}

Result<std::unique_ptr<Attachment>> Attachment::enter(Region region, MailboxPlan plan, Role role,
                                                      Waiting waiting) {
    std::unique_ptr<Attachment> entered{
        new Attachment{std::move(region), std::move(plan), role, waiting}};
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
}

// Every place is taken, by the dead perhaps: from one that is kept for this they can be recovered.
bool Attachment::sweep_from_kept_place() {
    const Result<std::uint32_t> place = region_.participants().join_kept();
    if (!place) return false;
    take_place(*place);
    const bool can_sweep =
        !region_.condemned() && (plan_.pool_count == 0 || make_pool_engines().has_value());
    const bool freed = can_sweep && sweep() > 0;
    leave();
    joined_ = false;
    for (std::optional<PoolEngine>& pool : pools_) pool.reset();
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
        if (Result<void> made = make_pool_engines(); !made) return made;
    }
    sweep();
    if (Result<void> taken = take_roles(); !taken) return taken;
    return make_engines();
}

std::uint64_t Attachment::holder_word() const noexcept {
    return holder_of(index_, unpack_place(record_->word.load(kRelaxed)).incarnation);
}

// False: somebody else holds it.
bool Attachment::take_seat(Atomic<std::uint64_t>& seat) noexcept {
    std::uint64_t nobody = 0;
    return seat.compare_exchange_strong(nobody, holder_word(), kSeqCst);
}

// Whether the holder of that seat does one thing only, and the same as we: what the one sends the
// other never reads.
bool Attachment::faces_its_like(std::uint32_t seat) const noexcept {
    const std::uint64_t holder = layout_->seats[seat].load(kSeqCst);
    const auto index = static_cast<std::uint32_t>(holder) - 1;
    if (role_ == Role::both || holder == 0 || index >= region_.participants().places())
        return false;
    const ParticipantRecord& other = region_.participants().record(index);
    return other.role.load(kRelaxed) == static_cast<std::uint32_t>(role_);
}

Result<void> Attachment::take_pair_seat() {
    // One that only receives sits opposite to one that only sends, also when they come and go.
    const std::uint32_t first = role_ == Role::receives ? 1 : 0;
    for (const std::uint32_t seat : {first, 1 - first}) {
        if (seat != first && faces_its_like(first)) {
            return fail(Errc::in_use, "open (two that only send, or only receive, are no pair)");
        }
        if (!take_seat(layout_->seats[seat])) continue;
        seat_ = seat;
        record_->seat.store(seat, kRelaxed);
        return {};
    }
    return fail(Errc::in_use, "open (a pair has two)");
}

Result<void> Attachment::take_roles() {
    if (role_ == Role::none) return {};
    if (plan_.sharing == Sharing::pair) return take_pair_seat();
    if (plan_.sharing == Sharing::single_receiver && has(role_, Role::receives)) {
        if (!take_seat(layout_->seats[0])) {
            // A handle that may do both goes on as a sender; one that only receives is refused.
            if (role_ == Role::receives) return fail(Errc::in_use, "open (single receiver)");
            role_ = Role::sends;
            record_->role.store(static_cast<std::uint32_t>(role_), kRelaxed);
        }
    }
    return {};
}

Result<void> Attachment::make_pool_engines() {
    for (std::uint32_t i = 0; i < plan_.pool_count; ++i) {
        Result<PoolRing> ring = PoolRing::attach(
            region_.content().subspan(plan_.pool_offset[i], plan_.pool.total_bytes));
        if (!ring) return std::unexpected(ring.error());
        pools_[i].emplace(*ring, layout_->bells[i], index_, waiting_, around());
    }
    return {};
}

Result<void> Attachment::make_engines() {
    if (plan_.pool_count == 1) {
        out_ = in_ = &*pools_[0];
    } else if (plan_.pool_count == 2) {
        out_ = &*pools_[seat_];
        in_ = &*pools_[1 - seat_];
    } else if (role_ != Role::none) {
        return make_lane_engines();
    }
    return {};
}

LaneDoor& Attachment::door(std::uint32_t lane) const noexcept {
    return *layout_at<LaneDoor>(region_.content(), kDoorsOffset + lane * sizeof(LaneDoor));
}

std::span<std::byte> Attachment::lane_memory(std::uint32_t lane) const noexcept {
    return region_.content().subspan(plan_.lanes_offset + lane * plan_.lane_stride,
                                     plan_.lane_stride);
}

// An orphaned lane first, so that a thousand senders in a row need one lane and stay in order.
Result<std::uint32_t> Attachment::take_door() {
    for (std::uint32_t lane = 0; lane < plan_.lane_count; ++lane) {
        LaneDoor& here = door(lane);
        std::uint64_t nobody = 0;
        if (!here.sender.compare_exchange_strong(nobody, holder_word(), kSeqCst)) continue;
        STOA_CRASH_POINT("mailbox.door.taken");
        if (here.ready.load(kSeqCst) == 0) {  // new, or its first sender died while it made it
            const std::uint64_t offset = plan_.lanes_offset + lane * plan_.lane_stride;
            Result<void> made = region_.reserve(offset, plan_.lane_stride);
            if (made) made = create_lane(lane_memory(lane), plan_.lane);
            if (!made) {
                region_.give_back(offset, plan_.lane_stride);
                here.sender.store(0, kSeqCst);
                return std::unexpected(made.error());
            }
            STOA_CRASH_POINT("mailbox.door.made");
            here.ready.store(1, kSeqCst);
        }
        std::uint32_t open = layout_->lanes_open.load(kSeqCst);
        while (open <= lane &&
               !layout_->lanes_open.compare_exchange_weak(open, lane + 1, kSeqCst)) {
        }
        return lane;
    }
    return fail(Errc::no_free_place, "open (a lane per sender)");
}

Result<void> Attachment::make_lane_engines() {
    const bool pair = plan_.sharing == Sharing::pair;
    Atomic<std::uint32_t>* bell = pair ? nullptr : &layout_->bells[0].messages;
    if (has(role_, Role::sends)) {
        Result<std::uint32_t> lane = seat_;
        if (!pair) lane = take_door();
        if (!lane) return std::unexpected(lane.error());
        record_->seat.store(*lane, kRelaxed);
        Result<LaneSender> sender = LaneSender::attach(lane_memory(*lane), publisher_fence());
        if (!sender) return std::unexpected(sender.error());
        LaneBound bound{lane_memory(*lane), *sender, plan_.capacity};
        lane_out_.emplace(std::move(*sender), std::move(bound), plan_.type_alignment, bell,
                          waiting_, around());
    }
    if (!has(role_, Role::receives)) return {};
    const auto count = [](void* context) {
        const Attachment& self = *static_cast<Attachment*>(context);
        if (self.plan_.sharing == Sharing::pair) return 1U;
        return std::min(self.layout_->lanes_open.load(kSeqCst), self.plan_.lane_count);
    };
    const auto memory = [](void* context, std::uint32_t lane) -> std::span<std::byte> {
        const Attachment& self = *static_cast<Attachment*>(context);
        const bool of_pair = self.plan_.sharing == Sharing::pair;
        const std::uint32_t actual = of_pair ? 1 - self.seat_ : lane;
        if (self.door(actual).ready.load(kSeqCst) == 0) return {};
        return self.lane_memory(actual);
    };
    lane_in_.emplace(LaneSource{count, memory, this}, bell, waiting_, around());
    return lane_in_->attach_lanes();
}

Result<void> Attachment::look_around() {
    if (Result<void> good = check(); !good) return good;  // a forked child may not even sweep
    sweep();
    return check();
}

LookAround Attachment::around() noexcept {
    return {.check = [](void* self) { return static_cast<Attachment*>(self)->check(); },
            .look = [](void* self) { return static_cast<Attachment*>(self)->look_around(); },
            .context = this};
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
        std::uint64_t seen = holder;
        word.compare_exchange_strong(seen, 0, kSeqCst);
    };
    give_up(layout_->seats[0]);
    give_up(layout_->seats[1]);
    if (plan_.sharing != Sharing::single_receiver) return;
    for (std::uint32_t lane = 0; lane < plan_.lane_count; ++lane) give_up(door(lane).sender);
}

// For display: each figure goes from the record to the mailbox, by whoever takes it out.
void Attachment::keep_totals(std::uint32_t index) noexcept {
    ParticipantRecord& leaver = region_.participants().record(index);
    layout_->left_sent.fetch_add(leaver.sent.exchange(0, kRelaxed), kRelaxed);
    layout_->left_received.fetch_add(leaver.received.exchange(0, kRelaxed), kRelaxed);
}

void Attachment::recover(std::uint32_t dead) noexcept {
    for (std::optional<PoolEngine>& pool : pools_) {
        if (pool) pool->recover(dead);
    }
    STOA_CRASH_POINT("mailbox.recover.before_seats");
    give_up_seats(dead);
    keep_totals(dead);
    // It may have died between its first message in a new lane and the bell.
    if (plan_.lane_count > 0) wake_all();
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

void Attachment::wake_all() const noexcept {
    for (PoolBells& bells : layout_->bells) {
        ring_bell_for_all(bells.messages);
        ring_bell_for_all(bells.space);
    }
}

void Attachment::leave() noexcept {
    give_up_seats(index_);
    keep_totals(index_);
    region_.participants().leave(index_);
}

Attachment::~Attachment() {
    if (!joined_ || sys::current_generation() != generation_) return;  // the parent's, not ours
    leave();
}

}  // namespace stoa
