// The names of abstract sockets that stoa's processes hold now.
#pragma once

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <sys/types.h>

namespace stoa::kit {

// Both names of each region that this process owns: the address that holds its pid, and the lock.
inline std::set<std::string> owned_names_of(pid_t pid) {
    constexpr std::size_t kLockBytes = 38;  // stoa:FOLDER:NAME
    char part[16];
    (void)std::snprintf(part, sizeof part, ":%x:", static_cast<unsigned>(pid));
    std::set<std::string> names;
    std::ifstream list{"/proc/net/unix"};
    for (std::string line; std::getline(list, line);) {
        const std::size_t at = line.find(" @stoa:");
        if (at == std::string::npos) continue;
        const std::string name = line.substr(at + 2);
        if (name.find(part, kLockBytes) != kLockBytes) continue;
        names.insert(name);
        names.insert(name.substr(0, kLockBytes));
    }
    return names;
}

// Those of them that somebody holds now.
inline std::set<std::string> still_held(const std::set<std::string>& names) {
    std::set<std::string> held;
    std::ifstream list{"/proc/net/unix"};
    for (std::string line; std::getline(list, line);) {
        const std::size_t at = line.find(" @");
        if (at != std::string::npos && names.contains(line.substr(at + 2))) {
            held.insert(line.substr(at + 2));
        }
    }
    return held;
}

}  // namespace stoa::kit
