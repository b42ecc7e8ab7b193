// The crash run: every scenario of every room. --help says how.
#include "tests/crash/crash_main.hpp"
#include "tests/crash/scenarios/scenarios.hpp"

int main(int argc, char** argv) {
    stoa::crash::Suite suite;
    stoa::crash::add_lane_scenarios(suite.scenarios);
    stoa::crash::add_log_scenarios(suite.scenarios);
    stoa::crash::add_heap_scenarios(suite.scenarios);
    stoa::crash::add_latest_scenarios(suite.scenarios);
    stoa::crash::add_lock_scenarios(suite.scenarios);
    stoa::crash::add_wait_scenarios(suite.scenarios);
    stoa::crash::add_mutex_kind_scenarios(suite.scenarios);
    stoa::crash::add_shared_lock_scenarios(suite.scenarios);
    stoa::crash::add_pool_scenarios(suite.scenarios);
    stoa::crash::add_mailbox_scenarios(suite.scenarios);
    stoa::crash::add_policy_scenarios(suite.scenarios);
    stoa::crash::add_route_scenarios(suite.scenarios);
    stoa::crash::add_role_scenarios(suite.scenarios);
    stoa::crash::add_asked_scenarios(suite.scenarios);
    stoa::crash::add_unbounded_scenarios(suite.scenarios);
    stoa::crash::add_broadcast_scenarios(suite.scenarios);
    stoa::crash::add_buffer_scenarios(suite.scenarios);
    stoa::crash::add_wait_set_scenarios(suite.scenarios);
    stoa::crash::add_link_scenarios(suite.scenarios);
    stoa::crash::add_name_scenarios(suite.scenarios);
    stoa::crash::add_owned_scenarios(suite.scenarios);
    stoa::crash::add_region_scenarios(suite.scenarios);
    stoa::crash::add_region_object_scenarios(suite.scenarios);
    suite.covered = {"stoa::Lane",
                     "stoa::Log",
                     "stoa::PoolRing::",
                     "stoa::PoolGeometry::",
                     "stoa::Participants::",
                     "stoa::RegionImage::",
                     "stoa::Region::",
                     "stoa::detail::RegionCore::",
                     "stoa::Directory::",
                     "stoa::Attachment::",
                     "stoa::OwnedName::",
                     "stoa::Routes::",
                     "stoa::Segments::",
                     "stoa::Queue::",
                     "stoa::Mutex::",
                     "stoa::detail::Permits::",
                     "stoa::RawBuffer::",
                     "stoa::detail::claim_latest",
                     "stoa::detail::wait_for_latest",
                     "stoa::detail::add_key"};
    suite.covered_when_entered = {"stoa::crash::(anonymous namespace)::victim_",
                                  "stoa::crash::victim_"};
    return stoa::crash::crash_main(argc, argv, suite);
}
