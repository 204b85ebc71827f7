"""async-nexus 1.0.2, the library that this one re-imagines; several handlers stand behind a fan-out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from async_nexus import AsyncEventNexus, Event, EventFanout
from benchmarks.events import KEY
from benchmarks.peers import Handle, SendPayload

VALIDATES = False


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """One nexus, which has its handlers take the event and a queue."""
    fanout: Any = EventFanout()
    for each in handlers:
        fanout.register(each)
    nexus: Any = AsyncEventNexus()
    nexus.add_handler(KEY, handlers[0] if len(handlers) == 1 else fanout)
    nexus.state = nexus.States.LOOPING  # its loop ends at once where it has no converter
    next_id = nexus.next_id
    ingest = nexus.ingest
    yield lambda payload: ingest(Event(next_id(), KEY, 0, payload))
