#include "tests/crash/symbols.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string_view>

namespace stoa::crash {
namespace {

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text{
        abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free};
    return status == 0 ? text.get() : name;
}

template <typename T>
T read_at(std::span<const char> file, std::size_t offset) {
    T value{};
    if (offset <= file.size() && sizeof(T) <= file.size() - offset) {
        std::memcpy(&value, file.data() + offset, sizeof(T));
    }
    return value;
}

void add_functions(std::span<const char> file, const Elf64_Shdr& table, std::uint64_t names_offset,
                   std::vector<Function>& functions) {
    for (std::uint64_t at = 0; at < table.sh_size; at += sizeof(Elf64_Sym)) {
        const auto symbol = read_at<Elf64_Sym>(file, table.sh_offset + at);
        const unsigned type = ELF64_ST_TYPE(symbol.st_info);
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_size == 0) continue;
        const std::uint64_t name_at = names_offset + symbol.st_name;
        if (name_at >= file.size()) continue;
        functions.push_back(
            {symbol.st_value, symbol.st_value + symbol.st_size, demangled(file.data() + name_at)});
    }
}

std::string hex(std::uintptr_t value) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "0x%lx", value);
    return text.data();
}

}  // namespace

Symbols::Symbols() {
    std::ifstream stream{"/proc/self/exe", std::ios::binary};
    const std::vector<char> bytes{std::istreambuf_iterator<char>{stream}, {}};
    const std::span<const char> file{bytes};
    const auto header = read_at<Elf64_Ehdr>(file, 0);
    for (unsigned k = 0; k < header.e_shnum; ++k) {
        const auto section =
            read_at<Elf64_Shdr>(file, header.e_shoff + std::uint64_t{k} * sizeof(Elf64_Shdr));
        if (section.sh_type != SHT_SYMTAB) continue;
        const auto names = read_at<Elf64_Shdr>(
            file, header.e_shoff + std::uint64_t{section.sh_link} * sizeof(Elf64_Shdr));
        add_functions(file, section, names.sh_offset, functions_);
    }
    const auto before = [](const Function& a, const Function& b) { return a.begin < b.begin; };
    std::stable_sort(functions_.begin(), functions_.end(), before);
    const auto same = [](const Function& a, const Function& b) { return a.begin == b.begin; };
    functions_.erase(std::unique(functions_.begin(), functions_.end(), same), functions_.end());
}

const Function* Symbols::find(std::uintptr_t address) const {
    const auto after = std::upper_bound(
        functions_.begin(), functions_.end(), address,
        [](std::uintptr_t wanted, const Function& function) { return wanted < function.begin; });
    if (after == functions_.begin()) return nullptr;
    const Function& function = *std::prev(after);
    return address < function.end ? &function : nullptr;
}

std::string Symbols::describe(std::uintptr_t address) const {
    const Function* function = find(address);
    if (function == nullptr) return hex(address);
    return function->name + "+" + hex(address - function->begin);
}

std::string own_path() {
    std::array<char, 4096> path{};
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    return {path.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
}

std::vector<std::string> output_of(const std::string& command) {
    sigset_t ticks;  // of the watchdog: they would end a read
    sigset_t before;
    sigemptyset(&ticks);
    sigaddset(&ticks, SIGALRM);
    ::sigprocmask(SIG_BLOCK, &ticks, &before);
    std::vector<std::string> lines;
    std::FILE* const pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
    char* line = nullptr;
    std::size_t size = 0;
    while (pipe != nullptr && ::getline(&line, &size, pipe) > 0) {
        std::string_view text{line};
        if (text.ends_with('\n')) text.remove_suffix(1);
        lines.emplace_back(text);
    }
    std::free(line);
    if (pipe != nullptr) ::pclose(pipe);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return lines;
}

// "stoa/ring/lane.cpp:120" from a line of addr2line; empty when it is not in this project.
static std::string in_project(std::string text) {
    for (const char* room : {"/tests/", "/stoa/"}) {
        const auto at = text.rfind(room);
        if (at != std::string::npos) return text.substr(at + 1, text.find(" (disc") - at - 1);
    }
    return {};
}

std::vector<std::string> source_lines(const std::vector<std::uintptr_t>& addresses) {
    std::vector<std::string> lines;
    for (std::size_t first = 0; first < addresses.size();
         first += 1000) {  // a command line's length
        std::string command = "addr2line -a -i -e '" + own_path() + "'";
        const std::size_t last = std::min(first + 1000, addresses.size());
        for (std::size_t k = first; k < last; ++k) command += " " + hex(addresses[k]);
        for (const std::string& text : output_of(command)) {
            if (text.starts_with("0x")) {
                lines.emplace_back("?");  // then its places, the innermost inlined one first
            } else if (!lines.empty() && lines.back() == "?" && !in_project(text).empty()) {
                lines.back() = in_project(text);
            }
        }
        lines.resize(last, "?");
    }
    return lines;
}

}  // namespace stoa::crash
