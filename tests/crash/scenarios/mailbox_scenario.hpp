// The mailbox as crash scenarios use it: one operation of one process, and how it is judged.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "stoa/mailbox/mailbox.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/look.hpp"
#include "tests/crash/scenarios/mailbox_kit.hpp"

namespace stoa::crash {

inline constexpr std::uint64_t kVictimsNumber = 77;
inline constexpr std::uint64_t kWakersNumber = 88;
inline constexpr std::uint64_t kPreparedNumber = 100;
inline constexpr std::uint64_t kJudgesNumber = 1000;
inline constexpr std::uint32_t kLanesWatched = 4;  // and lanes

struct Value {
    std::uint64_t words[kBytes / 8];
};
inline constexpr std::size_t kBatch = 3;

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
    bool watched = false;          // but that a wait set of the engine waits for one of them
};

// The victim's results: values[1] how many it sent; [2], [4] and [5] the numbers it received for
// good; [3] a fault.
inline constexpr std::array<std::size_t, kBatch> kReceived{2, 4, 5};

class MailboxScenario final : public KeptMailbox {
public:
    explicit MailboxScenario(MailboxCase details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override;
    bool sleeps() const override { return case_.sleeps; }
    void prepare() override;
    void wake() override;

    void victim_begin() override;
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
    std::vector<RawMailbox> crowd_;
    std::optional<WaitSet> set_;  // of the engine
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

}  // namespace stoa::crash
