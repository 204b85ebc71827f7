"""W9: a chain of ten events: the ingested one, and from each a secondary one."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from async_nexus import AsyncEventNexus, Event, EventQueue
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import Reading, raw_payload
from benchmarks.sending import counting, validate_event

LENGTH: Final = 10
_validate: Final = Reading.__pydantic_validator__.validate_python


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """Ten handler calls, each with an event that pydantic validates in one pass."""
    validate, handle = validate_event, counting(count)
    next_id = itertools.count(1).__next__
    payload = raw_payload()

    async def send(events: int) -> None:
        for _ in range(events):
            for key in range(LENGTH):
                await handle(validate({"id": next_id(), "type": key, "priority": 0, "payload": payload}))

    yield send


@asynccontextmanager
async def built_floor(count: Count) -> AsyncIterator[Send]:
    """Ten handler calls, each with an `Event` that is built, then its payload validated: what a handler writes."""
    validate, handle = _validate, counting(count)
    next_id = itertools.count(1).__next__
    payload = raw_payload()

    async def send(events: int) -> None:
        for _ in range(events):
            for key in range(LENGTH):
                await handle(Event(next_id(), key, 0, validate(payload)))

    yield send


class _List:
    """What is put on it is validated and kept."""

    def __init__(self) -> None:
        self.events: list[Event[Reading]] = []

    async def put(self, event: Event[Any]) -> None:
        """Validate and keep an event."""
        self.events.append(Event(event.id, event.type, event.priority, _validate(event.payload)))


@asynccontextmanager
async def put_by_hand(count: Count) -> AsyncIterator[Send]:
    """What a chain costs without a nexus: each handler puts the next event on a list, which validates it."""
    next_id = itertools.count(1).__next__
    payload: Any = raw_payload()

    async def go_on(event: Event[Reading], events: _List) -> None:
        count.handled += 1
        await events.put(Event(event.id, event.type + 1, 0, payload))  # type: ignore[operator] # these keys are numbers

    async def end(event: Event[Reading], events: _List) -> None:
        count.handled += 1

    async def send(events: int) -> None:
        for _ in range(events):
            event = Event(next_id(), 0, 0, _validate(payload))
            for _ in range(LENGTH - 1):
                following = _List()
                await go_on(event, following)
                (event,) = following.events
            await end(event, _List())

    yield send


def chain(name: str, payload: Any) -> Contender:
    """Each handler but the last puts the next event, with such a payload."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with _chained(count, payload) as send:
            yield send

    return Contender(name, prepare)


@asynccontextmanager
async def _chained(count: Count, payload: Any) -> AsyncIterator[Send]:
    async with AsyncEventNexus() as nexus:

        @nexus.on(*range(LENGTH - 1))
        async def go_on(event: Event[Reading], queue: EventQueue[Any]) -> None:
            count.handled += 1
            await queue.put(Event(event.id, event.type + 1, 0, payload))  # type: ignore[operator] # these keys are numbers

        nexus.add_handler(LENGTH - 1, counting(count))

        async def send(events: int) -> None:
            for _ in range(events):
                await nexus.emit(0, payload)

        nexus.start()
        yield send


WORK: Final = Work(
    "W9",
    "a chain of ten events",
    (
        Contender("floor", floor),
        Contender("floor, event built", built_floor),
        Contender("put by hand", put_by_hand),
        chain("chain", raw_payload()),
        chain("chain, of models", Reading(**raw_payload())),
    ),
    calls=LENGTH,
)
