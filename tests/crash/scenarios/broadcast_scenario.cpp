#include "tests/crash/scenarios/broadcast_scenario.hpp"

#include "stoa/base/check.hpp"
#include "stoa/mailbox/attachment.hpp"
#include "stoa/sys/futex.hpp"
#include "tests/crash/scenarios/ledger.hpp"

namespace stoa::crash {

using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kWatched = 6;           // stations, and logs
constexpr std::uint32_t kWitness = 0;           // its station
constexpr std::uint32_t kSkipper = 1;           // if there is one
constexpr std::uint64_t kNumber = 0xffff'ffff;  // of what the victim notes; missed lies above

}  // namespace

std::string Subscription::note(std::uint64_t number, const MailboxPlan& plan) {
    if (number == 0) return "a torn message";
    const std::string text = "message " + std::to_string(number);
    if (!got_.insert(number).second) return text + " came twice";
    const std::uint64_t sender = number / (number < kStageJudges ? 10 : 1000);
    std::uint64_t& before = last_[sender * 100 + number % plan.priorities];
    if (number <= before) return text + " comes out of order";
    before = number;
    return {};
}

// --- what is prepared ---------------------------------------------------------------------------

void BroadcastScenario::prepare() {
    MailboxOptions options = case_.options;
    options.sharing = Sharing::broadcast;
    options.max_bytes = 48;
    options.loan_quota = 2;
    options.role = ::stoa::Role::none;
    options.reserve_bytes = 512;
    keep(RawMailbox::create_anonymous(options).value());
    if (case_.has_witness) witness_.emplace(open(file(), ::stoa::Role::receives));
    if (case_.prepare) case_.prepare(*this);
}

void BroadcastScenario::send_prepared(std::uint64_t count) {
    if (!sender_) sender_.emplace(open(file(), ::stoa::Role::sends));
    for (std::uint64_t k = 0; k < count; ++k) {
        const std::uint64_t number = kStagePrepared + prepared_++;
        STOA_CHECK(sender_->try_send(message(number), options_of(plan(), number)).has_value());
    }
}

void BroadcastScenario::add_skipper() {
    const OpenOptions options{.role = ::stoa::Role::receives, .latest = true};
    skipper_.emplace(RawMailbox::attach(another(file()), options).value());
}

void BroadcastScenario::skipper_reads(std::uint64_t count) {
    for (std::uint64_t k = 0; k < count; ++k) STOA_CHECK(skipper_->try_receive().has_value());
}

void BroadcastScenario::witness_reads_all() {
    while (const Result<RawMessage> got = witness_->try_receive()) {
        STOA_CHECK(witnessed_.note(read_payload(got->bytes()), plan()).empty());
    }
}

std::vector<std::span<std::byte>> BroadcastScenario::shared() {
    std::vector<std::span<std::byte>> areas{table()};
    if (logged()) {
        areas.push_back(content().first(plan().door_offset(kWatched)));
        areas.push_back(content().subspan(plan().lanes_offset, kWatched * plan().lane_stride));
    } else {
        const std::uint32_t rings = plan().grows() ? plan().segment_count : kWatched;
        areas.push_back(content().first(plan().pool_offset(rings)));
        areas.push_back(content().subspan(plan().extras_offset, rings * plan().pool.extra_bytes));
    }
    return areas;
}

// --- victim, waker, recoverer -------------------------------------------------------------------

void BroadcastScenario::victim_begin() {
    (void)sys::self();
    g_wait_slice = 1h;  // no slice may hide a wake that is missing
    if (case_.operation) {
        const OpenOptions options{
            .role = case_.role, .waiting = Waiting::park, .latest = case_.latest};
        victim_.emplace(RawMailbox::attach(another(file()), options).value());
    }
    if (case_.beside) case_.beside(file());
    if (case_.begins) case_.begins(*victim_);
}

void BroadcastScenario::victim() {
    if (case_.operation) case_.operation(*victim_);
    if (case_.opens) case_.opens(file());
    outcome(Role::victim).code = 1;
}

