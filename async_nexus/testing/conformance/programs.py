"""Two programs, as users write them: one sends events into a boundary; one handles what comes out of it, and may fail.

Both note what they have done in a file, number by number and when, so that it is known also of one that was killed.
"""

import asyncio
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import ClassVar, Final, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

from ...errors import TransportUnavailable
from ...events import Event
from ...nexus import AsyncEventNexus
from ...transports import Transport
from ...transports.boundary import TransportBoundary

Role: TypeAlias = Literal["produce", "consume", "hold"]

ORDER: Final = "order"
CONSUMER: Final = "billing"
TRIES: Final = 50
"""Attempts count failures and crashes alike; so many are not reached by chance."""


class Order(BaseModel):
    """What the receiving domain takes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True)

    number: int


class Job(BaseModel):
    """What the programs are to do."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    channel: str
    events: int
    """How many are sent."""
    poison: float
    """Share of events that are no `Order`."""
    failures: float
    """Share of handlings that fail."""
    in_flight: int
    """How many events are under way at a time, on either side."""
    seed: int

    def poisoned(self) -> frozenset[int]:
        """Return the numbers of the events that cannot be handled, spread evenly."""
        share = self.poison
        return frozenset(number for number in range(self.events) if int((number + 1) * share) > int(number * share))


class Note(Protocol):
    """Notes what was done with an event."""

    def __call__(self, number: int, /) -> None:
        """Have its number in the file on return."""
        ...


@contextmanager
def noting(path: Path) -> Generator[Note]:
    """Append numbers and the time to a file, each by a write of its own, which outlives the process."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        yield lambda number: _write(descriptor, number)
    finally:
        os.close(descriptor)


def _write(descriptor: int, number: int) -> None:
    os.write(descriptor, b"%d %d\n" % (number, time.monotonic_ns()))


def noted(path: Path, since: int = 0) -> list[int]:
    """Read what has been noted so far, or since a time in nanoseconds of the monotonic clock, which processes share."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [int(number) for number, at in map(bytes.split, lines) if int(at) >= since]


async def produce(job: Job, transport: Transport, note: Note, stopping: asyncio.Event) -> None:
    """Send all events, unless it is to stop, and note each that is confirmed; one that could not be is sent again."""
    nexus: AsyncEventNexus = AsyncEventNexus(concurrency=job.in_flight)
    boundary: TransportBoundary = TransportBoundary(transport, job.channel)
    nexus.add_handler(ORDER, boundary)
    poisoned = job.poisoned()
    numbers = iter(range(job.events))

    async def send() -> None:
        for number in numbers:
            if stopping.is_set():
                break
            payload: JsonValue = {"number": f"poison {number}" if number in poisoned else number}
            await _send(nexus, Event(number, ORDER, 0, payload))
            note(number)

    async with nexus, asyncio.TaskGroup() as group:
        nexus.start()
        for _ in range(job.in_flight):
            group.create_task(send())


async def _send(nexus: AsyncEventNexus, event: Event[JsonValue]) -> None:
    while True:
        try:
            await nexus.ingest(event)
        except TransportUnavailable:
            await asyncio.sleep(0.02)
        else:
            return


async def consume(job: Job, transport: Transport, note: Note, stopping: asyncio.Event) -> None:
    """Handle events until it is to stop, and note each whose handling succeeds."""
    nexus: AsyncEventNexus = AsyncEventNexus(concurrency=job.in_flight)
    boundary: TransportBoundary = TransportBoundary(
        transport,
        job.channel,
        consumer=CONSUMER,
        in_flight=job.in_flight,
        tries=TRIES,
        delay=0.01,
        max_delay=0.05,
    )
    nexus.add_producer(boundary)
    nexus.declare(ORDER, Order)
    chance = Random(job.seed)

    @nexus.on(ORDER)
    async def handle(event: Event[Order]) -> None:
        await asyncio.sleep(0)
        if chance.random() < job.failures:
            raise RuntimeError(f"bad luck with {event.payload.number}")
        note(event.payload.number)
        await asyncio.sleep(0)

    async def watch() -> None:
        await stopping.wait()
        nexus.stop()

    async with nexus:
        watching = asyncio.create_task(watch())
        try:
            await nexus.loop_forever()
        finally:
            watching.cancel()


async def hold(job: Job, transport: Transport, note: Note, stopping: asyncio.Event) -> None:
    """Take one message, note that, and have it in flight until it is to stop."""
    subscription = await transport.subscribe(job.channel, CONSUMER)
    async for _ in subscription:
        note(0)
        await stopping.wait()


PROGRAMS: Final = {"produce": produce, "consume": consume, "hold": hold}
