// A robot's pose: one process writes it, others read the newest one, also when the writer is dead.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "stoa/stoa.hpp"

struct Pose {
    double x = 0;
    double y = 0;
};
using Board = stoa::Blackboard<Pose, 16>;

int main() {
    auto region = stoa::Region::create("memfd:", 65536).value();
    Board& board = *region.find_or_construct<Board>("poses").value();
    auto& ready = *region.construct<stoa::Event>("ready").value();

    const pid_t robot = ::fork();
    if (robot == 0) {
        auto mine = stoa::Region::open("memfd:" + std::to_string(region.descriptor())).value();
        auto writer = mine.find<Board>("poses").value()->claim("arm").value();
        mine.find<stoa::Event>("ready").value()->set();
        for (double x = 1;; ++x) writer.write({.x = x, .y = -x}).value();
    }
    ready.wait_for(std::chrono::seconds{5}).value();
    Board::Cell& arm = *board.find("arm").value();
    auto pose = arm.wait_for_newer(0).value();  // sleeps until there is one
    pose = arm.wait_for_newer(pose.number).value();

    ::kill(robot, SIGKILL);
    ::waitpid(robot, nullptr, 0);
    pose = arm.read().value();  // the last one that was whole
    std::printf("pose %llu is whole: %s\n", static_cast<unsigned long long>(pose.number),
                pose.value.x == -pose.value.y ? "yes" : "no");
    std::printf("its writer is gone: %s\n", arm.writer_gone() ? "yes" : "no");
}
