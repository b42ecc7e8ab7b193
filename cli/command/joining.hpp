// Process names on the command line: what tell, listen and chat say when theirs is not to be had.
#pragma once

#include <string>

#include "cli/exit.hpp"
#include "stoa/base/error.hpp"

namespace stoa::cli {

// After a join that failed: who has the name, and how to see it; else as complain().
Exit not_joined(const std::string& what, const std::string& name, const Error& error);

}  // namespace stoa::cli
