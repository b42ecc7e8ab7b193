#include "tests/crash/scenarios/stage_scenario.hpp"

#include <unistd.h>

#include "stoa/base/check.hpp"
#include "stoa/mailbox/attachment.hpp"

namespace stoa::crash {

using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kWatched = 4;  // stations, and lanes
constexpr std::uint64_t kMostDeeds = 24;

struct Deeds {
    Atomic<std::uint64_t> count;
    struct One {
        Atomic<std::uint64_t> what;
        Atomic<std::uint64_t> number;
    };
    One all[kMostDeeds];
};
static_assert(sizeof(Deeds) <= sizeof(Outcome::bytes));

Deeds& noted(Role who) {
    return *reinterpret_cast<Deeds*>(outcome(who).bytes.data());
}

}  // namespace

void did(Role who, Deed deed, std::uint64_t number, ::stoa::Outcome outcome) {
    Deeds& deeds = noted(who);
    const std::uint64_t at = deeds.count.load();
    STOA_CHECK(at < kMostDeeds);
    deeds.all[at].number.store(number);
    deeds.all[at].what.store(static_cast<std::uint64_t>(deed) | static_cast<std::uint64_t>(outcome)
                                                                    << 8U);
    deeds.count.store(at + 1);
}

std::vector<Done> deeds_of(Role who) {
    const Deeds& deeds = noted(who);
    std::vector<Done> all;
    for (std::uint64_t k = 0; k < deeds.count.load(); ++k) {
        const std::uint64_t what = deeds.all[k].what.load();
        all.push_back({.deed = static_cast<Deed>(what & 0xffU),
                       .number = deeds.all[k].number.load(),
                       .outcome = static_cast<::stoa::Outcome>(what >> 8U)});
    }
    return all;
}

SendOptions options_of(const MailboxPlan& plan, std::uint64_t number) {
    return {.priority = static_cast<std::uint32_t>(number % plan.priorities), .key = number};
}

bool send_one(Role who, RawMailbox& box, std::uint64_t number, Deadline deadline) {
    const Result<void> sent =
        box.send_with(message(number), deadline, options_of(box.plan(), number));
    if (sent) did(who, Deed::sent, number);
    return sent.has_value();
}

bool receive_one(Role who, RawMailbox& box, Deadline deadline) {
    Result<RawMessage> got = box.receive_with(deadline);
    if (!got) return false;
    const std::uint64_t number = read_payload(got->bytes());
    const bool good = number != 0 && got->ack().has_value();
    did(who, good ? Deed::has : Deed::wrong, number);
    return true;
}

// --- what is prepared ---------------------------------------------------------------------------

StageScenario::~StageScenario() {
    asker_.reset();
    end_keeping();
    if (folder_.empty()) return;
    (void)RawMailbox::destroy("m", folder_);
    (void)::rmdir(folder_.c_str());
}

void StageScenario::prepare() {
    MailboxOptions options = case_.options;
    options.max_bytes = 48;
    options.loan_quota = 2;
    options.role = ::stoa::Role::none;
    if (options.reserve_bytes == MailboxOptions{}.reserve_bytes) options.reserve_bytes = 512;
    if (case_.of_letters) {  // found by its name
        folder_ = "/dev/shm/stoa-stage-XXXXXX";
        STOA_CHECK(::mkdtemp(folder_.data()) != nullptr);
        options.domain = folder_;
        keep(RawMailbox::create("m", options).value());
    } else {
        keep(RawMailbox::create_anonymous(options).value());
    }
    if (case_.prepare) case_.prepare(*this);
    prepared_ = look();
}

RawMailbox& StageScenario::asker() {
    if (!asker_) asker_.emplace(open(file(), ::stoa::Role::sends));
    return *asker_;
}

void StageScenario::send_prepared(std::uint64_t count) {
    for (std::uint64_t k = 0; k < count; ++k) {
        const std::uint64_t number = kStagePrepared + all_prepared_.size();
        STOA_CHECK(asker().try_send(message(number), options_of(plan(), number)).has_value());
        all_prepared_.insert(number);
    }
}

