// One memory at two addresses: what lies in it may not hold plain pointers.
#include <iostream>

#include "stoa/stoa.hpp"

struct Node {
    int value = 0;
    stoa::OffsetPtr<Node> next{};
};
template <>
struct stoa::Layout<Node> {
    static constexpr std::string_view name = "example.node 1";
};

int main() {
    auto one = stoa::Region::create("memfd:", 65536).value();
    auto two = stoa::Region::open("memfd:" + std::to_string(one.descriptor())).value();

    Node* first = one.construct<Node>("first").value();
    Node* second = one.construct<Node>("second").value();
    first->next = second;  // how far it is from here, not where it is
    second->value = 7;

    const Node* same = two.find<Node>("first").value();
    std::cout << "at " << first << " and at " << same << ": " << same->next->value << '\n';
    return first != same && same->next->value == 7 ? 0 : 1;
}
