#include <asio.hpp>

#include <stoa/asio/async.hpp>
#include <stoa/stoa.hpp>

int main() {
    auto orders = stoa::Mailbox<int>::create_anonymous();
    if (!orders) return 1;
    asio::io_context context;
    int received = 0;
    stoa::asio::async_receive(context, *orders, [&](stoa::Result<stoa::Message<int>> message) {
        received = message ? message->value() : 0;
    });
    if (!orders->send(7)) return 1;
    context.run();
    return received == 7 ? 0 : 1;
}
