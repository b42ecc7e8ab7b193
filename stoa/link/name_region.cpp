#include "stoa/link/name_region.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <vector>

#include "stoa/base/crash_point.hpp"
#include "stoa/life/membership.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sys/fork_guard.hpp"
#include "stoa/sys/random.hpp"

// Who has the name is one word. It goes from nobody or a dead holder to a joiner, or to REMOVED for
// good; both by one CAS, so that who removes a name never takes it from one who has just joined.
// What is condemned and unlinked after that belongs to nobody. A death before a CAS leaves nothing,
// after it the new holder, or a removed name whose file the next one who opens it unlinks.
namespace stoa {
namespace {

constexpr int kTurns = 100;  // of calls that meet a name which comes and goes

std::string file_of(std::string_view name) {
    return std::string{name} += kProcessSuffix;
}

Result<void> write_content(void* context, std::span<std::byte> content) {
    ProcessLayout* layout = layout_at<ProcessLayout>(content, 0);
    if (layout == nullptr) return fail(Errc::bad_argument, "join");
    layout->magic = kProcessMagic;
    layout->version = kProcessVersion;
    layout->knock_count = kKnockCount;
    layout->salt = *static_cast<const std::uint64_t*>(context);
    return {};
}

// Whether a holder has left, or is proven dead.
bool is_gone(const Participants& participants, Holder holder) noexcept {
    return Here{.me = 0, .participants = &participants}.is_gone(holder);
}

// What this process holds: a name that its identity has and that is not here was taken before it
// called exec, and what had it is gone with that program's memory.
class Registry {
public:
    static Registry& instance() {
        static Registry registry;
        return registry;
    }
    void add(std::uint64_t join_id) {
        const std::lock_guard guard{lock_};
        held_.push_back(join_id);
    }
    void remove(std::uint64_t join_id) {
        const std::lock_guard guard{lock_};
        std::erase(held_, join_id);
    }
    bool has(std::uint64_t join_id) {
        const std::lock_guard guard{lock_};
        return std::ranges::find(held_, join_id) != held_.end();
    }

private:
    std::mutex lock_;
    std::vector<std::uint64_t> held_;
};

}  // namespace

Result<void> check_process_name(std::string_view name) noexcept {
    if (name.size() > kMaxProcessName) {
        return fail(Errc::bad_name, "process name (at most 63 characters)");
    }
    return check_name(name);
}

NameRegion::NameRegion(RegionImage region) noexcept
    : region_{std::move(region)},
      layout_{layout_at<ProcessLayout>(region_.content(), 0)},
      salt_{layout_->salt},
      generation_{sys::own_generation()} {
    register_memory();
}

NameRegion::NameRegion(NameRegion&& other) noexcept
    : region_{std::move(other.region_)},
      layout_{other.layout_},
      salt_{other.salt_},
      index_{std::exchange(other.index_, std::nullopt)},
      generation_{other.generation_} {
    other.membership_.reset();
    register_memory();
}

NameRegion& NameRegion::operator=(NameRegion&& other) noexcept {
    if (this != &other) {
        drop();
        membership_.reset();
        other.membership_.reset();
        region_ = std::move(other.region_);
        layout_ = other.layout_;
        salt_ = other.salt_;
        index_ = std::exchange(other.index_, std::nullopt);
        generation_ = other.generation_;
        register_memory();
    }
    return *this;
}

// A Membership points to the participants, which move with the region: it is made anew.
void NameRegion::register_memory() {
    membership_.reset();
    if (index_) {
        membership_.emplace(region_.memory(), region_.participants(), *index_);
    } else {
        membership_.emplace(region_.memory(), region_.participants());
    }
}

void NameRegion::drop() noexcept {
    if (!index_ || sys::current_generation() != generation_) return;  // the parent's, not ours
    static_cast<void>(give_back());
    region_.participants().leave(*index_);
}

Result<NameRegion> NameRegion::wrap(Result<RegionImage> region) {
    if (!region) return std::unexpected(region.error());
    const ProcessLayout* layout = layout_at<ProcessLayout>(region->content(), 0);
    if (layout == nullptr || layout->magic != kProcessMagic) {
        return fail(Errc::bad_layout, "process name");
    }
    if (layout->version != kProcessVersion) return fail(Errc::wrong_version, "process name");
    if (layout->knock_count != kKnockCount) return fail(Errc::bad_layout, "process name");
    return NameRegion{std::move(*region)};
}

Result<NameRegion> NameRegion::open(const Domain& domain, std::string_view name) {
    const std::string file = file_of(name);
    for (int turn = 0; turn < kTurns; ++turn) {
        Result<NameRegion> opened = wrap(RegionImage::open(domain, file, RegionKind::process));
        if (!opened || !opened->is_removed()) return opened;
        // Whoever removed it died or stopped before the end.
        const Result<bool> gone = RegionImage::destroy(domain, file, opened->region_);
        if (!gone) return std::unexpected(gone.error());
    }
    return fail(Errc::not_found, "open");
}

Result<NameRegion> NameRegion::peek(const Domain& domain, std::string_view name) {
    return wrap(RegionImage::peek(domain, file_of(name), RegionKind::process));
}

Result<NameRegion> NameRegion::enter(const Domain& domain, std::string_view name) {
    const RegionPlan plan{.kind = RegionKind::process,
                          .content_bytes = sizeof(ProcessLayout),
                          .reserved_bytes = sizeof(ProcessLayout),
                          .max_places = 1024};
    for (int turn = 0; turn < kTurns; ++turn) {
        Result<NameRegion> opened = open(domain, name);
        if (!opened && opened.error().code == Errc::not_found) {
            Result<std::uint64_t> salt = sys::random_word();
            if (!salt) return std::unexpected(salt.error());
            opened = wrap(RegionImage::create(domain, file_of(name), plan, write_content, &*salt));
            if (!opened && opened.error().code == Errc::exists) continue;
        }
        if (!opened) return opened;
        const Result<std::uint32_t> place = opened->region_.join(Role::none);
        if (!place) return std::unexpected(place.error());
        opened->index_ = *place;
        opened->register_memory();
        STOA_CRASH_POINT("link.enter.joined");
        if (opened->region_.condemned() || opened->is_removed()) continue;
        opened->sweep();
        return opened;
    }
    return fail(Errc::exists, "join");
}

Holder NameRegion::own_holder() const noexcept {
    const ParticipantRecord& mine = region_.participants().record(*index_);
    return holder_of(*index_, unpack_place(mine.word.load(kRelaxed)).incarnation);
}

void NameRegion::tell_owner_changed() noexcept {
    ring_bell_for_all(layout_->owners);
}

bool NameRegion::is_left_behind(Holder holder) const {
    const NameOwner who = owner();
    const Result<sys::Identity> self = sys::self();
    return self && who.holder == holder && who.identity == *self &&
           !Registry::instance().has(who.join_id);
}

Result<void> NameRegion::take() {
    Registry::instance().add(join_id(own_holder()));
    Result<void> taken = try_to_take();
    if (!taken) Registry::instance().remove(join_id(own_holder()));
    return taken;
}

Result<void> NameRegion::try_to_take() {
    Holder seen = layout_->owner.load(kSeqCst);
    for (int turn = 0; turn < kTurns; ++turn) {
        if (seen == kNameRemoved) return fail(Errc::gone, "join");
        if (seen != 0 && !is_gone(region_.participants(), seen) && !is_left_behind(seen)) {
            const NameOwner holder = owner();
            if (holder.holder != seen) {
                seen = layout_->owner.load(kSeqCst);
                continue;
            }
            return fail(Errc::in_use,
                        step_text("join (process %u has that name)", holder.identity.pid));
        }
        STOA_CRASH_POINT("link.take.before");
        if (layout_->owner.compare_exchange_strong(seen, own_holder(), kSeqCst)) {
            STOA_CRASH_POINT("link.take.taken");
            tell_owner_changed();
            return {};
        }
    }
    return fail(Errc::in_use, "join");
}

bool NameRegion::give_back() noexcept {
    Holder mine = own_holder();
    Registry::instance().remove(join_id(mine));
    if (!layout_->owner.compare_exchange_strong(mine, 0, kSeqCst)) return false;
    STOA_CRASH_POINT("link.give_back.done");
    tell_owner_changed();
    return true;
}

bool NameRegion::remove(const Domain& domain, std::string_view name) noexcept {
    STOA_CRASH_POINT("link.remove.begun");
    Holder seen = layout_->owner.load(kSeqCst);
    if (seen != kNameRemoved) {
        if (seen != 0 && !is_gone(region_.participants(), seen)) return false;
        if (!layout_->owner.compare_exchange_strong(seen, kNameRemoved, kSeqCst)) return false;
    }
    STOA_CRASH_POINT("link.remove.decided");
    const Result<bool> gone = RegionImage::destroy(domain, file_of(name), region_);
    tell_owner_changed();  // who waits for a joiner waits in the region that comes next
    return gone.has_value();
}

bool NameRegion::is_garbage() const {
    if (layout_->owner.load(kSeqCst) == kNameRemoved) return true;
    bool used = false;  // also by its owner, who takes part in it
    region_.participants().for_each([&](const Participant& seen) {
        used = used || (seen.life != sys::Life::dead && (!index_ || seen.index != *index_));
    });
    return !used;
}

NameOwner NameRegion::owner() const {
    for (int turn = 0; turn < kTurns; ++turn) {
        const Holder holder = layout_->owner.load(kSeqCst);
        NameOwner found;
        if (holder == 0 || holder == kNameRemoved) return found;
        const std::uint32_t index = holder_index(holder);
        Participant seen;
        if (index >= region_.participants().places()) return found;  // damaged: nobody
        const bool there = region_.participants().look(index, seen);
        if (layout_->owner.load(kSeqCst) != holder) continue;
        if (!there || holder_of(index, unpack_place(seen.word).incarnation) != holder) {
            return found;  // it left without a word: it was killed, and swept
        }
        found.holder = holder;
        found.join_id = join_id(holder);
        found.identity = seen.identity;
        found.life = seen.life;
        return found;
    }
    return {};
}

void NameRegion::sweep() noexcept {
    const auto recover = [](void* context, std::uint32_t dead) {
        NameRegion& self = *static_cast<NameRegion*>(context);
        const ParticipantRecord& record = self.region_.participants().record(dead);
        Holder holder = holder_of(dead, unpack_place(record.word.load(kSeqCst)).incarnation);
        if (self.layout_->owner.compare_exchange_strong(holder, 0, kSeqCst)) {
            self.tell_owner_changed();
        }
    };
    if (index_) region_.participants().sweep_all(*index_, recover, this);
}

// --- the card -----------------------------------------------------------------------------------

// Two copies: the owner writes the one that is not shown, then shows it by one store. A reader
// whose turn has not changed meanwhile read what nobody was writing.
NameRegion::Card NameRegion::card(std::uint64_t join_id) const {
    for (int turn = 0; turn < kTurns; ++turn) {
        const std::uint64_t shown = layout_->turn.load(kAcquire);
        STOA_CRASH_POINT("link.card.begun");
        const ProcessCard& from = layout_->card[shown % 2];
        Card card;
        std::array<std::uint64_t, kCardWords> words{};
        const bool mine = from.join_id.load(kRelaxed) == join_id;
        card.joined_ns = from.joined_ns.load(kRelaxed);
        const std::uint64_t bytes =
            std::min<std::uint64_t>(from.bytes.load(kRelaxed), sizeof words);
        for (std::size_t i = 0; i * 8 < bytes; ++i) words[i] = from.text[i].load(kRelaxed);
        full_fence();
        if (layout_->turn.load(kSeqCst) != shown) continue;
        if (!mine) return {};
        const std::string text(reinterpret_cast<const char*>(words.data()), bytes);
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t key_end = text.find('\0', at);
            if (key_end == std::string::npos) break;
            const std::size_t end = text.find('\0', key_end + 1);
            if (end == std::string::npos) break;
            card.attributes[text.substr(at, key_end - at)] =
                text.substr(key_end + 1, end - key_end - 1);
            at = end + 1;
        }
        return card;
    }
    return {};
}