void StageScenario::ask_prepared(std::uint64_t count, std::chrono::nanoseconds time_to_live) {
    for (std::uint64_t k = 0; k < count; ++k) {
        const std::uint64_t number = kStagePrepared + all_prepared_.size();
        SendOptions options = options_of(plan(), number);
        options.time_to_live = time_to_live;
        const Result<PoolTicket> ticket = asker().attachment().send_with_receipt(
            message(number), options, Deadline::immediately());
        STOA_CHECK(ticket.has_value());
        tickets_[number] = *ticket;
        all_prepared_.insert(number);
    }
}

std::uint32_t StageScenario::stations_watched() const {
    return std::min(kWatched, plan().station_count);
}

// Not the whole address space of it, which has room for 64 receivers.
std::vector<std::span<std::byte>> StageScenario::shared() {
    std::vector<std::span<std::byte>> areas{table()};
    if (plan().pool_count > 0 && !routed()) {
        areas.push_back(content());
    } else if (plan().pool_count > 0) {
        const std::uint32_t count = plan().grows() ? plan().segment_count : stations_watched();
        areas.push_back(content().first(plan().pool_offset(count)));
        areas.push_back(content().subspan(plan().extras_offset, count * plan().pool.extra_bytes));
    } else {
        areas.push_back(content().first(plan().door_offset(kWatched)));
        if (plan().keys_offset != 0) {
            areas.push_back(content().subspan(plan().keys_offset, kKeyBuckets * 8));
        }
        areas.push_back(content().subspan(plan().lanes_offset, kWatched * plan().lane_stride));
    }
    return areas;
}

// --- victim, waker, recoverer -------------------------------------------------------------------

void StageScenario::victim_begin() {
    (void)sys::self();
    g_wait_slice = 1h;  // no slice may hide a wake that is missing
    if (case_.of_letters) {
        const OpenOptions options{
            .role = ::stoa::Role::receives, .waiting = Waiting::park, .domain = folder_};
        victim_.emplace(RawMailbox::open("m.dead", options).value());
    } else if (case_.operation) {
        const std::function<void()> end = case_.around ? case_.around(file()) : [] {};
        victim_.emplace(open(file(), case_.role, case_.stands_by));
        end();
    }
    if (case_.beside) case_.beside(file());
}

void StageScenario::victim() {
    if (case_.operation) case_.operation(*victim_);
    if (case_.opens) case_.opens(file());
    outcome(Role::victim).code = 1;
}

void StageScenario::wake() {
    if (outcome(Role::waker).code == 1) return;
    RawMailbox box = open(file(), case_.stands_by ? ::stoa::Role::sends : ::stoa::Role::both);
    case_.wakes(box);
    outcome(Role::waker).code = 1;
}

void StageScenario::recover_begin(const Case& now) {
    (void)sys::self();
    if (now.me == Role::judge) what_must_come(now);
}

// Opening sweeps the dead.
void StageScenario::recover(const Case&) {
    handles_.push_back(open(file()));
    last_.clear();
}

// --- what the judge knows -----------------------------------------------------------------------

// The pool rings that there are: of stations, or of segments.
std::vector<std::uint32_t> StageScenario::rings() const {
    std::vector<std::uint32_t> all;
    for (std::uint32_t k = 0; k < plan().segment_count; ++k) {
        const SegmentState state = segment(k).state;
        if (state == SegmentState::live || state == SegmentState::leaving) all.push_back(k);
    }
    for (std::uint32_t k = 0; !plan().grows() && k < plan().pool_count && k < kWatched; ++k) {
        if (station(k).ready != 0) all.push_back(k);
    }
    return all;
}

SegmentWord StageScenario::segment(std::uint32_t slot) const {
    const std::uint64_t offset = plan().segments_offset + slot * sizeof(MailboxSegment);
    return SegmentWord::of(layout_at<MailboxSegment>(content(), offset)->word.load());
}

WaitingMessages StageScenario::look() const {
    WaitingMessages all;
    const auto add = [&](const WaitingMessages& some) {
        all.numbers.insert(some.numbers.begin(), some.numbers.end());
        all.letters.insert(some.letters.begin(), some.letters.end());
        for (const std::uint64_t number : some.delivered_before) {
            if (!some.letters.contains(number)) all.delivered_before.insert(number);
        }
    };
    for (const std::uint32_t ring : rings()) {
        add(waiting_in_pool(plan().pool_of(content(), ring), plan().pool));
    }
    for (std::uint32_t k = 0; k < std::min(plan().lane_count, kWatched); ++k) {
        if (door(k).ready == 0) continue;
        add(waiting_in_lane(lane(k), door(k).end_position()));
    }
    return all;
}

