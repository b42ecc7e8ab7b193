#include "cli/command/facts.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/say.hpp"
#include "cli/units.hpp"

namespace stoa::cli {
namespace {

std::string created_text(std::uint64_t created_ns) {
    const auto seconds = static_cast<std::time_t>(created_ns / 1'000'000'000U);
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

bool lanes_carry(const MailboxPlan& plan) noexcept {
    return plan.lane_count > 0;
}

}  // namespace

std::string_view name_of(Sharing sharing) noexcept {
    switch (sharing) {
        case Sharing::any: return "any";
        case Sharing::single_receiver: return "single_receiver";
        case Sharing::pair: return "pair";
    }
    return "unknown";
}

std::string_view name_of(Owner owner) noexcept {
    switch (owner) {
        case Owner::system: return "system";
        case Owner::process: return "process";
    }
    return "unknown";
}

std::string_view name_of(Role role) noexcept {
    switch (role) {
        case Role::none: return "none";
        case Role::sends: return "sends";
        case Role::receives: return "receives";
        case Role::both: return "both";
    }
    return "unknown";
}

std::string_view name_of(sys::Life life) noexcept {
    switch (life) {
        case sys::Life::alive: return "alive";
        case sys::Life::dead: return "dead";
        case sys::Life::unknown: return "unknown";
    }
    return "unknown";
}

std::uint64_t payload_bytes(const MailboxPlan& plan) noexcept {
    if (lanes_carry(plan)) return plan.lane.ring_bytes;
    return plan.pool.payload_bytes() * plan.pool_count;
}

Json reserve_json(const MailboxPlan& plan, std::uint64_t memory_bytes) {
    Json json{{"memory_bytes", memory_bytes}, {"payload_bytes", payload_bytes(plan)}};
    if (lanes_carry(plan)) {
        json["lane_ring_bytes"] = plan.lane.ring_bytes;
        json["lanes_at_most"] = plan.lane_count;
        return json;
    }
    json["rings"] = plan.pool_count;
    json["size_classes"] = Json::array();
    for (std::uint32_t i = 0; i < plan.pool.class_count; ++i) {
        const PoolClass& c = plan.pool.classes[i];
        json["size_classes"].push_back({{"bytes", c.payload_bytes}, {"chunks", c.count}});
    }
    return json;
}

std::string reserve_text(const MailboxPlan& plan, std::uint64_t memory_bytes) {
    std::string text = fmt::format("memory     {}\n", human_bytes(memory_bytes));
    if (lanes_carry(plan)) {
        const bool pair = plan.sharing == Sharing::pair;
        return text + fmt::format("payload    a ring of {} {}\n", human_bytes(plan.lane.ring_bytes),
                                  pair ? "in each direction" : "for each sender, when it opens");
    }
    std::string classes;
    for (std::uint32_t i = 0; i < plan.pool.class_count; ++i) {
        const PoolClass& c = plan.pool.classes[i];
        classes +=
            fmt::format("{}{} of {}", i == 0 ? "" : ", ", c.count, human_bytes(c.payload_bytes));
    }
    return text + fmt::format("payload    {}{}: {}\n", human_bytes(plan.pool.payload_bytes()),
                              plan.pool_count > 1 ? " in each direction" : "", classes);
}

std::string capacity_text(const MailboxPlan& plan) {
    std::string text = counted(plan.capacity, "message", "messages");
    if (lanes_carry(plan)) {
        text +=
            fmt::format(" of {}", plan.sharing == Sharing::pair ? "each direction" : "each sender");
    } else if (plan.pool_count > 1) {
        text += " in each direction";
    }
    return text + fmt::format(" of at most {}", human_bytes(plan.max_bytes));
}

Json json_of(const Participant& seen) {
    return {{"index", seen.index},
            {"pid", seen.identity.pid},
            {"process", printable(sys::process_name(seen.identity.pid))},
            {"role", name_of(seen.role)},
            {"life", name_of(seen.life)},
            {"sent", seen.sent},
            {"received", seen.received}};
}

Json json_of(const MailboxFacts& facts) {
    const MailboxPlan& plan = facts.plan;
    Json json{{"name", facts.name},
              {"sharing", name_of(plan.sharing)},
              {"acknowledged", plan.acknowledged},
              {"type", printable(plan.type_text)},
              {"capacity", plan.capacity},
              {"max_bytes", plan.max_bytes},
              {"loan_quota", plan.loan_quota},
              {"owner", name_of(facts.owner)},
              {"mode", fmt::format("{:04o}", facts.mode)},
              {"created", created_text(plan.created_ns)},
              {"depth", facts.depth},
              {"bytes", facts.queued_bytes},
              {"sent", facts.sent},
              {"received", facts.received},
              {"redelivered", facts.redelivered},
              {"leased", facts.leased},
              {"loaned", facts.loaned},
              {"dead_letters", facts.dead_letters},
              {"carried_by", lanes_carry(plan) ? "lanes" : "pool"},
              {"reserve", reserve_json(plan, facts.memory_bytes)}};
    if (facts.owner == Owner::process) {
        json["owner_pid"] = facts.creator.pid;
        json["owner_process"] = printable(sys::process_name(facts.creator.pid));
    }
    json["participants"] = Json::array();
    for (const Participant& seen : facts.participants) {
        json["participants"].push_back(json_of(seen));
    }
    return json;
}

Exit print_json(const Json& json) {
    return print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace stoa::cli
