"""W2: an event whose payload is a model already reaches one async handler of one parameter."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """Pydantic makes the whole event around the model in one pass, and the handler is awaited."""
    validate = Event[Reading].__pydantic_validator__.validate_python
    next_id = itertools.count(1).__next__
    payload = Reading(**raw_payload())

    async def handle(event: Event[Reading]) -> None:
        count.handled += 1

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload}))

    yield send


@asynccontextmanager
async def emit(count: Count) -> AsyncIterator[Send]:
    """A nexus makes the event of a model, and does whatever else it does."""
    payload = Reading(**raw_payload())
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            count.handled += 1

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.emit(KEY, payload)

        nexus.start()
        yield send


@asynccontextmanager
async def ingest(count: Count) -> AsyncIterator[Send]:
    """A nexus takes an event that is there already: making it is not part of the figure."""
    event = Event(1, KEY, 0, Reading(**raw_payload()))
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            count.handled += 1

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.ingest(event)

        nexus.start()
        yield send


WORK: Final = Work(
    "W2", "dispatch of a model", (Contender("floor", floor), Contender("emit", emit), Contender("ingest", ingest))
)
