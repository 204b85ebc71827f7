"""pymitter: an event emitter."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from pymitter import EventEmitter

from benchmarks.peers import Handle, SendPayload

VALIDATES = False


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """One emitter; `emit_async` waits for the handlers."""
    emitter = EventEmitter()
    for each in handlers:
        emitter.on("reading", each)
    yield partial(emitter.emit_async, "reading")
