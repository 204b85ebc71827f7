"""W1: a raw payload becomes a model and reaches one async handler of one parameter."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """Pydantic validates the whole event in one pass, and the handler is awaited."""
    validate = Event[Reading].__pydantic_validator__.validate_python
    next_id = itertools.count(1).__next__
    payload = raw_payload()

    async def handle(event: Event[Reading]) -> None:
        count.handled += 1

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload}))

    yield send


@asynccontextmanager
async def emit(count: Count) -> AsyncIterator[Send]:
    """A nexus does the same, and whatever else it does."""
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            count.handled += 1

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.emit(KEY, payload)

        nexus.start()
        yield send


WORK: Final = Work("W1", "typed dispatch from a dict", (Contender("floor", floor), Contender("emit", emit)))
