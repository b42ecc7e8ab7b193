// What both halves of the link model use.
#pragma once

#include <cstddef>

#include "tests/model/link_model.hpp"

namespace stoa::model::link_words {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr std::uint8_t bit(int who) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(who));
}

inline constexpr const char* kPcWords[] = {
    "idle",
    "finds its name",
    "makes its name",
    "looks who has it",
    "takes it",
    "rings who waits for it",
    "finds the other name",
    "makes the other name to wait there",
    "looks who has the other name",
    "looks for the link",
    "makes the link",
    "looks at the link's state",
    "knocks",
    "rings the peer",
    "looks again who has it",
    "sends",
    "rings the peer late",
    "waits until it is taken",
    "looks before it sleeps",
    "sleeps until a join",
    "arms its bell",
    "takes a knock",
    "looks for the knocker's link",
    "empties a knock",
    "looks at a link's peer",
    "takes from a link",
    "unlinks a drained link",
    "is about to sleep",
    "ends its join",
    "takes a knock, leaving",
    "looks at a link's peer, leaving",
    "condemns the link",
    "unlinks it",
    "looks who is at its name",
    "removes its name",
    "takes its name away",
    "rings at its name",
    "has left",
    "looks who had a name",
    "takes the name from the dead",
    "removes the name",
    "rings at the removed name",
    "looks at one side's join",
    "looks at the other side's join",
    "condemns a link of the dead",
    "unlinks a link of the dead",
};

inline const char* word_of(LinkPc pc) {
    return kPcWords[static_cast<std::size_t>(pc)];
}

}  // namespace stoa::model::link_words
