// What no receiver can deal with: given back, kept as a dead letter, looked at, delivered again.
#include <iostream>

#include "stoa/stoa.hpp"

using Box = stoa::Mailbox<std::string>;

int main() {
    auto jobs = Box::create("jobs", {.acknowledged = true, .dead_letter_after = 2}).value();
    jobs.send("a job").value();
    jobs.send("poison").value();
    bool acked = false;
    for (int turn = 0; turn < 3; ++turn) {  // the job once, the poison twice
        auto message = jobs.receive().value();
        if (message.value() == "a job") {
            acked = message.ack().has_value();
        } else {
            message.nack("cannot be parsed").value();  // the second time it dies
        }
    }

    auto dead = Box::open("jobs.dead", {.role = stoa::Role::receives}).value();
    std::string text(100, ' ');  // a look that leaves it there
    text.resize(dead.raw().peek(std::as_writable_bytes(std::span{text})).value());
    {
        const auto letter = dead.receive().value();
        const stoa::MessageHistory history = letter.history();
        std::cout << text << ": delivered " << history.deliveries << " times, given back by "
                  << history.last_name << ": " << history.error << '\n';
    }  // not acked: it is a dead letter still
    const std::uint64_t again = jobs.redrive().value();
    auto healed = jobs.receive().value();
    const bool good = acked && again == 1 && text == healed.value() && healed.ack();
    Box::destroy("jobs").value();
    return good ? 0 : 1;
}
