#include "tests/crash/scenarios/mailbox_scenario.hpp"

#include "stoa/base/check.hpp"

namespace stoa::crash {

using namespace std::chrono_literals;

void MailboxScenario::victim_begin() {
    (void)sys::self();
    g_wait_slice = 1h;  // no slice may hide a wake that is missing
    if (case_.operation) victim_.emplace(open(file(), case_.role));
    if (!case_.batch) return;
    const OpenOptions options{.role = case_.role, .waiting = Waiting::park};
    typed_.emplace(Mailbox<Value>::attach(another(file()), options).value());
}

void MailboxScenario::prepare() {
    keep(RawMailbox::create_anonymous(
             {.capacity = bounded(case_.capacity),
              .sharing = case_.sharing,
              .acknowledged = case_.acknowledged,
              .max_bytes = 48,
              .reserve_bytes =
                  case_.sharing == Sharing::any || case_.acknowledged ? 1U << 14U : 512U,
              .loan_quota = 2,
              .role = ::stoa::Role::none},
             case_.batch ? type_info_of<Value>() : TypeInfo{})
             .value());
    if (case_.prepared > 0) {
        std::vector<RawMailbox> sides;  // the victim, who opens it next, gets seat 0 of a pair
        sides.push_back(open(file()));
        if (pair()) sides.push_back(open(file()));
        for (std::uint64_t k = 0; k < case_.prepared; ++k) {
            STOA_CHECK(send(case_.from_peer ? sides.back() : sides.front(), kPreparedNumber + k));
        }
    }
    if (case_.prepare) case_.prepare(file());
    while (crowd_.size() < case_.crowd) crowd_.push_back(open(file(), ::stoa::Role::none));
    if (case_.watched) {
        set_.emplace(WaitSet::create().value());
        STOA_CHECK(set_->add(crowd_.front().readable()));
        crowd_.front().attachment().arm_readable();
        crowd_.front().attachment().arm_writable();
    }
    prepared_ = look();
}

// Not the whole address space of it, which has room for thousands.
std::vector<std::span<std::byte>> MailboxScenario::shared() {
    std::vector<std::span<std::byte>> areas{table()};
    if (plan().pool_count > 0) {
        areas.push_back(content());
    } else {
        areas.push_back(content().first(plan().door_offset(kLanesWatched)));
        const std::uint64_t lanes = std::min(kLanesWatched, plan().lane_count);
        areas.push_back(content().subspan(plan().lanes_offset, lanes * plan().lane_stride));
    }
    return areas;
}

void MailboxScenario::wake() {
    Outcome& waker = outcome(Role::waker);
    if (waker.code == 1) return;
    RawMailbox box = open(file());
    if (case_.wakes_by_taking) {
        Result<RawMessage> got = box.try_receive();
        if (got) waker.values[2] = read_payload(got->bytes());
        if (got) STOA_CHECK(got->ack().has_value());
    } else {
        waker.values[1] = send(box, kWakersNumber) ? 1 : 0;
    }
    waker.code = 1;
}

WaitingMessages MailboxScenario::look() const {
    WaitingMessages all;
    const auto add = [&](const WaitingMessages& some) {
        all.numbers.insert(some.numbers.begin(), some.numbers.end());
        all.delivered_before.insert(some.delivered_before.begin(), some.delivered_before.end());
    };
    for (std::uint32_t k = 0; k < plan().pool_count; ++k) {
        add(waiting_in_pool(plan().pool_of(content(), k), plan().pool));
    }
    for (std::uint32_t k = 0; k < std::min(plan().lane_count, kLanesWatched); ++k) {
        if (door(k).ready == 0) continue;
        add(waiting_in_lane(lane(k)));
    }
    return all;
}

// With the victim dead the bytes decide; while it lives, what it says in the end.
void MailboxScenario::what_must_come(const Case& now) {
    knows_ = true;
    const WaitingMessages waits = now.victim_dead ? look() : prepared_;
    delivered_before_ = waits.delivered_before;
    for (std::uint64_t k = 0; k < case_.prepared; ++k) ledger_.must_not(kPreparedNumber + k);
    for (const std::uint64_t number : waits.numbers) ledger_.must(number);
}

void MailboxScenario::open_all() {
    if (handles_.empty()) handles_.push_back(open(file()));
    if (!pair() || handles_.size() == 2) return;
    Result<RawMailbox> other = RawMailbox::attach(another(file()), {.waiting = Waiting::park});
    if (other) handles_.push_back(std::move(*other));  // else the victim has that seat
}

std::string MailboxScenario::drain() {
    for (RawMailbox& box : handles_) {
        Result<RawMessage> got = box.try_receive();
        for (; got; got = box.try_receive()) {
            const std::uint64_t number = read_payload(got->bytes());
            if (number == 0) return "a torn message";
            if (delivered_before_.contains(number) && got->earlier_deliveries() == 0) {
                return "an earlier delivery is not counted";
            }
            ledger_.got(number);
            if (number >= kVictimsNumber && number < kVictimsNumber + kBatch) {
                if (number <= victims_last_) return "the victim's messages come in another order";
                victims_last_ = number;
            }
            if (!got->ack()) return "a message of ours is not ours";
        }
        const Errc code = got.error().code;
        if (code != Errc::empty && code != Errc::bad_argument) return describe(got.error());
    }
    return {};
}

std::string MailboxScenario::laps() {
    for (std::uint32_t k = 0; k < 3 * plan().capacity.messages; ++k) {
        std::string text = drain();
        if (!text.empty()) return text;
        if (send_mine()) continue;
        // Full, and the receiving role, or the other seat of a pair, is held by a live one that is
        // stopped: nobody may empty it.
        if (!has(handles_.front().role(), ::stoa::Role::receives)) break;
        if (pair() && handles_.size() < 2) break;
        return "a survivor cannot send";
    }
    return drain();
}

std::string MailboxScenario::interfere(const Case& now) {
    what_must_come(now);
    open_all();
    const bool has_place = !case_.opens;
    const Known victim = look_for(handles_.front(), now.victim_pid);
    if (has_place && victim != Known::alive) return "a stopped process is taken for a dead one";
    if (case_.sharing == Sharing::any) {
        const std::string text = laps();
        if (!text.empty()) return text;
    }
    while (send_mine()) {  // until it is full
    }
    // One that waits for room gets it.
    return case_.sleeps && case_.wakes_by_taking ? drain() : std::string{};
}

// New handles, which would get the dead one's place if it were given away too early.
void MailboxScenario::hold_things() {
    if (pair()) return;
    for (int k = 0; k < 2; ++k) {
        heirs_.push_back(
            open(file(), case_.sharing == Sharing::any ? ::stoa::Role::both : ::stoa::Role::sends));
        Result<RawLoan> loan = heirs_.back().loan(kBytes, Deadline::immediately());
        if (!loan) continue;
        write_payload(loan->room().first(kBytes), next_);
        ledger_.must(next_++);
        heirs_loans_.push_back(std::move(*loan));
    }
    if (case_.sharing != Sharing::any || !send_mine()) return;
    Result<RawMessage> got = heirs_.front().try_receive();
    if (got) heirs_messages_.push_back(std::move(*got));
}

std::string MailboxScenario::let_go() {
    for (RawMessage& got : heirs_messages_) {
        const std::uint64_t number = read_payload(got.bytes());
        if (number == 0) return "a message that an heir holds was torn";
        ledger_.got(number);
        if (!got.ack()) return "a message that an heir held was taken away";
    }
    for (RawLoan& loan : heirs_loans_) {
        std::string text = drain();
        if (!text.empty()) return text;
        if (!loan.commit(kBytes, Deadline::immediately())) return "an heir's loan was taken away";
    }
    heirs_messages_.clear();
    heirs_loans_.clear();
    heirs_.clear();
    return {};
}

// Opening sweeps the dead. Both seats of a pair may be taken meanwhile by those who did not stop.
void MailboxScenario::recover(const Case&) {
    Result<RawMailbox> box = RawMailbox::attach(another(file()), {.waiting = Waiting::park});
    STOA_CHECK(box || (pair() && box.error().code == Errc::in_use));
    if (box) handles_.push_back(std::move(*box));
}

std::string MailboxScenario::interfere_recovery(const Case& now) {
    recover_begin(now);
    open_all();
    std::string text = laps();
    if (text.empty()) hold_things();
    return text;
}

std::string MailboxScenario::nothing_leaked() {
    std::uint32_t taken = 0;
    handles_.front().attachment().region().participants().for_each(
        [&](const Participant&) { ++taken; });
    if (taken != 1 + crowd_.size() + handles_.size()) return "a place is lost";
    for (std::uint32_t k = 0; k < plan().pool_count; ++k) {
        PoolRing ring = this->ring(k);
        const std::uint32_t me = handles_.front().attachment().index();
        if (std::string text = is_whole(ring, me, false); !text.empty()) return text;
    }
    std::uint32_t senders = 0;
    for (std::uint32_t k = 0; !pair() && k < std::min(plan().lane_count, kLanesWatched); ++k) {
        if (door(k).sender != 0) ++senders;
    }
    return senders > handles_.size() ? "a lane is lost" : "";
}

// What it says it sent and received, against the bytes if it is dead.
std::string MailboxScenario::hear_victim(const Case& now) {
    const Outcome& victim = outcome(Role::victim);
    if (victim.values[3] != 0) return "the victim got something wrong";
    if (!now.victim_dead && victim.code != 1) return "the victim did not return";
    for (std::uint64_t k = 0; k < kBatch; ++k) {
        const std::uint64_t number = kVictimsNumber + k;
        const bool sent = k < victim.values[1];
        if (!now.victim_dead && sent) ledger_.must(number);
        if (now.victim_dead && sent && !ledger_.expects(number)) return "a sent message is lost";
        if (k > 0 && ledger_.expects(number) && !ledger_.expects(number - 1)) {
            return "a message of a batch came before the one in front of it";
        }
    }
    for (const std::size_t at : kReceived) {
        const std::uint64_t number = victim.values[at];
        if (number == 0) continue;
        if (!now.victim_dead) ledger_.got(number);
        if (now.victim_dead && !case_.acknowledged && ledger_.expects(number)) {
            return "a received message comes again";
        }
    }
    if (!now.victim_dead && outcome(Role::waker).values[1] != 0) ledger_.must(kWakersNumber);
    return {};
}

std::string MailboxScenario::verify(const Case& now) {
    if (!knows_) what_must_come(now);
    std::string text = hear_victim(now);
    if (!text.empty()) return text;
    if (const std::uint64_t taken = outcome(Role::waker).values[2]) {
        if (!now.victim_dead) ledger_.got(taken);
    }
    handles_.clear();  // a handle that was opened beside the victim may have less than it could
    open_all();
    text = let_go();
    if (!text.empty()) return text;
    if (pair() && handles_.size() != 2) return "a seat is lost";
    const auto* layout = layout_at<MailboxLayout>(content(), 0);
    if (case_.adopts && now.mode == Mode::none && layout->lanes_open != 1) {
        return "an orphaned lane was not adopted";
    }
    text = laps();
    if (text.empty()) text = nothing_leaked();
    return text.empty() ? ledger_.balance() : text;
}

}  // namespace stoa::crash
