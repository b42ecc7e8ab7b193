// How facts about mailboxes are shown, as text and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/exit.hpp"
#include "stoa/mailbox/admin.hpp"

namespace stoa::cli {

using Json = nlohmann::ordered_json;

[[nodiscard]] std::string_view name_of(Sharing sharing) noexcept;
[[nodiscard]] std::string_view name_of(Owner owner) noexcept;
[[nodiscard]] std::string_view name_of(Role role) noexcept;
[[nodiscard]] std::string_view name_of(Overflow overflow) noexcept;
[[nodiscard]] std::string_view name_of(WaitsFor what) noexcept;
[[nodiscard]] std::string name_of(const Participant& seen);
[[nodiscard]] std::string_view name_of(sys::Life life) noexcept;

[[nodiscard]] Json json_of(const MailboxFacts& facts);
// Of it what was chosen when it was created.
[[nodiscard]] Json json_of_kind(const MailboxFacts& facts);
[[nodiscard]] Json json_of(const Participant& seen);
// Whether it lives, but somebody stopped it (SIGSTOP, Ctrl-Z, a debugger).
[[nodiscard]] bool is_stopped(const Participant& seen);
[[nodiscard]] bool is_stopped(const sys::Identity& process, sys::Life life);
// What waits for it alone; nullopt: it has no queue of its own, or that is not counted.
[[nodiscard]] std::optional<std::uint64_t> waiting_for(const MailboxFacts& facts,
                                                       const Participant& seen);
// What was reserved: classes of a pool ring, or lanes.
[[nodiscard]] Json reserve_json(const MailboxPlan& plan, std::uint64_t memory_bytes);
[[nodiscard]] std::string reserve_text(const MailboxPlan& plan, std::uint64_t memory_bytes);
// "1024 messages", and for whom that holds.
[[nodiscard]] std::string capacity_text(const MailboxPlan& plan);
[[nodiscard]] Json capacity_json(const MailboxPlan& plan);
// Overflow, priorities, times to live, dead letters.
[[nodiscard]] std::string policies_text(const MailboxPlan& plan);
void add_policies(Json& json, const MailboxPlan& plan);

// The most payload that fits.
[[nodiscard]] std::uint64_t payload_bytes(const MailboxPlan& plan) noexcept;

[[nodiscard]] Exit print_json(const Json& json);

}  // namespace stoa::cli
