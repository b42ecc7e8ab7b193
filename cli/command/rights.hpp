// Rights to send and to receive that differ from each other: asked for by option, refused for now.
#pragma once

#include <string>
#include <vector>

#include "cli/command/command.hpp"

namespace stoa::cli {

struct SeparateRights {
    std::vector<std::string> send;
    std::vector<std::string> receive;

    [[nodiscard]] bool any() const noexcept { return !send.empty() || !receive.empty(); }
};

void add_separate_rights(CLI::App& verb, SeparateRights& rights);
// Says why they are refused.
[[nodiscard]] Exit refuse_separate_rights(const std::string& what);

}  // namespace stoa::cli
