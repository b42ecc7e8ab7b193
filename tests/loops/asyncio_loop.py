"""Waits in asyncio for a descriptor that it inherited, and for its own timer beside it.

usage: asyncio_loop.py WAITED ANSWERS COUNT: writes a byte to ANSWERS each time that WAITED is
readable, and reads one from standard input before it looks again; ends after COUNT times.
"""
import asyncio
import os
import sys


async def main(waited, answers, count):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    seen = 0
    ticks = 0

    def on_readable():
        nonlocal seen
        seen += 1
        os.write(answers, b"r")
        if os.read(0, 1) != b"g":  # until the other side has taken what was ready
            done.set_result("closed")
        elif seen == count:
            done.set_result("ok")

    def on_tick():
        nonlocal ticks
        ticks += 1
        loop.call_later(0.001, on_tick)

    loop.add_reader(waited, on_readable)
    on_tick()
    outcome = await done
    loop.remove_reader(waited)
    print(outcome, seen, "ticked" if ticks > 0 else "stood still")


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
