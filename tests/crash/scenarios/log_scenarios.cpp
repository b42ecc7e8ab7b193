// The log: every operation of its writer and of a subscriber, the sweep of a dead one, and heirs.
//
// Three subscribers: 0 is the victim's when the victim is one, else the judge's; 1 is reliable and
// 2 is latest, the judge's both. What a record holds follows from its sequence and from who sent
// it. The ring has gone round before, so that every place holds an old ready word or an old payload
// that looks like one.
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/ring/log.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

constexpr std::uint64_t kBound = 5;
constexpr std::uint64_t kDeadOnes = 101;  // holder of cursor 0, until it is dropped
constexpr std::uint64_t kTenants = 201;   // who takes it then
constexpr std::uint64_t kTorn = 0xdead;

constexpr LogGeometry kGeometry{
    .ring_bytes = 1024, .max_record_bytes = 100, .max_waiting = kBound, .subscribers = 4};

enum class Origin : std::uint8_t { prepared = 1, victim, recoverer, judge };

// A record: its sequence and its sender, then words that would pass for ready words.
std::vector<std::byte> record(Origin origin, std::uint64_t sequence, std::size_t bytes) {
    std::vector<std::byte> payload(bytes);
    for (std::size_t at = 0; at < bytes; at += 8) {
        const std::uint64_t word = at == 0 ? sequence | static_cast<std::uint64_t>(origin) << 56U
                                           : LaneWord::make(LaneKind::record, (sequence + at) % 60);
        std::memcpy(payload.data() + at, &word, std::min<std::size_t>(8, bytes - at));
    }
    return payload;
}

// Of what the judge sends.
std::size_t size_of(std::uint64_t sequence) {
    constexpr std::array<std::size_t, 5> kSizes{8, 48, 100, 16, 40};
    return kSizes.at(sequence % kSizes.size());
}

bool is_whole(std::span<const std::byte> payload, std::uint64_t sequence, Origin& origin) {
    if (payload.size() < 8) return false;
    origin = static_cast<Origin>(payload[7]);
    return std::ranges::equal(record(origin, sequence, payload.size()), payload);
}

struct LogCase {
    const char* name;
    std::uint64_t offset = 0;                          // in the ring, where the victim begins
    std::size_t waiting = 0;                           // records that wait when the victim begins
    std::function<void(LogWriter&)> send{};            // the victim is the writer
    std::vector<std::size_t> sends{};                  // sizes of what it has to send
    bool at_once = false;                              // all of them appear together
    bool may_be_full = false;                          // some of them may not fit
    bool is_empty = false;                             // the log is fresh, and nobody subscribed
    LogMode mode = LogMode::reliable;                  // of subscriber 0
    std::function<void(LogReader&)> receive{};         // the victim is subscriber 0
    std::function<void(std::span<std::byte>)> join{};  // it is to become subscriber 0
    bool sweeps = false;                               // it drops subscriber 0, who is dead
    bool lends = false;                                // subscriber 0 of the judge keeps a loan
};

// Made before the victim's operation, so that only the log's own work is traced.
struct ReadyMade {
    std::vector<std::vector<std::byte>> to_send;
    std::vector<std::byte> noise;
    std::array<std::byte, 128> room;
} g_made;

void note_sent() {
    outcome(Role::victim).values[1].fetch_add(1);
}
// {missed, sequence} of what the victim received; kTorn: not what was sent.
void note_received(std::span<const std::byte> payload, std::uint64_t sequence,
                   std::uint64_t missed) {
    Origin origin{};
    const std::uint64_t count = outcome(Role::victim).values[1];
    outcome(Role::victim).values[2 + count] =
        is_whole(payload, sequence, origin) ? missed << 32U | sequence : kTorn;
    outcome(Role::victim).values[1] = count + 1;
}