// With the victim dead the bytes decide; while it lives, what it says in the end.
void StageScenario::what_must_come(const Case& now) {
    knows_ = true;
    const WaitingMessages waits = now.victim_dead ? look() : prepared_;
    delivered_before_ = waits.delivered_before;
    for (const std::uint64_t number : all_prepared_) ledger_.must_not(number);
    for (const std::uint64_t number : waits.numbers) {
        const bool gone = case_.expires && !plan().keep_expired;
        gone ? ledger_.must_not(number) : ledger_.must(number);
    }
}

void StageScenario::open_all(::stoa::Role role) {
    if (!handles_.empty()) return;
    handles_.push_back(open(file(), role));
    last_.clear();
}

bool StageScenario::seat_is_held() const {
    return station(0).seat != 0;
}

bool StageScenario::others_got(std::uint64_t number) const {
    return got_.contains(number) || waker_has_.contains(number);
}

// --- what the judge does ------------------------------------------------------------------------

std::string StageScenario::note_message(RawMessage& got) {
    const std::uint64_t number = read_payload(got.bytes());
    if (number == 0) return "a torn message";
    if (delivered_before_.contains(number) && got.earlier_deliveries() == 0) {
        return "an earlier delivery is not counted";
    }
    const bool expired = case_.expires && number < kStageJudges;
    if (expired && !told_taken_.contains(number)) return "an expired message was delivered";
    if (!got.redelivered()) {
        std::uint64_t& before =
            last_[number / (number < kStageJudges ? 10 : 1000) * 100 + number % plan().priorities];
        if (number <= before) return "message " + std::to_string(number) + " comes out of order";
        before = number;
    }
    if (!got.ack()) return "a message of ours is not ours";
    ledger_.got(number);
    ++got_[number];
    return {};
}

std::string StageScenario::drain() {
    for (RawMailbox& box : handles_) {
        Result<RawMessage> got = box.try_receive();
        for (; got; got = box.try_receive()) {
            std::string text = note_message(*got);
            if (!text.empty()) return text;
        }
        const Errc code = got.error().code;
        const bool end = code == Errc::end_of_stream && (case_.closed || case_.closes);
        if (code != Errc::empty && code != Errc::bad_argument && !end) {
            return describe(got.error());
        }
    }
    return {};
}

std::string StageScenario::drain_letters() {
    Attachment& at = handles_.front().attachment();
    for (const std::uint32_t k : rings()) {
        if (plan().grows() || plan().pool.dead_letter_quota == 0) continue;
        for (;;) {
            const Result<PoolLoan> letter = at.pool(k).receive_dead_letter(Deadline::immediately());
            if (!letter) break;
            const std::uint64_t number = read_payload(at.pool(k).room(*letter));
            if (number == 0) return "a torn dead letter";
            if (!at.pool(k).ack(*letter)) return "a dead letter of ours is not ours";
            ledger_.got(number);
            ++letters_[number];
        }
    }
    return {};
}

// Closes it; what was sent must come, and then the end.
std::string StageScenario::drain_to_the_end(bool may_wait) {
    if (!handles_.front().close()) return "it cannot be closed";
    for (int turn = 0; turn < 1000; ++turn) {
        Result<RawMessage> got = handles_.front().try_receive();
        if (!got && got.error().code == Errc::end_of_stream) return {};
        if (!got && got.error().code != Errc::empty) return describe(got.error());
        std::string text = got ? note_message(*got) : std::string{};
        if (!text.empty()) return text;
    }
    return may_wait ? "" : "the end does not come";
}

bool StageScenario::send_mine() {
    RawMailbox& box = handles_.front();
    if (!box.try_send(message(next_), options_of(plan(), next_))) return false;
    drops() ? ledger_.may(next_) : ledger_.must(next_);
    ++next_;
    return true;
}

std::string StageScenario::laps() {
    if (case_.closes || case_.closed || rendezvous()) return drain();
    for (std::uint32_t k = 0; k < 3 * plan().capacity.messages; ++k) {
        std::string text = drain();
        if (!text.empty()) return text;
        if (send_mine()) continue;
        if (plan().sharing == Sharing::key_affine) {
            ++next_;  // a key of one that is stopped
            continue;
        }
        if (!has(handles_.front().role(), ::stoa::Role::receives)) break;
        if (plan().by_turns && seat_is_held()) break;  // it is the turn of one that is stopped
        return "a survivor cannot send";
    }
    return drain();
}

