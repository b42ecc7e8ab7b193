// Two names, capacity zero: a send ends when the other one has the message. Two that send to each
// other at once would wait for ever; one of them at least is told.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <string_view>

#include "stoa/stoa.hpp"

// Sends; who is told of the deadlock receives first, and sends then.
int meet(const char* mine, const char* other, std::string_view text) {
    auto me = stoa::Process::join(mine).value();
    auto link = me.link(other, {.capacity = stoa::zero()}, {.wait_for_join = true}).value();
    const auto sent = link.send(text);
    if (!sent && sent.error().code != stoa::Errc::deadlock) return 1;
    const auto theirs = link.receive_for<std::string>(std::chrono::seconds{1});
    if (!sent && theirs) link.send(text).value();
    // Where both were told, neither has sent: with no one to begin, both go home.
    std::cout << mine
              << (sent     ? " sent first"
                  : theirs ? " received first"
                           : " gave up")
              << '\n'
              << std::flush;
    return 0;
}

int main() {
    if (fork() == 0) return meet("left", "right", "from the left");
    const int status = meet("right", "left", "from the right");
    int other = 1;
    wait(&other);
    return status + other;
}
