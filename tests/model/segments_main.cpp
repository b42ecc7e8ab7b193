// segments_model: explores the memory of an unbounded mailbox. See README.md here.
#include <array>

#include "tests/model/searches.hpp"
#include "tests/model/segments_model.hpp"

namespace {

using namespace stoa::model;

using Search = NamedSearch<SegmentsConfig>;
using Mutant = NamedMutant<SegmentsConfig, SegmentsMutant>;

constexpr std::array kSuite{
    Search{"three messages", {.messages = 3}},
    Search{"a crash, a freeze", {.messages = 2, .crashes = 1, .freezes = 1}},
    Search{"from nothing, no space, a crash",
           {.messages = 2, .crashes = 1, .no_space = 1, .begun = false}},
    Search{"a loan", {.messages = 2, .loans = 1}},
    Search{"a message is kept, a crash", {.messages = 3, .crashes = 1, .keeps = true}},
    Search{"closing, a crash", {.messages = 2, .crashes = 1, .closes = true}},
    Search{"closing, a freeze", {.messages = 2, .freezes = 1, .closes = true}},
    Search{"two receivers", {.receivers = 2, .sweepers = 0, .messages = 2}},
    Search{"two senders", {.senders = 2, .messages = 1, .positions = 2}},
    Search{"two sweepers, a crash", {.sweepers = 2, .messages = 2, .crashes = 1}, false},
    Search{"ack: a nack, a freeze", {.messages = 2, .freezes = 1, .nacks = 1, .ack = true}},
    Search{"two receivers, closing",
           {.receivers = 2, .sweepers = 0, .messages = 2, .closes = true},
           false},
    Search{
        "two senders, a crash", {.senders = 2, .messages = 1, .positions = 2, .crashes = 1}, false},
    Search{"two senders, closing",
           {.senders = 2, .messages = 1, .positions = 2, .closes = true},
           false},
    Search{"a loan, a crash", {.messages = 2, .crashes = 1, .loans = 1}, false},
};

constexpr std::array kMutants{
    Mutant{SegmentsMutant::pin_after_look,
           "pin_after_look",
           "a pin comes before the look",
           {.messages = 3}},
    Mutant{SegmentsMutant::no_second_look,
           "no_second_look",
           "who pinned looks at the word",
           {.messages = 3}},
    Mutant{SegmentsMutant::leaving_not_rescued,
           "leaving_not_rescued",
           "who pins a LEAVING one makes it LIVE",
           {.messages = 3}},
    Mutant{SegmentsMutant::leaving_unnamed,
           "leaving_unnamed",
           "LEAVING says who looks",
           {.messages = 3}},
    Mutant{SegmentsMutant::freer_without_pin,
           "freer_without_pin",
           "who frees the last chunk keeps the segment for it",
           {.messages = 2, .loans = 1}},
    Mutant{
        SegmentsMutant::last_not_helped,
        "last_not_helped",
        "a linked one is made LIVE before another is linked behind it",
        {.senders = 2, .sweepers = 0, .messages = 1, .positions = 2, .freezes = 1, .begun = false}},
    Mutant{SegmentsMutant::last_may_leave,
           "last_may_leave",
           "the last one stays",
           {.messages = 2, .closes = true}},
    Mutant{SegmentsMutant::recover_ignores_link,
           "recover_ignores_link",
           "what a dead one linked stays",
           {.messages = 2, .crashes = 1}},
    Mutant{SegmentsMutant::unlinked_kept,
           "unlinked_kept",
           "what was not linked goes back",
           {.segments = 3, .senders = 2, .sweepers = 0, .messages = 2, .fewer = 1}},
    Mutant{SegmentsMutant::used_late,
           "used_late",
           "the used bit is set before the link",
           {.messages = 2, .crashes = 1}},
    Mutant{SegmentsMutant::used_cleared_early,
           "used_cleared_early",
           "the used bit stays until the memory went",
           {.messages = 3}},
    Mutant{SegmentsMutant::used_cleared_late,
           "used_cleared_late",
           "the used bit goes before the entry is FREE",
           {.messages = 3}},
    Mutant{SegmentsMutant::pass_without_seal,
           "pass_without_seal",
           "a receiver goes on only behind a seal",
           {.senders = 2, .messages = 1, .positions = 2}},
    Mutant{SegmentsMutant::seal_by_store,
           "seal_by_store",
           "a ring is sealed by CAS",
           {.senders = 2, .messages = 1, .positions = 2}},
    Mutant{SegmentsMutant::no_generation,
           "no_generation",
           "an entry counts its generations",
           {.receivers = 2, .sweepers = 0, .messages = 3}},
    Mutant{SegmentsMutant::list_unbounded,
           "list_unbounded",
           "a list ends with what was the last when it began",
           {.receivers = 2, .sweepers = 0, .messages = 3}},
    Mutant{SegmentsMutant::empty_unchecked,
           "empty_unchecked",
           "empty is what was found so while it was the last",
           {.receivers = 2, .sweepers = 0, .messages = 2}},
    Mutant{SegmentsMutant::end_unmarked,
           "end_unmarked",
           "who learns the end marks the last one",
           {.messages = 2, .closes = true}},
    Mutant{SegmentsMutant::end_by_store,
           "end_by_store",
           "it is marked by CAS",
           {.messages = 2, .closes = true}},
    Mutant{SegmentsMutant::end_not_masked,
           "end_not_masked",
           "who looks for the last one overlooks the mark",
           {.receivers = 2, .sweepers = 0, .messages = 1, .closes = true}},
    Mutant{SegmentsMutant::ring_before_pins,
           "ring_before_pins",
           "the ring is looked at after the pins",
           {.senders = 2, .sweepers = 0, .messages = 2, .fewer = 1, .positions = 2, .loans = 1}},
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<SegmentsModel, SegmentsConfig, SegmentsMutant>(argc, argv, kSuite, kMutants);
}
