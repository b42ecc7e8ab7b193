// Producer and consumer with a buffer in shared memory of their own, beside what else lies there.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "stoa/stoa.hpp"

struct Job {
    int number;
};
using Jobs = stoa::Buffer<Job>;

int work(bool produces) {
    // Whoever comes first makes the region and the buffer, the other one gets them.
    auto region = stoa::Region::open_or_create("workshop", 1 << 16).value();
    auto* jobs = region.find_or_construct<Jobs>("jobs", stoa::bounded(4)).value();
    if (produces) {
        for (int i = 1; i <= 10; ++i) jobs->send({i}).value();  // waits while four jobs wait
        jobs->send({0}).value();                                // "that was all"
        return 0;
    }
    int sum = 0;
    for (;;) {
        const Job job = jobs->receive().value();  // waits while there is none
        if (job.number == 0) return sum;
        sum += job.number;
    }
}

int main() {
    if (fork() == 0) return work(true);
    const int sum = work(false);
    wait(nullptr);
    stoa::Region::destroy("workshop").value();
    std::cout << "the consumer got a sum of " << sum << '\n';
    return sum == 55 ? 0 : 1;
}
