"""W5: an event passes ten filters."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.sending import counting, nexus_sends, validate_event

FILTERS: Final = 10


def passing() -> Callable[[Event[Any]], Awaitable[bool]]:
    """Make one more filter, which lets everything pass."""

    async def let_pass(event: Event[Any]) -> bool:
        return False

    return let_pass


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """FE, and ten more bare awaits."""
    validate, handle = validate_event, counting(count)
    next_id = itertools.count(1).__next__
    payload = raw_payload()
    filters = [passing() for _ in range(FILTERS)]

    async def send(events: int) -> None:
        for _ in range(events):
            event = validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload})
            for each in filters:
                if await each(event) is True:
                    break
            else:
                await handle(event)

    yield send


@asynccontextmanager
async def by_hand(count: Count) -> AsyncIterator[Send]:
    """W1, whose handler awaits ten functions."""
    filters = [passing() for _ in range(FILTERS)]
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading]) -> None:
            for each in filters:
                if await each(event) is True:
                    return
            count.handled += 1

        nexus.start()
        yield nexus_sends(nexus)


@asynccontextmanager
async def filtered(count: Count) -> AsyncIterator[Send]:
    """A nexus with ten filters."""
    async with AsyncEventNexus() as nexus:
        for _ in range(FILTERS):
            nexus.add_filter(passing())
        nexus.add_handler(KEY, counting(count))
        nexus.start()
        yield nexus_sends(nexus)


WORK: Final = Work(
    "W5",
    "ten filters",
    (Contender("floor", floor), Contender("emit, ten by hand", by_hand), Contender("ten filters", filtered)),
)
