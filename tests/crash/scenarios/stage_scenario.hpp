// A mailbox with policies and several receivers, one operation of one process, and a judge that
// accounts for every message and every receipt.
//
// What a process did it writes down after each call returned (did()). When the victim is dead, the
// bytes say what must come; while it lives, what it says in the end. A receipt of the asker, which
// lives in the engine and does nothing, must end in one outcome that fits what everybody received.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "stoa/mailbox/mailbox_layout.hpp"
#include "stoa/mailbox/segments.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/look.hpp"
#include "tests/crash/scenarios/mailbox_kit.hpp"

namespace stoa::crash {

inline constexpr std::uint64_t kStageVictims = 70;
inline constexpr std::uint64_t kStageWakers = 80;
inline constexpr std::uint64_t kStagePrepared = 100;
inline constexpr std::uint64_t kStageJudges = 1000;
inline constexpr std::uint64_t kStageHeirs = 2000;   // in a loan
inline constexpr std::uint64_t kStageAskers = 3000;  // with a receipt

enum class Deed : std::uint8_t {
    none = 0,
    sent,     // a send returned ok
    has,      // received for good
    told,     // learned an outcome, the third word
    not_met,  // a rendezvous met nobody
    regrets,  // is about to take back what it sent, if it can
    wrong,    // something that must not be
    failed,   // a send said so
};

// Who calls it is the process of that role.
void did(Role who, Deed deed, std::uint64_t number, ::stoa::Outcome outcome = {});
struct Done {
    Deed deed = Deed::none;
    std::uint64_t number = 0;
    ::stoa::Outcome outcome{};
};
[[nodiscard]] std::vector<Done> deeds_of(Role who);

// By its number a message has its priority and its key.
[[nodiscard]] SendOptions options_of(const MailboxPlan& plan, std::uint64_t number);
// Receives one, notes it and gives it back; false: nothing came.
bool receive_one(Role who, RawMailbox& box, Deadline deadline = Deadline::immediately());
bool send_one(Role who, RawMailbox& box, std::uint64_t number,
              Deadline deadline = Deadline::immediately());

class StageScenario;

struct StageCase {
    std::string name{};
    MailboxOptions options{};
    ::stoa::Role role = ::stoa::Role::both;         // of the victim
    ::stoa::Role others = ::stoa::Role::both;       // of the judge beside them
    std::function<void(StageScenario&)> prepare{};  // by the engine
    // By the victim, around the opening of its handle: returns what ends it.
    std::function<std::function<void()>(const sys::Fd&)> around{};
    std::function<void(const sys::Fd&)> beside{};     // by the victim, before its operation
    std::function<void(RawMailbox&)> operation{};     // of the victim
    std::function<void(const sys::Fd&)> opens{};      // instead: it makes its own handle
    std::function<void(StageScenario&)> meanwhile{};  // by the judge, beside a stopped victim
    std::function<void(RawMailbox&)> wakes{};         // ends the victim's sleep
    bool stands_by = false;       // the victim waits for the seat that around() has taken
    bool awaits_message = false;  // and must find one, whatever the judge has taken
    bool only_opens = false;      // then the judge leaves the rest to the victim
    bool of_letters = false;      // the victim opens the dead letters
    bool expires = false;         // what was prepared expires
    bool closes = false;          // the judge closes it, and learns the end
    bool closed = false;          // it was closed by prepare()
};

class StageScenario final : public KeptMailbox {
public:
    explicit StageScenario(StageCase details) : case_{std::move(details)} {}
    ~StageScenario() override;

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override;
    bool sleeps() const override { return case_.wakes != nullptr; }
    void prepare() override;
    void wake() override;
    void victim_begin() override;
    void victim() override;
    void victim_end() override { victim_.reset(); }
    void recover_begin(const Case& now) override;
    void recover(const Case& now) override;
    std::string interfere(const Case& now) override;
    std::string interfere_recovery(const Case& now) override;
    std::string verify(const Case& now) override;

    // For prepare(): messages that wait, and such whose sender, the asker, wants to know.
    RawMailbox& asker();
    void send_prepared(std::uint64_t count);
    void dismiss_asker() { asker_.reset(); }  // it would keep the segment where it sent last
    void ask_prepared(std::uint64_t count, std::chrono::nanoseconds time_to_live = {});
    // For meanwhile().
    [[nodiscard]] RawMailbox& judge() { return handles_.front(); }
    std::string take_back(std::uint64_t number);
    void send_late();

private:
    [[nodiscard]] bool routed() const { return plan().routed(); }
    [[nodiscard]] bool has_one_receiver() const {
        return plan().sharing == Sharing::single_receiver;
    }
    [[nodiscard]] bool rendezvous() const { return plan().capacity.kind == Capacity::Kind::zero; }
    [[nodiscard]] bool drops() const { return plan().overflow == Overflow::drop_oldest; }
    [[nodiscard]] std::uint32_t stations_watched() const;
    [[nodiscard]] std::vector<std::uint32_t> rings() const;
    [[nodiscard]] SegmentWord segment(std::uint32_t slot) const;
    [[nodiscard]] WaitingMessages look() const;
    void what_must_come(const Case& now);
    void open_all(::stoa::Role role = ::stoa::Role::both);
    [[nodiscard]] bool seat_is_held() const;
    std::string note_message(RawMessage& got);
    std::string drain();
    std::string drain_letters();
    std::string drain_to_the_end(bool may_wait);
    std::string laps();
    void hold_things();
    std::string let_go();
    std::string hear(Role who, const Case& now);
    std::string hear_victim(Deed deed, std::uint64_t number, ::stoa::Outcome outcome,
                            const Case& now);
    std::string answers(const Case& now);
    std::string fits(std::uint64_t number, const Answer& answer, const Case& now);
    [[nodiscard]] std::string nothing_hidden() const;
    std::string nothing_leaked();
    std::string no_segment_leaked();
    std::string nothing_leaked_in(std::uint32_t station);
    bool send_mine();
    [[nodiscard]] bool others_got(std::uint64_t number) const;

    StageCase case_;
    std::string folder_;
    std::optional<RawMailbox> asker_;  // the engine's
    std::map<std::uint64_t, PoolTicket> tickets_;
    std::optional<RawMailbox> victim_;
    std::vector<RawMailbox> handles_;  // the judge's
    std::vector<RawMailbox> heirs_;    // came while a recovery was under way
    std::vector<RawLoan> heirs_loans_;
    std::vector<Receipt> receipts_;  // of messages that the judge sent meanwhile
    WaitingMessages prepared_;
    std::set<std::uint64_t> all_prepared_;
    std::set<std::uint64_t> delivered_before_;
    Ledger ledger_;
    std::map<std::uint64_t, int> got_;      // by the judge, as messages
    std::map<std::uint64_t, int> letters_;  // by the judge, as dead letters
    std::set<std::uint64_t> victim_has_;
    std::set<std::uint64_t> told_taken_;     // while the victim stood still
    std::set<std::uint64_t> must_be_there_;  // the dead victim sent them, and nothing else
    std::set<std::uint64_t> waker_has_;
    std::map<std::uint64_t, std::uint64_t> last_;  // by sender and priority
    bool knows_ = false;
    std::uint64_t next_ = kStageJudges;
};

}  // namespace stoa::crash