std::string StageScenario::interfere(const Case& now) {
    what_must_come(now);
    open_all(case_.others);
    if (look_for(judge(), now.victim_pid) == Known::dead)
        return "a stopped process is taken for a dead one";
    if (case_.meanwhile) case_.meanwhile(*this);
    if (case_.only_opens) return {};
    // The victim's leases may still come back, and what was routed to it.
    const bool may_wait = plan().acknowledged || (routed() && case_.closed);
    std::string text = case_.closes ? drain_to_the_end(may_wait) : laps();
    if (!text.empty()) return text;
    for (const auto& [number, ticket] : tickets_) {  // finishes what the victim left undone
        PoolEngine& engine = handles_.front().attachment().pool(ticket.station);
        const Result<Answer> answer = engine.answer(ticket, Deadline::immediately());
        if (!answer || answer->outcome != ::stoa::Outcome::taken) continue;
        told_taken_.insert(number);  // so it is, also when its time is over
        ledger_.must(number);
    }
    const bool fills = drops() || case_.awaits_message;
    for (std::uint32_t k = 0; fills && k < plan().capacity.messages; ++k) (void)send_mine();
    return {};
}

// As a sender that looked at the mailbox before it was closed, and went on later.
void StageScenario::send_late() {
    Attachment& at = handles_.front().attachment();
    if (at.send(message(next_), {}, Deadline::immediately())) ledger_.must(next_++);
}

std::string StageScenario::take_back(std::uint64_t number) {
    const PoolTicket& ticket = tickets_.at(number);
    PoolEngine& engine = handles_.front().attachment().pool(ticket.station);
    const Result<Answer> answer = engine.withdraw(ticket);
    return answer ? std::string{} : describe(answer.error());
}

// New handles, which would get the dead one's place if it were given away too early, and what they
// send gets the dead one's memory.
void StageScenario::hold_things() {
    heirs_.push_back(open(file(), ::stoa::Role::sends));
    Result<RawLoan> loan = heirs_.back().loan(kBytes, Deadline::immediately());
    if (loan) {
        write_payload(loan->room().first(kBytes), kStageHeirs);
        heirs_loans_.push_back(std::move(*loan));
    }
    if (plan().pool_count == 0 || rendezvous()) return;
    Result<Receipt> receipt = heirs_.back().send_with_receipt(
        message(kStageAskers), options_of(plan(), kStageAskers), Deadline::immediately());
    if (!receipt) return;
    ledger_.must(kStageAskers);
    receipts_.push_back(std::move(*receipt));
}

std::string StageScenario::let_go() {
    for (Receipt& receipt : receipts_) {
        if (receipt.try_wait()) return "a receipt ended before its message was taken";
    }
    std::string text = drain();
    if (!text.empty()) return text;
    for (Receipt& receipt : receipts_) {
        const Result<Answer> answer = receipt.try_wait();
        if (!answer) return "a receipt does not end";
        const bool good = answer->outcome ==
                          (plan().acknowledged ? ::stoa::Outcome::acked : ::stoa::Outcome::taken);
        if (!good) return "a receipt ended wrongly";
    }
    for (RawLoan& loan : heirs_loans_) {
        if (rendezvous()) {
            loan.abandon();
            continue;
        }
        ledger_.must(kStageHeirs);
        if (!loan.commit(kBytes, Deadline::immediately())) return "an heir's loan was taken away";
    }
    receipts_.clear();
    heirs_loans_.clear();
    heirs_.clear();
    return drain();
}

std::string StageScenario::interfere_recovery(const Case& now) {
    recover_begin(now);
    open_all();
    std::string text = laps();
    if (text.empty() && !case_.closed && !case_.closes && !drops()) hold_things();
    return text;
}

// --- what the victim says -----------------------------------------------------------------------

std::string StageScenario::hear(Role who, const Case& now) {
    for (const auto& [deed, number, ended] : deeds_of(who)) {
        if (who == Role::victim) {
            std::string text = hear_victim(deed, number, ended, now);
            if (!text.empty()) return text;
        } else if (deed == Deed::wrong) {
            return "the waker got something wrong";
        } else if (deed == Deed::has) {
            waker_has_.insert(number);
            if (!now.victim_dead) ledger_.got(number);
        } else if (deed == Deed::sent && !now.victim_dead) {
            ledger_.must(number);
        }
    }
    return {};
}

