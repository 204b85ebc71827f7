"""W8: contention: a thousand tasks at once, and a handler that lets the others run."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, raw_payload
from benchmarks.sending import counting, floor_sends, nexus_sends, validate_event, yielding
from benchmarks.tasks import in_tasks

TASKS: Final = 1000


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """FE in each task, with nothing that would keep handlers apart."""
    yield in_tasks(floor_sends(yielding(count)), TASKS)


@asynccontextmanager
async def locked(count: Count) -> AsyncIterator[Send]:
    """FE in each task under an `asyncio.Lock`, which keeps handlers apart as a nexus does."""
    validate, handle = validate_event, yielding(count)
    next_id = itertools.count(1).__next__
    payload = raw_payload()
    lock = asyncio.Lock()

    async def send_some(events: int) -> None:
        for _ in range(events):
            event = validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload})
            async with lock:
                await handle(event)

    yield in_tasks(send_some, TASKS)


@asynccontextmanager
async def contended(count: Count) -> AsyncIterator[Send]:
    """A nexus: every task but one waits in line."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, yielding(count))
        nexus.start()
        yield in_tasks(nexus_sends(nexus), TASKS)


@asynccontextmanager
async def in_passing(count: Count) -> AsyncIterator[Send]:
    """The same tasks with W1's handler, which waits for nothing: each task goes on until it has sent its share."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))
        nexus.start()
        yield in_tasks(nexus_sends(nexus), TASKS)


@asynccontextmanager
async def queued_up(count: Count) -> AsyncIterator[Send]:
    """All tasks wait in line while a turn is held; measured is what follows, with W1's handler."""
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:
        let_go = asyncio.Event()
        nexus.add_handler(KEY, counting(count))

        @nexus.on("hold")
        async def hold(event: Event) -> None:
            await let_go.wait()

        async def send(events: int) -> float:
            took = 0.0
            for _ in range(events // TASKS):
                let_go.clear()
                async with asyncio.TaskGroup() as group:
                    group.create_task(nexus.emit("hold", None))
                    for _ in range(TASKS):
                        group.create_task(nexus.emit(KEY, payload))
                    await asyncio.sleep(0)
                    assert nexus.stats().in_line == TASKS
                    let_go.set()
                    begin = time.perf_counter_ns()
                took += time.perf_counter_ns() - begin
            for _ in range(events % TASKS):
                begin = time.perf_counter_ns()
                await nexus.emit(KEY, payload)
                took += time.perf_counter_ns() - begin
            return took

        nexus.start()
        yield send


@asynccontextmanager
async def uncontended(count: Count) -> AsyncIterator[Send]:
    """One task and the same handler: what an event costs here where nobody waits."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, yielding(count))
        nexus.start()
        yield nexus_sends(nexus)


WORK: Final = Work(
    "W8",
    "a thousand tasks at once",
    (
        Contender("floor", floor),
        Contender("floor and asyncio.Lock", locked),
        Contender("emit, one task", uncontended),
        Contender("emit", contended),
        Contender("emit, W1's handler", in_passing),
        Contender("emit, all in line", queued_up),
    ),
    batch=TASKS,
)
