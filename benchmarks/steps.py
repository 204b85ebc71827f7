"""What each step of the way of one event costs: `python -m benchmarks.steps [--markdown]`.

Each rung of a ladder does what the one before it does, and one thing more: what that costs is the difference. Times
are medians of rounds; instructions, which are steadier, are counted by valgrind's callgrind where it is installed.
"""

import argparse
import asyncio
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from async_nexus import Event
from async_nexus.events import assemble_event
from async_nexus.lines import Line
from benchmarks.contenders import Contender, Count, Send
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.rounds import CHECKOUT
from benchmarks.sending import counting
from benchmarks.worker import pin_to_one_cpu, time_round
from benchmarks.works import w1, w2, w5, w9


@asynccontextmanager
async def loop(count: Count) -> AsyncIterator[Send]:
    """A loop that does nothing: it is taken off the others."""

    async def send(events: int) -> None:
        for _ in range(events):
            pass

    yield send


@asynccontextmanager
async def handler(count: Count) -> AsyncIterator[Send]:
    """The handler is awaited."""
    event, handle = Event(1, KEY, 0, Reading(**raw_payload())), counting(count)

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(event)

    yield send


@asynccontextmanager
async def assembled(count: Count) -> AsyncIterator[Send]:
    """An event is made of it."""
    validate = Reading.__pydantic_validator__.validate_python
    next_id = itertools.count(1).__next__
    payload, handle = raw_payload(), counting(count)

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(assemble_event(next_id(), KEY, 0, validate(payload)))

    yield send


@asynccontextmanager
async def in_turn(count: Count) -> AsyncIterator[Send]:
    """A turn is entered and left."""
    validate = Reading.__pydantic_validator__.validate_python
    next_id = itertools.count(1).__next__
    payload = raw_payload()
    line, handle = Line(), counting(count)

    async def send(events: int) -> None:
        for _ in range(events):
            event = assemble_event(next_id(), KEY, 0, validate(payload))
            turn = line.enter(event)
            assert turn is not None
            await handle(event)
            turn.leave()

    yield send


@dataclass(frozen=True)
class Rung:
    """A contender, what it does more than the one at `base`, and how many events of one kind it takes at once."""

    text: str
    contender: Contender
    base: str | None
    events: int = 1


def _own(name: str, work: Any) -> Contender:
    found: Contender = work.WORK.contender(name)
    return found


LADDER: Final = (
    Rung("(the loop)", Contender("loop", loop), None),
    Rung("await the handler", Contender("handler", handler), "loop"),
    Rung("validate the payload", _own("payload floor", w1), "handler"),
    Rung("number it and make the event", Contender("assembled", assembled), "payload floor"),
    Rung("enter and leave a turn", Contender("in turn", in_turn), "assembled"),
    Rung("find the way: emit's own call, state, lane, checks", _own("emit", w1), "in turn"),
)
BESIDE: Final = (
    Rung("FE, all but the turn in one pass of pydantic", _own("floor", w1), "loop"),
    Rung("emit", _own("emit", w1), "loop"),
    Rung("more, if the handler takes a queue", _own("emit, queue taken", w1), "emit"),
    Rung("more, if an error handler stands by", _own("emit, error handler", w1), "emit"),
    Rung("more, for each of ten filters", Contender("filtered", _own("ten filters", w5).prepare), "emit", 10),
    Rung("ingest of an event that fits", _own("ingest", w2), "loop"),
    Rung("each event of a chain of ten", Contender("chain", _own("chain", w9).prepare), "loop", 10),
)


def contenders() -> list[Contender]:
    """List every contender of both tables once."""
    return list({rung.contender.name: rung.contender for rung in (*LADDER, *BESIDE)}.values())


async def times(events: int, rounds: int) -> dict[str, float]:
    """Return nanoseconds per round's event of each contender, medians of interleaved rounds."""
    found: dict[str, list[float]] = {each.name: [] for each in contenders()}
    async with AsyncExitStack() as stack:
        sends = {each.name: await stack.enter_async_context(each.prepare(Count())) for each in contenders()}
        for number in range(rounds + 1):
            for name, send in sends.items() if number % 2 else reversed(sends.items()):
                elapsed = await time_round(send, events)
                if number:
                    found[name].append(elapsed / events)
    return {name: statistics.median(each) for name, each in found.items()}


async def run_between_marks(events: int) -> None:
    """Let each contender send, and call `getppid` before and after: that is where callgrind begins a new count."""
    async with AsyncExitStack() as stack:
        for each in contenders():
            send = await stack.enter_async_context(each.prepare(Count()))
            await send(events)  # Python 3.11 and later specialise code that has run for a while.
            os.getppid()
            await send(events)
            os.getppid()


def instructions(events: int) -> dict[str, float] | None:
    """Return instructions per round's event of each contender, or `None` where valgrind cannot be had."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    with tempfile.TemporaryDirectory() as place:
        command = (
            *(valgrind, "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={place}/out"),
            *(sys.executable, "-m", "benchmarks.steps", "--run", str(events)),
        )
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONMALLOC": "pymalloc"}
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
        counts = list(_counts(Path(place)))
    if done.returncode != 0 or len(counts) < 2 * len(contenders()):
        return None
    # What is before the first mark is the start; from then on, every second part is a contender's.
    return {each.name: counts[1 + 2 * number] / events for number, each in enumerate(contenders())}


def _counts(place: Path) -> Iterator[int]:
    parts = {int(path.suffix[1:]): path for path in place.glob("out.*") if path.suffix[1:].isdecimal()}
    for number in sorted(parts):
        total = re.search(r"^(?:totals|summary): (\d+)", parts[number].read_text(errors="replace"), re.MULTILINE)
        if total:
            yield int(total[1])


def costs(rungs: tuple[Rung, ...], found: dict[str, float]) -> Iterator[float]:
    """Return what each rung adds."""
    for rung in rungs:
        base = 0.0 if rung.base is None else found[rung.base]
        yield (found[rung.contender.name] - base) / rung.events


def lines(events: int, rounds: int, counted: int, *, markdown: bool = False) -> Iterator[str]:
    """Measure and write two tables."""
    took, count = asyncio.run(times(events, rounds)), instructions(counted)
    for title, rungs in (("step", LADDER), ("beside it", BESIDE)):
        if markdown:
            yield from ("", f"| {title} | ns | instructions |", "|---|---:|---:|")
        else:
            yield from ("", f"{title:56} {'ns':>8} {'instructions':>14}")
        instr = [f"{each:,.0f}" for each in costs(rungs, count)] if count else ["-"] * len(rungs)
        for rung, ns, number in zip(rungs, costs(rungs, took), instr, strict=True):
            yield f"| {rung.text} | {ns:,.0f} | {number} |" if markdown else f"{rung.text:56} {ns:8,.0f} {number:>14}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description="What each step costs.")
    parser.add_argument("--events", type=int, default=10_000, help="events in a round (default: 10000)")
    parser.add_argument("--rounds", type=int, default=25, help="rounds (default: 25)")
    parser.add_argument("--counted", type=int, default=1_000, help="events whose instructions are counted")
    parser.add_argument("--markdown", action="store_true", help="write tables in Markdown")
    parser.add_argument("--run", type=int, metavar="EVENTS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        asyncio.run(run_between_marks(arguments.run))
        return
    pin_to_one_cpu()
    print("\n".join(lines(arguments.events, arguments.rounds, arguments.counted, markdown=arguments.markdown)))


if __name__ == "__main__":
    main()
