// Every scenario of the crash run, room by room.
#pragma once

#include <memory>
#include <vector>

#include "tests/crash/scenario.hpp"

namespace stoa::crash {

using Scenarios = std::vector<std::unique_ptr<Scenario>>;

void add_lane_scenarios(Scenarios& list);
void add_heap_scenarios(Scenarios& list);
void add_latest_scenarios(Scenarios& list);
void add_lock_scenarios(Scenarios& list);
void add_mutex_kind_scenarios(Scenarios& list);
void add_shared_lock_scenarios(Scenarios& list);
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
void add_wait_scenarios(Scenarios& list);
void add_wait_set_scenarios(Scenarios& list);
void add_region_scenarios(Scenarios& list);
void add_region_object_scenarios(Scenarios& list);
void add_buffer_scenarios(Scenarios& list);
void add_link_scenarios(Scenarios& list);

}  // namespace stoa::crash
