// latest_model: explores the newest value. See README.md in this folder.
#include <array>
#include <string_view>

#include "tests/model/latest_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

constexpr std::array kSuite{
    NamedSearch<LatestConfig>{"a writer, two readers", {.writers = 1, .values = 6}},
    NamedSearch<LatestConfig>{"writers one after the other", {.readers = 1, .values = 6}},
    NamedSearch<LatestConfig>{"a death and an heir", {.readers = 1, .crashes = 1}},
    NamedSearch<LatestConfig>{"a stop", {.readers = 1, .values = 6, .freezes = 1}},
    NamedSearch<LatestConfig>{
        "two deaths, a stop",
        {.writers = 3, .readers = 1, .values = 5, .reads = 1, .crashes = 2, .freezes = 1}},
    NamedSearch<LatestConfig>{"a sleeper", {.readers = 1, .values = 5, .reads = 3, .sleeps = true}},
    NamedSearch<LatestConfig>{"two sleepers", {.writers = 1, .values = 3, .sleeps = true}},
    NamedSearch<LatestConfig>{
        "a sleeper, a death, a stop",
        {.readers = 1, .values = 4, .crashes = 1, .freezes = 1, .sleeps = true}},
    NamedSearch<LatestConfig>{"two readers, a death", {.crashes = 1}, false},
    NamedSearch<LatestConfig>{
        "three writers, longer",
        {.writers = 3, .readers = 1, .values = 9, .reads = 2, .crashes = 2, .freezes = 1},
        false},
    NamedSearch<LatestConfig>{
        "all of it", {.writers = 3, .values = 5, .reads = 2, .crashes = 2, .freezes = 1}, false},
};

using Row = NamedMutant<LatestConfig, LatestMutant>;
constexpr LatestConfig kSmall{.writers = 1, .readers = 1, .values = 6, .reads = 2};
constexpr LatestConfig kHeirs{.readers = 1, .values = 7, .reads = 2, .crashes = 1};
constexpr LatestConfig kSleeper{
    .writers = 1, .readers = 1, .values = 4, .reads = 2, .sleeps = true};
constexpr std::array kMutants{
    Row{LatestMutant::publishes_early, "publishes_early", "W2 releases the words", kSmall},
    Row{LatestMutant::words_overtake, "words_overtake", "W1 comes after the W2 before it", kSmall},
    Row{LatestMutant::reads_late, "reads_late", "R1 acquires the words", kSmall},
    Row{LatestMutant::checks_early, "checks_early", "R3 comes after R2", kSmall},
    Row{LatestMutant::no_check, "no_check", "a copy counts when R3 says so", kSmall},
    Row{LatestMutant::checks_one_more, "checks_one_more",
        "a slot is being written again when three more are published", kSmall},
    Row{LatestMutant::three_slots, "three_slots", "four slots", kSmall},
    Row{LatestMutant::heir_starts_over, "heir_starts_over", "an heir goes on with the next number",
        kHeirs},
    Row{LatestMutant::heir_skips, "heir_skips", "numbers have no gaps", kHeirs},
    Row{LatestMutant::claims_from_stopped,
        "claims_from_stopped",
        "a stopped writer is not a dead one",
        {.readers = 1, .reads = 1, .freezes = 1}},
    Row{LatestMutant::claims_by_store,
        "claims_by_store",
        "an heir replaces the very word that it looked at",
        {.readers = 1, .reads = 1}},
    Row{LatestMutant::no_barrier, "no_barrier",
        "a barrier for the writers comes between sleep bit and second look", kSleeper},
    Row{LatestMutant::no_look, "no_look", "who set the sleep bit looks again", kSleeper},
    Row{LatestMutant::no_wake, "no_wake", "a writer wakes all that sleep", kSleeper},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<LatestModel>(argc, argv, std::span<const NamedSearch<LatestConfig>>{kSuite},
                                    std::span<const Row>{kMutants});
}
