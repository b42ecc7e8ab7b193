// Direct communication, symmetric: both sides name each other.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

struct Goal {
    int x = 0;
    int y = 0;
};
struct Done {
    int steps = 0;
};

int main() {
    if (fork() == 0) {
        auto me = stoa::Process::join("driver").value();
        const auto goal = me.receive<Goal>("planner", {.wait_for_join = true}).value();
        me.send("planner", Done{goal->x + goal->y}).value();
        // Until the planner has left: what it sent is received, then this says so.
        return me.receive<Goal>("planner").error().code == stoa::Errc::end_of_stream ? 0 : 1;
    }
    int steps = 0;
    {
        auto me = stoa::Process::join("planner").value();
        me.send("driver", Goal{3, 4}, {.wait_for_join = true}).value();
        steps = me.receive<Done>("driver").value()->steps;
    }
    int status = 1;
    wait(&status);
    std::cout << "the driver made " << steps << " steps\n";
    return steps == 7 && status == 0 ? 0 : 1;
}
