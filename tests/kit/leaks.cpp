#include "tests/kit/leaks.hpp"

#include <sys/wait.h>

#include <filesystem>

#include "tests/kit/wait_until.hpp"

namespace stoa::kit {
namespace {

// What lies in /dev/shm, but for the folders of TempDomains, which come and go.
std::set<std::string> shm_entries() {
    std::set<std::string> names;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/dev/shm", ignored}) {
        std::string name = entry.path().filename();
        if (!name.starts_with("stoa-test-")) names.insert(std::move(name));
    }
    return names;
}

std::set<std::string> domain_entries(const TempDomain* domain) {
    if (domain == nullptr) return {};
    const std::vector<std::string> names = domain->entries();
    return {names.begin(), names.end()};
}

std::string added(const char* where, const std::set<std::string>& before,
                  const std::set<std::string>& now) {
    std::string list;
    for (const std::string& name : now) {
        if (!before.contains(name)) list += where + name + "\n";
    }
    return list;
}

}  // namespace

LeakCheck::LeakCheck(const TempDomain* domain)
    : domain_{domain}, shm_before_{shm_entries()}, domain_before_{domain_entries(domain)} {}

std::string LeakCheck::leaks() const {
    std::string list = added("in the domain: ", domain_before_, domain_entries(domain_));
    siginfo_t child{};
    if (::waitid(P_ALL, 0, &child, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0) {
        list += "a child process is left\n";
    }
    std::string shm;
    const bool clean = wait_until(
        [&] { return (shm = added("in /dev/shm: ", shm_before_, shm_entries())).empty(); },
        std::chrono::seconds{5});
    return clean ? list : list + shm;
}

}  // namespace stoa::kit
