// What the verbs of regions share.
#pragma once

#include <string>

#include "cli/command/command.hpp"
#include "cli/command/facts.hpp"
#include "stoa/shm/region_admin.hpp"

namespace stoa::cli {

CLI::Option* add_address(CLI::App& verb, std::string& address);
[[nodiscard]] Json json_of(const RegionFacts& facts);

}  // namespace stoa::cli
