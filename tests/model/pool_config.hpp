// What the pool ring's model is asked to explore, and the rules that it can be told to break.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/model/pool_state.hpp"

namespace stoa::model {

// Each breaks one rule of the algorithm; pool_mutants.cpp says which, and which search catches it.
enum class Mutant : std::uint8_t {
    none,
    no_help,
    no_slot_reread,
    help_without_adopt,
    adopt_owner_only,
    no_takes,
    takes_wrap,
    empty_before_adopt,
    publish_before_fill,
    bury_without_reread,
    bury_gives_up,
    drain_without_scan,
    flag_stored_down,
    headers_not_scanned,
    no_announce,
    no_recheck,
    recheck_incarnation_only,
    headers_before_slots,
    no_slot_scan,
    settle_by_store,
    loaned_redelivered,
    raise_only_before,
    no_raise,
    no_generation,
    index_before_headers,
    hint_cleared_late,
    hints_not_swept,
    nack_without_raise,
    nack_raises_first,
    count_not_kept,
    no_hazard_scan,
    table_read_first,
    inherited_word_kept,
    claimed_not_swept,
    detach_announced,
    detach_without_sweep,
    told_after_free,
    tag_ignored,
    outcome_stored,
    recover_tells_nothing,
    recover_tells_unread,
    ack_without_done,
    settle_looks_once,
    settle_without_slot,
    withdraw_stores,
    withdraw_from_slot_only,
    withdrawn_told_first,
    withdraw_after_end,
    receipts_not_swept,
};

inline constexpr int kNever = 3;  // a dead letter; the count stays here

struct PoolConfig {
    int slots = 1;
    int chunks = 2;
    int senders = 1;
    int receivers = 2;
    int messages = 2;  // of each sender
    int quota = 1;     // loans that one endpoint may hold at a time
    int crashes = 0;
    int freezes = 0;
    int attaches = 0;
    Role attach_role = Role::receiver;
    int newcomers = 1;   // that attach at the same time
    int spare = 0;       // records by which the participant table can grow
    bool heirs = false;  // the last receiver may die or stop too, if a newcomer can follow it
    int detaches = 0;
    bool all_sweep = false;  // senders sweep too, not only receivers
    bool abandon = false;    // senders may give a loan back unsent
    bool ack = false;
    bool nack = true;  // in acknowledged mode
    int k = 1;         // leases that may end without an ack before it is a dead letter; kNever: any
    int max_takes = 3;   // the slot word's largest takes
    bool drain = false;  // receivers take dead letters out and free their chunks
    bool hints = false;
    int receipts = 0;       // every send asks for one, if there are any
    bool withdraw = false;  // senders may take their messages back
    bool at_take = false;   // acknowledged: a receipt ends with the take, as in a rendezvous
    // Only what senders do is progress: a receipt must end also when no receiver comes any more.
    bool alone = false;
    Mutant mutant = Mutant::none;

    [[nodiscard]] int participants() const noexcept { return senders + receivers + spare; }
    // Each newcomer that sends, sends one message.
    [[nodiscard]] int all_messages() const noexcept {
        return senders * messages + (attach_role == Role::sender ? attaches : 0);
    }
};

// The options that would repeat it, without those that are at their defaults.
std::string text_of(const PoolConfig& config);

// Sets one option, "slots" to "2" say; false: no such option or no such value.
bool set_option(PoolConfig& config, std::string_view name, std::string_view value);

// nullptr, or why the model cannot hold this configuration.
const char* refusal_of(const PoolConfig& config);

std::string_view name_of(Mutant mutant);

}  // namespace stoa::model
