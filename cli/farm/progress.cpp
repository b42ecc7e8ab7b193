#include "cli/farm/progress.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/say.hpp"
#include "cli/units.hpp"

namespace stoa::cli::farm {
namespace {

constexpr int kBarCells = 20;

void write_text(const std::string& text) {
    // There is nobody to tell of a failure.
    [[maybe_unused]] const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
}

// From where it stands to its end; nothing for pipes.
std::optional<std::uint64_t> bytes_left_of(int descriptor) {
    struct stat info{};
    if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
    const off_t position = ::lseek(descriptor, 0, SEEK_CUR);
    if (position < 0 || position > info.st_size) return std::nullopt;
    return static_cast<std::uint64_t>(info.st_size - position);
}

std::string clock_text(double seconds) {
    const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(const Figures& figures, bool quiet)
    : figures_{figures},
      shows_{!quiet && ::isatty(STDERR_FILENO) == 1},
      input_bytes_{bytes_left_of(STDIN_FILENO)} {}

double Progress::seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::string Progress::line(std::uint64_t redelivered) const {
    const std::uint64_t done = figures_.bytes_done.load(kRelaxed);
    const std::uint64_t cut = figures_.tasks_cut.load(kRelaxed);
    const bool all_cut = figures_.input_ended.load(kRelaxed);
    const double rate = static_cast<double>(done) / std::max(seconds(), 1e-3);
    std::string text;
    if (input_bytes_ && *input_bytes_ > 0) {
        const double part =
            std::min(1.0, static_cast<double>(done) / static_cast<double>(*input_bytes_));
        const int full = static_cast<int>(part * kBarCells);
        text =
            fmt::format("[{:=<{}}{:{}}] {:3.0f} %  ", "", full, "", kBarCells - full, part * 100);
    }
    text += fmt::format("{}/{}{} tasks  {}  {}/s", figures_.tasks_done.load(kRelaxed), cut,
                        all_cut ? "" : "+", human_bytes(done),
                        human_bytes(static_cast<std::uint64_t>(rate)));
    if (input_bytes_ && done > 0 && done <= *input_bytes_) {
        text += "  left " + clock_text(static_cast<double>(*input_bytes_ - done) / rate);
    }
    text += fmt::format("  redelivered {}", redelivered);
    return text;
}

void Progress::draw(std::uint64_t redelivered) {
    if (!shows_) return;
    const std::lock_guard lock{mutex_};
    write_text("\r" + line(redelivered) + "\033[K");
    drawn_ = true;
}

void Progress::hide_locked() {
    if (drawn_) write_text("\r\033[K");
    drawn_ = false;
}

void Progress::hide() {
    if (!shows_) return;
    const std::lock_guard lock{mutex_};
    hide_locked();
}

void Progress::say(const std::string& text) {
    const std::lock_guard lock{mutex_};
    hide_locked();
    complain("farm: " + text);
}

}  // namespace stoa::cli::farm
