// A receiver is killed while it works on a message. In acknowledged mode another one gets it.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    auto jobs = stoa::Mailbox<int>::create("jobs", {.acknowledged = true}).value();
    jobs.send(42).value();
    if (fork() == 0) {
        auto mine = stoa::Mailbox<int>::open("jobs", {.role = stoa::Role::receives}).value();
        const auto job = mine.receive().value();
        raise(SIGKILL);  // before job.ack()
    }
    wait(nullptr);
    auto job = jobs.receive().value();  // waits until the death is noticed, at most 100 ms
    std::cout << "job " << job.value() << ", redelivered: " << std::boolalpha << job.redelivered()
              << '\n';
    const bool good = job.value() == 42 && job.redelivered() && job.ack();
    stoa::RawMailbox::destroy("jobs").value();
    return good ? 0 : 1;
}
