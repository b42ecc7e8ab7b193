// What goes to a name beside messages: pulses, signals, attributes, and the news of a death.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "stoa/stoa.hpp"

int main() {
    auto me = stoa::Process::join("boss").value();
    auto set = stoa::WaitSet::create().value();
    set.add(stoa::Signal{SIGUSR1}, SIGUSR1).value();  // blocked: it is read, it ends nobody
    if (fork() == 0) {
        auto mine = stoa::Process::join("worker", {.attributes = {{"task", "idle"}}}).value();
        mine.set_attribute("task", "digging").value();
        mine.pulse("boss", 30).value();            // a number; never blocks
        mine.signal("boss", SIGUSR1, 60).value();  // to the process that has the name
        mine.receive<int>("boss").value().reply(2).value();
        raise(SIGKILL);
    }
    const auto pulse = me.receive_pulse().value();
    std::cout << pulse.from << " is at " << pulse.value << " %\n";
    const auto signal = set.wait().value()[0].signal;  // with the kernel's word on who sent it

    const auto worker = stoa::Process::find("worker").value();  // list(): all who have joined
    std::cout << "pid " << worker.identity.pid << " is " << worker.attributes.at("task") << '\n';
    set.add(me.died("worker"), SIGKILL).value();
    const auto reply = me.call_for<int>("worker", 1, std::chrono::seconds{9});
    const bool told = set.wait().value()[0].tag == SIGKILL;
    wait(nullptr);
    me.leave();  // gives the name back before the end of the scope
    const bool left = !stoa::Process::find("boss") && !stoa::Process::find("worker");
    const bool good = reply && signal.value == 60 && signal.pid == worker.identity.pid;
    return good && told && left ? 0 : 1;
}
