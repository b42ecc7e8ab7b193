#include "stoa/sys/proc_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include "stoa/sys/errno.hpp"
#include "stoa/sys/fd.hpp"
#include "stoa/sys/process.hpp"

namespace stoa::sys {
namespace {

// The path "/proc/PID/FILE" without snprintf, which signal handlers may not call.
class ProcPath {
public:
    ProcPath(std::uint32_t pid, std::string_view file) noexcept {
        char* at = std::ranges::copy(std::string_view{"/proc/"}, text_).out;
        if (pid == kOwnPid) {
            at = std::ranges::copy(std::string_view{"self"}, at).out;
        } else {
            at = std::to_chars(at, text_ + sizeof text_, pid).ptr;
        }
        *at++ = '/';
        *std::ranges::copy(file, at).out = '\0';
    }
    [[nodiscard]] const char* c_str() const noexcept { return text_; }

private:
    char text_[40];
};

// Parses proc(5) stat from behind the command name, which may hold any byte, also ')'.
std::optional<ProcStat> parse_stat(std::string_view text) noexcept {
    constexpr int kStateField = 3;
    constexpr int kThreadsField = 20;
    constexpr int kStartField = 22;
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || text.size() < name_end + 3) return std::nullopt;
    text.remove_prefix(name_end + 2);
    ProcStat stat{.state = text.front()};
    for (int field = kStateField; field < kStartField; ++field) {
        if (field == kThreadsField) {
            (void)std::from_chars(text.data(), text.data() + text.size(), stat.threads);
        }
        const std::size_t space = text.find(' ');
        if (space == std::string_view::npos) return std::nullopt;
        text.remove_prefix(space + 1);
    }
    const auto end = std::from_chars(text.data(), text.data() + text.size(), stat.start_ticks);
    if (end.ec != std::errc{}) return std::nullopt;
    return stat;
}

}  // namespace

Result<std::string_view> read_small(const char* path, std::span<char> buffer) noexcept {
    const Fd file{::open(path, O_RDONLY | O_CLOEXEC)};
    if (!file.valid()) return fail_errno("open /proc file");
    ssize_t length = 0;
    do {
        length = ::read(file.get(), buffer.data(), buffer.size());
    } while (length < 0 && errno == EINTR);
    if (length < 0) return fail_errno("read /proc file");
    return std::string_view{buffer.data(), static_cast<std::size_t>(length)};
}

std::optional<ProcStat> read_stat(std::uint32_t pid) noexcept {
    std::array<char, 1024> buffer;
    const auto text = read_small(ProcPath{pid, "stat"}.c_str(), buffer);
    return text ? parse_stat(*text) : std::nullopt;
}

bool proc_shows_our_namespace() noexcept {
    std::array<char, 16> target;
    const ssize_t length = ::readlink("/proc/self", target.data(), target.size());
    if (length <= 0) return false;
    pid_t pid = 0;
    (void)std::from_chars(target.data(), target.data() + length, pid);
    return pid == ::getpid();
}

std::string_view own_name() noexcept {
    return program_invocation_short_name;
}

std::string process_name(std::uint32_t pid) {
    std::array<char, 64> buffer;
    const auto text = read_small(ProcPath{pid, "comm"}.c_str(), buffer);
    if (!text) return {};
    std::string name{*text};
    if (name.ends_with('\n')) name.pop_back();
    // A process may name itself with control bytes; they must not reach a terminal.
    std::ranges::replace_if(name, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, '?');
    return name;
}

}  // namespace stoa::sys
