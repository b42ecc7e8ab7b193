// stoa region create
#include <fmt/format.h>

#include "cli/command/region.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"
#include "stoa/shm/objects_layout.hpp"
#include "stoa/shm/plain_region.hpp"

namespace stoa::cli {
namespace {

struct Options {
    std::string address;
    std::uint64_t size = 0;
    bool plain = false;
    bool json = false;
    RegionOptions region{};
};

Exit told(const Options& options) {
    const Result<RegionFacts> facts = look_at_region(options.address);
    if (!facts) return complain("region create " + options.address, facts.error());
    if (options.json) return print_json(json_of(*facts));
    if (facts->plain) {
        return print(
            fmt::format("{}: {} of plain bytes\n", facts->address, human_bytes(facts->bytes)));
    }
    return print(fmt::format("{}: {} for objects, grows to {}; {} in all\n", facts->address,
                             human_bytes(facts->use.bytes), human_bytes(facts->use.max_bytes),
                             human_bytes(facts->use.all_bytes)));
}

Exit create(const Options& options) {
    const std::string what = "region create " + options.address;
    if (options.address.starts_with("memfd:")) {
        complain(what +
                 ": memory without a name would end with this command; a program makes it "
                 "with Region::create(\"memfd:\", ...)");
        return Exit::usage;
    }
    if (options.plain) {
        const RegionOptions& region = options.region;
        const Result<PlainRegion> made = PlainRegion::create(
            options.address, options.size, {.mode = region.mode, .prefault = region.prefault});
        return made ? told(options) : complain(what, made.error());
    }
    // It stays when the handle goes.
    const Result<void> made = [&]() -> Result<void> {
        const Result<Region> region = Region::create(options.address, options.size, options.region);
        if (!region) return std::unexpected(region.error());
        return {};
    }();
    return made ? told(options) : complain(what, made.error());
}

}  // namespace

void add_region_create(CLI::App& region, Chosen& chosen) {
    const auto options = std::make_shared<Options>();
    CLI::App* verb = region.add_subcommand("create", "Create a region and reserve its memory");
    add_address(*verb, options->address);
    add_bytes(*verb, "--size", options->size, "For objects, backed by memory at once")->required();
    CLI::Option* most = add_bytes(*verb, "--max-size", options->region.max_bytes,
                                  "It may grow up to this [shm: 16 times --size, 64MiB at least; "
                                  "else --size]");
    CLI::Option* objects = verb->add_option("--max-objects", options->region.max_objects,
                                            "So many named objects fit, 1 to 1048576 [4096]")
                               ->check(whole_number(1, kMaxObjects));
    CLI::Option* plain =
        verb->add_flag("--plain", options->plain,
                       "Only bytes, as other programs make and expect them: no objects, no locks");
    plain->excludes(most)->excludes(objects);
    verb->add_option_function<std::string>(
            "--mode",
            [options](const std::string& text) { options->region.mode = parse_mode(text); },
            "Permissions [0600, in a shared domain 0660]")
        ->type_name("OCTAL");
    verb->add_flag("--prefault", options->region.prefault, "All pages are present at once");
    verb->add_flag("--json", options->json, "Print JSON");
    example(*verb, "stoa region create stats --size 1MiB");
    verb->callback([&chosen, options] { chosen.run = [options] { return create(*options); }; });
}

}  // namespace stoa::cli
