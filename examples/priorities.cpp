// The highest priority goes first, and a receipt says who took a message.
#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    using Box = stoa::Mailbox<stoa::Bytes>;
    auto box = Box::create("alarms", {.priorities = 4}).value();
    box.send("all is well").value();
    box.send("still well").value();
    stoa::Receipt receipt = box.send_with_receipt("fire", {.priority = 3}).value();
    stoa::Receipt mistaken = box.send_with_receipt("flood", {.priority = 2}).value();
    mistaken.withdraw().value();  // nobody has taken it yet
    box.close().value();          // nothing more will come
    while (auto message = box.receive()) std::cout << message->text() << '\n';
    const stoa::Answer answer = receipt.wait().value();
    std::cout << "taken by " << answer.name << '\n';
    Box::destroy("alarms").value();
    return answer.outcome == stoa::Outcome::taken ? 0 : 1;
}
