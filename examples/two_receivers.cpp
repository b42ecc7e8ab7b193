// P1 sends, P2 and P3 receive from one mailbox: each message goes to exactly one of them.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

constexpr int kMessages = 1000;

int receive_all() {  // until nothing comes any more
    auto box = stoa::Mailbox<int>::open("work", {.role = stoa::Role::receives}).value();
    int count = 0;
    while (box.receive_for(std::chrono::milliseconds{300})) ++count;
    return count;
}

int main() {
    auto work = stoa::Mailbox<int>::create("work", {.role = stoa::Role::sends}).value();
    auto counts = stoa::Mailbox<int>::create("counts", {.role = stoa::Role::receives}).value();
    for (int i = 0; i < 2; ++i) {
        if (fork() > 0) continue;
        const int count = receive_all();
        stoa::Mailbox<int>::open("counts", {.role = stoa::Role::sends}).value().send(count).value();
        return 0;
    }
    for (int i = 0; i < kMessages; ++i) work.send(i).value();
    const int p2 = counts.receive().value().value();
    const int p3 = counts.receive().value().value();
    while (wait(nullptr) > 0) {
    }
    stoa::RawMailbox::destroy("work").value();
    stoa::RawMailbox::destroy("counts").value();
    std::cout << "one receiver got " << p2 << ", the other " << p3 << ", together " << p2 + p3
              << '\n';
    return p2 + p3 == kMessages ? 0 : 1;
}
