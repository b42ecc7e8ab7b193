"""Process names and links: each rule broken once."""
from mutant import Mutant, crash

_CALLS = "stoa/link/async_link_test"

LINKS = (
    Mutant(
        "name_of_a_living_holder_taken",
        "a name is taken from nobody or from a dead one",
        "stoa/link/name_region.cpp",
        "        if (seen != 0 && !is_gone(region_.participants(), seen)"
        " && !is_left_behind(seen)) {",
        "        if (seen == kNameRemoved) {",
        "process_test", ("stoa/link/process_test", "--gtest_filter=*ATakenName*"),
    ),
    Mutant(
        "name_removed_under_its_owner",
        "a name is removed when nobody alive has it",
        "stoa/link/name_region.cpp",
        "        if (seen != 0 && !is_gone(region_.participants(), seen)) return false;\n",
        "",
        "process_test", ("stoa/link/process_test", "--gtest_filter=*WhileItIsCollected*"),
    ),
    Mutant(
        "link_without_a_knock",
        "who makes a link knocks before its first message",
        "stoa/link/process_core.cpp",
        "if (Result<void> knocked = region.knock(join_id_); !knocked) {  // K3",
        "if (Result<void> knocked{}; !knocked) {",
        "crash_run", crash("link.connect"),
    ),
    Mutant(
        "link_torn_attributes",
        "a reader begins again when the card that it read was replaced",
        "stoa/link/name_region.cpp",
        "        if (layout_->turn.load(kSeqCst) != shown) continue;\n",
        "",
        "process_test", ("stoa/link/process_test", "--gtest_filter=*OfAttributesBegins*"),
    ),
    Mutant(
        "link_wrong_type_lost",
        "a message of another type stays first",
        "stoa/link/link_core.cpp",
        "    aside_.push_front(std::move(incoming));\n",
        "",
        "messages_test", ("stoa/link/messages_test", "--gtest_filter=*AnotherType*"),
    ),
    Mutant(
        "link_late_reply_delivered",
        "a reply to a call that ended is nobody's",
        "stoa/link/link_core.cpp",
        "    if (replies && call == open_calls_.end()) return;\n",
        "    if (replies && call == open_calls_.end()) {\n"
        "        return void(aside_.push_back(std::move(incoming)));\n    }\n",
        "messages_test", ("stoa/link/messages_test", "--gtest_filter=*ThatEndedIsDropped*"),
    ),
    Mutant(
        "link_found_reply_dropped",
        "a reply that somebody else finds in the lane goes to the call that waits for it",
        "stoa/link/link_core.cpp",
        "        call->second.reply = std::move(incoming);\n",
        "",
        "async_link_test", (_CALLS, "--gtest_filter=*ThatSomebodyElseFinds*"),
    ),
    Mutant(
        "link_call_outlives_its_end",
        "a call that ended is no longer in its link, so its reply is dropped",
        "stoa/link/pending_call.hpp",
        "link_->close_call(std::exchange(call_, 0));",
        "call_ = 0;",
        "async_link_test", (_CALLS, "--gtest_filter=*LeavesNothing"),
    ),
    Mutant(
        "link_death_not_told_to_sets",
        "a wait set that finds the peer dead says so to all that wait for the link",
        "stoa/link/link_wait.cpp",
        "        if (!looked) link_->peer_is_gone_ = true;\n",
        "",
        "async_link_test", (_CALLS, "--gtest_filter=*DeathEndsEveryCall*"),
    ),
    Mutant(
        "wait_mark_taken_from_others",
        "the mark of a handle stays while one of its entries in a set counts on it",
        "stoa/mailbox/waits.cpp",
        "        if (--armed_now() > 0) return;\n",
        "        --armed_now();\n",
        "async_link_test", (_CALLS, "--gtest_filter=*LeavesTheMark*"),
    ),
    Mutant(
        "link_failed_send_ends_it",
        "what a dead one sent is received although a send to it failed before",
        "stoa/link/link_core.cpp",
        "std::exchange(sends ? peer_is_gone_ : over_, true)",
        "std::exchange(over_, true)",
        "async_link_test", (_CALLS, "--gtest_filter=*FailedSendHides*"),
    ),
    Mutant(
        "link_deadlock_not_seen",
        "a rendezvous looks whether the other one waits in a send to it",
        "stoa/mailbox/seats.cpp",
        "    if (!plan_.one_way && in_->has_messages()) {",
        "    if (false) {",
        "messages_test", ("stoa/link/messages_test", "--gtest_filter=*RendezvousWithEachOther*"),
    ),
    Mutant(
        "link_stranger_believed",
        "who names another one's join id is not believed",
        "stoa/link/process_core.cpp",
        "(at->credentials.pid != 0 && at->credentials.pid != pid)",
        "false",
        "hostile_link_test", ("stoa/link/hostile_link_test", "--gtest_filter=*Stranger*"),
    ),
)
