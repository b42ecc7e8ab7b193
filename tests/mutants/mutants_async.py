"""Those of what a wait set holds besides memory, of coroutines; see mutants.py."""
from mutant import Mutant

_SET = "stoa/wait/wait_set_test"
_TASKS = "stoa/wait/executor_test"

ASYNC = (
    Mutant(
        "set_place_keeps_its_id",
        "what leaves a set takes its id with it: the next one there has another",
        "stoa/wait/wait_entries.cpp",
        "entry.turn = entry.turn % (kTurns - 1) + 1;",
        "entry.turn = 1;",
        "wait_set_test", (_SET, "--gtest_filter=*RemovalWhileReady*"),
    ),
    Mutant(
        "set_keeps_signals_blocked",
        "signals are blocked exactly while they are in a set",
        "stoa/wait/wait_entries.cpp",
        "    if (blocked_by_ == std::this_thread::get_id()) "
        "sys::unblock_signals(blocked_.without(all));\n",
        "",
        "wait_set_test", (_SET, "--gtest_filter=*AreBlockedExactly*"),
    ),
    Mutant(
        "executor_spawn_unseen",
        "a task that is spawned makes an executor's descriptor readable",
        "stoa/wait/executor.cpp",
        "    if (exported_) sys::ring_pipe(bell_);\n",
        "",
        "executor_test", (_TASKS, "--gtest_filter=*ItsDescriptor*"),
    ),
    Mutant(
        "executor_report_believed",
        "a report is a hint: the call is tried, and waits on when it has nothing",
        "stoa/wait/executor.cpp",
        "        if (!operation->attempt(reports_[i].ready)) {\n",
        "        if (!operation->attempt(reports_[i].ready) && operation->is_late_) {\n",
        "coroutine_test", ("stoa/mailbox/coroutine_test", "--gtest_filter=*SeveralTasks*"),
    ),
    Mutant(
        "executor_stop_token_forgotten",
        "a stop token that fires rings the executor",
        "stoa/wait/executor.cpp",
        "        executor.stops_.push_back(operation);\n",
        "",
        "executor_test", (_TASKS, "--gtest_filter=*EndsAWaitFromAnyThread"),
    ),
)
