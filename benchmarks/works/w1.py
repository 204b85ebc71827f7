"""W1: a raw payload becomes a model and reaches one async handler of one parameter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from async_nexus import AsyncEventNexus, Event, EventQueue, FailedEvent
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.sending import counting, floor_sends, nexus_sends


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """FE: pydantic validates the whole event in one pass, and the handler is awaited."""
    yield floor_sends(counting(count))


@asynccontextmanager
async def payload_floor(count: Count) -> AsyncIterator[Send]:
    """F: only the payload is validated, there is no event; what a function call costs."""
    validate = Reading.__pydantic_validator__.validate_python
    payload = raw_payload()

    async def handle(payload: Reading) -> None:
        count.handled += 1

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(validate(payload))

    yield send


@asynccontextmanager
async def emit(count: Count) -> AsyncIterator[Send]:
    """A nexus does the same as FE, and whatever else it does."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))
        nexus.start()
        yield nexus_sends(nexus)


@asynccontextmanager
async def emit_with_queue(count: Count) -> AsyncIterator[Send]:
    """The handler takes a queue and puts nothing."""
    async with AsyncEventNexus() as nexus:

        @nexus.on(KEY)
        async def handle(event: Event[Reading], queue: EventQueue) -> None:
            count.handled += 1

        nexus.start()
        yield nexus_sends(nexus)


@asynccontextmanager
async def emit_among_idle_features(count: Count) -> AsyncIterator[Send]:
    """A nexus that has what this event does not need: other keys, ranges, a default handler, somebody who watched."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        @nexus.on("other")
        @nexus.on((1000, 1999))
        @nexus.on(range(2000, 3000))
        @nexus.default
        async def handle_other(event: Event) -> None:
            raise AssertionError(event)

        nexus.watch(lambda note: None)()
        nexus.start()
        yield nexus_sends(nexus)


@asynccontextmanager
async def emit_with_error_handler(count: Count) -> AsyncIterator[Send]:
    """An error handler stands by: what the whole way costs instead of the short one."""
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        @nexus.on_error(Exception)
        async def handle_error(failed: FailedEvent) -> None:
            raise AssertionError(failed)

        nexus.start()
        yield nexus_sends(nexus)


WORK: Final = Work(
    "W1",
    "typed dispatch from a dict",
    (
        Contender("floor", floor),
        Contender("payload floor", payload_floor),
        Contender("emit", emit),
        Contender("emit, idle features", emit_among_idle_features),
        Contender("emit, queue taken", emit_with_queue),
        Contender("emit, error handler", emit_with_error_handler),
    ),
)
