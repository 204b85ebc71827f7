"""One contender of one work in a process of its own: `python -m benchmarks.worker W1 emit`.

It reads numbers of events, a line each, sends as many and answers what that took. Nothing of `async_nexus` is
imported for a peer: one of them has the same name.
"""

import asyncio
import gc
import os
import sys
import time
from importlib import import_module
from typing import TextIO

from pydantic import BaseModel

from benchmarks.contenders import Contender, Count, Send
from benchmarks.peers import PEERS


class Answer(BaseModel):
    """What one round took, in the unit of its work, and how many events the handlers have seen since the start."""

    took: float
    handled: int


def find(work: str, name: str) -> Contender:
    """Return the contender of a work, which may be a peer. Raises `KeyError`."""
    if name in PEERS:
        peer: Contender = import_module("benchmarks.peer_works").contender(work, PEERS[name])
        return peer
    own: Contender = import_module("benchmarks.works").WORKS[work].contender(name)
    return own


async def serve(contender: Contender, questions: TextIO, answers: TextIO) -> None:
    """Answer until there is no more question."""
    count = Count()
    async with contender.prepare(count) as send:
        print("ready", file=answers, flush=True)
        # Between rounds nobody else runs in this process: that the loop stands still is wanted.
        while line := questions.readline():
            took = await time_round(send, int(line))
            print(Answer(took=took, handled=count.handled).model_dump_json(), file=answers, flush=True)


async def time_round(send: Send, events: int) -> float:
    """Return the nanoseconds that so many events take, garbage of others not among them, or what `send` measured."""
    gc.collect()
    begin = time.perf_counter_ns()
    measured = await send(events)
    elapsed = time.perf_counter_ns() - begin
    return elapsed if measured is None else measured


def pin_to_one_cpu() -> None:
    """Stay on one CPU, the same for all workers, where the system lets a process choose."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> None:
    """Serve on the standard streams; what a contender prints goes to the standard error stream."""
    pin_to_one_cpu()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(serve(find(sys.argv[1], sys.argv[2]), sys.stdin, answers))


if __name__ == "__main__":
    main()
