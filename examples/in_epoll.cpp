// A mailbox in a loop of one's own: its descriptor lies in an epoll, beside any other.
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    auto orders = stoa::Mailbox<int>::create("in_epoll", {.owner = stoa::Owner::process}).value();
    const int loop = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{.events = EPOLLIN, .data = {.fd = orders.ready_fd().value()}};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, event.data.fd, &event) != 0) return 1;

    if (fork() == 0) {
        auto mine = stoa::Mailbox<int>::open("in_epoll").value();
        for (int i = 1; i <= 3; ++i) mine.send(i).value();
        return 0;
    }
    for (int sum = 0; sum < 6;) {
        if (epoll_wait(loop, &event, 1, -1) != 1) continue;
        // Until it is empty: then the descriptor is not readable any more.
        while (const auto order = orders.try_receive()) {
            std::cout << "order " << order->value() << '\n';
            sum += order->value();
        }
    }
    wait(nullptr);
}
