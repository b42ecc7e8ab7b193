// Coroutines: one waits for orders, another one for the clock, in one thread.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

using Orders = stoa::Mailbox<int>;
stoa::Task<int> serve(Orders& orders) {
    int sum = 0;
    while (const auto order = co_await stoa::async_receive(orders)) sum += order->value();
    co_return sum;  // the sender closed it
}

stoa::Task<> tick(std::stop_token stop) {
    const std::chrono::milliseconds pause{1};
    while (co_await stoa::async_sleep(pause, stop)) std::cout << "tick\n";
}

stoa::Task<> shop(stoa::Executor& executor, Orders& orders) {
    std::stop_source stop;
    executor.spawn(tick(stop.get_token()));
    std::cout << "sum " << co_await serve(orders) << '\n';
    stop.request_stop();
}

int main() {
    auto orders = Orders::create("in_coroutines", {.owner = stoa::Owner::process}).value();
    if (fork() == 0) {
        auto mine = Orders::open("in_coroutines").value();
        for (int i = 1; i <= 100; ++i) mine.send(i).value();
        return mine.close() ? 0 : 1;
    }
    auto executor = stoa::Executor::create().value();
    executor.spawn(shop(executor, orders));
    executor.run().value();
    wait(nullptr);
}
