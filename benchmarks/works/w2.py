"""W2: an event whose payload is a model already reaches one async handler of one parameter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.sending import counting, floor_sends, nexus_sends


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """Pydantic makes the whole event around the model in one pass, and the handler is awaited."""
    yield floor_sends(counting(count), Reading(**raw_payload()))


@asynccontextmanager
async def emit(count: Count) -> AsyncIterator[Send]:
    """A nexus makes the event of a model, and does whatever else it does."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))
        nexus.start()
        yield nexus_sends(nexus, Reading(**raw_payload()))


@asynccontextmanager
async def ingest(count: Count) -> AsyncIterator[Send]:
    """A nexus takes an event that is there already: making it is not part of the figure."""
    event = Event(1, KEY, 0, Reading(**raw_payload()))
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.ingest(event)

        nexus.start()
        yield send


WORK: Final = Work(
    "W2", "dispatch of a model", (Contender("floor", floor), Contender("emit", emit), Contender("ingest", ingest))
)