std::string StageScenario::hear_victim(Deed deed, std::uint64_t number, ::stoa::Outcome outcome,
                                       const Case& now) {
    const std::string text = "message " + std::to_string(number);
    const bool dead = now.victim_dead;
    switch (deed) {
        case Deed::none:
        case Deed::failed: break;
        case Deed::wrong: return "the victim got something wrong";
        case Deed::sent:
            if (!dead) drops() ? ledger_.may(number) : ledger_.must(number);
            if (dead && !case_.expires) must_be_there_.insert(number);
            break;
        case Deed::regrets: must_be_there_.erase(number); break;
        case Deed::has:
            victim_has_.insert(number);
            if (!dead) ledger_.got(number);
            if (dead && ledger_.expects(number)) return text + " was received and comes again";
            must_be_there_.erase(number);
            break;
        case Deed::not_met:
            if (dead && ledger_.expects(number)) return text + " was taken back and comes";
            if (!dead) ledger_.must_not(number);
            break;
        case Deed::told:
            if (outcome == ::stoa::Outcome::pending) break;
            must_be_there_.erase(number);
            const bool got = outcome == ::stoa::Outcome::taken || outcome == ::stoa::Outcome::acked;
            if (!got && dead && ledger_.expects(number)) return text + " was not taken and comes";
            if (!got && !dead) ledger_.must_not(number);
            if (got && !dead && !others_got(number)) return text + " was taken by nobody";
            break;
    }
    return {};
}

// Each receipt of the asker has ended, and fits.
std::string StageScenario::answers(const Case& now) {
    for (const auto& [number, ticket] : tickets_) {
        PoolEngine& engine = handles_.front().attachment().pool(ticket.station);
        const Result<Answer> answer = engine.answer(ticket, Deadline::immediately());
        std::string text = answer ? fits(number, *answer, now) : "it does not end";
        if (!text.empty()) return "the receipt of message " + std::to_string(number) + ": " + text;
    }
    return {};
}

std::string StageScenario::fits(std::uint64_t number, const Answer& answer, const Case& now) {
    const bool mine = got_.contains(number);
    const bool letter = letters_.contains(number);
    const bool by_victim = answer.pid == static_cast<std::uint32_t>(now.victim_pid);
    switch (answer.outcome) {
        case ::stoa::Outcome::taken:
        case ::stoa::Outcome::acked: {
            if (answer.pid == static_cast<std::uint32_t>(::getpid())) {
                return mine || letter ? "" : "it says that we took it";
            }
            const bool final = answer.outcome == ::stoa::Outcome::acked || !plan().acknowledged;
            if ((mine || letter) && final) return "it says that another one took it";
            if (!now.victim_dead && by_victim && !victim_has_.contains(number)) {
                return "it says that the victim took it";
            }
            return {};
        }
        case ::stoa::Outcome::expired:
            if (!case_.expires || mine) return "it says that it expired";
            return {};
        case ::stoa::Outcome::withdrawn:
            ledger_.must_not(number);
            return mine || letter ? "it says that it was withdrawn" : "";
        case ::stoa::Outcome::dropped:
            ledger_.must_not(number);
            return mine || !drops() ? "it says that it was dropped" : "";
        case ::stoa::Outcome::receiver_died:
            // Acknowledged: else another one gets it, or it was acked.
            return mine || !now.victim_dead || (plan().acknowledged && !letter)
                       ? "it says that its receiver died"
                       : "";
        case ::stoa::Outcome::dead_letter:
            return letter || prepared_.letters.contains(number) ? ""
                                                                : "it says it is a dead letter";
        default: return "it has no outcome";
    }
}

// --- in the end ---------------------------------------------------------------------------------

std::string StageScenario::nothing_leaked_in(std::uint32_t station) {
    PoolRing ring = this->ring(station);
    const std::uint32_t me = handles_.front().attachment().index();
    std::string text = is_whole(ring, me, case_.closed || case_.closes || plan().grows());
    if (!text.empty() || !ring.has_extras()) return text;
    std::vector<ReceiptRef> refs;
    ReceiptRef ref;
    while (ring.claim_receipt(me, ref)) refs.push_back(ref);
    for (const ReceiptRef& each : refs) ring.free_receipt(each);
    std::size_t open = 0;
    for (const auto& [number, ticket] : tickets_) open += ticket.station == station ? 1 : 0;
    return refs.size() + open == ring.geometry().receipt_count ? "" : "a receipt is lost";
}

