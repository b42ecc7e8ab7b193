// link_model: explores process names and links. See README.md in this folder.
#include <array>
#include <string_view>

#include "tests/model/link_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

constexpr LinkConfig with(LinkConfig config, int crashes, int freezes) {
    config.crashes = crashes;
    config.freezes = freezes;
    return config;
}
// Where there are three names: both others send to the one in the middle.
constexpr LinkConfig kTwoSenders{.actors = 4,
                                 .names = 3,
                                 .name = {0, 1, 2},
                                 .target = {1, 0, 1},
                                 .sends = {1, 0, 1},
                                 .files = 4,
                                 .collectors = 1};
constexpr LinkConfig kBoth{.actors = 3, .sends = {1, 1}, .collectors = 1};
constexpr LinkConfig kOne{.actors = 3, .sends = {1, 0}, .collectors = 1};
constexpr LinkConfig kHeir{.actors = 3, .sends = {2, 0, 0}};
constexpr LinkConfig kHeirs{
    .actors = 3, .name = {1, 1, 1}, .joins = {2, 2, 2}, .sends = {0, 0, 0}, .files = 4};
constexpr LinkConfig kAwaits{
    .actors = 3, .joins = {1, 2}, .sends = {1, 0}, .files = 4, .collectors = 1, .awaits = true};
constexpr LinkConfig kRendezvous{.joins = {2, 2}, .sends = {1, 0}, .rendezvous = true};

constexpr std::array kSuite{
    NamedSearch<LinkConfig>{"one sends to one", {}},
    NamedSearch<LinkConfig>{"both send at once", {.sends = {1, 1}}},
    NamedSearch<LinkConfig>{"both, two joins, careless",
                            {.joins = {2, 2}, .sends = {1, 1}, .careless = true}},
    NamedSearch<LinkConfig>{"one, two deaths, collected", with(kOne, 2, 0)},
    NamedSearch<LinkConfig>{"both, a death, collected", with(kBoth, 1, 0)},
    NamedSearch<LinkConfig>{"an heir of the receiver, a death", with(kHeir, 1, 0)},
    NamedSearch<LinkConfig>{"three take over, two deaths", with(kHeirs, 2, 0)},
    NamedSearch<LinkConfig>{"two senders, one knock", kTwoSenders, false},
    NamedSearch<LinkConfig>{"one waits for a join, collected", kAwaits},
    NamedSearch<LinkConfig>{"rendezvous", kRendezvous},
    NamedSearch<LinkConfig>{"rendezvous, a death, a stop, collected",
                            {.actors = 3,
                             .sends = {1, 0},
                             .collectors = 1,
                             .rendezvous = true,
                             .crashes = 1,
                             .freezes = 1},
                            false},
    NamedSearch<LinkConfig>{"both, a stop, collected", with(kBoth, 0, 1), false},
    NamedSearch<LinkConfig>{"one, a death, a stop, collected", with(kOne, 1, 1), false},
    NamedSearch<LinkConfig>{"an heir, a death, a stop", with(kHeir, 1, 1), false},
};

using Row = NamedMutant<LinkConfig, LinkMutant>;
constexpr LinkConfig kTwoOfOneName{.actors = 3, .name = {1, 1}, .sends = {0, 0}, .collectors = 1};
constexpr LinkConfig kThreeOfOneName{
    .actors = 4, .name = {1, 1, 1}, .sends = {0, 0, 0}, .files = 4, .collectors = 1};
constexpr std::array kMutants{
    Row{LinkMutant::rings_before_link, "rings_before_link", "the ring comes after the link", {}},
    Row{LinkMutant::knocks_before_link,
        "knocks_before_link",
        "the link comes before the knock",
        {}},
    Row{LinkMutant::rings_after_send, "rings_after_send", "the ring comes before the message",
        kRendezvous},
    Row{LinkMutant::looks_before_taking, "looks_before_taking",
        "a knock is taken before its link is looked for", with(kHeir, 1, 0)},
    Row{LinkMutant::knocks_by_store, "knocks_by_store", "a knock is placed by CAS", kTwoSenders,
        false},
    Row{LinkMutant::undoes_by_destroying,
        "undoes_by_destroying",
        "a link whose peer has just left is drained first",
        {.sends = {1, 1}}},
    Row{LinkMutant::joins_by_store, "joins_by_store", "a name is taken by CAS", kTwoOfOneName},
    Row{LinkMutant::stopped_is_dead, "stopped_is_dead", "a stopped holder is not a dead one",
        with(kTwoOfOneName, 0, 1)},
    Row{LinkMutant::condemned_apart, "condemned_apart",
        "the owner word itself says that the name goes", kThreeOfOneName},
    Row{LinkMutant::never_takes_over, "never_takes_over", "a dead one's name is free at once",
        with(kTwoOfOneName, 1, 0)},
    Row{LinkMutant::no_help, "no_help", "who finds a name that goes takes it away",
        with({.name = {1, 1}, .sends = {0, 0}}, 0, 1)},
    Row{LinkMutant::links_before_end, "links_before_end", "a join ends before its links", {}},
    Row{LinkMutant::leaves_knocks, "leaves_knocks", "who leaves looks at its knocks", {}},
    Row{LinkMutant::takes_when_leaving, "takes_when_leaving",
        "who leaves takes no knock: it may be its heir's", with(kHeir, 1, 0)},
    Row{LinkMutant::last_participant_removes,
        "last_participant_removes",
        "a link goes when both joins are over",
        {}},
    Row{LinkMutant::drained_before_over,
        "drained_before_over",
        "a peer's join is over before its link is drained",
        {}},
    Row{LinkMutant::links_by_store,
        "links_by_store",
        "linkat decides which link it is",
        {.sends = {1, 1}}},
    Row{LinkMutant::links_of_names,
        "links_of_names",
        "a link is of two joins, not of two names",
        {.joins = {1, 2}, .sends = {2, 0}, .careless = true}},
    Row{LinkMutant::leaves_silently, "leaves_silently", "who takes a name away rings there",
        kAwaits},
    Row{LinkMutant::joins_silently, "joins_silently", "who joins rings there", kAwaits},
    Row{LinkMutant::arms_after_look, "arms_after_look", "the bell is armed before the look", {}},
    Row{LinkMutant::gc_by_participants, "gc_by_participants",
        "a link that nobody has open may be needed", kOne},
    Row{LinkMutant::one_over_is_enough, "one_over_is_enough",
        "others remove a link only when both joins are over", kOne},
    Row{LinkMutant::names_before_links,
        "names_before_links",
        "a join's name is found after its link",
        {.actors = 3, .joins = {1, 2}, .sends = {1, 0}, .files = 4, .collectors = 1}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<LinkModel>(argc, argv, std::span<const NamedSearch<LinkConfig>>{kSuite},
                                  std::span<const Row>{kMutants});
}
