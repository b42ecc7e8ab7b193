// mutex_model: explores the mutex. See README.md in this folder.
#include <array>
#include <string_view>

#include "tests/model/mutex_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

constexpr std::array kSuite{
    NamedSearch<MutexConfig>{"three, two rounds each", {}},
    NamedSearch<MutexConfig>{"four, one round each", {.lockers = 4, .rounds = 1}},
    NamedSearch<MutexConfig>{"deadlines", {.deadlines = true}},
    NamedSearch<MutexConfig>{"a death", {.crashes = 1}},
    NamedSearch<MutexConfig>{"two deaths, deadlines",
                             {.rounds = 1, .crashes = 2, .deadlines = true}},
    NamedSearch<MutexConfig>{"a death, a stop", {.rounds = 1, .crashes = 1, .freezes = 1}},
    NamedSearch<MutexConfig>{"a death, another has its place",
                             {.rounds = 1, .crashes = 1, .newcomers = 1}},
    NamedSearch<MutexConfig>{"heirs that do not mend",
                             {.rounds = 1, .crashes = 1, .forgetful = true}},
    NamedSearch<MutexConfig>{"once", {.lockers = 4, .rounds = 1, .once = true}},
    NamedSearch<MutexConfig>{"once, two rounds each", {.once = true}},
    NamedSearch<MutexConfig>{
        "once, two deaths, a stop",
        {.rounds = 1, .crashes = 2, .freezes = 1, .newcomers = 1, .deadlines = true, .once = true},
        false},
    NamedSearch<MutexConfig>{"all of it",
                             {.rounds = 1,
                              .crashes = 2,
                              .freezes = 1,
                              .newcomers = 1,
                              .forgetful = true,
                              .deadlines = true},
                             false},
    NamedSearch<MutexConfig>{
        "four, a death", {.lockers = 4, .rounds = 1, .crashes = 1, .deadlines = true}, false},
};

using Row = NamedMutant<MutexConfig, MutexMutant>;
constexpr std::array kMutants{
    Row{MutexMutant::no_wake, "no_wake", "who gives it back wakes one", {}},
    Row{MutexMutant::woken_forgets_others,
        "woken_forgets_others",
        "who slept takes it with the bit set",
        {}},
    Row{MutexMutant::unlock_ignores_waiters,
        "unlock_ignores_waiters",
        "a word with waiters is given back slowly",
        {}},
    Row{MutexMutant::sleeps_unseen, "sleeps_unseen", "the kernel compares what was marked", {}},
    Row{MutexMutant::inherits_by_store,
        "inherits_by_store",
        "an heir replaces the very word that it looked at",
        {.rounds = 1, .crashes = 1}},
    Row{MutexMutant::heir_not_told, "heir_not_told", "an heir is told", {.crashes = 1}},
    Row{MutexMutant::heirs_heir_not_told,
        "heirs_heir_not_told",
        "also who inherits from an heir",
        {.rounds = 1, .crashes = 2}},
    Row{MutexMutant::unmended_not_poisoned,
        "unmended_not_poisoned",
        "what is given back unmended is poisoned",
        {.rounds = 1, .crashes = 1, .forgetful = true}},
    Row{MutexMutant::incarnation_ignored,
        "incarnation_ignored",
        "a place that another one has by now names a dead holder",
        {.rounds = 1, .crashes = 1, .newcomers = 1}},
    Row{MutexMutant::stopped_is_dead,
        "stopped_is_dead",
        "a stopped holder is not a dead one",
        {.rounds = 1, .freezes = 1}},
    Row{MutexMutant::late_one_forgets_others,
        "late_one_forgets_others",
        "who slept sets the bit again also when it has no time left",
        {.lockers = 4, .rounds = 1, .deadlines = true}},
    Row{MutexMutant::done_wakes_one,
        "done_wakes_one",
        "who has done it wakes all",
        {.rounds = 1, .once = true}},
    Row{MutexMutant::done_trusts_the_bit,
        "done_trusts_the_bit",
        "also those who slept when one threw, of whom no bit tells",
        {.once = true}},
    Row{MutexMutant::thrown_not_told,
        "thrown_not_told",
        "who runs it after one that threw is told",
        {.rounds = 1, .once = true}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<MutexModel>(argc, argv, std::span<const NamedSearch<MutexConfig>>{kSuite},
                                   std::span<const Row>{kMutants});
}
