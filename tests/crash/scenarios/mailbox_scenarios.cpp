// The mailbox: what a user calls, with real participants whose death is proven by the kernel.
//
// The mailbox lies in a memfd that the engine maps too, so that its bytes can be put back. Recovery
// is what any survivor does: open a handle, which sweeps the dead. The judge knows from the bytes
// what must come (look.hpp), and in the end every place, seat, lane and chunk is free again.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/look.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kVictimsNumber = 77;
constexpr std::uint64_t kWakersNumber = 88;
constexpr std::uint64_t kPreparedNumber = 100;
constexpr std::uint64_t kJudgesNumber = 1000;
constexpr std::size_t kBytes = 40;
constexpr std::uint32_t kPlaces = 64;       // of the table, those that are used here
constexpr std::uint32_t kLanesWatched = 4;  // and lanes

struct Value {
    std::uint64_t words[kBytes / 8];
};
constexpr std::size_t kBatch = 3;

struct MailboxCase {
    std::string name;
    Sharing sharing = Sharing::any;
    bool acknowledged = false;
    ::stoa::Role role = ::stoa::Role::both;  // of the victim
    std::uint64_t prepared = 0;              // messages that wait
    bool from_peer = false;                  // in a pair: they wait for the victim
    std::uint32_t capacity = 2;
    std::function<void(RawMailbox&)> operation{};
    std::function<void(Mailbox<Value>&)> batch{};   // instead, of values
    std::function<void(const sys::Fd&)> opens{};    // instead: the operation makes its own handle
    std::function<void(const sys::Fd&)> prepare{};  // more preparation
    bool sleeps = false;
    bool wakes_by_taking = false;  // else by sending
    bool adopts = false;           // one lane is enough for all senders in a row
    std::size_t crowd = 0;         // handles that are open all the time, and do nothing
};

// --- what processes do --------------------------------------------------------------------------

sys::Fd another(const sys::Fd& file) {
    const int fd = ::fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
    STOA_CHECK(fd >= 0);
    return sys::Fd{fd};
}

RawMailbox open(const sys::Fd& file, ::stoa::Role role = ::stoa::Role::both) {
    return RawMailbox::attach(another(file), {.role = role, .waiting = Waiting::park}).value();
}

std::array<std::byte, kBytes> message(std::uint64_t number) {
    std::array<std::byte, kBytes> bytes{};
    write_payload(bytes, number);
    return bytes;
}

bool send(RawMailbox& box, std::uint64_t number) {
    return box.try_send(message(number)).has_value();
}

// The victim's results: values[1] how many it sent; [2], [4] and [5] the numbers it received for
// good; [3] a fault.
constexpr std::array<std::size_t, kBatch> kReceived{2, 4, 5};

void victim_sends(RawMailbox& box) {
    outcome(Role::victim).values[1] = send(box, kVictimsNumber) ? 1 : 0;
}

void victim_sends_and_waits(RawMailbox& box) {
    outcome(Role::victim).values[1] = box.send(message(kVictimsNumber)) ? 1 : 0;
}

void victim_fills_a_loan(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    if (!loan) return;
    write_payload(loan->room().first(kBytes), kVictimsNumber);
    outcome(Role::victim).values[1] = loan->commit(kBytes, Deadline::immediately()) ? 1 : 0;
}

void victim_abandons(RawMailbox& box) {
    Result<RawLoan> loan = box.loan(kBytes, Deadline::immediately());
    if (loan) loan->abandon();
}

void keep(Result<RawMessage> got) {
    if (!got) return;
    const std::uint64_t number = read_payload(got->bytes());
    outcome(Role::victim).values[2] = number;
    if (number == 0 || !got->ack()) outcome(Role::victim).values[3] = 1;
}

void victim_receives(RawMailbox& box) {
    keep(box.try_receive());
}
void victim_receives_and_waits(RawMailbox& box) {
    keep(box.receive());
}

void victim_sends_batch(Mailbox<Value>& box) {
    std::array<Value, kBatch> values{};
    for (std::size_t k = 0; k < kBatch; ++k) {
        write_payload(std::as_writable_bytes(std::span{&values[k], 1}), kVictimsNumber + k);
    }
    std::size_t sent = 0;
    const Result<void> all = box.send_all(values, Deadline::immediately(), &sent);
    outcome(Role::victim).values[1] = sent;
    if (all.has_value() != (sent == kBatch)) outcome(Role::victim).values[3] = 1;
}

