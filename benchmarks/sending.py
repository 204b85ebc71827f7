"""The handlers and the loops that works share: what is measured stands in full in each loop, without a call between."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from async_nexus import AsyncEventNexus, Event
from benchmarks.contenders import Count
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.tasks import Sends

Handle: TypeAlias = Callable[[Event[Reading]], Awaitable[None]]
validate_event: Final = Event[Reading].__pydantic_validator__.validate_python


def counting(count: Count) -> Handle:
    """Make a handler that counts, and waits for nothing."""

    async def handle(event: Event[Reading]) -> None:
        count.handled += 1

    return handle


def yielding(count: Count) -> Handle:
    """Make a handler that lets the others run before it counts."""

    async def handle(event: Event[Reading]) -> None:
        await asyncio.sleep(0)
        count.handled += 1

    return handle


def floor_sends(handle: Handle, payload: object = None) -> Sends:
    """FE: pydantic validates the whole event in one pass, and the handler is awaited."""
    next_id = itertools.count(1).__next__
    validate, payload = validate_event, payload or raw_payload()

    async def send(events: int) -> None:
        for _ in range(events):
            await handle(validate({"id": next_id(), "type": KEY, "priority": 0, "payload": payload}))

    return send


def nexus_sends(nexus: AsyncEventNexus, payload: object = None) -> Sends:
    """A nexus does the same, and whatever else it does."""
    payload = payload or raw_payload()

    async def send(events: int) -> None:
        for _ in range(events):
            await nexus.emit(KEY, payload)

    return send
