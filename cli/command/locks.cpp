// stoa locks
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "cli/command/region.hpp"
#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/shown.hpp"
#include "cli/units.hpp"
#include "stoa/shm/region_core.hpp"
#include "stoa/sync/lock_table.hpp"

namespace stoa::cli {
namespace {

struct Lock {
    std::string where;  // object, and how far in it
    LockState state;
};
struct Locks {
    std::string address;
    std::vector<Lock> all;
    std::vector<std::vector<LockUser>> cycles;
};

std::string_view name_of(LockKind kind) noexcept {
    switch (kind) {
        case LockKind::none: return "-";
        case LockKind::mutex: return "mutex";
        case LockKind::recursive_mutex: return "recursive mutex";
        case LockKind::once: return "once";
        case LockKind::reader: return "to read";
        case LockKind::writer: return "to write";
        case LockKind::semaphore: return "semaphore";
        case LockKind::priority_mutex: return "priority mutex";
    }
    return "-";
}

// What kind of lock an object is, or begins with; nullopt: none that tells its holders.
std::optional<LockShape> shape_of(const ObjectInfo& object) {
    const std::string_view type = object.type;
    if (type.starts_with("stoa.mutex ") || type.starts_with("stoa.guarded ")) {
        return LockShape{.kind = LockKind::mutex};
    }
    if (type.starts_with("stoa.recursive_mutex ")) return LockShape{LockKind::recursive_mutex};
    if (type.starts_with("stoa.priority_mutex ")) return LockShape{LockKind::priority_mutex};
    if (type.starts_with("stoa.once ")) return LockShape{.kind = LockKind::once};
    if (type.starts_with("stoa.semaphore ")) {
        return LockShape{LockKind::semaphore, static_cast<std::uint32_t>(object.bytes / 8 - 1)};
    }
    return {};
}

// The object that an offset in the region's memory lies in.
std::string object_at(const Region& region, std::uint64_t offset) {
    const std::byte* const at = region.core().image.memory().data() + offset;
    for (const ObjectInfo& object : region.objects()) {
        const Result<std::span<const std::byte>> bytes = region.bytes_of(object.name);
        if (!bytes || at < bytes->data() || at >= bytes->data() + bytes->size()) continue;
        const auto inside = static_cast<std::uint64_t>(at - bytes->data());
        return inside == 0 ? shown(object.name)
                           : fmt::format("{} + {}", shown(object.name), inside);
    }
    return fmt::format("at {}", offset);
}

Result<Locks> locks_of(const std::string& address) {
    const Result<Region> region = Region::open(address, {.access = Access::read_only});
    if (!region) return std::unexpected(region.error());
    const RegionImage& image = region->core().image;
    LockTable table = lock_table(image.participants(), image.memory());
    Locks locks{.address = region->address(), .all = {}, .cycles = std::move(table.cycles)};
    for (LockState& state : table.locks) {
        locks.all.push_back({object_at(*region, state.offset), std::move(state)});
    }
    // And those that are held while nobody waits, as far as a name leads to them.
    for (const ObjectInfo& object : region->objects()) {
        const std::optional<LockShape> shape = shape_of(object);
        const Result<std::span<const std::byte>> bytes = region->bytes_of(object.name);
        if (!shape || !bytes) continue;
        const auto offset = static_cast<std::uint64_t>(bytes->data() - image.memory().data());
        const auto is_it = [&](const Lock& lock) { return lock.state.offset == offset; };
        if (std::ranges::any_of(locks.all, is_it)) continue;
        LockState state{.offset = offset, .lock = *shape};
        state.holders = holders_of_lock(image.participants(), image.memory(), offset, *shape);
        if (!state.holders.empty()) locks.all.push_back({shown(object.name), state});
    }
    return locks;
}

std::chrono::nanoseconds waited(const LockUser& user) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::chrono::nanoseconds since{static_cast<std::int64_t>(user.since_ns)};
    return std::max(std::chrono::nanoseconds{now} - since, std::chrono::nanoseconds{0});
}

std::string text_of(const LockUser& user) {
    return fmt::format("{} ({}){}", shown(user.name), user.pid,
                       user.is_gone ? ", gone: the next one inherits" : "");
}

std::string text_of(const Locks& locks) {
    std::string text;
    for (const std::vector<LockUser>& cycle : locks.cycles) {
        text += fmt::format("{}: DEADLOCK: ", locks.address);
        for (const LockUser& user : cycle) text += text_of(user) + " waits for ";
        text += text_of(cycle.front()) + "\n";
    }
    for (const Lock& lock : locks.all) {
        text +=
            fmt::format("{} {}: {}\n", locks.address, lock.where, name_of(lock.state.lock.kind));
        for (const LockUser& user : lock.state.holders) {
            text += fmt::format(
                "    held by   {}{}\n", text_of(user),
                user.since_ns == 0 ? ""
                                   : fmt::format(", for {} at least", human_seconds(waited(user))));
        }
        for (const LockUser& user : lock.state.waiters) {
            text += fmt::format("    waits     {}, {}, since {}\n", text_of(user),
                                name_of(user.kind), human_seconds(waited(user)));
        }
    }
    return text;
}

Json json_of(const LockUser& user, bool waits) {
    Json json{{"pid", user.pid}, {"process", shown(user.name)}};
    if (!waits) json["gone"] = user.is_gone;
    if (!waits && user.since_ns != 0) {
        json["held_s_at_least"] = std::chrono::duration<double>(waited(user)).count();
    }
    if (waits) json["waits_s"] = std::chrono::duration<double>(waited(user)).count();
    return json;
}

Json json_of(const Locks& locks) {
    Json json{{"address", locks.address}, {"cycles", Json::array()}, {"locks", Json::array()}};
    for (const std::vector<LockUser>& cycle : locks.cycles) {
        Json users = Json::array();
        for (const LockUser& user : cycle) users.push_back(json_of(user, true));
        json["cycles"].push_back(users);
    }
    for (const Lock& lock : locks.all) {
        Json one{{"object", lock.where},
                 {"kind", name_of(lock.state.lock.kind)},
                 {"holders", Json::array()},
                 {"waiters", Json::array()}};
        for (const LockUser& user : lock.state.holders) {
            one["holders"].push_back(json_of(user, false));
        }
        for (const LockUser& user : lock.state.waiters) {
            one["waiters"].push_back(json_of(user, true));
        }
        json["locks"].push_back(one);
    }
    return json;
}

Exit show(std::vector<std::string> addresses, bool json) {
    const bool all = addresses.empty();
    if (all) {
        Result<std::vector<std::string>> found = region_addresses(false);
        if (!found) return complain("locks", found.error());
        addresses = std::move(*found);
    }
    std::string text;
    Json array = Json::array();
    for (const std::string& address : addresses) {
        const Result<Locks> locks = locks_of(address);
        if (!locks && all) continue;  // it went meanwhile, or is none that can be read
        if (!locks) return complain("locks " + address, locks.error());
        // Who waits for each other comes first.
        text = locks->cycles.empty() ? text + text_of(*locks) : text_of(*locks) + text;
        array.push_back(json_of(*locks));
    }
    if (json) return print_json(array);
    return print(text.empty() ? "no lock is held or waited for\n" : text);
}

}  // namespace

void add_locks(CLI::App& app, Chosen& chosen) {
    const auto addresses = std::make_shared<std::vector<std::string>>();
    const auto json = std::make_shared<bool>(false);
    CLI::App* verb = app.add_subcommand(
        "locks", "Show who holds which lock in regions and who waits for it; deadlocks first");
    verb->add_option("ADDRESS", *addresses, "Regions [all that `stoa region ls` shows]")
        ->type_name("");
    verb->add_flag("--json", *json, "Print JSON");
    example(*verb, "stoa locks stats");
    verb->callback([&chosen, addresses, json] {
        chosen.run = [addresses, json] { return show(*addresses, *json); };
    });
}

}  // namespace stoa::cli
