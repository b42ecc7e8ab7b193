// routes_model: explores what becomes of the messages of a receiver that went. See README.md here.
#include <array>

#include "tests/model/routes_model.hpp"
#include "tests/model/searches.hpp"

namespace {

using namespace stoa::model;

using Search = NamedSearch<RoutesConfig>;
using Mutant = NamedMutant<RoutesConfig, RoutesMutant>;

constexpr RoutesConfig kNewcomer{
    .lanes = true, .receivers = 1, .joins = 1, .messages = 1, .vacant = true};
constexpr RoutesConfig kTwoHeirs{
    .lanes = true, .messages = 1, .freezes = 1, .vacant = true, .first_door = true};

// Lanes that are handed over, with marks.
constexpr RoutesConfig kFree{.lanes = true, .receivers = 1, .vacant = true, .marks = true};
constexpr RoutesConfig kTakenOver{
    .lanes = true, .receivers = 1, .joins = 1, .marks = true, .lets_go = true, .taken_over = true};
constexpr RoutesConfig kTakenOverOne{.lanes = true,
                                     .receivers = 1,
                                     .joins = 1,
                                     .messages = 1,
                                     .marks = true,
                                     .lets_go = true,
                                     .taken_over = true};
constexpr RoutesConfig kInherited{
    .lanes = true, .receivers = 1, .joins = 1, .leaves = 1, .marks = true, .taken_over = true};
constexpr std::array kSuite{
    Search{"rings: both leave", {.leaves = 2}},
    Search{"rings: two crashes", {.crashes = 2}},
    Search{"rings: one leaves, one dies, one stops", {.crashes = 1, .freezes = 1, .leaves = 1}},
    Search{"rings: a free station, one comes",
           {.receivers = 1, .joins = 1, .crashes = 1, .freezes = 1, .vacant = true}},
    Search{"lanes: both leave", {.lanes = true, .leaves = 2}},
    Search{"lanes: two crashes", {.lanes = true, .crashes = 2}},
    Search{"lanes: one leaves, one stops",
           {.lanes = true, .messages = 1, .freezes = 1, .leaves = 1}},
    Search{"lanes: a free station, one comes",
           {.lanes = true, .receivers = 1, .joins = 1, .crashes = 1, .vacant = true}},
    Search{
        "lanes: a free station, one comes, one stops",
        {.lanes = true, .receivers = 1, .joins = 1, .messages = 1, .freezes = 1, .vacant = true}},
    Search{"lanes: a free station, two heirs",
           {.lanes = true, .messages = 1, .freezes = 1, .vacant = true}},
    Search{"lanes: a free station, two heirs, a first door", kTwoHeirs},
    Search{"marks: a free station, two heirs",
           {.lanes = true, .vacant = true, .marks = true, .lets_go = true}},
    Search{"marks: taken over, one dies, one stops",
           {.lanes = true,
            .receivers = 1,
            .crashes = 1,
            .freezes = 1,
            .marks = true,
            .lets_go = true,
            .taken_over = true}},
    Search{"marks: taken over, one comes", kTakenOver},
    Search{"marks: taken over, one comes, one leaves", kInherited},
    Search{"rings: one comes, one leaves, one stops",
           {.joins = 1, .messages = 1, .freezes = 1, .leaves = 1},
           false},
    Search{"rings: two senders, one leaves, one dies",
           {.senders = 2, .messages = 1, .crashes = 1, .leaves = 1},
           false},
    Search{"lanes: one leaves, one dies, one stops",
           {.lanes = true, .crashes = 1, .freezes = 1, .leaves = 1},
           false},
    Search{"lanes: two senders, one leaves",
           {.lanes = true, .senders = 2, .messages = 1, .leaves = 1},
           false},
    Search{"lanes: two senders, a crash",
           {.lanes = true, .senders = 2, .messages = 1, .crashes = 1},
           false},
    Search{"lanes: a free station, one comes, dies, stops",
           {.lanes = true, .receivers = 1, .joins = 1, .crashes = 1, .freezes = 1, .vacant = true},
           false},
    Search{"lanes: a free station, two heirs, one comes",
           {.lanes = true, .joins = 1, .messages = 1, .vacant = true},
           false},
    Search{"lanes: one comes, one leaves",
           {.lanes = true, .joins = 1, .messages = 1, .leaves = 1},
           false},
    Search{
        "marks: one leaves", {.lanes = true, .leaves = 1, .marks = true, .lets_go = true}, false},
    Search{"marks: a free station, one comes, one leaves",
           {.lanes = true, .receivers = 1, .joins = 1, .leaves = 1, .vacant = true, .marks = true},
           false},
    Search{"marks: taken over, one comes, one leaves, let go",
           {.lanes = true,
            .receivers = 1,
            .joins = 1,
            .leaves = 1,
            .marks = true,
            .lets_go = true,
            .taken_over = true},
           false},
    Search{"marks: taken over, one comes, one dies",
           {.lanes = true,
            .receivers = 1,
            .joins = 1,
            .crashes = 1,
            .marks = true,
            .lets_go = true,
            .taken_over = true},
           false},
};

constexpr std::array kMutants{
    Mutant{RoutesMutant::seat_read_once,
           "seat_read_once",
           "a sender reads the seat again after it sent",
           {.messages = 1, .leaves = 1}},
    Mutant{RoutesMutant::bit_without_wake,
           "bit_without_wake",
           "who sets an orphan bit wakes all",
           {.messages = 1, .leaves = 1}},
    Mutant{RoutesMutant::leave_tells_nobody,
           "leave_tells_nobody",
           "who leaves sets the bits of free seats and wakes all",
           {.messages = 1, .leaves = 1}},
    Mutant{RoutesMutant::recovery_tells_nobody,
           "recovery_tells_nobody",
           "so does a sweep",
           {.messages = 1, .crashes = 1}},
    Mutant{RoutesMutant::rings_not_looked_at,
           "rings_not_looked_at",
           "before it sleeps a receiver looks at the rings of free seats",
           {.messages = 1, .freezes = 1, .leaves = 1}},
    Mutant{RoutesMutant::doors_not_looked_at, "doors_not_looked_at",
           "before it sleeps a receiver looks whether doors lead to free seats", kTwoHeirs},
    Mutant{RoutesMutant::adopts_without_seat, "adopts_without_seat",
           "an heir holds the seat while it changes doors", kNewcomer},
    Mutant{RoutesMutant::seat_released_first, "seat_released_first",
           "an heir gives the seat up when the doors are changed", kNewcomer},
    Mutant{RoutesMutant::mark_not_swept,
           "mark_not_swept",
           "a sweep also gives up the seat that a dead heir held",
           {.lanes = true, .messages = 1, .crashes = 1, .vacant = true}},
    Mutant{RoutesMutant::first_not_rung,
           "first_not_rung",
           "the first message in a new lane rings its receiver",
           {.lanes = true, .messages = 1}},
    Mutant{RoutesMutant::bell_read_late,
           "bell_read_late",
           "a receiver reads its bell before it looks for new lanes",
           {.lanes = true, .messages = 1}},
    Mutant{RoutesMutant::seat_not_marked, "seat_not_marked",
           "the mark in a held seat keeps senders away", kTwoHeirs},
    Mutant{RoutesMutant::adopted_unmarked, "adopted_unmarked",
           "what an heir takes over is marked as delivered again", kFree},
    Mutant{RoutesMutant::unmarked_early, "unmarked_early",
           "the mark stays until its sender has let go", kFree},
    Mutant{RoutesMutant::marks_not_inherited, "marks_not_inherited",
           "who takes a station marks what its last holder had taken over", kInherited},
    Mutant{RoutesMutant::let_go_undrained, "let_go_undrained",
           "a lane is let go when it is drained", kTakenOverOne},
    Mutant{RoutesMutant::let_go_with_sender, "let_go_with_sender",
           "a lane is let go when its sender has let go", kTakenOverOne},
    Mutant{RoutesMutant::let_go_reads_on, "let_go_reads_on", "who lets a lane go reads it no more",
           kTakenOver},
    Mutant{RoutesMutant::handed_over_unsaid,
           "handed_over_unsaid",
           "the door says that its lane was handed over",
           {.lanes = true, .receivers = 1, .joins = 1, .leaves = 1, .vacant = true, .marks = true},
           false},
    Mutant{RoutesMutant::bell_remembered, "bell_remembered",
           "whom a sender wakes is read off the door when the message is there", kNewcomer},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<RoutesModel, RoutesConfig, RoutesMutant>(argc, argv, kSuite, kMutants);
}
