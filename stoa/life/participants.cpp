#include "stoa/life/participants.hpp"

#include <algorithm>
#include <cstring>

#include "stoa/base/crash_point.hpp"

// The order that makes a sweep safe against the reuse of its index:
//   sweeper  W1 store sweeping = {d, incarnation}   W2 re-read d's word: still that incarnation
//            W3 recover(d)    W4 CAS d's word LIVE -> FREE    W5 store sweeping = 0
//   joiner   J1 read d's word: FREE    J2 read every live one's sweeping word: none names d
//            J3 CAS FREE -> CLAIMED    J4 clear the sweeping word that it inherits
//            J5 identity    J6 store LIVE
// seq_cst, because W1/W2 and J1/J2 are a store-then-load on two words each (Dekker):
//   sweeper  sweeping = d; r1 = word(d)        joiner  r2 = word(d) is FREE; r3 = sweeping
// If the sweeper still saw the old incarnation (r1), the FREE that the joiner saw came later, so r3
// sees the announcement. A joiner with a stale FREE fails at J3.
// Death: before J3 nothing happened; from J3 to J6 the word itself names pid and start ticks, and
// the claimant owns nothing; a sweeper that dies leaves an announcement that nobody heeds.
namespace stoa {
namespace {

void store_identity(Atomic<std::uint64_t>* words, const sys::Identity& id) noexcept {
    words[0].store(id.pid | std::uint64_t{id.time_namespace} << 32U, kRelaxed);
    words[1].store(id.start_ticks, kRelaxed);
    words[2].store(id.pidfs_id, kRelaxed);
    words[3].store(id.pid_namespace, kRelaxed);
    words[4].store(id.boot_id, kRelaxed);
}

sys::Identity identity_of(std::uint64_t w0, std::uint64_t w1, std::uint64_t w2, std::uint64_t w3,
                          std::uint64_t w4) noexcept {
    return {.pid = static_cast<std::uint32_t>(w0),
            .time_namespace = static_cast<std::uint32_t>(w0 >> 32U),
            .start_ticks = w1,
            .pidfs_id = w2,
            .pid_namespace = w3,
            .boot_id = w4};
}

sys::Identity identity_in(const ParticipantRecord& r) noexcept {
    return identity_of(r.identity[0].load(kRelaxed), r.identity[1].load(kRelaxed),
                       r.identity[2].load(kRelaxed), r.identity[3].load(kRelaxed),
                       r.identity[4].load(kRelaxed));
}

void store_name(ParticipantRecord& r, std::string_view name) noexcept {
    char copy[sizeof r.name]{};
    name.copy(copy, sizeof copy - 1);
    for (std::size_t i = 0; i < std::size(r.name); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, copy + i * 8, 8);
        r.name[i].store(word, kRelaxed);
    }
}

std::string name_in(const ParticipantRecord& r) {
    char copy[sizeof r.name + 1]{};
    for (std::size_t i = 0; i < std::size(r.name); ++i) {
        const std::uint64_t word = r.name[i].load(kRelaxed);
        std::memcpy(copy + i * 8, &word, 8);
    }
    return copy;
}

// The last places of the first 32 are for those who only sweep.
bool is_kept(std::uint32_t index, std::uint32_t places) noexcept {
    constexpr std::uint32_t kFirst = 28;
    constexpr std::uint32_t kEnd = 32;
    return places >= kEnd && index >= kFirst && index < kEnd;
}

}  // namespace

Result<void> Participants::create(std::span<std::byte> memory, std::uint32_t places,
                                  std::uint32_t max_places) noexcept {
    ParticipantTable* table = layout_at<ParticipantTable>(memory, 0);
    if (table == nullptr || places < 1 || places > max_places || max_places > kMaxPlaces ||
        bytes_for(max_places) > memory.size()) {
        return fail(Errc::bad_argument, "participants.create");
    }
    const Result<sys::Identity> self = sys::self();
    if (!self) return std::unexpected(self.error());
    table->magic = kParticipantsMagic;
    table->version = kParticipantsVersion;
    table->max_places = max_places;
    table->places.store(places, kRelaxed);
    table->creator[0] = self->pid | std::uint64_t{self->time_namespace} << 32U;
    table->creator[1] = self->start_ticks;
    table->creator[2] = self->pidfs_id;
    table->creator[3] = self->pid_namespace;
    table->creator[4] = self->boot_id;
    return {};
}

Result<Participants> Participants::attach(std::span<std::byte> memory) noexcept {
    ParticipantTable* table = layout_at<ParticipantTable>(memory, 0);
    if (table == nullptr || table->magic != kParticipantsMagic) {
        return fail(Errc::bad_layout, "participants");
    }
    if (table->version != kParticipantsVersion) return fail(Errc::wrong_version, "participants");
    Participants result;
    result.table_ = table;
    result.max_places_ = table->max_places;
    const std::uint32_t places = table->places.load(kSeqCst);
    if (places < 1 || result.max_places_ > kMaxPlaces || places > result.max_places_ ||
        bytes_for(result.max_places_) > memory.size()) {
        return fail(Errc::bad_layout, "participants");
    }
    result.records_ = layout_at<ParticipantRecord>(memory, sizeof(ParticipantTable));
    result.creator_ = identity_of(table->creator[0], table->creator[1], table->creator[2],
                                  table->creator[3], table->creator[4]);
    return result;
}

