"""strace of messages_between_marks: nothing between the marks, unless somebody sleeps."""
import subprocess
import sys


def calls_between_marks(*arguments):
    traced = subprocess.run(["strace", "-o", "/dev/stdout", sys.argv[1], *arguments],
                            stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    lines = traced.splitlines()
    marks = [i for i, line in enumerate(lines) if line.startswith("getppid(")]
    assert len(marks) == 2, traced[-2000:]
    return lines[marks[0] + 1:marks[1]]


failed = False
for sharing in ("any", "single_receiver", "pair"):
    calls = calls_between_marks(sharing)
    print(f"{sharing}: 10000 messages, {len(calls)} system calls")
    failed |= bool(calls)
    # The trace would show a wake-up if there was one: with a sleeper there must be some.
    woken = [c for c in calls_between_marks(sharing, "asleep") if c.startswith("futex(")]
    print(f"{sharing}: with a sleeping receiver, {len(woken)} wake-ups")
    failed |= not woken
sys.exit(1 if failed else 0)