// A subscriber of the judge.
struct Watcher {
    LogReader reader;
    bool may_miss;
    std::uint64_t due = reader.sequence();
    std::uint64_t victims = 0;  // messages of the victim

    [[nodiscard]] std::string drain() {
        std::array<std::byte, 128> room;
        LogCopy copy;
        LogTake taken{};
        while ((taken = reader.try_copy(room, copy)) == LogTake::ok) {
            Origin origin{};
            if (!is_whole(std::span{room}.first(copy.bytes), copy.sequence, origin)) {
                return "a torn record, or one that nobody sent";
            }
            if (copy.sequence != due + copy.missed) return "a wrong count of missed messages";
            if (copy.missed != 0 && !may_miss) return "a reliable subscriber missed a message";
            if (origin == Origin::victim) ++victims;
            due = copy.sequence + 1;
        }
        return taken == LogTake::empty ? "" : "a subscriber does not say empty";
    }
};

class LogScenario final : public Scenario {
public:
    explicit LogScenario(LogCase details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override { return {region_.bytes()}; }
    bool recoveries_overlap() const override { return !case_.send; }
    void prepare() override;
    void victim_begin() override;
    void victim() override;
    void recover(const Case& now) override;
    std::string interfere(const Case& now) override;
    std::string interfere_recovery(const Case& now) override;
    std::string verify(const Case& now) override;

private:
    [[nodiscard]] LogSeats seats() { return LogSeats::open(region_.bytes()).value(); }
    void attach_writer() { writer_.emplace(LogWriter::attach(region_.bytes()).value()); }
    Watcher join(std::uint32_t index, std::uint64_t holder, LogMode mode) {
        STOA_CHECK(seats().claim(index, holder) == LogClaim::claimed);
        return {LogReader::subscribe(region_.bytes(), index, mode, LogStart::now).value(),
                mode == LogMode::latest};
    }
    std::size_t send_until_full(Origin origin, std::size_t most);
    std::string drain_all();
    std::string lap();
    std::string take_the_seat();
    std::string judge_the_sent(const Case& now) const;
    std::string judge_the_received() const;
    std::string use_all();

    LogCase case_;
    kit::TempRegion region_{kGeometry.bytes_needed()};
    std::optional<LogWriter> writer_;
    std::optional<LogReader> own_;  // subscriber 0, when the victim is that
    std::vector<Watcher> watchers_;
    std::optional<LogRecord> lent_;  // by the first watcher
    std::uint64_t prepared_ = 0;     // sequence behind the records of prepare()
    std::uint64_t due_ = 0;          // what subscriber 0 gets next
    bool is_taken_ = false;          // cursor 0, by the tenant
};

void LogScenario::prepare() {
    create_log(region_.bytes(), kGeometry).value();
    attach_writer();
    if (!case_.is_empty) {
        while (writer_->position() < 3 * 1024) send_until_full(Origin::prepared, 1);
        while (writer_->position() % 1024 != case_.offset) {
            const auto payload = record(Origin::prepared, writer_->sequence(), 8);
            STOA_CHECK(writer_->try_send(payload) == LogSend::ok);
        }
    }
    if (case_.receive || case_.sweeps) {
        STOA_CHECK(seats().claim(0, kDeadOnes) == LogClaim::claimed);
        own_.emplace(LogReader::subscribe(region_.bytes(), 0, case_.mode, LogStart::now).value());
        due_ = own_->sequence();
    }
    watchers_.push_back(join(1, 102, LogMode::reliable));
    watchers_.push_back(join(2, 103, LogMode::latest));
    if (case_.send && !case_.is_empty) watchers_.push_back(join(0, kDeadOnes, case_.mode));
    for (std::size_t k = 0; k < case_.waiting; ++k) {
        const auto payload = record(Origin::prepared, writer_->sequence(), k % 2 == 0 ? 40 : 8);
        STOA_CHECK(writer_->try_send(payload) == LogSend::ok);
    }
    if (case_.lends) {
        LogRecord lent;
        STOA_CHECK(watchers_.back().reader.try_take(lent) == LogTake::ok);
        ++watchers_.back().due;
        lent_ = lent;
    }
    prepared_ = writer_->sequence();
}

void LogScenario::victim_begin() {
    g_made.noise = record(Origin::victim, 3, 100);
    for (const std::size_t bytes : case_.sends) {
        g_made.to_send.push_back(record(Origin::victim, prepared_ + g_made.to_send.size(), bytes));
    }
    if (case_.send) attach_writer();
}

void LogScenario::victim() {
    if (case_.send) case_.send(*writer_);
    if (case_.receive) case_.receive(*own_);
    if (case_.join) case_.join(region_.bytes());
    if (case_.sweeps) seats().drop(0, kDeadOnes);
    outcome(Role::victim).code = 1;
}

// An heir of the writer sends one record; a dead subscriber is dropped.
void LogScenario::recover(const Case& now) {
    if (!case_.send) {
        seats().drop(0, kDeadOnes);
        return;
    }
    attach_writer();
    if (now.me == Role::judge) return;
    const auto payload = record(Origin::recoverer, writer_->sequence(), 48);
    if (writer_->try_send(payload) == LogSend::ok) outcome(Role::recoverer).code = 1;
}

std::size_t LogScenario::send_until_full(Origin origin, std::size_t most) {
    std::size_t sent = 0;
    while (sent < most) {
        const std::uint64_t sequence = writer_->sequence();
        const auto payload = record(origin, sequence, size_of(sequence));
        if (writer_->try_send(payload) != LogSend::ok) break;
        ++sent;
    }
    return sent;
}

std::string LogScenario::drain_all() {
    for (Watcher& watcher : watchers_) {
        if (std::string text = watcher.drain(); !text.empty()) return text;
    }
    return {};
}

// Goes round the ring twice, as far as the victim lets it.
std::string LogScenario::lap() {
    const std::uint64_t from = writer_->position();
    while (writer_->position() < from + 2048) {
        if (send_until_full(Origin::judge, 3) == 0) break;
        if (std::string text = drain_all(); !text.empty()) return text;
    }
    return {};
}

// Whoever comes next takes cursor 0, when that is free.
std::string LogScenario::take_the_seat() {
    if (is_taken_) return {};
    if (seats().claim(0, kTenants) != LogClaim::claimed) return "the cursor is not free";
    watchers_.push_back(
        {LogReader::subscribe(region_.bytes(), 0, LogMode::reliable, LogStart::oldest_kept).value(),
         false});
    is_taken_ = true;
    return {};
}

std::string LogScenario::interfere(const Case& now) {
    if (case_.send) {  // the writer stands still: all receive, and one comes and goes
        Watcher late = join(3, 301, LogMode::reliable);
        late.reader.unsubscribe();
        seats().give_up(3, 301);
        return drain_all();
    }
    if (case_.sweeps) return interfere_recovery(now);
    return lap();
}

// The sweeper stands still: another one sweeps as well, and the cursor is used again.
std::string LogScenario::interfere_recovery(const Case& now) {
    recover(now);
    if (case_.send) return {};
    std::string text = take_the_seat();
    return text.empty() ? lap() : text;
}

std::string LogScenario::verify(const Case& now) {
    if (!now.victim_dead && outcome(Role::victim).code != 1) return "the victim did not return";
    if (lent_) {
        Origin origin{};
        if (!is_whole(lent_->payload, lent_->sequence, origin)) return "a loan was overwritten";
        for (Watcher& watcher : watchers_) {
            if (watcher.reader.loans() > 0) watcher.reader.release(*lent_);
        }
    }
    if (case_.send) attach_writer();
    std::string text = drain_all();
    if (text.empty()) text = case_.send ? judge_the_sent(now) : judge_the_received();
    if (text.empty() && !case_.send) {
        if (!is_taken_) seats().drop(0, kDeadOnes);
        text = take_the_seat();
    }
    return text.empty() ? use_all() : text;
}

std::string LogScenario::judge_the_sent(const Case& now) const {
    const std::uint64_t noted = outcome(Role::victim).values[1];
    const std::uint64_t heirs = outcome(Role::recoverer).code == 1 ? 1U : 0U;
    const std::uint64_t published = writer_->sequence() - prepared_;
    for (const Watcher& watcher : watchers_) {
        if (watcher.due != writer_->sequence()) return "a record is published and is lost";
    }
    if (published < noted + heirs) return "a record was sent and is lost";
    if (published > case_.sends.size() + 1) return "there are more records than were sent";
    const std::uint64_t victims = watchers_.front().victims;
    if (case_.at_once && victims != 0 && victims != case_.sends.size()) return "half a batch";
    if (now.victim_dead) return {};
    return victims == noted && (noted == case_.sends.size() || case_.may_be_full)
               ? ""
               : "the victim's records are lost";
}

// In order, each whole, and the missed ones counted.
std::string LogScenario::judge_the_received() const {
    const Outcome& victim = outcome(Role::victim);
    std::uint64_t due = due_;
    for (std::uint64_t k = 0; k < victim.values[1]; ++k) {
        const std::uint64_t noted = victim.values[2 + k];
        if (noted == kTorn) return "the victim received something torn";
        const std::uint64_t missed = noted >> 32U;
        const std::uint64_t sequence = noted & 0xffffffffU;
        if (case_.join && k == 0) due = sequence - missed;
        if (sequence != due + missed) return "the victim received out of order";
        if (missed != 0 && case_.mode == LogMode::reliable) {
            return "the victim missed a message";
        }
        due = sequence + 1;
    }
    return {};
}

// The bound holds exactly, and nothing is held back by anybody who is gone.
std::string LogScenario::use_all() {
    for (int round = 0; round < 6; ++round) {
        if (std::string text = drain_all(); !text.empty()) return text;
        if (send_until_full(Origin::judge, 100) != kBound) return "the log has lost room";
        if (count_log(region_.bytes())->waiting != kBound) return "not all that waits is counted";
        for (const Watcher& last : watchers_) {  // each reliable one holds the writer by itself
            if (last.reader.mode() != LogMode::reliable) continue;
            for (Watcher& watcher : watchers_) {
                if (&watcher == &last) continue;
                if (std::string text = watcher.drain(); !text.empty()) return text;
            }
            if (send_until_full(Origin::judge, 1) != 0) return "a subscriber holds nobody back";
            if (std::string text = drain_all(); !text.empty()) return text;
            if (send_until_full(Origin::judge, 100) != kBound) return "the log has lost room";
        }
    }
    if (std::string text = drain_all(); !text.empty()) return text;
    for (const Watcher& watcher : watchers_) {
        if (watcher.due != writer_->sequence()) return "a subscriber did not get the last record";
    }
    return {};
}

// --- the victim's operations ------------------------------------------------------------------

void victim_sends(LogWriter& writer) {
    for (const std::vector<std::byte>& payload : g_made.to_send) {
        if (writer.try_send(payload) == LogSend::ok) note_sent();
    }
}

// As a program does that knows the size when it is compiled.
void victim_sends_8(LogWriter& writer) {
    if (writer.try_send<8>(g_made.to_send[0].data()) == LogSend::ok) note_sent();
}

void victim_fills_a_loan(LogWriter& writer, std::size_t reserved) {
    const std::vector<std::byte>& payload = g_made.to_send.back();
    std::span<std::byte> loan;
    if (writer.try_reserve(reserved, loan) != LogSend::ok) return;
    std::memcpy(loan.data(), g_made.noise.data(), reserved);
    std::memcpy(loan.data(), payload.data(), payload.size());
    writer.commit(payload.size());
    note_sent();
}

void victim_abandons_then_sends(LogWriter& writer) {
    std::span<std::byte> loan;
    if (writer.try_reserve(100, loan) != LogSend::ok) return;
    std::memcpy(loan.data(), g_made.noise.data(), loan.size());
    writer.abandon();
    victim_sends(writer);
}

void victim_sends_a_batch(LogWriter& writer) {
    LogBatch batch{writer};
    for (const std::vector<std::byte>& payload : g_made.to_send) {
        if (batch.try_append(payload) != LogSend::ok) return;
    }
    batch.publish();
    outcome(Role::victim).values[1] = g_made.to_send.size();
}

void victim_sends_an_even_batch(LogWriter& writer) {
    std::array<std::uint64_t, 3> numbers{};
    for (std::size_t k = 0; k < 3; ++k) std::memcpy(&numbers[k], g_made.to_send[k].data(), 8);
    LogBatch batch{writer};
    if (batch.append_all<8>(numbers.data(), 3) != 3) return;
    batch.publish();
    outcome(Role::victim).values[1] = 3;
}

void victim_discards_a_batch(LogWriter& writer) {
    LogBatch batch{writer};
    for (int k = 0; k < 2; ++k) {
        if (batch.try_append(std::span{g_made.noise}.first(40)) != LogSend::ok) return;
    }
    batch.discard();
}

void victim_sleeps_for_room(LogWriter& writer) {
    (void)writer.mark_asleep();
    (void)writer.has_room(100);
    writer.mark_awake();
    victim_sends(writer);
}

void victim_takes(LogReader& reader) {
    LogRecord lent;
    if (reader.try_take(lent) != LogTake::ok) return;
    note_received(lent.payload, lent.sequence, 0);
    reader.release(lent);
    (void)reader.sleeper_to_wake();
}

// Two loans, released in the order in which they came; whole until then.
void victim_keeps_two(LogReader& reader) {
    std::array<LogRecord, 2> lent;
    for (LogRecord& record : lent) {
        if (reader.try_take(record) != LogTake::ok) return;
    }
    for (const LogRecord& record : lent) {
        note_received(record.payload, record.sequence, 0);
        reader.release(record);
        reader.free_now();
    }
}

void victim_copies(LogReader& reader) {
    LogCopy copy;
    for (int k = 0; k < 2; ++k) {
        if (reader.try_copy(g_made.room, copy) != LogTake::ok) return;
        note_received(std::span{g_made.room}.first(copy.bytes), copy.sequence, copy.missed);
    }
}

void victim_copies_40(LogReader& reader) {
    LogCopy copy;
    if (reader.try_copy<40>(g_made.room.data(), copy) != LogTake::ok) return;
    note_received(std::span{g_made.room}.first(copy.bytes), copy.sequence, copy.missed);
}

void victim_leaves(LogReader& reader, std::span<std::byte> memory) {
    reader.unsubscribe();
    (void)reader.sleeper_to_wake();
    LogSeats::open(memory)->give_up(0, kDeadOnes);
}

void victim_joins(std::span<std::byte> memory, LogMode mode, LogStart start) {
    LogSeats seats = LogSeats::open(memory).value();
    if (seats.claim(0, kDeadOnes) == LogClaim::busy) return;
    Result<LogReader> reader = LogReader::subscribe(memory, 0, mode, start);
    if (reader) victim_copies(*reader);
}

void victim_joins_and_leaves(std::span<std::byte> memory) {
    LogSeats seats = LogSeats::open(memory).value();
    if (seats.claim(0, kDeadOnes) == LogClaim::busy) return;
    Result<LogReader> reader = LogReader::subscribe(memory, 0, LogMode::reliable, LogStart::now);
    if (reader) victim_leaves(*reader, memory);
}

// For a subscriber that was there before this log: another one sweeps it meanwhile.
void victim_enrolls(std::span<std::byte> memory) {
    (void)LogSeats::open(memory)->enroll(0, kDeadOnes, LogMode::reliable);
}

void add_writer_scenarios(const std::function<void(LogCase)>& add) {
    add({.name = "log.send_8", .waiting = 2, .send = victim_sends_8, .sends = {8}});
    add({.name = "log.send_100", .waiting = 2, .send = victim_sends, .sends = {100}});
    add({.name = "log.send_pads", .offset = 32, .send = victim_sends, .sends = {48}});
    add({.name = "log.send_wraps", .offset = 960, .send = victim_sends, .sends = {100, 8}});
    add({.name = "log.send_uneven", .send = victim_sends, .sends = {48, 8, 100}});
    add({.name = "log.send_full",
         .waiting = 4,
         .send = victim_sends,
         .sends = {48, 48},
         .may_be_full = true});
    add({.name = "log.loan_short",
         .send = [](LogWriter& writer) { victim_fills_a_loan(writer, 100); },
         .sends = {8}});
    add({.name = "log.abandon", .send = victim_abandons_then_sends, .sends = {8}});
    add({.name = "log.batch",
         .send = victim_sends_a_batch,
         .sends = {40, 8, 100},
         .at_once = true});
    add({.name = "log.batch_wraps",
         .offset = 960,
         .send = victim_sends_a_batch,
         .sends = {40, 40, 40},
         .at_once = true});
    add({.name = "log.batch_even",
         .offset = 992,
         .send = victim_sends_an_even_batch,
         .sends = {8, 8, 8},
         .at_once = true});
    add({.name = "log.batch_discard", .waiting = 2, .send = victim_discards_a_batch});
    add({.name = "log.send_behind_a_loan",
         .waiting = 4,
         .send = victim_sends,
         .sends = {48, 48},
         .may_be_full = true,
         .lends = true});
    add({.name = "log.writer_sleep", .send = victim_sleeps_for_room, .sends = {8}});
}

void add_subscriber_scenarios(const std::function<void(LogCase)>& add) {
    constexpr LogMode kLatest = LogMode::latest;
    add({.name = "log.take", .waiting = 3, .receive = victim_takes});
    add({.name = "log.take_behind_pad", .offset = 992, .waiting = 3, .receive = victim_takes});
    add({.name = "log.take_nothing", .receive = victim_takes});
    add({.name = "log.take_two", .waiting = 3, .receive = victim_keeps_two});
    add({.name = "log.take_copy", .waiting = 3, .receive = victim_copies});
    add({.name = "log.copy", .waiting = 3, .mode = kLatest, .receive = victim_copies});
    add({.name = "log.copy_40", .waiting = 3, .mode = kLatest, .receive = victim_copies_40});
    add({.name = "log.copy_nothing", .mode = kLatest, .receive = victim_copies});
    add({.name = "log.join", .waiting = 2, .join = [](auto memory) {
             victim_joins(memory, LogMode::reliable, LogStart::oldest_kept);
         }});
    add({.name = "log.join_now", .waiting = 2, .join = [](auto memory) {
             victim_joins(memory, LogMode::reliable, LogStart::now);
         }});
    add({.name = "log.join_latest", .waiting = 2, .mode = kLatest, .join = [](auto memory) {
             victim_joins(memory, LogMode::latest, LogStart::oldest_kept);
         }});
    add({.name = "log.leave", .waiting = 2, .join = victim_joins_and_leaves});
    add({.name = "log.enroll", .is_empty = true, .join = victim_enrolls});
    add({.name = "log.drop", .waiting = 5, .sweeps = true});
}

}  // namespace

void add_log_scenarios(Scenarios& list) {
    const auto add = [&](LogCase details) {
        list.push_back(std::make_unique<LogScenario>(std::move(details)));
    };
    add_writer_scenarios(add);
    add_subscriber_scenarios(add);
}

}  // namespace stoa::crash
