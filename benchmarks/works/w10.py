"""W10: eight turns at a time by key: sixteen tasks, and handlers that let the others run."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, raw_payload
from benchmarks.sending import floor_sends, nexus_sends, validate_event, yielding
from benchmarks.tasks import in_tasks

TURNS: Final = 8
TASKS: Final = 16


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """FE in each task, with nothing that would keep handlers apart."""
    yield in_tasks(floor_sends(yielding(count)), TASKS)


@asynccontextmanager
async def locked(count: Count) -> AsyncIterator[Send]:
    """FE under one `asyncio.Lock` for each key and a semaphore: how one would do it by hand."""
    validate, handle = validate_event, yielding(count)
    next_id = itertools.count(1).__next__
    payload = raw_payload()
    locks = [asyncio.Lock() for _ in range(TURNS)]
    room = asyncio.Semaphore(TURNS)

    async def send_some(events: int) -> None:
        for _ in range(events):
            event = validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload})
            async with locks[event.id % TURNS], room:
                await handle(event)

    yield in_tasks(send_some, TASKS)


def emit(**options: Any) -> Callable[[Count], AbstractAsyncContextManager[Send]]:
    """A nexus with such options."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with AsyncEventNexus(**options) as nexus:
            nexus.add_handler(KEY, yielding(count))
            nexus.start()
            yield in_tasks(nexus_sends(nexus), TASKS)

    return prepare


def key_of(event: Event[Any]) -> int:
    """Give an event one of eight keys."""
    return event.id % TURNS


WORK: Final = Work(
    "W10",
    "eight turns at a time, by key",
    (
        Contender("floor", floor),
        Contender("floor, locks by key", locked),
        Contender("emit, one at a time", emit()),
        Contender("emit, eight", emit(concurrency=TURNS)),
        Contender("emit, eight by key", emit(concurrency=TURNS, key=key_of)),
    ),
    batch=TASKS,
)
