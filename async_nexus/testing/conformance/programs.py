"""Two programs, as users write them: one sends events into a boundary, one handles what comes out of it, and fails.

Both note what they have done in a file, line by line, so that it is known also of one that was killed.
"""

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import ClassVar, Final, Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from ...errors import TransportUnavailable
from ...events import Event
from ...nexus import AsyncEventNexus
from ...transports import Transport
from ...transports.boundary import TransportBoundary

ORDER: Final = "order"
CONSUMER: Final = "billing"
TRIES: Final = 50
"""How often an event may fail or be in flight in a crash; reached by chance it would be once in a universe."""


class Order(BaseModel):
    """What the receiving domain takes; poison has no integer."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True)

    number: int


class Job(BaseModel):
    """What a program is to do, and where it notes what it has done."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    channel: str
    notes: Path
    events: int
    poison: float
    """Share of events whose payload the receiving domain does not take."""
    failures: float
    """Share of events whose handling fails, each time."""
    in_flight: int
    seed: int

    def is_poison(self, number: int) -> bool:
        """Whether an event cannot be handled: as many as the share says, spread evenly."""
        return int((number + 1) * self.poison) > int(number * self.poison)


class Note(Protocol):
    """Notes an event's number."""

    def __call__(self, number: int, /) -> None:
        """Have it in the file when it returns."""
        ...


@contextmanager
def noting(path: Path) -> Generator[Note]:
    """Append numbers to a file, each with a write of its own, which outlives the process."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        yield lambda number: _write(descriptor, number)
    finally:
        os.close(descriptor)


def _write(descriptor: int, number: int) -> None:
    os.write(descriptor, b"%d\n" % number)


def noted(path: Path) -> list[int]:
    """Read what was noted; a line that is not whole was not."""
    if not path.exists():
        return []
    return [int(line) for line in path.read_bytes().split(b"\n")[:-1]]


async def produce(job: Job, transport: Transport) -> None:
    """Send events and note each that is confirmed; one that is not is sent again."""
    nexus: AsyncEventNexus = AsyncEventNexus(concurrency=job.in_flight)
    boundary: TransportBoundary = TransportBoundary(transport, job.channel)
    nexus.add_handler(ORDER, boundary)
    numbers = iter(range(job.events))

    async def send(note: Note) -> None:
        for number in numbers:
            payload: JsonValue = {"number": f"poison {number}" if job.is_poison(number) else number}
            await _send(nexus, Event(number, ORDER, 0, payload))
            note(number)

    with noting(job.notes) as note:
        async with nexus, asyncio.TaskGroup() as group:
            nexus.start()
            for _ in range(job.in_flight):
                group.create_task(send(note))


async def _send(nexus: AsyncEventNexus, event: Event[JsonValue]) -> None:
    while True:
        try:
            await nexus.ingest(event)
        except TransportUnavailable:
            await asyncio.sleep(0.02)
        else:
            return


def consumer(job: Job, transport: Transport, note: Note) -> AsyncEventNexus:
    """Make the nexus that handles events, and notes each whose handling succeeds; some fail, by chance."""
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

    return nexus


async def consume(job: Job, transport: Transport) -> None:
    """Handle events until SIGTERM."""
    with noting(job.notes) as note:
        async with consumer(job, transport, note) as nexus:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, nexus.stop)
            await nexus.loop_forever()
