#include "cli/command/facts.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <fstream>

#include "cli/output.hpp"
#include "cli/shown.hpp"
#include "cli/units.hpp"

namespace stoa::cli {
namespace {

std::string created_text(std::uint64_t created_ns) {
    const auto seconds = static_cast<std::time_t>(created_ns / 1'000'000'000U);
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

// An unbounded mailbox, where block and reject are the same, says quota_reached.
std::string_view overflow_of(const MailboxPlan& plan) noexcept {
    return plan.grows() ? name(Errc::quota_reached) : name_of(plan.overflow);
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
        case Sharing::round_robin: return "round_robin";
        case Sharing::least_loaded: return "least_loaded";
        case Sharing::key_affine: return "key_affine";
        case Sharing::broadcast: return "broadcast";
    }
    return "unknown";
}

std::string_view name_of(Overflow overflow) noexcept {
    switch (overflow) {
        case Overflow::block: return "block";
        case Overflow::reject: return "reject";
        case Overflow::drop_oldest: return "drop_oldest";
        case Overflow::drop_newest: return "drop_newest";
    }
    return "unknown";
}

std::string_view name_of(WaitsFor what) noexcept {
    switch (what) {
        case WaitsFor::nothing: return "nothing";
        case WaitsFor::message: return "message";
        case WaitsFor::room: return "room";
        case WaitsFor::receipt: return "receipt";
        case WaitsFor::turn: return "turn";
        case WaitsFor::lock: return "lock";
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

std::string name_of(const Participant& seen) {
    return seen.name.empty() ? sys::process_name(seen.identity.pid) : seen.name;
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
    const char* const where = plan.grows()                         ? " in each segment"
                              : plan.sharing == Sharing::broadcast ? " for each subscriber"
                              : plan.routed()                      ? " for each receiver"
                              : plan.pool_count > 1                ? " in each direction"
                                                                   : "";
    return text + fmt::format("payload    {}{}: {}\n", human_bytes(plan.pool.payload_bytes()),
                              where, classes);
}

std::string capacity_text(const MailboxPlan& plan) {
    const std::string most = human_bytes(plan.max_bytes);
    if (plan.grows()) {
        return fmt::format("unbounded, up to {} of memory, messages of at most {}",
                           human_bytes(plan.capacity.quota_bytes), most);
    }
    std::string text = "zero: a send returns when a receiver has taken the message, one";
    if (plan.capacity.kind == Capacity::Kind::bounded) {
        text = counted(plan.capacity.messages, "message", "messages");
    }
    text += fmt::format(" of at most {}", most);
    if (plan.sharing == Sharing::pair) {
        return text + (plan.one_way ? "" : " in each direction");
    }
    if (plan.sharing == Sharing::broadcast) {
        return text + (plan.logged() ? " of each sender, for the slowest subscriber"
                                     : " for each subscriber");
    }
    if (plan.routed()) {
        return text +
               (lanes_carry(plan) ? " from each sender to each receiver" : " for each receiver");
    }
    return text + (lanes_carry(plan) ? " of each sender" : "");
}

Json capacity_json(const MailboxPlan& plan) {
    switch (plan.capacity.kind) {
        case Capacity::Kind::zero: return "zero";
        case Capacity::Kind::bounded: return plan.capacity.messages;
        case Capacity::Kind::unbounded: return "unbounded";
    }
    return nullptr;
}

void add_policies(Json& json, const MailboxPlan& plan) {
    const auto seconds = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e9; };
    if (plan.grows()) {
        json["quota"] = plan.capacity.quota_bytes;
        json["segment_bytes"] = plan.segment_bytes();
        json["segments_at_most"] = plan.segment_count;
    }
    json["overflow"] = overflow_of(plan);
    json["priorities"] = plan.priorities;
    if (plan.ageing_ns != 0) json["ageing"] = seconds(plan.ageing_ns);
    if (plan.time_to_live_ns != 0) json["ttl"] = seconds(plan.time_to_live_ns);
    if (plan.dead_letter_after != 0) json["dead_letter_after"] = plan.dead_letter_after;
    if (plan.keep_expired) json["keep_expired"] = true;
    if (plan.one_way) json["one_way"] = true;
    if (plan.by_turns) json["by_turns"] = true;
}

std::string policies_text(const MailboxPlan& plan) {
    const auto seconds = [](std::uint64_t ns) {
        return human_seconds(std::chrono::nanoseconds{ns});
    };
    std::string text =
        fmt::format("overflow   {}{}\n", overflow_of(plan),
                    plan.grows() ? ": a send never waits, at the quota it says so" : "");
    if (plan.priorities > 1) {
        text += fmt::format("priorities 0 to {}, the highest first{}\n", plan.priorities - 1,
                            plan.ageing_ns == 0
                                ? ""
                                : ", one more for each " + seconds(plan.ageing_ns) + " of waiting");
    }
    if (plan.time_to_live_ns != 0) {
        text +=
            fmt::format("ttl        {}, expired messages are {}\n", seconds(plan.time_to_live_ns),
                        plan.keep_expired ? "kept as dead letters" : "counted and gone");
    }
    if (plan.dead_letter_after != 0) {
        text += fmt::format("dead letter after {} without ack, at most {} kept\n",
                            counted(plan.dead_letter_after, "delivery", "deliveries"),
                            plan.dead_letter_quota);
    }
    return text;
}

bool is_stopped(const Participant& seen) {
    return is_stopped(seen.identity, seen.life);
}

bool is_stopped(const sys::Identity& process, sys::Life life) {
    if (life != sys::Life::alive) return false;
    std::ifstream file{fmt::format("/proc/{}/stat", process.pid)};
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(") ");  // the state follows
    if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
    return text[name_end + 2] == 'T' || text[name_end + 2] == 't';
}

std::optional<std::uint64_t> waiting_for(const MailboxFacts& facts, const Participant& seen) {
    const bool receives = seen.role == Role::receives || seen.role == Role::both;
    if (!receives || seen.seat >= facts.waiting.size()) return std::nullopt;
    return facts.waiting[seen.seat];
}

Json json_of(const Participant& seen) {
    return {{"index", seen.index},
            {"pid", seen.identity.pid},
            {"process", shown(name_of(seen))},
            {"role", name_of(seen.role)},
            {"life", name_of(seen.life)},
            {"stopped", is_stopped(seen)},
            {"waits_for", name_of(seen.waits)},
            {"sent", seen.sent},
            {"received", seen.received}};
}

Json json_of_kind(const MailboxFacts& facts) {
    const MailboxPlan& plan = facts.plan;
    Json json{{"name", facts.name},
              {"sharing", name_of(plan.sharing)},
              {"acknowledged", plan.acknowledged},
              {"type", shown(plan.type_text)},
              {"capacity", capacity_json(plan)},
              {"max_bytes", plan.max_bytes},
              {"loan_quota", plan.loan_quota},
              {"owner", name_of(facts.owner)},
              {"mode", fmt::format("{:04o}", facts.mode)},
              {"created", created_text(plan.created_ns)},
              {"carried_by", lanes_carry(plan) ? "lanes" : "pool"},
              {"reserve", reserve_json(plan, facts.memory_bytes)}};
    add_policies(json, plan);
    return json;
}

Json json_of(const MailboxFacts& facts) {
    Json json = json_of_kind(facts);
    json.update({{"depth", facts.depth},
                 {"bytes", facts.queued_bytes},
                 {"sent", facts.sent},
                 {"received", facts.received},
                 {"redelivered", facts.redelivered},
                 {"leased", facts.leased},
                 {"loaned", facts.loaned},
                 {"dead_letters", facts.dead_letters},
                 {"dropped_oldest", facts.dropped_oldest},
                 {"dropped_newest", facts.dropped_newest},
                 {"expired", facts.expired},
                 {"withdrawn", facts.withdrawn},
                 {"segments", facts.segments},
                 {"closed", facts.closed}});
    if (facts.owner == Owner::process) {
        json["owner_pid"] = facts.creator.pid;
        json["owner_process"] = shown(sys::process_name(facts.creator.pid));
    }
    json["participants"] = Json::array();
    for (const Participant& seen : facts.participants) {
        Json& shown = json["participants"].emplace_back(json_of(seen));
        if (const auto waiting = waiting_for(facts, seen)) shown["waiting"] = *waiting;
    }
    return json;
}

Exit print_json(const Json& json) {
    return print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace stoa::cli
