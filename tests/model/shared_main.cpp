// shared_model: explores the lock for readers and writers. See README.md in this folder.
#include <array>

#include "tests/model/searches.hpp"
#include "tests/model/shared_model.hpp"

namespace {

using namespace stoa::model;

using Search = NamedSearch<SharedConfig>;
constexpr std::array kSuite{
    Search{"a writer, two readers, two rounds each", {}},
    Search{"two writers, a reader", {.writers = 2, .readers = 1}},
    Search{"two writers, two readers", {.writers = 2, .readers = 2, .rounds = 1}},
    Search{"three readers, two places", {.writers = 0, .readers = 3}},
    Search{"a writer, two readers, one place", {.places = 1, .rounds = 1}},
    Search{"deadlines", {.rounds = 1, .deadlines = true}},
    Search{"three writers, a reader, deadlines",
           {.writers = 3, .readers = 1, .places = 1, .rounds = 1, .deadlines = true},
           false},
    Search{"a death", {.rounds = 1, .crashes = 1}},
    Search{"two writers, a death", {.writers = 2, .readers = 1, .rounds = 1, .crashes = 1}},
    Search{"a death, a stop", {.readers = 1, .rounds = 2, .crashes = 1, .freezes = 1}},
    Search{"a death, another has its place",
           {.readers = 1, .rounds = 1, .crashes = 1, .newcomers = 1}},
    Search{"heirs that do not mend",
           {.writers = 1, .readers = 2, .rounds = 1, .crashes = 1, .forgetful = true}},
    Search{"two deaths, deadlines",
           {.readers = 1, .places = 1, .rounds = 2, .crashes = 2, .deadlines = true}},
    Search{"one place, a death, another has its place",
           {.writers = 1, .readers = 2, .places = 1, .rounds = 1, .crashes = 1, .newcomers = 1},
           false},
    Search{"two writers, two readers, a death",
           {.writers = 2, .readers = 2, .places = 1, .rounds = 1, .crashes = 1},
           false},
    Search{"all of it",
           {.rounds = 1,
            .crashes = 2,
            .freezes = 1,
            .newcomers = 1,
            .forgetful = true,
            .deadlines = true},
           false},
};

using Row = NamedMutant<SharedConfig, SharedMutant>;
constexpr std::array kMutants{
    Row{SharedMutant::reader_looks_no_more,
        "reader_looks_no_more",
        "a reader that is announced looks for a writer again",
        {}},
    Row{SharedMutant::writer_looks_no_more,
        "writer_looks_no_more",
        "a writer that is announced looks for readers",
        {}},
    Row{SharedMutant::leaves_without_ring,
        "leaves_without_ring",
        "a reader that leaves rings for the writer",
        {}},
    Row{SharedMutant::gives_without_ring,
        "gives_without_ring",
        "a writer that leaves rings for the readers",
        {}},
    Row{SharedMutant::place_without_ring,
        "place_without_ring",
        "a reader that leaves rings for those without a place",
        {.writers = 0, .readers = 3}},
    Row{SharedMutant::heir_enters_at_once,
        "heir_enters_at_once",
        "who inherits from one that waited for readers waits for them too",
        {.writers = 2, .readers = 1, .rounds = 1, .crashes = 1}},
    Row{SharedMutant::heir_of_entering_told,
        "heir_of_entering_told",
        "nor is it told of a death",
        {.writers = 2, .readers = 1, .rounds = 1, .crashes = 1}},
    Row{SharedMutant::writer_in_forgotten,
        "writer_in_forgotten",
        "a reader does not pass over a writer that died in it",
        {.rounds = 1, .crashes = 1}},
    Row{SharedMutant::stopped_reader_dropped,
        "stopped_reader_dropped",
        "a stopped reader is not a dead one",
        {.rounds = 1, .freezes = 1}},
    Row{SharedMutant::dropped_by_store,
        "dropped_by_store",
        "the place of a dead reader is emptied by a CAS of what was seen",
        {.writers = 0, .readers = 3, .places = 1, .rounds = 1, .crashes = 1}},
    Row{SharedMutant::readers_sleep_unseen,
        "readers_sleep_unseen",
        "a reader looks again before it sleeps",
        {}},
    Row{SharedMutant::writer_sleeps_unseen,
        "writer_sleeps_unseen",
        "a writer looks again before it sleeps",
        {}},
    Row{SharedMutant::unmended_not_poisoned,
        "unmended_not_poisoned",
        "what is given back unmended is poisoned",
        {.rounds = 1, .crashes = 1, .forgetful = true}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<SharedModel>(argc, argv, std::span<const Search>{kSuite},
                                    std::span<const Row>{kMutants});
}
