#include <stoa/stoa.hpp>

struct Order {
    std::uint64_t id;
};

int main() {
    auto orders = stoa::Mailbox<Order>::create_anonymous();
    if (!orders || !orders->send({7})) return 1;
    auto message = orders->receive();
    return message && message->value().id == 7 ? 0 : 1;
}