std::uint32_t Participants::places() const noexcept {
    return std::min(table_->places.load(kSeqCst), max_places_);
}

sys::Life Participants::life_of(std::uint32_t index, std::uint64_t word,
                                sys::Identity& identity) const noexcept {
    const PlaceWord place = unpack_place(word);
    const ParticipantRecord& r = records_[index];
    if (place.state == PlaceState::live) {
        identity = identity_in(r);
        if (r.word.load(kSeqCst) != word) return sys::Life::unknown;  // the place moved on
        return sys::probe(identity);
    }
    identity = {.pid = place.pid};
    const Result<sys::Identity> self = sys::self();
    if (!self || is_mixed() || !sys::comparable(*self, creator_)) {
        return sys::Life::unknown;  // the claimant may live where we cannot see it
    }
    return sys::probe_claim(place.pid, place.start_ticks_low);
}

bool Participants::look(std::uint32_t index, Participant& seen) const noexcept {
    const ParticipantRecord& r = records_[index];
    seen.index = index;
    seen.word = r.word.load(kSeqCst);
    const PlaceWord place = unpack_place(seen.word);
    if (place.state == PlaceState::free) return false;
    seen.life = life_of(index, seen.word, seen.identity);
    seen.complete = place.state == PlaceState::live;
    seen.role = static_cast<Role>(r.role.load(kRelaxed));
    seen.seat = r.seat.load(kRelaxed);
    seen.sent = r.sent.load(kRelaxed);
    seen.received = r.received.load(kRelaxed);
    const std::uint64_t waits = r.waits.load(kSeqCst);
    seen.waits = waits_for(waits);
    seen.waits_since_ns = waits >> 3U;
    seen.waits_on = r.waits_on.load(kSeqCst);
    seen.held_since_ns = r.held_since.load(kSeqCst);
    if (r.waits.load(kSeqCst) != waits) seen.waits_on = 0;  // of another wait
    seen.name = name_in(r);
    return r.word.load(kSeqCst) == seen.word;
}

bool Participants::holder(std::uint32_t index, sys::Identity& identity) const noexcept {
    const ParticipantRecord& r = records_[index];
    const std::uint64_t word = r.word.load(kSeqCst);
    if (unpack_place(word).state != PlaceState::live) return false;
    identity = identity_in(r);
    return r.word.load(kSeqCst) == word;
}

// The flag first: who then finds a mark of ours finds the flag as well.
bool Participants::set_watch(std::uint32_t me, const WatchWord& whom) const noexcept {
    Atomic<std::uint64_t>& watch = records_[me].watch;
    if (whom.turn == 0) {
        watch.store(0, kSeqCst);
        return true;
    }
    if (!is_watched()) table_->flags.fetch_or(kTableWatched, kSeqCst);
    STOA_CRASH_POINT("participants.watch.flagged");
    std::uint64_t nobody = 0;
    return watch.compare_exchange_strong(nobody, pack(whom), kSeqCst) || nobody == pack(whom);
}

bool Participants::watcher(std::uint32_t index, WatchWord& whom,
                           sys::Identity& identity) const noexcept {
    const std::uint64_t watch = records_[index].watch.load(kSeqCst);
    if (watch == 0) return false;
    whom = unpack_watch(watch);
    return whom.turn != 0 && holder(index, identity) &&
           records_[index].watch.load(kSeqCst) == watch;
}

std::string Participants::last_name(std::uint32_t index) const {
    return name_in(records_[index]);
}

bool Participants::announced(std::uint32_t index) const noexcept {
    const std::uint32_t count = places();
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t word = records_[i].word.load(kSeqCst);
        if (unpack_place(word).state == PlaceState::free) continue;
        if (static_cast<std::uint32_t>(records_[i].sweeping.load(kSeqCst)) != index + 1) continue;
        sys::Identity ignored;
        if (life_of(i, word, ignored) != sys::Life::dead) return true;
    }
    return false;
}

bool Participants::others_sweep(std::uint32_t me) const noexcept {
    const std::uint32_t count = places();
    for (std::uint32_t i = 0; i < count; ++i) {
        if (i == me || records_[i].sweeping.load(kSeqCst) == 0) continue;
        const std::uint64_t word = records_[i].word.load(kSeqCst);
        if (unpack_place(word).state == PlaceState::free) continue;
        sys::Identity ignored;
        if (life_of(i, word, ignored) != sys::Life::dead) return true;
    }
    return false;
}

