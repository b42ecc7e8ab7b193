// Sends and receives between two marks in the trace of system calls. Argument: the sharing; with a
// second argument a receiver sleeps meanwhile, so that the wake-ups must show.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

#include "stoa/stoa.hpp"
#include "stoa/sys/memfd.hpp"

namespace {

void mark() {
    syscall(SYS_getppid);
}

stoa::Mailbox<int> attach(const stoa::sys::Fd& file, stoa::Role role) {
    return stoa::Mailbox<int>::attach(stoa::sys::duplicate(file).value(),
                                      {.role = role, .waiting = stoa::Waiting::park})
        .value();
}

stoa::Sharing sharing_of(std::string_view name) {
    if (name == "pair") return stoa::Sharing::pair;
    return name == "any" ? stoa::Sharing::any : stoa::Sharing::single_receiver;
}

}  // namespace

int main(int count, char** values) {
    const stoa::MailboxOptions options{.sharing = sharing_of(values[1]), .role = stoa::Role::none};
    auto made = stoa::Mailbox<int>::create_anonymous(options).value();
    const stoa::sys::Fd& file = made.raw().file();
    auto out = attach(file, stoa::Role::sends);
    if (count > 2) {
        const pid_t child = fork();
        if (child == 0) {
            auto in = attach(file, stoa::Role::receives);
            for (;;) (void)in.receive().value();
        }
        // allowed: sleep: the receiver falls asleep meanwhile; a wake-up must show sooner or later
        std::this_thread::sleep_for(std::chrono::milliseconds{300});
        mark();
        for (int i = 0; i < 1000; ++i) {
            out.send(i).value();
            // allowed: sleep: as above
            if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
        mark();
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        return 0;
    }
    auto in = attach(file, stoa::Role::receives);
    out.send(0).value();  // a lane tells a receiver of its first message
    (void)in.receive().value();
    mark();
    for (int i = 0; i < 10'000; ++i) {
        out.send(i).value();
        (void)in.receive().value();
    }
    mark();
    return 0;
}
