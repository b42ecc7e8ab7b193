// condition_model: explores the condition. See README.md in this folder.
#include <array>

#include "tests/model/condition_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;
using Search = NamedSearch<ConditionConfig>;

constexpr std::array kSuite{
    Search{"two wait, two notify one", {}},
    Search{"two wait twice, three notify one", {.rounds = 2, .ones = 3}, false},
    Search{"three wait, two notify one", {.waiters = 3}},
    Search{"three wait, one and all", {.waiters = 3, .ones = 1, .alls = 1}},
    Search{"two wait twice, one and all", {.rounds = 2, .ones = 1, .alls = 1}},
    Search{"deadlines", {.waiters = 3, .deadlines = true}},
    Search{"a death", {.crashes = 1}},
    Search{"three wait, a death, deadlines",
           {.waiters = 3, .ones = 1, .crashes = 1, .deadlines = true}},
    Search{"a stop, one and all", {.ones = 1, .alls = 1, .freezes = 1}},
    Search{"two deaths", {.crashes = 2}},
    Search{"three wait, two notify one, two deaths, a stop",
           {.waiters = 3, .crashes = 2, .freezes = 1},
           false},
    Search{"three wait twice, two notify one", {.waiters = 3, .rounds = 2}, false},
    Search{
        "all of it", {.rounds = 2, .ones = 2, .alls = 1, .crashes = 1, .deadlines = true}, false},
};

using Row = NamedMutant<ConditionConfig, ConditionMutant>;
constexpr ConditionConfig kThree{.waiters = 3};
constexpr std::array kMutants{
    Row{ConditionMutant::no_wake, "no_wake", "who notifies wakes one", {}},
    Row{ConditionMutant::later_ones_take_it, "later_ones_take_it",
        "what was granted before somebody came is not for it", kThree},
    Row{ConditionMutant::no_pass_on, "no_pass_on",
        "a wake meant for one that was there before is passed on", kThree},
    Row{ConditionMutant::taken_without_lock,
        "taken_without_lock",
        "who takes a grant holds the lock, so that its death is told",
        {.crashes = 1}},
    Row{ConditionMutant::timed_out_leaves_grant,
        "timed_out_leaves_grant",
        "who has no time left takes what is granted",
        {.deadlines = true}},
    Row{ConditionMutant::sleeps_without_look,
        "sleeps_without_look",
        "a sleeper marks the very word that it looked at",
        {}},
    Row{ConditionMutant::wake_forgets_sleepers,
        "wake_forgets_sleepers",
        "the mark stays while somebody may sleep",
        {}},
    Row{ConditionMutant::let_go_pays_again,
        "let_go_pays_again",
        "whoever was let go takes no share of those who came later",
        {.rounds = 2, .ones = 1, .alls = 1}},
    Row{ConditionMutant::wakes_before_grant,
        "wakes_before_grant",
        "a grant is there before its wake",
        {}},
    Row{ConditionMutant::dead_holder_not_looked_for,
        "dead_holder_not_looked_for",
        "who waits looks whether the lock's holder is dead",
        {.crashes = 1}},
    Row{ConditionMutant::late_not_let_go,
        "late_not_let_go",
        "one that is late for a slice while nobody takes what is granted lets all go",
        {.waiters = 3, .crashes = 2},
        false},
    Row{ConditionMutant::next_turn_wakes_one, "next_turn_wakes_one",
        "the next turn wakes all, for those of the last one are let go", kThree},
    Row{ConditionMutant::late_never_join, "late_never_join",
        "the late join when the last grant is taken", kThree},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<ConditionModel>(argc, argv, std::span<const Search>{kSuite},
                                       std::span<const Row>{kMutants});
}
