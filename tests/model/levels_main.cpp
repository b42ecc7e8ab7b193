// levels_model: explores the queues by priority and the end of a stream. See README.md here.
#include <array>

#include "tests/model/levels_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

using Search = NamedSearch<LevelsConfig>;
using Mutant = NamedMutant<LevelsConfig, LevelsMutant>;

constexpr std::array kSuite{
    Search{"two levels, one receiver, four messages", {.receivers = 1, .messages = 4}},
    Search{"two levels, a crash", {.crashes = 1}},
    Search{"two levels, a freeze", {.freezes = 1}},
    Search{"closing, one queue", {.levels = 1, .messages = 1, .crashes = 1, .closes = true}},
    Search{"closing, two slots, a crash",
           {.levels = 1, .slots = 2, .messages = 1, .crashes = 1, .closes = true}},
    Search{"closing, two senders, one receiver",
           {.levels = 1, .senders = 2, .receivers = 1, .messages = 1, .closes = true}},
    Search{"closing, two levels, one receiver", {.receivers = 1, .closes = true}},
    Search{"ack: closing, a crash, a nack",
           {.levels = 1, .messages = 1, .crashes = 1, .nacks = 1, .ack = true, .closes = true}},
    Search{"two levels, three messages", {.messages = 3}, false},
    Search{"two levels, a crash, a freeze", {.crashes = 1, .freezes = 1}, false},
    Search{"two levels, two senders", {.senders = 2, .receivers = 1, .messages = 2}, false},
    Search{"two levels, two senders, a crash, a freeze",
           {.senders = 2, .messages = 1, .crashes = 1, .freezes = 1},
           false},
    Search{"two levels of two slots",
           {.slots = 2, .receivers = 1, .messages = 5, .freezes = 1},
           false},
    Search{"ack: two levels, a crash, a nack", {.crashes = 1, .nacks = 1, .ack = true}, false},
    Search{"closing, one queue, a crash, a freeze",
           {.levels = 1, .messages = 2, .crashes = 1, .freezes = 1, .closes = true},
           false},
    Search{"closing, two slots, a crash, a freeze",
           {.levels = 1, .slots = 2, .messages = 2, .crashes = 1, .freezes = 1, .closes = true},
           false},
    Search{"closing, two senders, a crash",
           {.levels = 1, .senders = 2, .messages = 1, .crashes = 1, .closes = true},
           false},
    Search{"closing, two levels, a crash", {.crashes = 1, .closes = true}, false},
    Search{"ack: closing, a crash, a freeze, a nack",
           {.levels = 1,
            .messages = 1,
            .crashes = 1,
            .freezes = 1,
            .nacks = 1,
            .ack = true,
            .closes = true},
           false},
    Search{"ack: closing, two messages, a crash",
           {.levels = 1, .messages = 2, .crashes = 1, .ack = true, .closes = true},
           false},
};

constexpr std::array kMutants{
    Mutant{LevelsMutant::counts_by_hint,
           "counts_by_hint",
           "the capacity counts every level, also those that the hint hides",
           {.receivers = 1, .messages = 4}},
    Mutant{LevelsMutant::heads_left_behind,
           "heads_left_behind",
           "before a mailbox is full its heads are moved past what is settled",
           {.crashes = 1}},
    Mutant{LevelsMutant::missed_not_looked,
           "missed_not_looked",
           "a hint that knows of none is not believed",
           {.messages = 1, .crashes = 1}},
    Mutant{LevelsMutant::no_look_after_bit,
           "no_look_after_bit",
           "a receiver looks again after it set the bit",
           {.messages = 1}},
    Mutant{LevelsMutant::no_ring, "no_ring", "a sender rings after the hint", {.messages = 1}},
    Mutant{
        LevelsMutant::space_not_rung, "space_not_rung", "a take rings for space", {.receivers = 1}},
    Mutant{LevelsMutant::end_without_seal,
           "end_without_seal",
           "the end is what a SEALED slot says",
           {.levels = 1, .receivers = 1, .messages = 1, .closes = true}},
    Mutant{LevelsMutant::seal_by_store,
           "seal_by_store",
           "a queue is sealed by CAS of the EMPTY slot",
           {.levels = 1, .receivers = 1, .messages = 1, .closes = true}},
    Mutant{LevelsMutant::seal_first_level_only,
           "seal_first_level_only",
           "the end is that every queue is sealed",
           {.receivers = 1, .closes = true}},
    Mutant{LevelsMutant::end_without_help,
           "end_without_help",
           "before the end, what another one is taking is made its own",
           {.levels = 1, .slots = 2, .messages = 1, .crashes = 1, .closes = true}},
    Mutant{LevelsMutant::end_ignores_leases,
           "end_ignores_leases",
           "acknowledged: the end waits for the leases of others",
           {.levels = 1, .messages = 1, .crashes = 1, .ack = true, .closes = true}},
    Mutant{LevelsMutant::end_ignores_marked,
           "end_ignores_marked",
           "acknowledged: the end waits for what was given back, flag or not",
           {.levels = 1, .messages = 1, .crashes = 1, .nacks = 1, .ack = true, .closes = true}},
    Mutant{LevelsMutant::close_not_awaited,
           "close_not_awaited",
           "a wait for messages ends when the mailbox is closed",
           {.levels = 1, .receivers = 1, .messages = 1, .closes = true}},
    Mutant{LevelsMutant::close_wakes_nobody,
           "close_wakes_nobody",
           "a close wakes all",
           {.levels = 1, .receivers = 1, .messages = 1, .closes = true}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<LevelsModel, LevelsConfig, LevelsMutant>(argc, argv, kSuite, kMutants);
}
