// Values that own memory: strings, containers and structs of them travel as they are.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <map>

#include "stoa/stoa.hpp"

struct Stop {
    std::string town;
    std::optional<std::string> platform;
};
struct Journey {
    std::uint32_t train;
    std::vector<Stop> stops;
    std::map<std::string, double> fares;
};

void announce() {
    auto journeys = stoa::Mailbox<Journey>::open("journeys", {.role = stoa::Role::sends}).value();
    journeys
        .send({.train = 42,
               .stops = {{"Athens", "3"}, {"Thebes", {}}, {"Delphi", "1"}},
               .fares = {{"adult", 18.5}, {"child", 9.25}}})
        .value();
}

int main() {
    auto journeys = stoa::Mailbox<Journey>::create("journeys", {.max_bytes = 4096}).value();
    if (fork() == 0) return announce(), 0;
    const auto journey = journeys.receive().value();
    for (const Stop& stop : journey->stops)
        std::cout << stop.town << ", platform " << stop.platform.value_or("unknown") << '\n';
    const bool refused = !stoa::Mailbox<std::string>::open("journeys");  // holds another type
    wait(nullptr);
    stoa::RawMailbox::destroy("journeys").value();
    return refused && journey->stops.size() == 3 && journey->fares.at("child") == 9.25 ? 0 : 1;
}
