// Every scenario of the crash run, room by room.
#pragma once

#include <memory>
#include <vector>

#include "tests/crash/scenario.hpp"

namespace stoa::crash {

using Scenarios = std::vector<std::unique_ptr<Scenario>>;

void add_lane_scenarios(Scenarios& list);
void add_lock_scenarios(Scenarios& list);
void add_log_scenarios(Scenarios& list);
void add_pool_scenarios(Scenarios& list);
void add_mailbox_scenarios(Scenarios& list);
void add_name_scenarios(Scenarios& list);
void add_owned_scenarios(Scenarios& list);
void add_policy_scenarios(Scenarios& list);
void add_route_scenarios(Scenarios& list);
void add_unbounded_scenarios(Scenarios& list);
void add_role_scenarios(Scenarios& list);
void add_asked_scenarios(Scenarios& list);
void add_broadcast_scenarios(Scenarios& list);

}  // namespace stoa::crash
