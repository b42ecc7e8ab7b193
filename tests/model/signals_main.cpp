// signals_model: explores semaphores and events. See README.md in this folder.
#include <array>

#include "tests/model/searches.hpp"
#include "tests/model/signals_model.hpp"

namespace {

using namespace stoa::model;
using Search = NamedSearch<SignalConfig>;
using enum SignalKind;

constexpr SignalConfig kPermits{.kind = permits, .posters = 0, .posts = 0};
constexpr SignalConfig kAlone{.kind = event_alone, .waiters = 2, .posters = 2, .posts = 2};
constexpr SignalConfig kByHand{.kind = event_by_hand, .posts = 2};
constexpr SignalConfig kReset{.kind = event_by_hand, .waiters = 2, .posts = 2, .resets = true};

constexpr std::array kSuite{
    Search{"posts: three wait, three posted", {}},
    Search{"posts: two wait twice, two post twice",
           {.waiters = 2, .rounds = 2, .posters = 2, .posts = 2}},
    Search{"posts: deadlines", {.deadlines = true}},
    Search{"posts: a death", {.waiters = 2, .posts = 2, .crashes = 1}},
    Search{"posts: a stop", {.waiters = 2, .posts = 2, .freezes = 1}},
    Search{"permits: three share one", kPermits},
    Search{"permits: three share two, twice",
           {.kind = permits, .rounds = 2, .posters = 0, .posts = 0, .permits = 2}},
    Search{"permits: a death, deadlines",
           {.kind = permits, .posters = 0, .posts = 0, .crashes = 1, .deadlines = true}},
    Search{"permits: two deaths, two permits",
           {.kind = permits, .posters = 0, .posts = 0, .permits = 2, .crashes = 2}},
    Search{"permits: a death, a stop",
           {.kind = permits, .posters = 0, .posts = 0, .crashes = 1, .freezes = 1}},
    Search{"event that resets itself: two wait, two set", kAlone},
    Search{"event that resets itself: a death",
           {.kind = event_alone, .waiters = 2, .posts = 2, .crashes = 1}},
    Search{"event that resets itself: deadlines",
           {.kind = event_alone, .posts = 3, .deadlines = true}},
    Search{"event by hand: three wait, set twice", kByHand},
    Search{"event by hand: set and reset", kReset},
    Search{"event by hand: a death, a stop",
           {.kind = event_by_hand,
            .waiters = 2,
            .posts = 1,
            .resets = true,
            .crashes = 1,
            .freezes = 1}},
    Search{"posts: three wait, two post twice, deadlines",
           {.posters = 2, .posts = 2, .deadlines = true},
           false},
    Search{"posts: three wait, a death, a stop", {.crashes = 1, .freezes = 1}, false},
    Search{"permits: three share two, twice, a death",
           {.kind = permits, .rounds = 2, .posters = 0, .posts = 0, .permits = 2, .crashes = 1},
           false},
    Search{"event by hand: three wait, set and reset, a death",
           {.kind = event_by_hand, .posts = 2, .resets = true, .crashes = 1},
           false},
};

using Row = NamedMutant<SignalConfig, SignalMutant>;
constexpr std::array kMutants{
    Row{SignalMutant::no_wake, "no_wake", "whoever clears the bell's bit wakes one", {}},
    Row{SignalMutant::woken_marks_nothing,
        "woken_marks_nothing",
        "a woken sleeper marks the bell again",
        {}},
    Row{SignalMutant::no_pass_on,
        "no_pass_on",
        "a woken sleeper passes the wake on when more is there",
        {}},
    Row{SignalMutant::sleeper_does_not_look_again,
        "sleeper_does_not_look_again",
        "a sleeper looks again after it marked the bell",
        {}},
    Row{SignalMutant::by_hand_wakes_one, "by_hand_wakes_one", "an event by hand wakes all", kReset},
    Row{SignalMutant::turn_ignored, "turn_ignored",
        "who waited when it was set goes on, also when it is reset at once", kReset},
    Row{SignalMutant::rings_before_change,
        "rings_before_change",
        "what changed is there before the bell is rung",
        {}},
    Row{SignalMutant::inherits_by_store,
        "inherits_by_store",
        "an heir replaces the very holder that it looked at",
        {.kind = permits, .posters = 0, .posts = 0, .crashes = 1}},
    Row{SignalMutant::stopped_is_dead,
        "stopped_is_dead",
        "a stopped holder is not a dead one",
        {.kind = permits, .posters = 0, .posts = 0, .freezes = 1}},
    Row{SignalMutant::dead_keep_permits,
        "dead_keep_permits",
        "who waits looks for permits of the dead",
        {.kind = permits, .posters = 0, .posts = 0, .crashes = 1}},
    Row{SignalMutant::taken_by_load,
        "taken_by_load",
        "a post is taken by a CAS",
        {.waiters = 2, .posts = 2}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<SignalModel>(argc, argv, std::span<const Search>{kSuite},
                                    std::span<const Row>{kMutants});
}