void victim_receives_batch(Mailbox<Value>& box) {
    std::array<Value, kBatch> values{};
    Outcome& mine = outcome(Role::victim);
    const Result<std::size_t> count = box.receive_some(values, Deadline::immediately());
    std::array<std::uint64_t, 2> last{};  // of what was prepared, and of the judge's: two senders
    for (std::size_t k = 0; count && k < *count; ++k) {
        const std::uint64_t number = read_payload(std::as_bytes(std::span{&values[k], 1}));
        std::uint64_t& before = last[number >= kJudgesNumber ? 1 : 0];
        if (number <= before) mine.values[3] = 1;
        mine.values[kReceived[k]] = before = number;
    }
}

void victim_nacks(RawMailbox& box) {
    Result<RawMessage> got = box.try_receive();
    if (got && !got->nack()) outcome(Role::victim).values[3] = 1;
}

void victim_clones(RawMailbox& box) {
    Result<RawMailbox> second = box.clone();
    if (second) victim_sends(*second);
}

void victim_opens_as(const sys::Fd& file, ::stoa::Role role,
                     const std::function<void(RawMailbox&)>& operation) {
    Result<RawMailbox> box =
        RawMailbox::attach(another(file), {.role = role, .waiting = Waiting::park});
    if (box) return operation(*box);  // and closes
    // Both seats of a pair, or the receiver's, may have been taken while it was stopped.
    if (box.error().code != Errc::in_use) outcome(Role::victim).values[3] = 1;
}

void victim_opens(const sys::Fd& file) {
    victim_opens_as(file, ::stoa::Role::both, victim_sends);
}

// A process that dies in `body` while it has the mailbox open.
void die(const sys::Fd& file, ::stoa::Role role, const std::function<void(RawMailbox&)>& body) {
    const kit::Ending ending = kit::fork_and_run([&] {
        RawMailbox box = open(file, role);
        body(box);
    });
    STOA_CHECK(ending.signal == SIGKILL);
}

void die_at(const char* point, const sys::Fd& file, const std::function<void(RawMailbox&)>& body) {
    die(file, ::stoa::Role::both, [&](RawMailbox& box) {
        kit::kill_self_at(point);
        body(box);
    });
}

// --- the scenario -------------------------------------------------------------------------------

class MailboxScenario final : public Scenario {
public:
    explicit MailboxScenario(MailboxCase details) : case_{std::move(details)} {}
    ~MailboxScenario() override {
        if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
    }

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override;
    bool sleeps() const override { return case_.sleeps; }
    void prepare() override;
    void wake() override;

    void victim_begin() override {
        (void)sys::self();
        g_wait_slice = 1h;  // no slice may hide a wake that is missing
        if (case_.operation) victim_.emplace(open(file(), case_.role));
        if (!case_.batch) return;
        const OpenOptions options{.role = case_.role, .waiting = Waiting::park};
        typed_.emplace(Mailbox<Value>::attach(another(file()), options).value());
    }
    void victim() override {
        if (case_.operation) case_.operation(*victim_);
        if (case_.batch) case_.batch(*typed_);
        if (case_.opens) case_.opens(file());
        outcome(Role::victim).code = 1;
    }
    void victim_end() override {
        victim_.reset();
        typed_.reset();
    }

    void recover_begin(const Case& now) override {
        (void)sys::self();
        if (now.me == Role::judge) what_must_come(now);
    }
    void recover(const Case&) override;
    std::string interfere(const Case& now) override;
    std::string interfere_recovery(const Case& now) override;
    std::string verify(const Case& now) override;

private:
    [[nodiscard]] const sys::Fd& file() const { return keeper_->file(); }
    [[nodiscard]] const MailboxPlan& plan() const { return keeper_->plan(); }
    [[nodiscard]] bool pair() const { return case_.sharing == Sharing::pair; }
    [[nodiscard]] WaitingMessages look() const;
    void hold_things();
    std::string let_go();
    void what_must_come(const Case& now);
    void open_all();
    std::string drain();
    std::string laps();
    std::string nothing_leaked();
    std::string hear_victim(const Case& now);
    bool send_mine() {
        if (!send(handles_.front(), next_)) return false;
        ledger_.must(next_++);
        return true;
    }

    MailboxCase case_;
    std::optional<RawMailbox> keeper_;  // the engine's: a live participant that does nothing
    std::vector<RawMailbox> crowd_;
    std::span<std::byte> mapped_;
    std::span<std::byte> content_;
    std::optional<RawMailbox> victim_;
    std::optional<Mailbox<Value>> typed_;
    std::vector<RawMailbox> handles_;  // the judge's: one, or both sides of a pair
    std::vector<RawMailbox> heirs_;    // came while a recovery was under way
    std::vector<RawLoan> heirs_loans_;
    std::vector<RawMessage> heirs_messages_;
    WaitingMessages prepared_;
    Ledger ledger_;
    std::set<std::uint64_t> delivered_before_;
    bool knows_ = false;
    std::uint64_t next_ = kJudgesNumber;
    std::uint64_t victims_last_ = 0;  // of its messages, the one that came last
};