void BroadcastScenario::wake() {
    if (outcome(Role::waker).code == 1) return;
    RawMailbox box = open(file(), ::stoa::Role::sends);
    case_.wakes(box);
    outcome(Role::waker).code = 1;
}

void BroadcastScenario::recover_begin(const Case&) {
    (void)sys::self();
}

// Opening sweeps the dead.
void BroadcastScenario::recover(const Case&) {
    come();
}

void BroadcastScenario::come(::stoa::Role role) {
    readers_.push_back({open(file(), role), Subscription{next_}});
}

// --- what the judge does ------------------------------------------------------------------------

std::uint32_t BroadcastScenario::logs_open() const {
    const std::uint32_t open = layout_at<MailboxLayout>(content(), 0)->lanes_open;
    STOA_CHECK(open <= kWatched);
    return open;
}

std::uint64_t BroadcastScenario::seat(std::uint32_t station) const {
    return this->station(station).seat & ~kLatest;
}

// Empty: its sender has not made it yet.
std::span<std::byte> BroadcastScenario::log(std::uint32_t lane) const {
    return door(lane).ready == 0 ? std::span<std::byte>{} : this->lane(lane);
}

std::string BroadcastScenario::read_logs_as_witness() {
    for (std::uint32_t k = 0; k < logs_open(); ++k) {
        if (log(k).empty()) continue;
        if (!witness_reads_.contains(k)) {
            Result<LogReader> reader = LogReader::resume(log(k), kWitness);
            if (!reader) return "a log does not know the witness";
            witness_reads_.emplace(k, std::move(*reader));
        }
        LogReader& reader = witness_reads_.at(k);
        std::array<std::byte, 64> room{};
        LogCopy copy;
        LogTake taken = LogTake::ok;
        for (int empty = 0; empty < 2;) {  // an empty look may have passed pads
            taken = reader.try_copy(room, copy);
            if (taken != LogTake::ok) ++empty;
            if (taken != LogTake::ok) continue;
            if (copy.missed != 0) return "the witness missed a message";
            const std::string text =
                witnessed_.note(read_payload(std::span{room}.first(copy.bytes)), plan());
            if (!text.empty()) return "to the witness " + text;
        }
        if (taken != LogTake::empty) return "a log is corrupt";
        if (const auto* word = reader.sleeper_to_wake()) sys::futex_wake(*word, 1);
    }
    return {};
}

std::string BroadcastScenario::read_as_witness() {
    if (!case_.has_witness) return {};
    return logged() ? read_logs_as_witness() : read_queue_as_witness();
}

std::string BroadcastScenario::read_queue_as_witness() {
    Queue queue{at(), kWitness, plan().grows() ? nullptr : &at().pool(kWitness), false};
    for (;;) {
        const Result<PoolLoan> loan = queue.receive(Deadline::immediately());
        if (!loan) return loan.error().code == Errc::empty ? "" : describe(loan.error());
        const std::uint64_t number = read_payload(at().pool(loan->station).room(*loan));
        const bool mine = plan().acknowledged ? at().ack(*loan) : at().release(*loan);
        if (!mine) return "the witness's message is not its own";
        const std::string text = witnessed_.note(number, plan());
        if (!text.empty()) return "to the witness " + text;
    }
}

std::string BroadcastScenario::drain() {
    std::string text = read_as_witness();
    for (Reader& reader : readers_) {
        if (!text.empty()) return text;
        Result<RawMessage> got = reader.handle.try_receive();
        for (; got && text.empty(); got = reader.handle.try_receive()) {
            text = reader.got.note(read_payload(got->bytes()), plan());
            if (!got->ack()) text = "a message of ours is not ours";
        }
        if (text.empty() && got.error().code != Errc::empty) text = describe(got.error());
    }
    return text;
}

bool BroadcastScenario::send_mine() {
    RawMailbox& box = readers_.front().handle;
    if (!box.try_send(message(next_), options_of(plan(), next_))) return false;
    sent_.insert(next_++);
    return true;
}

