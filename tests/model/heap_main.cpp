// heap_model: explores the heap's blocks and sections. See README.md in this folder.
#include <array>
#include <string_view>

#include "tests/model/heap_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

constexpr std::array kSuite{
    NamedSearch<HeapConfig>{"two sections, two rounds", {.rounds = 2}},
    NamedSearch<HeapConfig>{"a death", {.crashes = 1}},
    NamedSearch<HeapConfig>{"two deaths, also of heirs", {.crashes = 2}},
    NamedSearch<HeapConfig>{"a death, a stop", {.crashes = 1, .freezes = 1}},
    NamedSearch<HeapConfig>{"retired and opened again", {.retires = 1}},
    NamedSearch<HeapConfig>{"retired, a death", {.retires = 1, .crashes = 1}},
    NamedSearch<HeapConfig>{"two rounds, a death", {.rounds = 2, .crashes = 1}, false},
    NamedSearch<HeapConfig>{"retired, two deaths", {.retires = 1, .crashes = 2}, false},
};

using Row = NamedMutant<HeapConfig, HeapMutant>;
constexpr std::array kMutants{
    Row{HeapMutant::tag_not_confirmed,
        "tag_not_confirmed",
        "who overwrites a tag confirms it first",
        {.crashes = 1}},
    Row{HeapMutant::confirmed_without_second_look,
        "confirmed_without_second_look",
        "a helper looks at the word again before it confirms",
        {.rounds = 2, .crashes = 1}},
    Row{HeapMutant::own_tag_stays,
        "own_tag_stays",
        "a step begins without its own old tag in the word",
        {.crashes = 1}},
    Row{HeapMutant::heir_looks_at_pending_first,
        "heir_looks_at_pending_first",
        "an heir looks at the word before it looks at the step",
        {.crashes = 1}},
    Row{HeapMutant::no_second_look,
        "no_second_look",
        "an allocation looks at the slab again",
        {.retires = 1}},
    Row{HeapMutant::turn_stays,
        "turn_stays",
        "what opens, closes or tags a word gives it another turn",
        {.rounds = 2, .crashes = 1},
        false},
    Row{HeapMutant::retired_unseen,
        "retired_unseen",
        "only a word without blocks is closed",
        {.retires = 1}},
    Row{HeapMutant::tag_lost_in_retiring,
        "tag_lost_in_retiring",
        "who closes a word confirms its tag",
        {.retires = 1, .crashes = 1}},
    Row{HeapMutant::undone_from_the_start,
        "undone_from_the_start",
        "an heir asks whether a step was taken before it takes it",
        {.crashes = 2}},
    Row{HeapMutant::done_before_the_tag,
        "done_before_the_tag",
        "a step is done when its tag is in the word",
        {.crashes = 1}},
    Row{HeapMutant::steps_not_counted,
        "steps_not_counted",
        "each step has another number than the one before",
        {.retires = 1, .crashes = 1}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<HeapModel>(argc, argv, std::span<const NamedSearch<HeapConfig>>{kSuite},
                                  std::span<const Row>{kMutants});
}