void MailboxScenario::prepare() {
    keeper_.emplace(RawMailbox::create_anonymous(
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
    struct ::stat facts{};
    STOA_CHECK(::fstat(file().get(), &facts) == 0);
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file().get(), 0);
    STOA_CHECK(at != MAP_FAILED);
    mapped_ = {static_cast<std::byte*>(at), bytes};
    content_ = mapped_.last(align_up(plan().content_bytes, kPage)).first(plan().content_bytes);
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
    prepared_ = look();
}

// Not the whole address space of it, which has room for thousands.
std::vector<std::span<std::byte>> MailboxScenario::shared() {
    std::vector<std::span<std::byte>> areas{
        mapped_.first(kPage + Participants::bytes_for(kPlaces))};
    if (plan().pool_count > 0) {
        areas.push_back(content_);
    } else {
        areas.push_back(content_.first(plan().door_offset(kLanesWatched)));
        const std::uint64_t lanes = std::min(kLanesWatched, plan().lane_count);
        areas.push_back(content_.subspan(plan().lanes_offset, lanes * plan().lane_stride));
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
        add(waiting_in_pool(plan().pool_of(content_, k), plan().pool));
    }
    for (std::uint32_t k = 0; k < std::min(plan().lane_count, kLanesWatched); ++k) {
        const auto* door = layout_at<LaneDoor>(content_, plan().door_offset(k));
        if (door->ready == 0) continue;
        add(waiting_in_lane(
            content_.subspan(plan().lanes_offset + k * plan().lane_stride, plan().lane_stride)));
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
    bool alive = false;
    handles_.front().attachment().region().participants().for_each([&](const Participant& seen) {
        if (seen.identity.pid != static_cast<std::uint32_t>(now.victim_pid)) return;
        alive = seen.life != sys::Life::dead;
    });
    const bool has_place = !case_.opens;
    if (has_place && !alive) return "a stopped process is taken for a dead one";
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
        PoolRing ring = PoolRing::attach(plan().pool_of(content_, k)).value();
        const PoolCounts counts = ring.counts();
        if (counts.free_chunks != ring.geometry().chunk_count) return "a chunk is lost";
        if (counts.depth != 0 || !ring.seems_empty()) return "a slot is lost";
        std::vector<PoolLoan> loans;
        PoolLoan loan;
        const std::uint32_t me = handles_.front().attachment().index();
        while (ring.claim(me, 1, loan) == PoolStatus::ok) loans.push_back(loan);
        for (const PoolLoan& each : loans) (void)ring.release(each);
        if (loans.size() != counts.free_chunks) return "the hint of a free chunk is lost";
    }
    std::uint32_t senders = 0;
    for (std::uint32_t k = 0; !pair() && k < std::min(plan().lane_count, kLanesWatched); ++k) {
        const auto* door = layout_at<LaneDoor>(content_, plan().door_offset(k));
        if (door->sender != 0) ++senders;
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
    const auto* layout = layout_at<MailboxLayout>(content_, 0);
    if (case_.adopts && now.mode == Mode::none && layout->lanes_open != 1) {
        return "an orphaned lane was not adopted";
    }
    text = laps();
    if (text.empty()) text = nothing_leaked();
    return text.empty() ? ledger_.balance() : text;
}

// --- all of them --------------------------------------------------------------------------------

void add(Scenarios& list, MailboxCase details) {
    list.push_back(std::make_unique<MailboxScenario>(std::move(details)));
}

constexpr std::pair<const char*, Sharing> kKinds[]{{"mailbox_any", Sharing::any},
                                                   {"mailbox_single", Sharing::single_receiver},
                                                   {"mailbox_pair", Sharing::pair}};

void add_batches(Scenarios& list, Sharing sharing, const char* sending, const char* receiving) {
    MailboxCase one{.name = sending, .sharing = sharing};
    one.capacity = 4;
    one.role = ::stoa::Role::sends;
    one.batch = victim_sends_batch;
    add(list, one);
    one.name = receiving;
    one.role = ::stoa::Role::both;
    one.prepared = 4;
    one.from_peer = true;
    one.batch = victim_receives_batch;
    add(list, one);
}

// Lanes whose sender died in the middle of its second message, or whose receiver held two.
void add_adoptions(Scenarios& list, Sharing sharing, const char* sending, const char* receiving) {
    const bool pair = sharing == Sharing::pair;
    const ::stoa::Role sends = pair ? ::stoa::Role::both : ::stoa::Role::sends;
    const ::stoa::Role receives = pair ? ::stoa::Role::both : ::stoa::Role::receives;
    MailboxCase one{.name = sending, .sharing = sharing};
    one.capacity = 4;
    one.adopts = !pair;
    one.opens = [=](const sys::Fd& file) { victim_opens_as(file, sends, victim_sends); };
    one.prepare = [=](const sys::Fd& file) {
        die(file, sends, [](RawMailbox& box) {
            STOA_CHECK(send(box, 1));
            kit::kill_self_at("lane.publish.cleared");
            (void)send(box, 2);
        });
    };
    add(list, one);
    one.name = receiving;
    one.prepared = 4;
    one.from_peer = true;
    one.opens = [=](const sys::Fd& file) { victim_opens_as(file, receives, victim_receives); };
    one.prepare = [=](const sys::Fd& file) {
        die(file, receives, [](RawMailbox& box) {
            const Result<RawMessage> first = box.try_receive();
            const Result<RawMessage> second = box.try_receive();
            STOA_CHECK(first && second);
            std::raise(SIGKILL);
        });
    };
    add(list, one);
}

void add_operations(Scenarios& list) {
    using enum Sharing;
    const auto add = [&](MailboxCase details) { ::stoa::crash::add(list, std::move(details)); };
    for (const auto& [kind, sharing] : kKinds) {
        for (const bool acknowledged : {false, true}) {
            const std::string base = std::string{kind} + (acknowledged ? "_ack." : ".");
            const MailboxCase plain{.name = base, .sharing = sharing, .acknowledged = acknowledged};
            const auto with = [&](const char* name, std::uint64_t prepared, auto operation) {
                MailboxCase one = plain;
                one.name += name;
                one.prepared = prepared;
                one.from_peer = true;
                one.operation = operation;
                return one;
            };
            MailboxCase send = with("send", 0, victim_sends);
            send.role = ::stoa::Role::sends;
            add(send);
            add(with("loan", 0, victim_fills_a_loan));
            add(with("receive", 2, victim_receives));
            MailboxCase opening = plain;
            opening.name += "open_close";
            opening.opens = victim_opens;
            add(opening);
            if (acknowledged) add(with("nack", 2, victim_nacks));
            if (acknowledged) continue;
            add(with("abandon", 0, victim_abandons));
            if (sharing != pair) add(with("clone", 0, victim_clones));
            MailboxCase sleeping = with("receive_asleep", 0, victim_receives_and_waits);
            sleeping.sleeps = true;
            add(sleeping);
            MailboxCase full = with("send_asleep", 2, victim_sends_and_waits);
            full.sleeps = full.wakes_by_taking = true;
            full.from_peer = sharing == any;  // a lane is full by what its sender sent
            if (sharing == single_receiver) full.role = ::stoa::Role::sends;
            add(full);
        }
    }
}

void add_sweeps(Scenarios& list) {
    // With the engine's own all places are taken that are not kept for sweepers: the table grows.
    add(list, {.name = "mailbox_any.open_grow", .opens = victim_opens, .crowd = 27});
    for (const bool acknowledged : {false, true}) {
        add(list,
            {.name = acknowledged ? "mailbox_any_ack.sweep" : "mailbox_any.sweep",
             .acknowledged = acknowledged,
             .prepared = 2,
             .opens = victim_opens,
             .prepare = [](const sys::Fd& file) {
                 die_at("pool.claim.loaned", file, [](RawMailbox& box) { (void)send(box, 1); });
                 die_at("pool.take.delivered", file,
                        [](RawMailbox& box) { (void)box.try_receive(); });
                 die_at("pool.take.taken", file, [](RawMailbox& box) {
                     const Result<RawMessage> redelivered = box.try_receive();  // acknowledged
                     const Result<RawMessage> next = box.try_receive();
                 });
             }});
    }
}

}  // namespace

void add_mailbox_scenarios(Scenarios& list) {
    add_operations(list);
    add_sweeps(list);
    using enum Sharing;
    add_batches(list, any, "mailbox_any.batch_send", "mailbox_any.batch_receive");
    add_batches(list, single_receiver, "mailbox_single.batch_send", "mailbox_single.batch_receive");
    add_batches(list, pair, "mailbox_pair.batch_send", "mailbox_pair.batch_receive");
    add_adoptions(list, single_receiver, "mailbox_single.adopt", "mailbox_single.adopt_receiver");
    add_adoptions(list, pair, "mailbox_pair.adopt", "mailbox_pair.adopt_receiver");
}

}  // namespace stoa::crash
