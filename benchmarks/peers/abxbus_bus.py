"""abxbus: an event bus; its events are pydantic models."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from abxbus import BaseEvent, EventBus

from benchmarks.events import Reading
from benchmarks.peers import Handle, SendPayload

VALIDATES = True


class Measured(BaseEvent):
    payload: Reading


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """One bus; each event is awaited."""
    bus: Any = EventBus(max_history_drop=True)

    def taking_events(handle: Handle, number: int) -> Any:
        async def take(event: Any) -> None:
            await handle(event.payload)

        take.__name__ = f"take_{number}"  # the bus warns of handlers of one name
        return take

    for number, each in enumerate(handlers):
        bus.on(Measured, taking_events(each, number))

    async def send(payload: Any) -> None:
        await bus.emit(Measured(payload=payload)).now()

    yield send
    await bus.destroy()
