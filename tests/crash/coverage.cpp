#include "tests/crash/coverage.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>

extern "C" {
extern const char __executable_start;  // the linker's marks of the program text
extern const char etext;
}

namespace stoa::crash {
namespace {

bool begins_with_one(const std::string& name, const std::vector<std::string>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return name.starts_with(prefix); });
}

// The addresses of all instructions between two addresses.
std::vector<std::uintptr_t> disassemble(std::uintptr_t begin, std::uintptr_t end) {
    std::array<char, 128> range{};
    std::snprintf(range.data(), range.size(), " --start-address=0x%lx --stop-address=0x%lx ", begin,
                  end);
    std::vector<std::uintptr_t> addresses;
    for (const std::string& line :
         output_of("objdump -d --no-show-raw-insn" + std::string{range.data()} + own_path())) {
        char* after = nullptr;
        const std::uintptr_t address = std::strtoul(line.c_str(), &after, 16);
        if (line.starts_with(' ') && *after == ':') addresses.push_back(address);
    }
    return addresses;
}

}  // namespace

Coverage::Coverage()
    : first_{reinterpret_cast<std::uintptr_t>(&__executable_start)},
      reached_(static_cast<std::size_t>(&etext - &__executable_start), false) {}

void Coverage::mark(std::uintptr_t address) {
    if (address >= first_ && address - first_ < reached_.size()) reached_[address - first_] = true;
}

void Coverage::mark(std::span<const std::uintptr_t> addresses) {
    for (const std::uintptr_t address : addresses) mark(address);
}

bool Coverage::reached(std::uintptr_t address) const {
    return address >= first_ && address - first_ < reached_.size() && reached_[address - first_];
}

std::vector<FunctionCoverage> Coverage::functions(
    const Symbols& symbols, const std::vector<std::string>& wanted,
    const std::vector<std::string>& when_entered) const {
    std::vector<const Function*> chosen;
    std::uintptr_t begin = UINTPTR_MAX;
    std::uintptr_t end = 0;
    for (const Function& function : symbols.functions()) {
        const bool entered =
            reached(function.begin) && begins_with_one(function.name, when_entered);
        if (!entered && !begins_with_one(function.name, wanted)) continue;
        chosen.push_back(&function);
        begin = std::min(begin, function.begin);
        end = std::max(end, function.end);
    }
    if (chosen.empty()) return {};
    const std::vector<std::uintptr_t> addresses = disassemble(begin, end);
    std::map<std::string, FunctionCoverage> by_name;  // a cold part belongs to its function
    for (const Function* function : chosen) {
        FunctionCoverage& row = by_name[function->name.substr(0, function->name.find(" ["))];
        auto at = std::lower_bound(addresses.begin(), addresses.end(), function->begin);
        for (; at != addresses.end() && *at < function->end; ++at) {
            ++row.instructions;
            if (!reached(*at)) row.unreached.push_back(*at);
        }
    }
    std::vector<FunctionCoverage> rows;
    for (auto& [name, row] : by_name) {
        row.name = name;
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace stoa::crash
