"""Times the contenders of one work, in interleaved rounds: `python -m benchmarks.rounds W1 20000 15`."""

import asyncio
import gc
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack

from pydantic import BaseModel

from benchmarks.contenders import Count, Send, Work
from benchmarks.works import WORKS


class Result(BaseModel):
    """What one contender costs: medians over all rounds, `ratio` to the floor of the same round."""

    contender: str
    ns_per_event: float
    ratio: float
    handled: int


class WorkResult(BaseModel):
    """The contenders of one work, the floor first."""

    work: str
    title: str
    results: list[Result]


class Miscounted(Exception):
    """A contender's handler did not see each event once, so that its time means nothing."""


async def measure(work: Work, events: int, rounds: int) -> WorkResult:
    """Run the rounds, with one more before them to warm up. Raises `Miscounted`."""
    names = [contender.name for contender in work.contenders]
    counts = {name: Count() for name in names}
    times: dict[str, list[int]] = {name: [] for name in names}
    async with AsyncExitStack() as stack:
        sends = {
            each.name: await stack.enter_async_context(each.prepare(counts[each.name])) for each in work.contenders
        }
        for number in range(rounds + 1):
            for name in names if number % 2 else reversed(names):
                elapsed = await time_round(sends[name], events)
                if counts[name].handled != events * (number + 1):
                    raise Miscounted(
                        f"{work.name} {name}: {counts[name].handled} of {events * (number + 1)} events handled"
                    )
                if number:
                    times[name].append(elapsed)
    floor = times[names[0]]
    results = [
        Result(
            contender=name,
            ns_per_event=statistics.median(times[name]) / events,
            ratio=statistics.median(own / least for own, least in zip(times[name], floor, strict=True)),
            handled=counts[name].handled,
        )
        for name in names
    ]
    return WorkResult(work=work.name, title=work.title, results=results)


async def time_round(send: Send, events: int) -> int:
    """Return the nanoseconds that so many events take, garbage of others not among them."""
    gc.collect()
    begin = time.perf_counter_ns()
    await send(events)
    return time.perf_counter_ns() - begin


def pin_to_one_cpu() -> None:
    """Stay on one CPU, where the system lets a process choose."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    name, events, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pin_to_one_cpu()
    print(asyncio.run(measure(WORKS[name], events, rounds)).model_dump_json())
