// The lane: every operation of its sender and of its receiver, and the adoption by an heir.
//
// The ring has gone round before, so that every place holds an old ready word or an old payload
// that looks like one: what the sender forgets to clear is read as a record. The judge knows from
// `delivered` alone which record comes next; what came before must never come again.
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/ring/lane.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

constexpr LaneGeometry kGeometry{.ring_bytes = 512, .max_record_bytes = 100};
constexpr std::uint64_t kPreparedNumber = 101;
constexpr std::uint64_t kVictimsNumber = 201;
constexpr std::uint64_t kRecoverersNumber = 301;
constexpr std::uint64_t kJudgesNumber = 1001;

// A record: its number, then words that would pass for ready words.
std::vector<std::byte> record(std::uint64_t number, std::size_t bytes) {
    std::vector<std::byte> payload(bytes);
    for (std::size_t at = 0; at < bytes; at += 8) {
        const std::uint64_t word =
            at == 0 ? number : LaneWord::make(LaneKind::record, (number + at) % 60);
        std::memcpy(payload.data() + at, &word, std::min<std::size_t>(8, bytes - at));
    }
    return payload;
}

// The number of a record; 0 when it is torn.
std::uint64_t number_of(std::span<const std::byte> payload) {
    std::uint64_t number = 0;
    if (payload.size() < 8) return 0;
    std::memcpy(&number, payload.data(), 8);
    return std::ranges::equal(record(number, payload.size()), payload) ? number : 0;
}

struct LaneCase {
    const char* name;
    std::uint64_t offset = 0;                 // in the ring, where the first waiting record stands
    std::vector<std::size_t> waiting{};       // sizes of records that wait when the victim begins
    std::function<void(LaneSender&)> send{};  // the victim is the sender
    std::vector<std::size_t> sends{};         // sizes of what it has to send
    bool at_once = false;                     // all of them appear together
    bool may_be_full = false;                 // some of them may not fit
    std::function<void(LaneReceiver&)> receive{};  // the victim is the receiver
    bool end_waits = false;                        // the end of the stream follows what waits
};

// Made before the victim's operation, so that only the lane's own work is traced.
struct ReadyMade {
    std::vector<std::vector<std::byte>> to_send;
    std::vector<std::vector<std::byte>> waiting;
    std::vector<std::byte> noise;
} g_made;

// What the victim has done for good: values[1] counts; received numbers stand in values[2] on.
void note_sent() {
    outcome(Role::victim).values[1].fetch_add(1);
}
void note_received(std::span<const std::byte> payload) {
    const std::uint64_t count = outcome(Role::victim).values[1];
    std::uint64_t number = 0;
    std::memcpy(&number, payload.data(), 8);
    const bool expected =
        count < g_made.waiting.size() && payload.size() == g_made.waiting[count].size() &&
        std::memcmp(payload.data(), g_made.waiting[count].data(), payload.size()) == 0;
    outcome(Role::victim).values[2 + count] = expected ? number : number_of(payload);
    outcome(Role::victim).values[1] = count + 1;
}

