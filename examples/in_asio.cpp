// The same on Asio: a coroutine of its own waits for orders, beside a timer of Asio.
#include <sys/wait.h>
#include <unistd.h>

#include <asio.hpp>
#include <iostream>

#include "stoa/asio/async.hpp"
#include "stoa/stoa.hpp"

using Orders = stoa::Mailbox<int>;

asio::awaitable<void> serve(Orders& orders, asio::steady_timer& timer) {
    int sum = 0;
    while (const auto order = co_await stoa::asio::async_receive(orders, asio::use_awaitable)) {
        sum += order->value();
    }
    std::cout << "sum " << sum << '\n';  // the sender closed it
    timer.cancel();
}

int main() {
    auto orders = Orders::create("in_asio", {.owner = stoa::Owner::process}).value();
    if (fork() == 0) {
        auto mine = Orders::open("in_asio").value();
        for (int i = 1; i <= 100; ++i) mine.send(i).value();
        return mine.close() ? 0 : 1;
    }
    asio::io_context context;
    asio::steady_timer timer{context, std::chrono::minutes{1}};
    timer.async_wait([](const asio::error_code& ended) {
        std::cout << (ended ? "the timer was stopped\n" : "nobody came\n");
    });
    asio::co_spawn(context, serve(orders, timer), asio::detached);
    context.run();
    wait(nullptr);
}
