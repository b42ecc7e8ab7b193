"""Those of conditions, barriers, latches and events; see mutants.py."""
from mutant import Mutant, crash

WAITS = (
    Mutant(
        "condition_late_takes_it",
        "what was granted before somebody came is not for it",
        "stoa/sync/condition.cpp",
        "if (ago == Word::kTurnMask) return Place::late;",
        "if (ago == Word::kTurnMask) return Place::waits;",
        "condition_test", ("stoa/sync/condition_test", "--gtest_filter=*ALaterOne*"),
    ),
    Mutant(
        "condition_dead_holder_not_looked_for",
        "who waits looks whether the lock's holder is dead",
        "stoa/sync/condition.hpp",
        "if (woke == Woke::due && !Of::is_lost(lock)) continue;",
        "if (woke == Woke::due) continue;",
        "condition_test", ("stoa/sync/condition_test", "--gtest_filter=*DiesWithTheLock*"),
    ),
    Mutant(
        "condition_late_wait_for_the_dead",
        "one that is late for a slice while nobody takes what is granted lets all go",
        "stoa/sync/condition.cpp",
        "if (is_late && mine.suspects) let_all_go();",
        "",
        "condition_test", ("stoa/sync/condition_test", "--gtest_filter=*ALateOneGoesOn*"),
    ),
    Mutant(
        "barrier_waits_for_the_dead",
        "a dead member's place is given up by who waits",
        "stoa/sync/gathering.cpp",
        "if (!looks || seen == 0 || !at.is_gone(seen & kHolderMask)) return false;",
        "if (looks || seen == 0 || !at.is_gone(seen & kHolderMask)) return false;",
        "barrier_test", ("stoa/sync/barrier_test", "--gtest_filter=*DiesBeforeItArrives*"),
    ),
    Mutant(
        "barrier_last_does_not_look",
        "who has arrived looks whether it was the last",
        "stoa/sync/gathering.cpp",
        "            end_phase(at, false);\n",
        "",
        "barrier_test", ("stoa/sync/barrier_test", "--gtest_filter=*NobodyGoesOn*"),
    ),
    Mutant(
        "file_lock_lives_in_children",
        "a forked child keeps no lock alive",
        "stoa/sync/file_lock.cpp",
        "    kept.close_on_fork(held);\n",
        "",
        "file_lock_test", ("stoa/sync/file_lock_test", "--gtest_filter=*ForkedChild*"),
    ),
)
