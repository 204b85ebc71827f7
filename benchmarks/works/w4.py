"""W4: a raw payload becomes a model and reaches ten handlers."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event, EventFanout
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.sending import counting, nexus_sends, validate_event

HANDLERS: Final = 10


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """FE, and nine more bare awaits."""
    validate = validate_event
    next_id = itertools.count(1).__next__
    payload = raw_payload()
    handlers = [counting(count) for _ in range(HANDLERS)]

    async def send(events: int) -> None:
        for _ in range(events):
            event = validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload})
            for handle in handlers:
                await handle(event)

    yield send


@asynccontextmanager
async def by_hand(count: Count) -> AsyncIterator[Send]:
    """W1, whose handler awaits nine more."""
    others = [counting(count) for _ in range(HANDLERS - 1)]
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            count.handled += 1
            for other in others:
                await other(event)

        nexus.start()
        yield nexus_sends(nexus)


@asynccontextmanager
async def fanout(count: Count) -> AsyncIterator[Send]:
    """An `EventFanout` hands the event to all."""
    async with AsyncEventNexus() as nexus:
        consumer = EventFanout[Event[Reading]]()
        for _ in range(HANDLERS):
            consumer.register(counting(count))
        nexus.declare(KEY, Reading)
        nexus.add_handler(KEY, consumer)
        nexus.start()
        yield nexus_sends(nexus)


@asynccontextmanager
async def multiple(count: Count) -> AsyncIterator[Send]:
    """A nexus with several handlers of one key."""
    async with AsyncEventNexus(multiple=True) as nexus:
        for _ in range(HANDLERS):
            nexus.add_handler(KEY, counting(count))
        nexus.start()
        yield nexus_sends(nexus)


WORK: Final = Work(
    "W4",
    "fan-out to ten handlers",
    (
        Contender("floor", floor),
        Contender("emit, nine by hand", by_hand),
        Contender("EventFanout", fanout),
        Contender("multiple=True", multiple),
    ),
    calls=HANDLERS,
)