std::string BroadcastScenario::laps(bool may_be_held) {
    for (std::uint32_t k = 0; k < 3 * plan().capacity.messages; ++k) {
        std::string text = drain();
        if (!text.empty()) return text;
        if (send_mine()) continue;
        if (may_be_held) break;
        return "a survivor cannot send";
    }
    return drain();
}

// A stopped reliable subscriber holds senders back; nobody else does.
std::string BroadcastScenario::interfere(const Case& now) {
    if (readers_.empty()) come();
    if (look_for(readers_.front().handle, now.victim_pid) == Known::dead)
        return "a stopped process is taken for a dead one";
    const bool subscribes = has(case_.role, ::stoa::Role::receives);
    std::string text = laps(subscribes && !case_.latest);
    // The judge stands still from now on, and holds nobody back.
    if (text.empty() && sleeps()) readers_.clear();
    return text;
}

std::string BroadcastScenario::interfere_recovery(const Case& now) {
    recover_begin(now);
    come();
    std::string text = laps(true);
    if (text.empty()) come();  // who would get the dead one's place if it were given away too early
    return text.empty() ? laps(true) : text;
}

// --- in the end ---------------------------------------------------------------------------------

std::string BroadcastScenario::hear_victim(const Case& now) {
    if (!now.victim_dead && outcome(Role::victim).code != 1) return "the victim did not return";
    for (const auto& [deed, number, ended] : deeds_of(Role::waker)) {
        if (deed == Deed::sent) sent_.insert(number);
    }
    Subscription victims;
    std::map<std::uint64_t, std::uint64_t> last;  // by sender
    for (const auto& [deed, what, ended] : deeds_of(Role::victim)) {
        const std::uint64_t number = what & kNumber;
        if (deed == Deed::wrong) return "the victim got something wrong";
        if (deed == Deed::sent) sent_.insert(number);
        if (deed == Deed::failed) failed_.insert(number);
        if (deed != Deed::has) continue;
        std::string text = victims.note(number, plan());
        if (!text.empty()) return "to the victim " + text;
        if (!logged()) continue;
        std::uint64_t& before = last[number < kStageJudges ? number / 10 : 1];
        const std::uint64_t missed = what >> 32U;
        if (missed != 0 && !case_.latest) return "the victim missed a message";
        if (before != 0 && number != before + missed + 1) return "the victim counts wrongly";
        before = number;
    }
    return {};
}

std::string BroadcastScenario::everybody_got_all() const {
    for (std::uint64_t k = 0; case_.has_witness && k < prepared_; ++k) {
        if (!witnessed_.has(kStagePrepared + k)) return "a prepared message is lost";
    }
    for (const std::uint64_t number : sent_) {
        const std::string text = "message " + std::to_string(number);
        if (case_.has_witness && !witnessed_.has(number)) return text + " is lost";
        for (const Reader& reader : readers_) {
            if (number < kStageJudges || number < reader.got.first_due()) continue;
            if (!has(reader.handle.role(), ::stoa::Role::receives)) continue;
            if (!reader.got.has(number)) return text + " did not come to all";
        }
    }
    return {};
}

std::string BroadcastScenario::nothing_leaked_in_log(std::uint32_t lane) {
    Result<LogSeats> seats = LogSeats::open(log(lane));
    if (!seats) return describe(seats.error());
    for (std::uint32_t i = 0; i < seats->count(); ++i) {
        const std::uint64_t holder = seats->holder(i);
        if (holder != 0 && holder != seat(i)) return "a cursor is lost";
        if (holder == 0 && seat(i) != 0) return "a subscriber has no cursor";
    }
    const Result<LogCounts> counts = count_log(log(lane));
    if (!counts) return describe(counts.error());
    return counts->waiting == 0 ? "" : "a message waits, and nobody finds it";
}

