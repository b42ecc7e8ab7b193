// Receivers that differ: one by latest, one that begins with the oldest, one that stands by.
#include <array>
#include <iostream>
#include <numeric>
#include <optional>
#include <thread>

#include "stoa/stoa.hpp"

using Box = stoa::Mailbox<int>;
using stoa::Role;

int main() {
    auto news = Box::create("news", {.capacity = stoa::bounded(8),
                                     .sharing = stoa::Sharing::broadcast,
                                     .role = Role::sends})
                    .value();
    auto hasty = Box::open("news", {.role = Role::receives, .latest = true}).value();
    std::array<int, 100> values{};
    std::iota(values.begin(), values.end(), 0);
    news.send_all(values).value();  // 92 more than fit: who reads by latest delays nobody
    auto late = Box::open("news", {.role = Role::receives, .from_oldest = true}).value();
    news.close().value();
    std::array<int, 100> read{};
    const std::size_t count = hasty.receive_some(read).value();  // a batch, at least one
    const int oldest = late.receive().value().value();           // as if it had been there before
    std::cout << "by latest: " << count << " from " << read[0] << " on; kept: " << oldest << '\n';
    auto first =
        std::optional{Box::create("duty", {.sharing = stoa::Sharing::single_receiver}).value()};
    std::jthread second{[] {  // opens, and waits until the role of the receiver is free
        auto heir = Box::open("duty", {.role = Role::receives, .stand_by = true}).value();
        std::cout << "taken over: " << heir.receive().value().value() << '\n';
    }};
    first->send(7).value();
    first.reset();  // or its process dies
    second.join();
    Box::destroy("duty").value();
    Box::destroy("news").value();
}
