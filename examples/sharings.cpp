// P1 sends six messages, P2 and P3 receive: who gets which, for each sharing.
#include <iostream>
#include <map>

#include "stoa/stoa.hpp"

using Box = stoa::Mailbox<int>;

std::string all_of(Box& box) {
    std::string got;
    while (auto message = box.try_receive()) got += " " + std::to_string(message->value());
    return got.empty() ? " nothing" : got;
}

int main() {
    const std::map<const char*, stoa::Sharing> sharings{
        {"any", stoa::Sharing::any},
        {"round_robin", stoa::Sharing::round_robin},
        {"least_loaded", stoa::Sharing::least_loaded},
        {"key_affine", stoa::Sharing::key_affine},
        {"broadcast", stoa::Sharing::broadcast}};
    for (const auto& [name, sharing] : sharings) {
        auto p1 = Box::create("work", {.sharing = sharing, .role = stoa::Role::sends}).value();
        auto p2 = Box::open("work", {.role = stoa::Role::receives}).value();
        auto p3 = Box::open("work", {.role = stoa::Role::receives}).value();
        const bool keys = sharing == stoa::Sharing::key_affine;  // only there: even and odd
        for (int i = 0; i < 6; ++i) {
            p1.send(i, {.key = keys ? static_cast<std::uint64_t>(i % 2) : 0}).value();
        }
        std::cout << name << ": P2 got" << all_of(p2) << ", P3 got" << all_of(p3) << '\n';
        Box::destroy("work").value();
    }
}
