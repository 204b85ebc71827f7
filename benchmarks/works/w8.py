"""W8: contention: a thousand tasks at once, and a handler that lets the others run."""

import asyncio
import itertools
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
    ),
    batch=TASKS,
)
