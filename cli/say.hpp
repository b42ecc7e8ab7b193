// What the command tells its user on stderr.
#pragma once

#include <string_view>

#include "cli/exit.hpp"
#include "stoa/base/error.hpp"

namespace stoa::cli {

// "stoa: <text>", one line.
void complain(std::string_view text) noexcept;

// "stoa: <what>: <what happened and what to do>"; returns the exit status that fits.
Exit complain(std::string_view what, const Error& error);

}  // namespace stoa::cli
