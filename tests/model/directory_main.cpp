// directory_model: explores the claims of names in a region. See README.md in this folder.
#include <array>
#include <string_view>

#include "tests/model/directory_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

constexpr std::array kSuite{
    NamedSearch<DirectoryConfig>{"two claimers", {.claims = 2}},
    NamedSearch<DirectoryConfig>{"two, each destroys", {.claims = 2, .destroyers = 2}},
    NamedSearch<DirectoryConfig>{"two, a death, a stop",
                                 {.claims = 2, .destroyers = 1, .crashes = 1, .freezes = 1}},
    NamedSearch<DirectoryConfig>{
        "three, one destroys, a death",
        {.actors = 3, .entries = 2, .destroyers = 1, .throws = true, .crashes = 1}},
    NamedSearch<DirectoryConfig>{
        "three, a death, a stop", {.actors = 3, .entries = 3, .crashes = 1, .freezes = 1}, false},
    NamedSearch<DirectoryConfig>{
        "two threads beside one, a death",
        {.actors = 3, .entries = 2, .claims = 2, .destroyers = 1, .threads = true, .crashes = 1}},
    NamedSearch<DirectoryConfig>{"three, three entries, constructors throw",
                                 {.actors = 3, .entries = 3, .destroyers = 1, .throws = true},
                                 false},
    NamedSearch<DirectoryConfig>{"three, three entries, two deaths",
                                 {.actors = 3, .entries = 3, .destroyers = 1, .crashes = 2},
                                 false},
    NamedSearch<DirectoryConfig>{"three, four entries", {.actors = 3, .entries = 4}, false},
};

using Row = NamedMutant<DirectoryConfig, DirectoryMutant>;
constexpr std::array kMutants{
    Row{DirectoryMutant::no_turn,
        "no_turn",
        "a word does not come round",
        {.actors = 3, .entries = 2, .threads = true}},
    Row{DirectoryMutant::looks_before_it_says,
        "looks_before_it_says",
        "C3 comes before C4: say it, then look at others",
        {}},
    Row{DirectoryMutant::named_late, "named_late", "the name is there before C4", {}},
    Row{DirectoryMutant::ignores_tentative,
        "ignores_tentative",
        "C4 empties the word of another TENTATIVE one",
        {}},
    Row{DirectoryMutant::waits_for_tentative,
        "waits_for_tentative",
        "who is stopped while it claims delays nobody",
        {.freezes = 1}},
    Row{DirectoryMutant::decides_by_store, "decides_by_store", "C5 is a CAS", {}},
    Row{DirectoryMutant::inherits_by_store,
        "inherits_by_store",
        "an heir replaces the very word that it looked at",
        {.actors = 3, .entries = 2, .crashes = 1}},
    Row{DirectoryMutant::never_inherits,
        "never_inherits",
        "what a dead one holds is taken over",
        {.crashes = 1}},
    Row{DirectoryMutant::condemns_by_store,
        "condemns_by_store",
        "who destroys replaces the very word that it looked at",
        {.destroyers = 2}},
    Row{DirectoryMutant::stopped_is_dead,
        "stopped_is_dead",
        "a stopped constructor is not a dead one",
        {.freezes = 1}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<DirectoryModel>(argc, argv,
                                       std::span<const NamedSearch<DirectoryConfig>>{kSuite},
                                       std::span<const Row>{kMutants});
}
