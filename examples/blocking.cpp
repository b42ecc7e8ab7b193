// Blocking and non-blocking: every send and receive has four forms.
#include <iostream>
#include <string_view>

#include "stoa/stoa.hpp"

using namespace std::chrono_literals;

bool expect(std::string_view what, const stoa::Result<void>& got, std::string_view wanted) {
    const std::string_view outcome = got ? "ok" : stoa::name(got.error().code);
    std::cout << what << ": " << outcome << '\n';
    return outcome == wanted;
}

stoa::Result<void> outcome_of(const stoa::Result<stoa::Message<int>>& message) {
    if (message) return {};
    return std::unexpected(message.error());
}

int main() {
    auto box = stoa::Mailbox<int>::create("box", {.capacity = stoa::bounded(1)}).value();
    bool good = expect("try_receive, nothing there", outcome_of(box.try_receive()), "empty");
    good &= expect("receive_for 10 ms", outcome_of(box.receive_for(10ms)), "timed_out");
    good &= expect("send, one place is free", box.send(1), "ok");
    good &= expect("try_send, none is free", box.try_send(2), "full");
    good &= expect("send_for 10 ms", box.send_for(2, 10ms), "timed_out");
    const auto when = std::chrono::steady_clock::now() + 10ms;
    good &= expect("send_until a moment", box.send_until(2, when), "timed_out");
    good &= expect("receive", outcome_of(box.receive()), "ok");
    stoa::RawMailbox::destroy("box").value();
    return good ? 0 : 1;
}
