#include "tests/crash/accesses.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/crash/symbols.hpp"

extern "C" {
extern const char __executable_start;  // the linker's mark
}

namespace stoa::crash {
namespace {

constexpr std::uintptr_t kWidest = 64;              // bytes that one instruction touches
constexpr std::uintptr_t kRedZone = 128 + kWidest;  // below the stack pointer
constexpr std::uintptr_t kHeapGrowth = 64UL << 20U;

struct Register {
    std::string_view name;
    std::size_t offset;
};
constexpr std::array<Register, 18> kRegisters{{
    {"", 0},
    {"%rax", offsetof(user_regs_struct, rax)},
    {"%rbx", offsetof(user_regs_struct, rbx)},
    {"%rcx", offsetof(user_regs_struct, rcx)},
    {"%rdx", offsetof(user_regs_struct, rdx)},
    {"%rsi", offsetof(user_regs_struct, rsi)},
    {"%rdi", offsetof(user_regs_struct, rdi)},
    {"%rbp", offsetof(user_regs_struct, rbp)},
    {"%rsp", offsetof(user_regs_struct, rsp)},
    {"%r8", offsetof(user_regs_struct, r8)},
    {"%r9", offsetof(user_regs_struct, r9)},
    {"%r10", offsetof(user_regs_struct, r10)},
    {"%r11", offsetof(user_regs_struct, r11)},
    {"%r12", offsetof(user_regs_struct, r12)},
    {"%r13", offsetof(user_regs_struct, r13)},
    {"%r14", offsetof(user_regs_struct, r14)},
    {"%r15", offsetof(user_regs_struct, r15)},
    {"%rip", 0},
}};
constexpr std::uint8_t kNone = 0;
constexpr std::uint8_t kRip = kRegisters.size() - 1;  // this program's own variables
constexpr std::uint8_t kUnknown = kRegisters.size();

std::uint8_t number_of(std::string_view name) {
    const auto same = [name](const Register& one) { return one.name == name; };
    const auto found = std::find_if(kRegisters.begin(), kRegisters.end(), same);
    return static_cast<std::uint8_t>(found - kRegisters.begin());
}

std::uintptr_t value_of(std::uint8_t number, const user_regs_struct& at) {
    if (number == kNone) return 0;
    return *reinterpret_cast<const unsigned long long*>(reinterpret_cast<const std::byte*>(&at) +
                                                        kRegisters[number].offset);
}

// The end of the calling process's stack.
std::uintptr_t end_of_stack() {
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);) {
        if (!line.ends_with("[stack]")) continue;
        return std::strtoul(line.c_str() + line.find('-') + 1, nullptr, 16);
    }
    return 0;
}

bool touches_nothing(std::string_view instruction) {
    return instruction.starts_with("lea") || instruction.starts_with("nop") ||
           instruction.starts_with("data16") || instruction.starts_with("cs nop") ||
           instruction.starts_with("prefetch");
}

}  // namespace

Accesses::Operand Accesses::parse(std::string_view before, std::string_view inside) {
    Operand operand;
    const std::size_t start = before.find_last_of(" ,:*\t");
    const std::string displacement{before.substr(start + 1)};
    operand.displacement = std::strtol(displacement.c_str(), nullptr, 16);
    const std::size_t comma = inside.find(',');
    operand.base = number_of(inside.substr(0, comma));
    if (comma != std::string_view::npos) {
        const std::string_view rest = inside.substr(comma + 1);
        const std::size_t second = rest.find(',');
        operand.index = number_of(rest.substr(0, second));
        operand.scale = second == std::string_view::npos
                            ? 1
                            : static_cast<std::uint8_t>(rest[second + 1] - '0');
    }
    operand.thread = before.ends_with("%fs:" + displacement);
    return operand;
}

Accesses::Accesses()
    : image_begin_{reinterpret_cast<std::uintptr_t>(&__executable_start)},
      image_end_{reinterpret_cast<std::uintptr_t>(::sbrk(0)) + kHeapGrowth},
      stack_end_{end_of_stack()} {
    for (const std::string& line : output_of("objdump -d --no-show-raw-insn " + own_path())) {
        char* after = nullptr;
        const std::uintptr_t address = std::strtoul(line.c_str(), &after, 16);
        if (!line.starts_with(' ') || *after != ':') continue;
        std::string_view text{after + 1};
        text = text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
        text = text.substr(0, text.find_first_of("#<"));
        if (text.starts_with("syscall")) operands_.insert({address, {.base = kUnknown}});
        if (touches_nothing(text)) continue;
        while (!text.empty()) {  // two operands in memory at most
            const std::size_t open = text.find('(');
            const std::size_t close = text.find(')');
            if (open == std::string_view::npos || close == std::string_view::npos) break;
            const Operand operand =
                parse(text.substr(0, open), text.substr(open + 1, close - open - 1));
            if (operand.base != kRip && !operand.thread) operands_.insert({address, operand});
            text.remove_prefix(close + 1);
        }
    }
}

bool Accesses::is_private(std::uintptr_t address, const user_regs_struct& at) const {
    const std::uintptr_t end = address + kWidest;
    return (address >= image_begin_ && end <= image_end_) ||
           (address >= at.rsp - kRedZone && end <= stack_end_);
}

bool Accesses::shared(const user_regs_struct& at) const {
    const auto [first, last] = operands_.equal_range(at.rip);
    return std::any_of(first, last, [&](const auto& entry) {
        const Operand& operand = entry.second;
        if (operand.base >= kUnknown || operand.index >= kUnknown) return true;
        const std::uintptr_t address = value_of(operand.base, at) +
                                       value_of(operand.index, at) * operand.scale +
                                       static_cast<std::uintptr_t>(operand.displacement);
        return !is_private(address, at);
    });
}

}  // namespace stoa::crash