// What is drained is given back, but for the last segment of each queue, and those with receipts.
std::string StageScenario::no_segment_leaked() {
    std::set<std::uint32_t> last;
    for (std::uint32_t k = 0; k < plan().station_count; ++k) {
        const std::uint64_t word = station(k).last;
        if (word != 0) last.insert(static_cast<std::uint32_t>(word & 0xffffU));
    }
    for (const auto& [number, ticket] : tickets_) last.insert(ticket.station);
    for (std::uint32_t k = 0; k < plan().segment_count; ++k) {
        const auto* used = layout_at<Atomic<std::uint64_t>>(content(), plan().used_offset);
        const bool marked = (used[k / 64].load() >> k % 64 & 1U) != 0;
        const SegmentState state = segment(k).state;
        const SegmentState wanted = last.contains(k) ? SegmentState::live : SegmentState::free;
        if (state != wanted || marked != last.contains(k)) {
            return "segment " + std::to_string(k) + " is left in state " +
                   std::to_string(static_cast<int>(state));
        }
    }
    return {};
}

std::string StageScenario::nothing_leaked() {
    if (plan().grows()) (void)handles_.front().attachment().look_around();
    std::uint32_t taken = 0;
    handles_.front().attachment().region().participants().for_each(
        [&](const Participant&) { ++taken; });
    if (taken != 1 + (asker_ ? 1 : 0) + handles_.size()) return "a place is lost";
    std::uint32_t seats = 0;
    for (std::uint32_t k = 0; k < stations_watched(); ++k) {
        if (station(k).seat != 0) ++seats;
        if ((station(k).seat & kHandingOver) != 0) return "a seat is marked for ever";
    }
    for (const std::uint32_t ring : rings()) {
        std::string text = nothing_leaked_in(ring);
        if (!text.empty()) return text;
    }
    if (plan().grows()) {
        std::string text = no_segment_leaked();
        if (!text.empty()) return text;
    }
    const std::size_t most_seats = plan().by_turns ? 0 : handles_.size();
    if ((routed() || has_one_receiver()) && seats > most_seats) return "a seat is lost";
    std::uint32_t senders = 0;
    for (std::uint32_t k = 0; k < std::min(plan().lane_count, kWatched); ++k) {
        if (door(k).sender != 0) ++senders;
    }
    const std::size_t most = (handles_.size() + (asker_ ? 1 : 0)) * (routed() ? kWatched : 1);
    return senders > most ? "a lane is lost" : "";
}

// Whatever waits was found by a receiver that only looked, before anybody sent anything more.
std::string StageScenario::nothing_hidden() const {
    const WaitingMessages waits = look();
    for (const std::uint64_t number : waits.numbers) {
        if (waits.letters.contains(number)) continue;
        return "message " + std::to_string(number) + " waits, and nobody finds it";
    }
    return {};
}

std::string StageScenario::verify(const Case& now) {
    if (!knows_) what_must_come(now);
    if (!now.victim_dead && outcome(Role::victim).code != 1) return "the victim did not return";
    std::string text = hear(Role::waker, now);
    if (!handles_.empty() && !has(handles_.front().role(), ::stoa::Role::receives)) {
        handles_.clear();  // opened beside the victim, it has less than it could
    }
    open_all();
    handles_.front().attachment().sweep();  // a recoverer that went on has ended meanwhile
    if (text.empty()) text = let_go();
    if (text.empty()) text = nothing_hidden();
    if (text.empty()) text = hear(Role::victim, now);
    for (const std::uint64_t number : must_be_there_) {
        if (ledger_.expects(number) || waker_has_.contains(number)) continue;
        if (text.empty()) text = "message " + std::to_string(number) + " was sent and is lost";
    }
    if (text.empty()) text = laps();
    if (text.empty() && case_.closes) text = drain_to_the_end(false);
    if (text.empty()) text = drain_letters();
    if (text.empty()) text = answers(now);
    if (text.empty()) text = laps();
    if (text.empty()) text = nothing_leaked();
    return text.empty() ? ledger_.balance() : text;
}

}  // namespace stoa::crash
