// A mailbox that broadcasts, one operation of one process, and a judge who reads what every
// subscriber got.
//
// The witness is a reliable subscriber of the engine that does nothing. It was there before
// everybody, so it must get each message that was sent; the judge reads in its place, through the
// bytes. The judge subscribes as well, from when it comes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "stoa/mailbox/mailbox_layout.hpp"
#include "stoa/ring/log.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/scenarios/mailbox_kit.hpp"
#include "tests/crash/scenarios/stage_scenario.hpp"

namespace stoa::crash {

class BroadcastScenario;

struct BroadcastCase {
    std::string name{};
    MailboxOptions options{};
    ::stoa::Role role = ::stoa::Role::receives;         // of the victim
    bool latest = false;                                // and it skips
    std::function<void(BroadcastScenario&)> prepare{};  // by the engine
    std::function<void(const sys::Fd&)> beside{};       // by the victim, before its operation
    std::function<void(RawMailbox&)> begins{};          // and this
    std::function<void(RawMailbox&)> operation{};       // of the victim
    std::function<void(const sys::Fd&)> opens{};        // instead: it makes its own handle
    std::function<void(RawMailbox&)> wakes{};           // ends the victim's sleep
    bool has_witness = true;
};

// Messages that one subscriber got: whole, in their senders' order, each once.
class Subscription {
public:
    explicit Subscription(std::uint64_t first_due = 0) : first_due_{first_due} {}

    // Empty: all is well.
    [[nodiscard]] std::string note(std::uint64_t number, const MailboxPlan& plan);
    [[nodiscard]] bool has(std::uint64_t number) const { return got_.contains(number); }
    // Of the judge's messages: from this one on it must get all.
    [[nodiscard]] std::uint64_t first_due() const { return first_due_; }

private:
    std::uint64_t first_due_;
    std::set<std::uint64_t> got_;
    std::map<std::uint64_t, std::uint64_t> last_;  // by sender and priority
};

class BroadcastScenario final : public KeptMailbox {
public:
    explicit BroadcastScenario(BroadcastCase details) : case_{std::move(details)} {}

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

    // For prepare().
    void send_prepared(std::uint64_t count);
    // One that skips, of the engine as well, takes the next station.
    void add_skipper();
    // The engine's subscribers receive so many of what was sent; then nobody keeps a segment
    // because he sent there.
    void skipper_reads(std::uint64_t count);
    void witness_reads_all();
    void dismiss_sender() { sender_.reset(); }
    [[nodiscard]] std::uint64_t segment_messages() const { return plan().pool.slot_count; }

private:
    struct Reader {
        RawMailbox handle;
        Subscription got;
    };

    [[nodiscard]] bool logged() const { return plan().lane_count > 0; }
    [[nodiscard]] std::uint32_t logs_open() const;
    [[nodiscard]] std::uint64_t seat(std::uint32_t station) const;
    [[nodiscard]] std::span<std::byte> log(std::uint32_t lane) const;
    void come(::stoa::Role role = ::stoa::Role::both);
    [[nodiscard]] Attachment& at() { return readers_.front().handle.attachment(); }
    std::string read_as_witness();
    std::string read_logs_as_witness();
    std::string drain();
    bool send_mine();
    std::string laps(bool may_be_held);
    std::string hear_victim(const Case& now);
    std::string everybody_got_all() const;
    std::string nothing_leaked();
    std::string nothing_leaked_in_log(std::uint32_t lane);
    std::string nothing_leaked_in_ring(std::uint32_t which);
    std::string nothing_leaked_in_segments();
    std::string read_queue_as_witness();
    std::string nobody_has_what_failed() const;

    BroadcastCase case_;
    std::optional<RawMailbox> witness_;  // the engine's: these two do nothing either
    std::optional<RawMailbox> sender_;
    std::optional<RawMailbox> skipper_;
    std::uint64_t prepared_ = 0;
    std::optional<RawMailbox> victim_;
    std::vector<Reader> readers_;                       // the judge's
    std::map<std::uint32_t, LogReader> witness_reads_;  // the witness's place, by log
    Subscription witnessed_;
    std::set<std::uint64_t> sent_;  // by whom it may be: the judge, the waker, the victim
    std::set<std::uint64_t> failed_;
    std::uint64_t next_ = kStageJudges;
};

}  // namespace stoa::crash
