"""Those of buffers in regions; see mutants.py."""
from mutant import Mutant

BUFFERS = (
    Mutant(
        "buffers_not_swept",
        "a sweep of a region recovers the rings of its buffers",
        "stoa/shm/region_core.cpp",
        "        core.recover_rings(dead);\n",
        "",
        "buffer_test", ("stoa/mailbox/buffer_test", "--gtest_filter=*DeadReceiver*"),
    ),
    Mutant(
        "buffer_freed_under_a_sweeper",
        "the ring of a buffer is given back when nobody can still be sweeping it",
        "stoa/shm/region_core.cpp",
        "(block & kHasRing) != 0 && ring_is_unused()",
        "(block & kHasRing) != 0",
        "buffer_test", ("stoa/mailbox/buffer_test", "--gtest_filter=*StandsIn*"),
    ),
    Mutant(
        "buffer_sweep_wakes_nobody",
        "who recovers a buffer wakes all who wait in it",
        "stoa/shm/buffer_ring.cpp",
        "    ring_bell_for_all(layout.bells.messages);\n",
        "",
        "buffer_test", ("stoa/mailbox/buffer_test", "--gtest_filter=*MessageOfADeadSender*"),
    ),
    Mutant(
        "buffer_engine_of_another",
        "what a thread keeps of a buffer serves that one alone",
        "stoa/mailbox/buffer.cpp",
        "if (used.from == from) [[likely]]",
        "if (used.from.at == from.at) [[likely]]",
        "buffer_test", ("stoa/mailbox/buffer_test", "--gtest_filter=*AnotherOne*"),
    ),
    Mutant(
        "buffer_made_of_old_words",
        "the words of a new ring are zero, whatever the heap had there",
        "stoa/shm/buffer_ring.cpp",
        "std::memset(memory + at, 0, sizeof(PoolChunk));",
        "static_cast<void>(memory + at);",
        "buffer_test", ("stoa/mailbox/buffer_test", "--gtest_filter=*HeldBefore*"),
    ),
    Mutant(
        "buffer_ring_left_open",
        "a ring is sealed before anybody takes from the next one",
        "stoa/mailbox/buffer_growing.cpp",
        "if (status == PoolStatus::empty && !taken.ring->seal(0)) {",
        "if (status == PoolStatus::empty && false) {",
        "buffer_growing_test", ("stoa/mailbox/buffer_growing_test",),
    ),
    Mutant(
        "buffer_again_not_raised",
        "who recovers rings says that messages are to be taken again somewhere",
        "stoa/shm/buffer_ring.cpp",
        "((again >> 1U) + 1) << 1U | 1U",
        "((again >> 1U) + 1) << 1U",
        "buffer_growing_test", ("stoa/mailbox/buffer_growing_test",),
    ),
    Mutant(
        "buffer_grows_in_a_section",
        "no section takes the memory of messages back",
        "stoa/shm/buffer_ring.cpp",
        "    const OutsideOfSections outside;\n",
        "",
        "buffer_growing_test", ("stoa/mailbox/buffer_growing_test",),
    ),
)
