// Producer and consumer with a bounded buffer: at most four items wait, so neither runs away.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

struct Item {
    int number;
};

void produce() {
    auto buffer = stoa::Mailbox<Item>::open("buffer", {.role = stoa::Role::sends}).value();
    for (int i = 1; i <= 10; ++i) buffer.send({i}).value();  // waits while four items wait
    buffer.send({0}).value();                                // "that was all"
}

int consume() {
    auto buffer = stoa::Mailbox<Item>::open("buffer", {.role = stoa::Role::receives}).value();
    int sum = 0;
    for (;;) {
        const auto item = buffer.receive().value();  // waits while there is none
        if (item->number == 0) return sum;
        sum += item->number;
    }
}

int main() {
    stoa::Mailbox<Item>::create("buffer", {.capacity = stoa::bounded(4)}).value();
    if (fork() == 0) return produce(), 0;
    const int sum = consume();
    wait(nullptr);
    stoa::RawMailbox::destroy("buffer").value();
    std::cout << "the consumer got a sum of " << sum << '\n';
    return sum == 55 ? 0 : 1;
}
