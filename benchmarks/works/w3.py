"""W3: many event types: cost of an event among them, time and memory to register one."""

import itertools
import random
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import Reading, raw_payload
from benchmarks.sending import counting

SIZES: Final = (1, 100, 10_000, 100_000)


def shuffled(types: int) -> "itertools.cycle[int]":
    """Go through so many keys in an order that no cache knows, the same in every run."""
    keys = list(range(types))
    random.Random(3).shuffle(keys)
    return itertools.cycle(keys)


def floor(types: int) -> Contender:
    """Pydantic validates the event, and its handler is found in a dict."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        validate = Event[Reading].__pydantic_validator__.validate_python
        next_id = itertools.count(1).__next__
        payload = raw_payload()
        handlers = {key: counting(count) for key in range(types)}
        keys = shuffled(types)

        async def send(events: int) -> None:
            for key in itertools.islice(keys, events):
                await handlers[key](validate({"id": next_id(), "type": key, "priority": 0, "payload": payload}))

        yield send

    return Contender(f"floor, {types} types", prepare)


def emit(types: int) -> Contender:
    """A nexus that has so many keys."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        payload = raw_payload()
        keys = shuffled(types)
        async with AsyncEventNexus() as nexus:
            for key in range(types):
                nexus.add_handler(key, counting(count))

            async def send(events: int) -> None:
                for key in itertools.islice(keys, events):
                    await nexus.emit(key, payload)

            nexus.start()
            # Each key's first event is dearer: it is part of registration.
            for key in range(types):
                await nexus.emit(key, payload)
            count.handled = 0
            yield send

    return Contender(f"emit, {types} types", prepare, f"floor, {types} types")


def _register(nexus: Any, count: Count, events: int) -> None:
    nexus.declare("before", Reading)
    for key in range(events):
        nexus.add_handler(key, counting(count))
        count.handled += 1


@asynccontextmanager
async def register_in_dict(count: Count) -> AsyncIterator[Send]:
    """A handler is put in a dict."""

    async def send(events: int) -> float:
        handlers: dict[int, object] = {}
        begin = time.perf_counter_ns()
        for key in range(events):
            handlers[key] = counting(count)
            count.handled += 1
        return time.perf_counter_ns() - begin

    yield send


@asynccontextmanager
async def register(count: Count) -> AsyncIterator[Send]:
    """A handler with an annotation is registered for a literal key, as the payload's type is known already."""

    async def send(events: int) -> float:
        nexus = AsyncEventNexus()
        begin = time.perf_counter_ns()
        _register(nexus, count, events)
        return time.perf_counter_ns() - begin

    yield send


@asynccontextmanager
async def room_in_dict(count: Count) -> AsyncIterator[Send]:
    """The memory of an entry of a dict and of a handler."""

    async def send(events: int) -> float:
        tracemalloc.start()
        handlers: dict[int, object] = {}
        for key in range(events):
            handlers[key] = counting(count)
            count.handled += 1
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return held

    yield send


@asynccontextmanager
async def room(count: Count) -> AsyncIterator[Send]:
    """The memory of a registered key and its handler, before its first event."""

    async def send(events: int) -> float:
        nexus = AsyncEventNexus()
        tracemalloc.start()
        _register(nexus, count, events)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return held

    yield send


@asynccontextmanager
async def room_in_use(count: Count) -> AsyncIterator[Send]:
    """The same, after each key's first event."""
    payload = raw_payload()

    async def send(events: int) -> float:
        own = Count()
        async with AsyncEventNexus() as nexus:
            tracemalloc.start()
            _register(nexus, own, events)
            nexus.start()
            for key in range(events):
                await nexus.emit(key, payload)
            count.handled += own.handled - events
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        return held

    yield send


WORK: Final = Work("W3", "one of many event types", tuple(make(types) for types in SIZES for make in (floor, emit)))
REGISTRATION: Final = Work(
    "W3-register",
    "registering an event type",
    (Contender("dict", register_in_dict), Contender("add_handler", register)),
)
MEMORY: Final = Work(
    "W3-memory",
    "a registered event type",
    (Contender("dict", room_in_dict), Contender("add_handler", room), Contender("add_handler, used", room_in_use)),
    unit="bytes",
)
