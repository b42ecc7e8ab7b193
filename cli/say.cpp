#include "cli/say.hpp"

#include <sys/uio.h>
#include <unistd.h>

namespace stoa::cli {

void complain(std::string_view text) noexcept {
    constexpr std::string_view kBefore = "stoa: ";
    constexpr std::string_view kAfter = "\n";
    const auto piece = [](std::string_view part) {
        return iovec{const_cast<char*>(part.data()), part.size()};
    };
    const iovec line[] = {piece(kBefore), piece(text), piece(kAfter)};
    // One call, so that lines of several processes do not mix; nobody hears of a failure.
    [[maybe_unused]] const ssize_t written = ::writev(STDERR_FILENO, line, 3);
}

Exit complain(std::string_view what, const Error& error) {
    std::string text{what};
    text += ": ";
    text += describe(error);
    // Behind a step that gives the reason, their advice says nothing more.
    const bool general = error.code == Errc::bad_argument || error.code == Errc::not_supported;
    const std::string_view advised = advice(error.code);
    if (general && error.os_errno == 0 && std::string_view{error.step}.contains(' ')) {
        text.resize(text.size() - advised.size() - 2);
    }
    complain(text);
    return exit_for(error.code);
}

}  // namespace stoa::cli
