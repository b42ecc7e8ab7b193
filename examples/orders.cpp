// With an argument it sends an order, without one it receives one: run it in two shells.
#include <iostream>

#include "stoa/stoa.hpp"

struct Order {
    std::uint64_t id;
    double price;
};

int main(int argc, char**) {
    auto orders = stoa::Mailbox<Order>::open_or_create("orders").value();
    if (argc > 1) {
        orders.send({.id = 7, .price = 9.5}).value();  // waits while 1024 orders wait
        return 0;
    }
    const auto order = orders.receive_for(std::chrono::seconds{10});  // in place, not copied
    if (!order) return std::cerr << stoa::describe(order.error()) << '\n', 1;
    std::cout << "order " << order->value().id << " at " << order->value().price << '\n';
}
