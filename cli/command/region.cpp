// stoa region create|rm|ls|info|dump
#include "cli/command/region.hpp"

namespace stoa::cli {

CLI::Option* add_address(CLI::App& verb, std::string& address) {
    return verb
        .add_option(
            "ADDRESS", address,
            "NAME or shm:NAME in the domain, posix:/NAME, file:PATH, sysv:NAME, sysv:0xKEY, "
            "sysv:#ID, memfd:N (a descriptor of this process)")
        ->type_name("")
        ->required();
}

void add_region(CLI::App& app, Chosen& chosen) {
    CLI::App* region =
        app.add_subcommand("region", "Create, remove, list and look at regions of shared memory");
    region->require_subcommand(1);
    example(*region, "stoa region create stats --size 1MiB && stoa region info stats");
    add_region_create(*region, chosen);
    add_region_rm(*region, chosen);
    add_region_ls(*region, chosen);
    add_region_info(*region, chosen);
    add_region_dump(*region, chosen);
}

}  // namespace stoa::cli