Result<void> NameRegion::show(std::uint64_t join_id, std::uint64_t joined_ns,
                              const Attributes& attributes) noexcept {
    std::array<std::uint64_t, kCardWords> words{};
    char* const text = reinterpret_cast<char*>(words.data());
    std::size_t bytes = 0;
    for (const auto& [key, value] : attributes) {
        const std::size_t more = key.size() + value.size() + 2;
        if (more > sizeof words - bytes) {
            return fail(Errc::too_big, "attributes (2024 bytes in all)");
        }
        key.copy(text + bytes, key.size());  // the zeroes behind them are there
        value.copy(text + bytes + key.size() + 1, value.size());
        bytes += more;
    }
    const std::uint64_t next = layout_->turn.load(kSeqCst) + 1;
    ProcessCard& to = layout_->card[next % 2];
    to.join_id.store(join_id, kSeqCst);
    to.joined_ns.store(joined_ns, kRelaxed);
    to.bytes.store(bytes, kRelaxed);
    for (std::size_t i = 0; i * 8 < bytes; ++i) to.text[i].store(words[i], kRelaxed);
    STOA_CRASH_POINT("link.show.written");
    layout_->turn.store(next, kSeqCst);
    return {};
}

// --- knocks -------------------------------------------------------------------------------------

Result<void> NameRegion::knock(std::uint64_t join_id) noexcept {
    const auto from = static_cast<std::uint32_t>(join_id % kKnockCount);
    for (std::uint32_t n = 0; n < kKnockCount; ++n) {
        Atomic<std::uint64_t>& place = layout_->knock[(from + n) % kKnockCount];
        std::uint64_t seen = place.load(kSeqCst);
        if (seen == join_id ||
            (seen == 0 && place.compare_exchange_strong(seen, join_id, kSeqCst))) {
            STOA_CRASH_POINT("link.knock.placed");
            layout_->knocked.fetch_add(1, kSeqCst);
            STOA_CRASH_POINT("link.knock.counted");
            ring_bell_for_all(layout_->bell);
            return {};
        }
    }
    return fail(Errc::no_free_place, "send (1024 knock there, and are not heard)");
}

}  // namespace stoa
