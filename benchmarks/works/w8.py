"""W8: contention: a thousand tasks at once, and a handler that lets the others run."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.peer_works import shares

TASKS: Final = 1000


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """FE in each task, with nothing that would keep handlers apart."""
    validate = Event[Reading].__pydantic_validator__.validate_python
    next_id = itertools.count(1).__next__
    payload = raw_payload()

    async def handle(event: Event[Reading]) -> None:
        await asyncio.sleep(0)
        count.handled += 1

    async def send_some(events: int) -> None:
        for _ in range(events):
            await handle(validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload}))

    async def send(events: int) -> None:
        async with asyncio.TaskGroup() as group:
            for share in shares(events, TASKS):
                group.create_task(send_some(share))

    yield send


@asynccontextmanager
async def locked(count: Count) -> AsyncIterator[Send]:
    """FE in each task under an `asyncio.Lock`, which keeps handlers apart as a nexus does."""
    validate = Event[Reading].__pydantic_validator__.validate_python
    next_id = itertools.count(1).__next__
    payload = raw_payload()
    lock = asyncio.Lock()

    async def handle(event: Event[Reading]) -> None:
        await asyncio.sleep(0)
        count.handled += 1

    async def send_some(events: int) -> None:
        for _ in range(events):
            event = validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload})
            async with lock:
                await handle(event)

    async def send(events: int) -> None:
        async with asyncio.TaskGroup() as group:
            for share in shares(events, TASKS):
                group.create_task(send_some(share))

    yield send


@asynccontextmanager
async def contended(count: Count) -> AsyncIterator[Send]:
    """A nexus: every task but one waits in line."""
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            await asyncio.sleep(0)
            count.handled += 1

        async def send_some(events: int) -> None:
            for _ in range(events):
                await nexus.emit(KEY, payload)

        async def send(events: int) -> None:
            async with asyncio.TaskGroup() as group:
                for share in shares(events, TASKS):
                    group.create_task(send_some(share))

        nexus.start()
        yield send


@asynccontextmanager
async def in_passing(count: Count) -> AsyncIterator[Send]:
    """The same tasks with W1's handler, which waits for nothing: each task goes on until it has sent its share."""
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            count.handled += 1

        async def send_some(events: int) -> None:
            for _ in range(events):
                await nexus.emit(KEY, payload)

        async def send(events: int) -> None:
            async with asyncio.TaskGroup() as group:
                for share in shares(events, TASKS):
                    group.create_task(send_some(share))

        nexus.start()
        yield send


@asynccontextmanager
async def queued_up(count: Count) -> AsyncIterator[Send]:
    """All tasks wait in line while a turn is held; measured is what follows, with W1's handler."""
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:
        let_go = asyncio.Event()

        @nexus.on("hold")
        async def hold(event: Event) -> None:
            await let_go.wait()

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            count.handled += 1

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
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            await asyncio.sleep(0)
            count.handled += 1

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.emit(KEY, payload)

        nexus.start()
        yield send


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
