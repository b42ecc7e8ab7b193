"""Those of wait sets and their boards; see mutants.py."""
from mutant import Mutant

_DEATH = "stoa/mailbox/wait_death_test"
_OBJECT = "stoa/mailbox/object_wait_test"
_SHARED = "stoa/wait/shared_waits_test"

SETS = (
    Mutant(
        "wake_tells_no_set",
        "whoever wakes those who sleep on a word tells the sets that watch",
        "stoa/sync/bell.cpp",
        "    ring_watchers(&word);\n",
        "",
        "mailbox_wait_test",
        ("stoa/mailbox/mailbox_wait_test", "--gtest_filter=*RoundTripsGoOn*/pair"),
    ),
    Mutant(
        "bell_tells_no_set",
        "whoever rings a bell tells the sets that watch",
        "stoa/sync/bell.cpp",
        "        ring_watchers(&bell);\n",
        "",
        "object_wait_test", (_OBJECT, "--gtest_filter=*AnEventThatIsSetElsewhere*"),
    ),
    Mutant(
        "set_deaf_to_deaths",
        "the death of one who takes part is looked at at once",
        "stoa/wait/shared_waits.cpp",
        "if (!epoll_.add(process->get(), EPOLLIN, data_ | free)) return UINT32_MAX;",
        "static_cast<void>(data_);",
        "wait_death_test", (_DEATH, "--gtest_filter=*FoundByItsDeath"),
    ),
    Mutant(
        "newcomer_rings_nobody",
        "whoever joins a region tells the sets that watch it",
        "stoa/shm/region_image.cpp",
        "    if (place) ring_for_newcomer(*participants_);\n",
        "",
        "wait_death_test", (_DEATH, "--gtest_filter=*ADeadNewcomer*"),
    ),
    Mutant(
        "newcomer_rings_before_it_is_there",
        "whoever joins rings when its record is live: a set that looks earlier misses it",
        "stoa/shm/region_image.cpp",
        "    Result<std::uint32_t> place = participants_->join(role, reserve_records, this);\n"
        "    STOA_CRASH_POINT(\"region_image.join.live\");\n"
        "    if (place) ring_for_newcomer(*participants_);\n",
        "    ring_for_newcomer(*participants_);\n"
        "    Result<std::uint32_t> place = participants_->join(role, reserve_records, this);\n"
        "    STOA_CRASH_POINT(\"region_image.join.live\");\n",
        "wait_death_test", (_DEATH, "--gtest_filter=*ADeadNewcomer*"),
    ),
    Mutant(
        "newcomers_not_looked_for",
        "a set that is told that somebody came looks who takes part",
        "stoa/wait/shared_waits.hpp",
        "            if (came) return be_stranger(place);\n",
        "            if (came) return;\n",
        "wait_death_test", (_DEATH, "--gtest_filter=*ADeadNewcomer*"),
    ),
    Mutant(
        "silent_newcomers_met_late",
        "who comes without a ring, as to a link, is met by one tick",
        "stoa/wait/shared_waits.hpp",
        "kLookedForPeers = 256;",
        "kLookedForPeers = 8;",
        "shared_waits_test", (_SHARED, "--gtest_filter=*WhoCame*"),
    ),
    Mutant(
        "peer_dead_elsewhere",
        "a peer that is known to be dead is dead for whoever learns of it later",
        "stoa/wait/shared_waits.cpp",
        "return peers_[i].process.valid() ? i : kDead;",
        "return i;",
        "shared_waits_test", (_SHARED, "--gtest_filter=*AnEndThatWasTold*"),
    ),
    Mutant(
        "set_without_a_tick",
        "what nobody rang for is found within a slice",
        "stoa/wait/wait_set.cpp",
        "if (!entry.listed_ && entry.source->ready()) entry.touch();",
        "if (!entry.listed_ && false) entry.touch();",
        "wait_death_test", (_DEATH, "--gtest_filter=*ByTheTick"),
    ),
    Mutant(
        "board_of_an_earlier_turn",
        "a board is known by its turn, not by a number that is used again",
        "stoa/sync/wait_board.cpp",
        "return word.board == which.board && word.turn == which.turn && owner == whose;",
        "return word.board == which.board && owner == whose;",
        "wait_death_test", (_DEATH, "--gtest_filter=*OfAnEarlierOne*"),
    ),
    Mutant(
        "watch_not_taken_back",
        "a participant that leaves a set is told no more, and may enter another",
        "stoa/wait/shared_waits.cpp",
        "STOA_CHECK(closed || source.set_watch({}));",
        "STOA_CHECK(!closed || source.set_watch({}));",
        "wait_death_test", (_DEATH, "--gtest_filter=*OfAnEarlierOne*"),
    ),
    Mutant(
        "empty_set_not_shown",
        "a set that another loop waits for sleeps for it, whatever its try_wait found",
        "stoa/wait/wait_set.cpp",
        "    if (exported_) show_to_others();  // once",
        "    if (exported_ && waited) show_to_others();  // once",
        "mailbox_wait_test",
        ("stoa/mailbox/mailbox_wait_test", "--gtest_filter=*OfItsOwnTells*/single"),
    ),
    Mutant(
        "holder_of_a_lock_not_looked_at",
        "a lock whose holder died is ready",
        "stoa/wait/shared_waits.hpp",
        "if (good) member.source->look_for_holder();",
        "if (good && false) member.source->look_for_holder();",
        "object_wait_test", (_OBJECT, "--gtest_filter=*WhoseHolderDies*"),
    ),
    Mutant(
        "own_mark_left",
        "a call of the owner that marks a lane anew tells the set that there may be more",
        "stoa/channel/lane_engine.cpp",
        "        ring_watchers(source_.memory(source_.context, known_.empty()",
        "        static_cast<void>(source_.memory(source_.context, known_.empty()",
        "wait_death_test", (_DEATH, "--gtest_filter=*CallOfItsOwner*"),
    ),
    Mutant(
        "watch_inherited",
        "whoever joins is watched by nobody yet, whatever the last one in its place left",
        "stoa/life/participants.cpp",
        "    r.watch.store(0, kRelaxed);\n",
        "",
        "wait_death_test", (_DEATH, "--gtest_filter=*ProcessThatExecs*"),
    ),
    Mutant(
        "shared_mutex_marked_for_its_writer",
        "who waits in a set for a SharedMutex is told as those who wait to read are",
        "stoa/wait/object_wait.cpp",
        "arm_bell(words_.layout->opened);",
        "arm_bell(words_.layout->emptied);",
        "object_wait_test", (_OBJECT, "--gtest_filter=*ReadyToRead*"),
    ),
    Mutant(
        "entering_writer_left_to_stand",
        "a writer that died while it waited for readers is dropped by who waits in a set",
        "stoa/wait/object_wait.cpp",
        "if (words_.left_by_the_gone(at(), seen)) gone_",
        "if (at().is_gone(LockWord::holder(seen)) && (seen & kEntering) == 0) gone_",
        "object_wait_test", (_OBJECT, "--gtest_filter=*AWriterThatDiesWhile*"),
    ),
)
