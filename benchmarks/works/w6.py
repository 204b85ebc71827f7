"""W6: an event comes as JSON."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from pydantic import TypeAdapter

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.sending import counting

JSON: Final = Event[Reading](1, KEY, 0, Reading(**raw_payload())).model_dump_json().encode()


def floor(name: str, read: Callable[[bytes], Event[Reading]]) -> Contender:
    """The event of a known key is read, and the handler is awaited."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        handle = counting(count)

        async def send(events: int) -> None:
            for _ in range(events):
                await handle(read(JSON))

        yield send

    return Contender(name, prepare)


@asynccontextmanager
async def by_hand(count: Count) -> AsyncIterator[Send]:
    """The floor with what no nexus can do without: a coroutine of its own, which marks the context of its turn."""
    validate, handle = Event[Reading].__pydantic_validator__.validate_json, counting(count)
    turn: ContextVar[object] = ContextVar("turn")

    async def ingest(data: bytes) -> None:
        event = validate(data)
        turn.set(event.id)
        await handle(event)

    async def send(events: int) -> None:
        for _ in range(events):
            await ingest(JSON)

    yield send


@asynccontextmanager
async def parse(count: Count) -> AsyncIterator[Send]:
    """The catalog reads the event, whichever its key is, and the handler is awaited."""
    nexus = AsyncEventNexus()
    nexus.declare(KEY, Reading)
    handle = counting(count)

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(nexus.catalog.parse_json(JSON))

    yield send


@asynccontextmanager
async def parse_and_ingest(count: Count) -> AsyncIterator[Send]:
    """The nexus takes what its catalog has read, and validates it as any event."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.ingest(nexus.catalog.parse_json(JSON))

        nexus.start()
        yield send


@asynccontextmanager
async def ingest(count: Count) -> AsyncIterator[Send]:
    """A nexus takes the JSON, which is validated as it is parsed."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.ingest_json(JSON)

        nexus.start()
        yield send


WORK: Final = Work(
    "W6",
    "an event of JSON bytes",
    (
        floor("floor", Event[Reading].__pydantic_validator__.validate_json),
        floor("floor, TypeAdapter", TypeAdapter(Event[Reading]).validate_json),
        Contender("by hand", by_hand),
        Contender("parse_json", parse),
        Contender("ingest_json", ingest),
        Contender("parse_json, ingest", parse_and_ingest),
    ),
)
