// A worker owns a mailbox and is killed: the mailbox is gone with it, and so is its name.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "stoa/stoa.hpp"

const stoa::MailboxOptions kMine{.owner = stoa::Owner::process, .role = stoa::Role::receives};

int main() {
    const pid_t worker = fork();
    if (worker == 0) {
        auto jobs = stoa::Mailbox<int>::create("worker.jobs", kMine).value();
        for (;;) jobs.receive().value();
    }
    auto jobs = stoa::Mailbox<int>::open("worker.jobs");
    while (!jobs) jobs = stoa::Mailbox<int>::open("worker.jobs");  // until the worker has made it
    jobs->send(1).value();
    kill(worker, SIGKILL);
    waitpid(worker, nullptr, 0);

    const auto sent = jobs->send(2);
    const auto found = stoa::Mailbox<int>::open("worker.jobs");
    const auto again = stoa::Mailbox<int>::create("worker.jobs", kMine);  // at once, no cleaning up
    if (sent || found) return 1;
    std::cout << "send: " << name(sent.error().code) << ", open: " << name(found.error().code)
              << ", create: " << (again ? "ok" : "refused") << '\n';
    return sent.error().code == stoa::Errc::owner_gone && again ? 0 : 1;
}