std::string BroadcastScenario::nobody_has_what_failed() const {
    for (const std::uint64_t number : failed_) {
        bool came = witnessed_.has(number);
        for (const Reader& reader : readers_) came = came || reader.got.has(number);
        if (came) return "message " + std::to_string(number) + " came, but its send failed";
    }
    return {};
}

std::string BroadcastScenario::nothing_leaked_in_ring(std::uint32_t which) {
    PoolRing ring = this->ring(which);
    return is_whole(ring, at().index(), plan().grows());
}

// What is drained is given back, but for the last segment of each queue and what is pinned.
std::string BroadcastScenario::nothing_leaked_in_segments() {
    (void)at().look_around();
    const Participants& all = at().region().participants();
    for (std::uint32_t k = 0; k < plan().segment_count; ++k) {
        const std::uint64_t offset = plan().segments_offset + k * sizeof(MailboxSegment);
        const SegmentWord now =
            SegmentWord::of(layout_at<MailboxSegment>(content(), offset)->word.load());
        const auto* used = layout_at<Atomic<std::uint64_t>>(content(), plan().used_offset);
        const bool marked = (used[k / 64].load() >> k % 64 & 1U) != 0;
        const std::string text = "segment " + std::to_string(k);
        if (marked != (now.state != SegmentState::free)) return text + " is marked wrongly";
        if (now.state == SegmentState::free || (skipper_ && now.station == kSkipper)) continue;
        if (now.state != SegmentState::live) return text + " is left half-way";
        bool kept = (station(now.station).last & 0xffffU) == k;
        for (std::uint32_t i = 0; i < all.places(); ++i) {
            for (const Atomic<std::uint64_t>& pin : all.record(i).pins) {
                kept = kept || pin.load() == ((k + 1U) | now.generation << 16U);
            }
        }
        if (!kept) return text + " is not given back";
        if (std::string leaks = nothing_leaked_in_ring(k); !leaks.empty()) return leaks;
    }
    return {};
}

std::string BroadcastScenario::nothing_leaked() {
    std::uint32_t taken = 0;
    at().region().participants().for_each([&](const Participant&) { ++taken; });
    const std::size_t engines =
        1U + (witness_ ? 1U : 0U) + (sender_ ? 1U : 0U) + (skipper_ ? 1U : 0U);
    if (taken != engines + readers_.size()) return "a place is lost";
    std::uint32_t seats = 0;
    std::string text;
    for (std::uint32_t k = 0; k < kWatched && text.empty(); ++k) {
        if (seat(k) != 0) ++seats;
        if (!logged() && station(k).ready != 0) text = nothing_leaked_in_ring(k);
    }
    if (plan().grows()) text = nothing_leaked_in_segments();
    if (!text.empty()) return text;
    if (seats != readers_.size() + (witness_ ? 1U : 0U) + (skipper_ ? 1U : 0U)) {
        return "a seat is lost";
    }
    std::uint32_t senders = 0;
    for (std::uint32_t k = 0; logged() && k < logs_open(); ++k) {
        if (door(k).sender != 0) ++senders;
        if (!log(k).empty()) text = nothing_leaked_in_log(k);
        if (!text.empty()) return text;
    }
    return senders > readers_.size() + (sender_ ? 1 : 0) ? "a log is lost" : "";
}

std::string BroadcastScenario::verify(const Case& now) {
    if (readers_.empty()) come();
    at().sweep();  // a recoverer that went on has ended meanwhile
    std::string text = hear_victim(now);
    if (text.empty()) text = laps(false);
    // Whoever takes a station that was left empties its queue.
    const std::uint32_t open = layout_at<MailboxLayout>(content(), 0)->stations_open;
    for (std::uint32_t k = 0; k < std::min(open, kWatched); ++k) {
        if (seat(k) == 0) come(::stoa::Role::receives);
    }
    if (text.empty()) text = laps(false);
    if (text.empty()) text = everybody_got_all();
    if (text.empty()) text = nobody_has_what_failed();
    return text.empty() ? nothing_leaked() : text;
}

}  // namespace stoa::crash
