"""Process names and links: each rule broken once."""
from mutant import Mutant, crash

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
        "        skip = wanted.reply == 0 || header.call != wanted.reply;",
        "        skip = false;",
        "messages_test", ("stoa/link/messages_test", "--gtest_filter=*ThatEndedIsDropped*"),
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