bool Participants::try_join(std::uint32_t index, Role role, const sys::Identity& self) noexcept {
    ParticipantRecord& r = records_[index];
    std::uint64_t seen = r.word.load(kSeqCst);  // J1
    PlaceWord place = unpack_place(seen);
    if (place.state != PlaceState::free || announced(index)) return false;  // J2
    place = {.incarnation = place.incarnation + 1,
             .pid = self.pid,
             .start_ticks_low = sys::start_ticks_low(self),
             .state = PlaceState::claimed};
    STOA_CRASH_POINT("participants.join.before_claim");
    if (!r.word.compare_exchange_strong(seen, pack(place), kSeqCst)) return false;  // J3
    STOA_CRASH_POINT("participants.join.claimed");
    r.sweeping.store(0, kSeqCst);  // J4
    store_identity(r.identity, self);
    r.role.store(static_cast<std::uint32_t>(role), kRelaxed);
    r.seat.store(0, kRelaxed);
    r.sent.store(0, kRelaxed);
    r.received.store(0, kRelaxed);
    r.waits.store(0, kRelaxed);
    r.waits_on.store(0, kRelaxed);
    r.held_since.store(0, kRelaxed);
    r.watch.store(0, kRelaxed);
    for (Atomic<std::uint64_t>& pin : r.pins) pin.store(0, kRelaxed);
    store_name(r, sys::own_name());
    place.state = PlaceState::live;
    STOA_CRASH_POINT("participants.join.before_live");
    r.word.store(pack(place), kSeqCst);  // J6
    return true;
}

Result<void> Participants::grow(std::uint32_t from, ReserveRecords reserve, void* context) {
    if (from >= max_places_) return fail(Errc::no_free_place, "join");
    const std::uint32_t to = std::min(from * 2, max_places_);
    if (Result<void> reserved = reserve(context, bytes_for(from), bytes_for(to) - bytes_for(from));
        !reserved) {
        return reserved;
    }
    std::uint32_t seen = from;
    table_->places.compare_exchange_strong(seen, to, kSeqCst);  // lost: another one grew it
    return {};
}

Result<std::uint32_t> Participants::join(Role role, ReserveRecords reserve, void* context) {
    const Result<sys::Identity> self = sys::self();
    if (!self) return std::unexpected(self.error());
    if (!sys::comparable(*self, creator_)) table_->flags.fetch_or(kTableMixed, kSeqCst);
    for (;;) {  // ends: each turn without a free place doubles the table
        const std::uint32_t count = places();
        for (std::uint32_t i = 0; i < count; ++i) {
            if (is_kept(i, count)) continue;
            if (try_join(i, role, *self)) return i;
        }
        if (Result<void> grown = grow(count, reserve, context); !grown) {
            return std::unexpected(grown.error());
        }
    }
}

Result<std::uint32_t> Participants::join_kept() {
    const Result<sys::Identity> self = sys::self();
    if (!self) return std::unexpected(self.error());
    if (!sys::comparable(*self, creator_)) table_->flags.fetch_or(kTableMixed, kSeqCst);
    const std::uint32_t count = places();
    for (std::uint32_t i = 0; i < count; ++i) {
        if (is_kept(i, count) && try_join(i, Role::none, *self)) return i;
    }
    return fail(Errc::no_free_place, "join");
}

void Participants::leave(std::uint32_t me) noexcept {
    ParticipantRecord& r = records_[me];
    const PlaceWord place = unpack_place(r.word.load(kRelaxed));
    r.role.store(0, kRelaxed);
    STOA_CRASH_POINT("participants.leave.before");
    r.word.store(pack({.incarnation = place.incarnation}), kSeqCst);
}

bool Participants::sweep(std::uint32_t me, std::uint32_t index, RecoverIndex recover,
                         void* context) noexcept {
    if (index == me) return false;
    std::uint64_t word = records_[index].word.load(kSeqCst);
    const PlaceWord place = unpack_place(word);
    sys::Identity ignored;
    if (place.state == PlaceState::free || life_of(index, word, ignored) != sys::Life::dead) {
        return false;
    }
    Atomic<std::uint64_t>& mine = records_[me].sweeping;
    mine.store(holder_of(index, place.incarnation), kSeqCst);  // W1
    STOA_CRASH_POINT("participants.sweep.announced");
    bool freed = false;
    if (records_[index].word.load(kSeqCst) == word) {                  // W2
        if (place.state == PlaceState::live) recover(context, index);  // W3
        STOA_CRASH_POINT("participants.sweep.recovered");
        freed = records_[index].word.compare_exchange_strong(  // W4
            word, pack({.incarnation = place.incarnation}), kSeqCst);
    }
    STOA_CRASH_POINT("participants.sweep.freed");
    mine.store(0, kSeqCst);  // W5
    return freed;
}

std::uint32_t Participants::sweep_all(std::uint32_t me, RecoverIndex recover,
                                      void* context) noexcept {
    std::uint32_t freed = 0;
    const std::uint32_t count = places();
    for (std::uint32_t i = 0; i < count; ++i) {
        if (sweep(me, i, recover, context)) ++freed;
    }
    return freed;
}

}  // namespace stoa
