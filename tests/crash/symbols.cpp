#include "tests/crash/symbols.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>

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
    std::array<char, 32> offset{};
    const Function* function = find(address);
    if (function == nullptr) {
        std::snprintf(offset.data(), offset.size(), "0x%lx", address);
        return offset.data();
    }
    std::snprintf(offset.data(), offset.size(), "+0x%lx", address - function->begin);
    return function->name + offset.data();
}

std::string own_path() {
    std::array<char, 4096> path{};
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    return {path.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
}

std::vector<std::string> source_lines(const std::vector<std::uintptr_t>& addresses) {
    std::vector<std::string> lines;
    for (std::size_t first = 0; first < addresses.size();
         first += 1000) {  // a command line's length
        std::string command = "addr2line -e '" + own_path() + "'";
        const std::size_t last = std::min(first + 1000, addresses.size());
        for (std::size_t k = first; k < last; ++k) {
            std::array<char, 24> text{};
            std::snprintf(text.data(), text.size(), " 0x%lx", addresses[k]);
            command += text.data();
        }
        std::FILE* const pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
        std::array<char, 4096> line{};
        while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr) {
            std::string text{line.data()};
            text.erase(text.find_last_not_of(" \n") + 1);
            if (const auto note = text.find(" (disc"); note != std::string::npos) text.resize(note);
            for (const char* room : {"/tests/", "/stoa/"}) {
                const auto at = text.find(room);
                if (at != std::string::npos) text.erase(0, at + 1);
            }
            lines.push_back(text.starts_with("?") ? "?" : text);
        }
        if (pipe != nullptr) ::pclose(pipe);
        lines.resize(last, "?");
    }
    return lines;
}

}  // namespace stoa::crash
