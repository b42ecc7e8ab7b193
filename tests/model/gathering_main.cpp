// gathering_model: explores barriers and latches. See README.md in this folder.
#include <array>

#include "tests/model/gathering_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;
using Search = NamedSearch<GatheringConfig>;

constexpr std::array kSuite{
    Search{"two members, three phases", {.members = 2, .rounds = 3}},
    Search{"three members, two phases", {}},
    Search{"three members, the last arrival drops out", {.drops = true}},
    Search{"one joins", {.joiners = 1, .rounds = 1, .drops = true}},
    Search{"two members, two deaths", {.members = 2, .rounds = 3, .crashes = 2}},
    Search{"three members, a death", {.rounds = 1, .crashes = 1}},
    Search{"three members, a stop", {.rounds = 1, .freezes = 1}},
    Search{"two members, a death, a stop", {.members = 2, .crashes = 1, .freezes = 1}},
    Search{"one joins, a death", {.members = 2, .joiners = 1, .crashes = 1, .drops = true}},
    Search{"three members, two phases, a death", {.crashes = 1}, false},
    Search{"three members, a death, a stop", {.rounds = 1, .crashes = 1, .freezes = 1}, false},
    Search{
        "one joins two, a death", {.joiners = 1, .rounds = 1, .crashes = 1, .drops = true}, false},
};

using Row = NamedMutant<GatheringConfig, GatheringMutant>;
constexpr GatheringConfig kTwo{.members = 2, .rounds = 2};
constexpr std::array kMutants{
    Row{GatheringMutant::last_one_does_not_look, "last_one_does_not_look",
        "who has arrived looks whether it is the last", kTwo},
    Row{GatheringMutant::no_wake, "no_wake", "who ends the phase wakes who sleeps", kTwo},
    Row{GatheringMutant::wakes_one, "wakes_one", "all of them", {.rounds = 1}},
    Row{GatheringMutant::sleeper_does_not_look_again, "sleeper_does_not_look_again",
        "a sleeper looks again after it marked the bell", kTwo},
    Row{GatheringMutant::dead_stay_expected,
        "dead_stay_expected",
        "who waits looks for the dead",
        {.members = 2, .crashes = 1}},
    Row{GatheringMutant::stopped_is_dead,
        "stopped_is_dead",
        "a stopped member is not a dead one",
        {.members = 2, .freezes = 1}},
    Row{GatheringMutant::ends_by_store,
        "ends_by_store",
        "a phase is ended by a CAS from what was looked at",
        {.members = 2, .rounds = 3}},
    Row{GatheringMutant::arrival_stays, "arrival_stays", "an arrival is of one phase", kTwo},
    Row{GatheringMutant::expected_before_named,
        "expected_before_named",
        "a member names itself before it counts",
        {.members = 2, .joiners = 1, .crashes = 1, .drops = true}},
    Row{GatheringMutant::drop_does_not_look,
        "drop_does_not_look",
        "who drops out looks whether it was the last",
        {.members = 2, .drops = true}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<GatheringModel>(argc, argv, std::span<const Search>{kSuite},
                                       std::span<const Row>{kMutants});
}