class LaneScenario final : public Scenario {
public:
    explicit LaneScenario(LaneCase details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override { return {region_.bytes()}; }
    bool recoveries_overlap() const override { return false; }
    void prepare() override;
    void victim_begin() override {
        attach_side();
        g_made.noise = record(3, 100);
        for (const std::size_t bytes : case_.sends) {
            g_made.to_send.push_back(record(kVictimsNumber + 4 * g_made.to_send.size(), bytes));
        }
        for (const std::size_t bytes : case_.waiting) {
            g_made.waiting.push_back(record(sent_[g_made.waiting.size()], bytes));
        }
    }
    void victim() override {
        case_.send ? case_.send(*sender_) : case_.receive(*receiver_);
        outcome(Role::victim).code = 1;
    }
    void recover_begin(const Case& now) override;
    void recover(const Case& now) override;
    std::string interfere(const Case& now) override;
    std::string verify(const Case& now) override;

private:
    void attach_sender() { sender_.emplace(LaneSender::attach(region_.bytes()).value()); }
    void attach_receiver() { receiver_.emplace(LaneReceiver::attach(region_.bytes()).value()); }
    void attach_side() { case_.send ? attach_sender() : attach_receiver(); }
    void look_at_cursor() {
        const auto* layout = layout_at<LaneLayout>(region_.bytes(), 0);
        const std::uint64_t delivered = layout->receiver.delivered.load();
        done_ = static_cast<std::size_t>(
            std::count_if(ends_.begin(), ends_.end(), [&](auto end) { return end <= delivered; }));
    }
    bool send_mine(std::size_t bytes);
    std::string receive_all();
    std::string use_both_sides();
    std::string judge_senders(const Case& now) const;
    std::string judge_receivers(const Case& now) const;

    LaneCase case_;
    kit::TempRegion region_{kGeometry.bytes_needed()};
    std::optional<LaneSender> sender_;
    std::optional<LaneReceiver> receiver_;
    std::vector<std::uint64_t> sent_;  // by prepare() and by the judge, in this order
    std::vector<std::uint64_t> got_;   // by the judge
    std::vector<std::uint64_t> ends_;  // positions behind the records of prepare()
    std::size_t done_ = 0;             // of these were delivered when the judge came
};

void LaneScenario::prepare() {
    create_lane(region_.bytes(), kGeometry).value();
    attach_sender();
    attach_receiver();
    const auto pass = [&](std::size_t bytes) {
        while (sender_->try_send(record(1, bytes)) != LaneSend::ok)
            STOA_CHECK(receive_all().empty());
        STOA_CHECK(receive_all().empty());
    };
    while (sender_->position() < 3 * kGeometry.ring_bytes) pass(100);
    while (sender_->position() % kGeometry.ring_bytes != case_.offset) pass(8);
    receiver_->free_now();
    for (const std::size_t bytes : case_.waiting) {
        sent_.push_back(kPreparedNumber + 4 * sent_.size());  // odd: these look like ready words
        STOA_CHECK(sender_->try_send(record(sent_.back(), bytes)) == LaneSend::ok);
        ends_.push_back(sender_->position());
    }
    if (case_.end_waits) sender_->close();
    got_.clear();
}

void LaneScenario::recover_begin(const Case& now) {
    if (now.me == Role::judge) look_at_cursor();
}

// An heir takes the dead one's side and uses it once.
void LaneScenario::recover(const Case& now) {
    attach_side();
    if (now.me == Role::judge) return;
    if (case_.send) {
        sender_->reopen();
        if (sender_->try_send(record(kRecoverersNumber, 48)) != LaneSend::full) {
            outcome(Role::recoverer).code = 1;
        }
    } else {
        LaneRecord lent;
        if (receiver_->try_take(lent) != LaneTake::ok) return;
        outcome(Role::recoverer).values[1] = number_of(lent.payload);
        receiver_->release(lent);
    }
}

bool LaneScenario::send_mine(std::size_t bytes) {
    const std::uint64_t number = kJudgesNumber + 4 * sent_.size();
    if (sender_->try_send(record(number, bytes)) != LaneSend::ok) return false;
    sent_.push_back(number);
    return true;
}

std::string LaneScenario::receive_all() {
    LaneRecord lent;
    LaneTake take{};
    while ((take = receiver_->try_take(lent)) == LaneTake::ok) {
        const std::uint64_t number = number_of(lent.payload);
        if (number == 0) return "a torn record, or one that nobody sent";
        got_.push_back(number);
        receiver_->release(lent);
    }
    receiver_->free_now();
    return take == LaneTake::corrupt ? "the receiver says corrupt" : "";
}

// The other side goes on while the victim stands still.
std::string LaneScenario::interfere(const Case&) {
    if (case_.send) {
        attach_receiver();
        return receive_all();
    }
    attach_sender();
    sender_->reopen();
    while (send_mine(48)) {
    }
    return {};
}

// Fills the ring and empties it, in records of all sizes.
std::string LaneScenario::use_both_sides() {
    for (const std::size_t bytes : {8U, 48U, 100U, 16U}) {
        std::size_t count = 0;
        while (send_mine(bytes)) ++count;
        if (count < 3 && got_.size() + 3 < sent_.size()) return "the ring has lost room";
        const std::string text = receive_all();
        if (!text.empty()) return text;
        if (!sender_->drained()) return "all was received and it is not drained";
    }
    return {};
}

std::string LaneScenario::verify(const Case& now) {
    if (!now.victim_dead) {
        if (outcome(Role::victim).code != 1) return "the victim did not return";
        look_at_cursor();
    }
    attach_sender();
    if (!receiver_ || !case_.send) attach_receiver();
    sender_->reopen();
    std::string text = receive_all();
    if (text.empty()) text = use_both_sides();
    if (!text.empty()) return text;
    return case_.send ? judge_senders(now) : judge_receivers(now);
}

// In order: what waited, of the victim's what it published, the recoverer's, the judge's.
std::string LaneScenario::judge_senders(const Case& now) const {
    std::vector<std::uint64_t> expected{sent_.begin(), sent_.begin() + std::ssize(ends_)};
    std::uint64_t published = 0;
    for (std::uint64_t k = 0; k < case_.sends.size(); ++k) {
        const std::uint64_t number = kVictimsNumber + 4 * k;
        if (std::ranges::find(got_, number) == got_.end()) continue;
        expected.push_back(number);
        ++published;
    }
    if (published < outcome(Role::victim).values[1]) return "a record was sent and is lost";
    if (case_.at_once && published != 0 && published != case_.sends.size()) return "half a batch";
    const std::uint64_t sent = outcome(Role::victim).values[1];
    if (!now.victim_dead &&
        (published != sent || (sent != case_.sends.size() && !case_.may_be_full))) {
        return "the victim's records are lost";
    }
    if (std::ranges::find(got_, kRecoverersNumber) != got_.end()) {
        expected.push_back(kRecoverersNumber);
    } else if (outcome(Role::recoverer).code == 1) {
        return "the heir's record is lost";
    }
    expected.insert(expected.end(), sent_.begin() + std::ssize(ends_), sent_.end());
    return expected == got_ ? "" : "the records are not those that were sent, in order";
}

// In order: the victim's, the recoverer's, then from `delivered` on the judge's.
std::string LaneScenario::judge_receivers(const Case& now) const {
    std::vector<std::uint64_t> taken;
    const Outcome& victim = outcome(Role::victim);
    for (std::uint64_t k = 0; k < victim.values[1]; ++k) taken.push_back(victim.values[2 + k]);
    if (const std::uint64_t number = outcome(Role::recoverer).values[1]) taken.push_back(number);
    if (taken.size() > done_ && now.victim_dead) return "what was received counts as not delivered";
    if (!now.recoverer_dead && outcome(Role::recoverer).values[1] == 0 &&
        !std::equal(taken.begin(), taken.end(), sent_.begin())) {
        return "the victim received something else";
    }
    const std::vector<std::uint64_t> rest{
        sent_.begin() + static_cast<std::ptrdiff_t>(now.victim_dead ? done_ : taken.size()),
        sent_.end()};
    return rest == got_ ? "" : "the records are not those from `delivered` on, in order";
}

// --- the victim's operations ------------------------------------------------------------------

void victim_sends_one(LaneSender& sender, std::size_t k) {
    if (sender.try_send(g_made.to_send[k]) == LaneSend::ok) note_sent();
}

void victim_sends(LaneSender& sender) {
    for (std::size_t k = 0; k < g_made.to_send.size(); ++k) victim_sends_one(sender, k);
}

// As a program does that knows the size when it is compiled.
void victim_sends_8(LaneSender& sender) {
    if (sender.try_send<8>(g_made.to_send[0].data()) == LaneSend::ok) note_sent();
}

void victim_fills_a_loan(LaneSender& sender, std::size_t reserved) {
    const std::vector<std::byte>& payload = g_made.to_send.back();
    std::span<std::byte> loan;
    if (sender.try_reserve(reserved, loan) != LaneSend::ok) return;
    std::memcpy(loan.data(), g_made.noise.data(), reserved);
    std::memcpy(loan.data(), payload.data(), payload.size());
    sender.commit(payload.size());
    note_sent();
}

void victim_abandons_then_sends(LaneSender& sender) {
    std::span<std::byte> loan;
    if (sender.try_reserve(100, loan) != LaneSend::ok) return;
    std::memcpy(loan.data(), g_made.noise.data(), loan.size());
    sender.abandon();
    victim_sends(sender);
}

void victim_sends_a_batch(LaneSender& sender) {
    LaneBatch batch{sender};
    for (const std::vector<std::byte>& payload : g_made.to_send) {
        if (batch.try_append(payload) != LaneSend::ok) return;
    }
    batch.publish();
    outcome(Role::victim).values[1] = g_made.to_send.size();
}

void victim_sends_an_even_batch(LaneSender& sender) {
    std::array<std::uint64_t, 3> numbers{};
    for (std::size_t k = 0; k < 3; ++k) {
        std::memcpy(&numbers[k], g_made.to_send[k].data(), 8);
    }
    LaneBatch batch{sender};
    if (batch.append_all<8>(numbers.data(), 3) != 3) return;
    batch.publish();
    outcome(Role::victim).values[1] = 3;
}

void victim_discards_a_batch(LaneSender& sender) {
    LaneBatch batch{sender};
    for (int k = 0; k < 3; ++k) {
        if (batch.try_append(std::span{g_made.noise}.first(40)) != LaneSend::ok) return;
    }
    batch.discard();
}

void victim_closes(LaneSender& sender) {
    sender.close();
    (void)sender.sleeper_to_wake();
}

void victim_sleeps_for_room(LaneSender& sender) {
    sender.mark_asleep(LaneSender::Await::room);
    (void)sender.has_room(100);
    (void)sender.room_sleep();
    sender.mark_awake();
    victim_sends(sender);
    (void)sender.sleeper_to_wake();
}

void victim_takes(LaneReceiver& receiver) {
    LaneRecord lent;
    if (receiver.try_take(lent) != LaneTake::ok) return;
    note_received(lent.payload);
    receiver.release(lent);
    (void)receiver.sleeper_to_wake();
}

void victim_receives_8(LaneReceiver& receiver) {
    std::array<std::byte, 8> payload{};
    if (receiver.try_receive<8>(payload.data()) == LaneTake::ok) note_received(payload);
}

void victim_receives_three(LaneReceiver& receiver) {
    std::array<std::array<std::byte, 40>, 3> records{};
    std::uint64_t count = 0;
    if (receiver.try_receive_all<40>(&records, 3, count) != LaneTake::ok) return;
    for (std::uint64_t k = 0; k < count; ++k) note_received(records[k]);
}

void victim_sleeps_for_a_record(LaneReceiver& receiver) {
    receiver.mark_asleep();
    (void)receiver.ready();
    (void)receiver.ready_sleep();
    receiver.mark_awake();
    victim_takes(receiver);
}

void add_sender_scenarios(const std::function<void(LaneCase)>& add) {
    const auto loan = [](std::size_t reserved) {
        return [reserved](LaneSender& sender) { victim_fills_a_loan(sender, reserved); };
    };
    const std::vector<std::size_t> two{48, 8};
    add({.name = "lane.send_8", .waiting = two, .send = victim_sends_8, .sends = {8}});
    add({.name = "lane.send_16_pads", .offset = 48, .send = victim_sends, .sends = {16}});
    add({.name = "lane.send_48", .waiting = two, .send = victim_sends, .sends = {48}});
    add({.name = "lane.send_100", .waiting = two, .send = victim_sends, .sends = {100}});
    add({.name = "lane.send_100_wraps", .offset = 448, .send = victim_sends, .sends = {100}});
    add({.name = "lane.send_full",
         .waiting = {100, 100, 100},
         .send = victim_sends,
         .sends = {100},
         .may_be_full = true});
    add({.name = "lane.send_twice", .send = victim_sends, .sends = {48, 48}});
    add({.name = "lane.send_uneven", .send = victim_sends, .sends = {48, 8, 100}});
    add({.name = "lane.loan_short", .send = loan(100), .sends = {8}});
    add({.name = "lane.loan_exact", .offset = 480, .send = loan(48), .sends = {48}});
    add({.name = "lane.loan_after_send",
         .send =
             [](LaneSender& sender) {
                 victim_sends_one(sender, 0);  // clears the place that the loan then writes over
                 victim_fills_a_loan(sender, 100);
             },
         .sends = {48, 48}});
    add({.name = "lane.abandon", .send = victim_abandons_then_sends, .sends = {8}});
    add({.name = "lane.batch",
         .send = victim_sends_a_batch,
         .sends = {40, 8, 100},
         .at_once = true});
    add({.name = "lane.batch_wraps",
         .offset = 416,
         .send = victim_sends_a_batch,
         .sends = {40, 40, 40},
         .at_once = true});
    add({.name = "lane.batch_even",
         .offset = 496,
         .send = victim_sends_an_even_batch,
         .sends = {8, 8, 8},
         .at_once = true});
    add({.name = "lane.batch_discard", .waiting = two, .send = victim_discards_a_batch});
    add({.name = "lane.close", .waiting = two, .send = victim_closes});
    add({.name = "lane.reopen",
         .waiting = two,
         .send =
             [](LaneSender& sender) {
                 sender.reopen();
                 victim_sends(sender);
             },
         .sends = {8},
         .end_waits = true});
    add({.name = "lane.sender_sleep", .send = victim_sleeps_for_room, .sends = {8}});
}

void add_receiver_scenarios(const std::function<void(LaneCase)>& add) {
    add({.name = "lane.receive_8", .waiting = {8, 48}, .receive = victim_receives_8});
    add({.name = "lane.receive_other_size", .waiting = {48}, .receive = victim_receives_8});
    add({.name = "lane.receive_three",
         .waiting = {40, 40, 40, 8},
         .receive = victim_receives_three});
    add({.name = "lane.take", .waiting = {100, 48}, .receive = victim_takes});
    add({.name = "lane.take_behind_pad",
         .offset = 448,
         .waiting = {100, 8},
         .receive = victim_takes});
    add({.name = "lane.take_nothing", .receive = victim_takes});
    add({.name = "lane.take_end", .receive = victim_takes, .end_waits = true});
    add({.name = "lane.receiver_sleep", .waiting = {8}, .receive = victim_sleeps_for_a_record});
}

}  // namespace

void add_lane_scenarios(Scenarios& list) {
    const auto add = [&](LaneCase details) {
        list.push_back(std::make_unique<LaneScenario>(std::move(details)));
    };
    add_sender_scenarios(add);
    add_receiver_scenarios(add);
}

}  // namespace stoa::crash
