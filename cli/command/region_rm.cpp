// stoa region rm
#include "cli/command/region.hpp"
#include "cli/say.hpp"

namespace stoa::cli {
namespace {

Exit remove(const std::string& address, bool force) {
    const Result<bool> gone = Region::destroy(address);
    if (gone) return Exit::done;
    const Errc code = gone.error().code;
    const bool is_ours = code != Errc::bad_layout && code != Errc::wrong_version &&
                         code != Errc::wrong_type && code != Errc::corrupt;
    if (is_ours) return complain("region rm " + address, gone.error());
    if (!force) {
        complain("region rm " + address +
                 ": it holds plain bytes, or is damaged; --force removes it all the same");
        return Exit::failed;
    }
    const Result<void> discarded = discard_region(address);
    return discarded ? Exit::done : complain("region rm " + address, discarded.error());
}

}  // namespace

void add_region_rm(CLI::App& region, Chosen& chosen) {
    const auto address = std::make_shared<std::string>();
    const auto force = std::make_shared<bool>(false);
    CLI::App* verb = region.add_subcommand(
        "rm", "Take the name of a region away; whoever has it attached keeps its memory");
    add_address(*verb, *address);
    verb->add_flag("--force", *force, "Also plain bytes, and what is damaged");
    example(*verb, "stoa region rm stats");
    verb->callback([&chosen, address, force] {
        chosen.run = [address, force] { return remove(*address, *force); };
    });
}

}  // namespace stoa::cli
