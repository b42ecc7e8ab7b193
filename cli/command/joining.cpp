#include "cli/command/joining.hpp"

#include <fmt/format.h>

#include "cli/say.hpp"
#include "stoa/link/admin.hpp"

namespace stoa::cli {

Exit not_joined(const std::string& what, const std::string& name, const Error& error) {
    if (error.code != Errc::in_use) return complain(what, error);
    const Result<ProcessInfo> holder = find_process(name);
    const std::string who =
        holder ? fmt::format("process {}", holder->identity.pid) : "another process";
    complain(
        fmt::format("{}: {} has the name {}, as `stoa ps {}` shows; take another name, or end "
                    "that process first",
                    what, who, name, name));
    return exit_for(error.code);
}

}  // namespace stoa::cli
