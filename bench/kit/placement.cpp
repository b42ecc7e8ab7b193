#include "bench/kit/placement.hpp"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <system_error>

#include "bench/kit/commit.hpp"

namespace stoa::bench {

namespace {

std::string first_line(const std::string& path) {
    std::ifstream file{path};
    std::string line;
    std::getline(file, line);
    return line;
}

std::string cpu_file(int cpu, const char* name) {
    return first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/" + name);
}

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
    }
    return cpus;
}

// Two cores that share their last cache; else two cores; else two threads of a core; else one.
std::vector<int> choose_cpus() {
    const std::vector<int> cpus = allowed_cpus();
    int best_rank = -1;
    std::vector<int> best{cpus.front()};
    const int a = cpus.front();
    for (const int b : cpus) {
        if (b == a) continue;
        const bool same_core = cpu_file(a, "topology/thread_siblings_list") ==
                               cpu_file(b, "topology/thread_siblings_list");
        const bool same_cache = cpu_file(a, "cache/index3/shared_cpu_list") ==
                                cpu_file(b, "cache/index3/shared_cpu_list");
        const int rank = same_core ? 0 : same_cache ? 2 : 1;
        if (rank <= best_rank) continue;
        best_rank = rank;
        best = {a, b};
    }
    return best;
}

std::string cpuinfo(const std::string& key) {
    std::ifstream file{"/proc/cpuinfo"};
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key)) continue;
        const auto colon = line.find(": ");
        return colon == std::string::npos ? "" : line.substr(colon + 2);
    }
    return "";
}

}  // namespace

Machine this_machine() {
    Machine machine;
    machine.cpu_model = cpuinfo("model name");
    if (machine.cpu_model.empty()) machine.cpu_model = "unknown cpu";
    utsname system{};
    if (uname(&system) == 0) machine.kernel = std::string{system.sysname} + " " + system.release;
#if defined(__clang__)
    machine.compiler = "clang++ " __clang_version__;
#else
    machine.compiler = "g++ " __VERSION__;
#endif
    machine.compiler += std::string{" "} + kBuildFlags;
    machine.commit = kCommit;
    machine.cpus = choose_cpus();
    machine.is_virtual = cpuinfo("flags").find("hypervisor") != std::string::npos;
    machine.governor = cpu_file(machine.cpus.front(), "cpufreq/scaling_governor");
    return machine;
}

std::vector<Role> place(const Case& c, const std::vector<int>& cpus) {
    std::vector<Role> roles;
    const auto add = [&](Part part, unsigned index, unsigned cpu) {
        roles.push_back(
            {part, index, static_cast<unsigned>(roles.size()), cpus[cpu % cpus.size()]});
    };
    if (c.is_flow()) {
        // two and two: each cpu has a sender and a receiver
        for (unsigned i = 0; i < c.senders(); ++i) add(Part::sender, i, i);
        for (unsigned i = 0; i < c.receivers(); ++i) add(Part::receiver, i, i + 1);
        return roles;
    }
    for (unsigned i = 0; i < c.pairs(); ++i) {
        add(Part::client, i, i);
        add(Part::server, i, c.mode == Mode::one_core ? i : i + 1);
    }
    if (c.mode == Mode::beside_busy) {
        add(Part::busy, 0, 0);
        add(Part::busy, 1, 1);
    }
    return roles;
}

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        throw std::system_error{errno, std::generic_category(), "sched_setaffinity"};
    }
}

std::string describe(const Machine& machine) {
    std::string text = machine.cpu_model;
    text += machine.cpus.size() == 1 ? ", cpu " + std::to_string(machine.cpus[0])
                                     : ", cpus " + std::to_string(machine.cpus[0]) + " and " +
                                           std::to_string(machine.cpus[1]);
    if (machine.is_virtual) text += " (virtual machine)";
    if (!machine.governor.empty()) text += ", governor " + machine.governor;
    return text + ", " + machine.kernel + ", " + machine.compiler + ", commit " + machine.commit;
}

}  // namespace stoa::bench
